#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/items.hpp>

#include <cstddef>
#include <vector>

namespace kuva::workflow {

// What comes in, or, where nothing does, what the ledger has stored and not committed: as records, page by page.
// `with_doubtful`: what is in doubt too. Not where a sender asks for it itself: it may be sending the object again
// while the archive still says that it has none, and that answer would have it sent a third time.
class UncommittedRows : public InputSource {
 public:
  UncommittedRows(InputSource& given, ledger::Ledger& ledger, bool with_doubtful)
      : m_given(given), m_ledger(ledger), m_with_doubtful(with_doubtful) {}
  std::optional<Input> next() override;

 private:
  bool fill();

  InputSource& m_given;
  ledger::Ledger& m_ledger;
  bool m_with_doubtful;
  enum class Stage { unknown, given, stored, doubtful, end } m_stage = Stage::unknown;
  ledger::Ledger::Position m_position;
  std::vector<ledger::Instance> m_page;
  std::size_t m_next = 0;
};

}  // namespace kuva::workflow
