#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/accepted_contexts.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

using namespace kuva;
using namespace kuva::workflow;

namespace {

constexpr std::string_view k_ct = "1.2.840.10008.5.1.4.1.1.2";
constexpr std::string_view k_mr = "1.2.840.10008.5.1.4.1.1.4";
constexpr std::string_view k_implicit = "1.2.840.10008.1.2";
constexpr std::string_view k_jpeg = "1.2.840.10008.1.2.4.50";

// Takes CT in two syntaxes, nothing of MR's (though it knows MR), and no other class.
struct Peer {
  std::size_t associations = 0;
  std::size_t most_contexts = 0;

  std::vector<ul::PresentationContextReply> answer(const std::vector<ul::PresentationContext>& contexts) {
    ++associations;
    most_contexts = std::max(most_contexts, contexts.size());
    std::set<unsigned> ids;
    std::vector<ul::PresentationContextReply> replies;
    for (const auto& context : contexts) {
      CHECK(context.id % 2 == 1);
      ids.insert(context.id);
      ul::PresentationContextReply reply{context.id, ul::ContextResult::abstract_syntax_not_supported, {}};
      if (context.abstract_syntax == k_mr) {
        reply.result = ul::ContextResult::transfer_syntaxes_not_supported;
      } else if (context.abstract_syntax == k_ct) {
        const bool takes = std::any_of(context.transfer_syntaxes.begin(), context.transfer_syntaxes.end(),
                                       [](const std::string& uid) { return uid == k_implicit || uid == k_jpeg; });
        reply.result = takes ? ul::ContextResult::accepted : ul::ContextResult::transfer_syntaxes_not_supported;
      }
      replies.push_back(reply);
    }
    CHECK(ids.size() == contexts.size());
    return replies;
  }
};

const AcceptedClass& find(const std::vector<AcceptedClass>& classes, std::string_view uid) {
  return *std::find_if(classes.begin(), classes.end(), [uid](const auto& one) { return one.sop_class_uid == uid; });
}

}  // namespace

TEST_CASE("what a peer takes is found pair by pair, and what it does not take at all costs one context") {
  Peer peer;
  const auto classes =
      find_accepted([&](std::vector<ul::PresentationContext> contexts) { return peer.answer(contexts); });
  CHECK(classes.size() == dicom::storage_sop_classes().size());
  CHECK(classes.size() > 150);
  const AcceptedClass& ct = find(classes, k_ct);
  CHECK(ct.accepted == std::vector<std::string_view>{k_implicit, k_jpeg});
  CHECK(ct.accepted.size() + ct.refused.size() == common_transfer_syntaxes().size());
  const AcceptedClass& mr = find(classes, k_mr);
  CHECK(mr.accepted.empty());
  CHECK(mr.refusal == ul::ContextResult::transfer_syntaxes_not_supported);
  CHECK(find(classes, "1.2.840.10008.5.1.4.1.1.7").refusal == ul::ContextResult::abstract_syntax_not_supported);
  CHECK(peer.most_contexts == 128);
  CHECK(peer.associations == (classes.size() + 127) / 128 + 1);
}
