#include <kuva/dicom/transcoder.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/failure_facts.hpp>
#include <kuva/workflow/presentation_plan.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

bool is_native_pair(std::string_view uid) {
  return uid == dicom::k_explicit_vr_little_endian || uid == dicom::k_implicit_vr_little_endian;
}

std::vector<std::string> native_pair(std::string_view first) {
  const bool implicit_first = first == dicom::k_implicit_vr_little_endian;
  const std::string_view second =
      implicit_first ? dicom::k_explicit_vr_little_endian : dicom::k_implicit_vr_little_endian;
  return {std::string(implicit_first ? first : dicom::k_explicit_vr_little_endian), std::string(second)};
}

bool has_list_of(const std::vector<std::vector<std::string>>& lists, std::string_view first) {
  return std::any_of(lists.begin(), lists.end(), [first](const auto& list) { return list.front() == first; });
}

bool has_native_pair(const std::vector<std::vector<std::string>>& lists) {
  return std::any_of(lists.begin(), lists.end(), [](const auto& list) { return is_native_pair(list.front()); });
}

// "JPEG 2000 (1.2.840...)", or the UID alone.
std::string described(std::string_view uid) {
  const std::string_view name = dicom::uid_name(uid);
  return name.empty() ? std::string(uid) : fmt::format("{} ({})", name, uid);
}

// The syntax, not offered, with which the peer accepted a context of this SOP class; such a context is of no use.
// Empty: there is none.
std::string syntax_not_offered(const ul::Association& association, std::string_view sop_class_uid) {
  for (const ul::PresentationContext& context : association.requested().contexts) {
    for (const ul::PresentationContextReply& reply : association.accepted().contexts) {
      const auto& offered = context.transfer_syntaxes;
      if (context.abstract_syntax == sop_class_uid && reply.id == context.id && !reply.transfer_syntax.empty() &&
          std::find(offered.begin(), offered.end(), reply.transfer_syntax) == offered.end()) {
        return reply.transfer_syntax;
      }
    }
  }
  return {};
}

}  // namespace

std::vector<std::vector<std::string>> PresentationPlan::wanted_for(const StorageKind& kind) const {
  const auto known = m_lists.find(kind.sop_class_uid);
  static const std::vector<std::vector<std::string>> k_none;
  const auto& present = known == m_lists.end() ? k_none : known->second;

  std::vector<std::vector<std::string>> wanted;
  if (is_native_pair(kind.transfer_syntax_uid)) {
    // The pair that starts with the file's own syntax, so that a peer that takes what comes first changes nothing.
    if (!has_list_of(present, kind.transfer_syntax_uid)) {
      wanted.push_back(native_pair(kind.transfer_syntax_uid));
    }
  } else {
    wanted.push_back({kind.transfer_syntax_uid});
    if (dicom::transfer_syntax(kind.transfer_syntax_uid).is_uncompressed() && !has_native_pair(present)) {
      wanted.push_back(native_pair(dicom::k_explicit_vr_little_endian));
    }
  }
  return wanted;
}

bool PresentationPlan::add(const StorageKind& kind) {
  if (covers(kind)) {
    return true;
  }
  const std::vector<std::vector<std::string>> wanted = wanted_for(kind);
  if (m_count + wanted.size() > m_limit) {
    return false;
  }
  m_count += wanted.size();
  auto& lists = m_lists[kind.sop_class_uid];
  lists.insert(lists.end(), wanted.begin(), wanted.end());
  m_kinds.insert(kind);
  return true;
}

std::vector<ul::PresentationContext> PresentationPlan::contexts() const {
  std::vector<ul::PresentationContext> contexts;
  const auto push = [&contexts](const std::string& sop_class, std::vector<std::string> syntaxes) {
    contexts.push_back({static_cast<std::uint8_t>(2 * contexts.size() + 1), sop_class, std::move(syntaxes)});
  };
  for (const auto& [sop_class, lists] : m_lists) {
    for (const auto& list : lists) {
      push(sop_class, list);
    }
  }
  for (const auto& [sop_class, lists] : m_lists) {
    if (contexts.size() < m_limit && !has_native_pair(lists)) {
      push(sop_class, native_pair(dicom::k_explicit_vr_little_endian));
    }
  }
  return contexts;
}

std::variant<ContextChoice, Error> choose_context(const ul::Association& association, const StorageKind& kind) {
  if (const ul::AcceptedContext* own = association.find_context(kind.sop_class_uid, kind.transfer_syntax_uid)) {
    return ContextChoice{own->id, dicom::transfer_syntax(own->transfer_syntax)};
  }
  const dicom::TransferSyntax from = dicom::transfer_syntax(kind.transfer_syntax_uid);
  std::vector<std::string> taken;
  for (const ul::AcceptedContext& context : association.contexts()) {
    if (context.abstract_syntax != kind.sop_class_uid) {
      continue;
    }
    const dicom::TransferSyntax to = dicom::transfer_syntax(context.transfer_syntax);
    if (dicom::can_encode(from, to)) {
      return ContextChoice{context.id, to};
    }
    if (std::string name = described(context.transfer_syntax);
        std::find(taken.begin(), taken.end(), name) == taken.end()) {
      taken.push_back(std::move(name));
    }
  }

  bool class_known = !taken.empty();
  for (const ul::PresentationContext& context : association.requested().contexts) {
    if (context.abstract_syntax != kind.sop_class_uid) {
      continue;
    }
    class_known =
        class_known || association.context_result(context.id) == ul::ContextResult::transfer_syntaxes_not_supported;
  }
  Error error = [&] {
    if (!class_known) {
      return Error(kuva::kind("negotiate.sop-class"),
                   fmt::format("the peer does not take {}", described(kind.sop_class_uid)));
    }
    std::string offer =
        taken.empty() ? std::string("nothing that was offered") : fmt::format("{}", fmt::join(taken, ", "));
    if (const std::string strange = syntax_not_offered(association, kind.sop_class_uid); !strange.empty()) {
      offer += fmt::format("; it accepted {}, which was not offered: a fault of the peer", described(strange));
    }
    return Error(kuva::kind("negotiate.transfer-syntax"),
                 fmt::format("the file is {}; for {} the peer takes {}", described(kind.transfer_syntax_uid),
                             described(kind.sop_class_uid), offer));
  }();
  error.with("proposed", negotiation_facts(association, kind.sop_class_uid)).with_peer(association.peer());
  return error;
}

}  // namespace kuva::workflow
