#include <kuva/core/record.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/store_queue.hpp>
#include <kuva/workflow/uncommitted_rows.hpp>

namespace kuva::workflow {

namespace {

constexpr std::size_t k_rows = 500;

}  // namespace

std::optional<Input> UncommittedRows::next() {
  if (m_stage == Stage::unknown || m_stage == Stage::given) {
    if (std::optional<Input> input = m_given.next()) {
      m_stage = Stage::given;
      return input;
    }
    if (m_stage == Stage::given) {
      return std::nullopt;
    }
    m_stage = Stage::stored;
  }
  if (m_next == m_page.size() && !fill()) {
    return std::nullopt;
  }
  const ledger::Instance& row = m_page[m_next++];
  Input input;
  input.record = ended_record(nullptr, row, k_send_tool);
  return input;
}

bool UncommittedRows::fill() {
  m_next = 0;
  m_page.clear();
  if (m_stage == Stage::stored) {
    m_page = m_ledger.next_uncommitted(m_position, k_rows);
    if (m_page.empty()) {
      m_stage = m_with_doubtful ? Stage::doubtful : Stage::end;
      m_position = {};
    }
  }
  if (m_stage == Stage::doubtful) {
    ledger::Filter filter;
    filter.states = {ledger::State::indeterminate};
    m_page = m_ledger.next_instances(m_position, k_rows, filter);
    if (m_page.empty()) {
      m_stage = Stage::end;
    }
  }
  return !m_page.empty();
}

}  // namespace kuva::workflow
