#pragma once

#include <kuva/core/error.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/ul/association.hpp>

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kuva::workflow {

// What an object needs of an association.
struct StorageKind {
  std::string sop_class_uid;
  std::string transfer_syntax_uid;  // of the file

  friend auto operator<=>(const StorageKind&, const StorageKind&) = default;
};

// The presentation contexts for the objects at hand: one for each SOP class and transfer syntax. An uncompressed little
// endian one offers the other besides, since each can be re-encoded as the other; Big Endian and Deflated have theirs
// and one of those. A compressed syntax has its own alone, so that the acceptor cannot take another for it
// (PS3.8 9.3.2.2).
class PresentationPlan {
 public:
  static constexpr std::size_t k_limit = 128;  // ids are odd and one byte

  // At most so many contexts: fewer than k_limit leave room for other services.
  explicit PresentationPlan(std::size_t limit = k_limit) : m_limit(limit) {}

  // False, and nothing changed, when there is no room left.
  bool add(const StorageKind& kind);
  bool has_room_for(const StorageKind& kind) const {
    return covers(kind) || m_count + wanted_for(kind).size() <= m_limit;
  }
  bool covers(const StorageKind& kind) const { return m_kinds.contains(kind); }
  const std::set<StorageKind>& kinds() const { return m_kinds; }

  // While there is room, SOP classes that come compressed only are offered uncompressed as well (PS3.5 10.1): when
  // the peer refuses the compressed syntax, its answer tells whether it takes the class at all.
  std::vector<ul::PresentationContext> contexts() const;

 private:
  // The lists of transfer syntaxes that the kind needs besides those that are there.
  std::vector<std::vector<std::string>> wanted_for(const StorageKind& kind) const;

  std::size_t m_limit;
  // Per SOP class the lists of transfer syntaxes, one for each context; a list starts with a file's own syntax.
  std::map<std::string, std::vector<std::vector<std::string>>> m_lists;
  std::set<StorageKind> m_kinds;
  std::size_t m_count = 0;
};

struct ContextChoice {
  std::uint8_t context_id = 1;
  dicom::TransferSyntax transfer_syntax;  // as negotiated
};

// The context to send an object over, the file's own syntax first; or why there is none: negotiate.sop-class,
// negotiate.transfer-syntax, with what was proposed, the answers, and what the peer takes for the class.
std::variant<ContextChoice, Error> choose_context(const ul::Association& association, const StorageKind& kind);

}  // namespace kuva::workflow
