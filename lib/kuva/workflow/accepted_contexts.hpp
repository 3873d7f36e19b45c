#pragma once

#include <kuva/ul/pdu.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// What a peer takes of one SOP class.
struct AcceptedClass {
  std::string_view sop_class_uid;
  std::vector<std::string_view> accepted;  // transfer syntaxes
  std::vector<std::string_view> refused;
  ul::ContextResult refusal = ul::ContextResult::accepted;  // why, where none is accepted
};

// The transfer syntaxes that archives and modalities use: the uncompressed ones, JPEG, JPEG-LS, JPEG 2000, RLE, MPEG
// and HTJ2K.
std::span<const std::string_view> common_transfer_syntaxes();

// Proposes the contexts and gives the peer's answers, in their order; one association, at most 128 contexts.
using Propose = std::function<std::vector<ul::PresentationContextReply>(std::vector<ul::PresentationContext>)>;

// Every storage SOP class of PS3.4 B.5 in each of those syntaxes, one context for each pair, since of several syntaxes
// in one context the peer names one alone (PS3.8 9.3.2.2); first each class with all of them, so that what the peer
// does not take at all costs one context. `propose` is called as often as 128 contexts an association demand.
std::vector<AcceptedClass> find_accepted(const Propose& propose);

}  // namespace kuva::workflow
