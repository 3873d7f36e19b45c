#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/accepted_contexts.hpp>

#include <algorithm>
#include <array>

namespace kuva::workflow {

namespace {

constexpr std::size_t k_most_contexts = 128;  // ids are odd and one byte

constexpr auto k_common = std::to_array<std::string_view>({
    dicom::k_explicit_vr_little_endian, dicom::k_implicit_vr_little_endian, dicom::k_deflated_explicit_vr_little_endian,
    dicom::k_explicit_vr_big_endian,
    "1.2.840.10008.1.2.4.50",   // JPEG Baseline
    "1.2.840.10008.1.2.4.51",   // JPEG Extended
    "1.2.840.10008.1.2.4.57",   // JPEG Lossless
    "1.2.840.10008.1.2.4.70",   // JPEG Lossless, First-Order Prediction
    "1.2.840.10008.1.2.4.80",   // JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",   // JPEG-LS Near-Lossless
    "1.2.840.10008.1.2.4.90",   // JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",   // JPEG 2000
    "1.2.840.10008.1.2.5",      // RLE Lossless
    "1.2.840.10008.1.2.4.100",  // MPEG2 Main Level
    "1.2.840.10008.1.2.4.102",  // MPEG-4 AVC/H.264
    "1.2.840.10008.1.2.4.103",  // MPEG-4 AVC/H.264 BD-compatible
    "1.2.840.10008.1.2.4.201",  // HTJ2K Lossless
});

struct Question {
  std::size_t class_index;
  std::vector<std::string_view> transfer_syntaxes;
};

// The answers to the questions, in their order.
std::vector<ul::PresentationContextReply> ask(const Propose& propose, const std::vector<AcceptedClass>& classes,
                                              const std::vector<Question>& questions) {
  std::vector<ul::PresentationContextReply> answers;
  for (std::size_t begin = 0; begin < questions.size(); begin += k_most_contexts) {
    const std::size_t end = std::min(begin + k_most_contexts, questions.size());
    std::vector<ul::PresentationContext> contexts;
    for (std::size_t i = begin; i < end; ++i) {
      ul::PresentationContext context;
      context.id = static_cast<std::uint8_t>(2 * contexts.size() + 1);
      context.abstract_syntax = classes[questions[i].class_index].sop_class_uid;
      context.transfer_syntaxes.assign(questions[i].transfer_syntaxes.begin(), questions[i].transfer_syntaxes.end());
      contexts.push_back(std::move(context));
    }
    for (ul::PresentationContextReply& reply : propose(std::move(contexts))) {
      answers.push_back(std::move(reply));
    }
  }
  return answers;
}

}  // namespace

std::span<const std::string_view> common_transfer_syntaxes() { return k_common; }

std::vector<AcceptedClass> find_accepted(const Propose& propose) {
  std::vector<AcceptedClass> classes;
  std::vector<Question> questions;
  for (const std::string_view uid : dicom::storage_sop_classes()) {
    questions.push_back({classes.size(), {k_common.begin(), k_common.end()}});
    classes.push_back({uid, {}, {}, ul::ContextResult::accepted});
  }
  const auto at_all = ask(propose, classes, questions);
  std::vector<Question> pairs;
  for (std::size_t i = 0; i < at_all.size(); ++i) {
    AcceptedClass& one = classes[questions[i].class_index];
    if (at_all[i].result != ul::ContextResult::accepted) {
      one.refusal = at_all[i].result;
      one.refused.assign(k_common.begin(), k_common.end());
      continue;
    }
    for (const std::string_view syntax : k_common) {
      pairs.push_back({questions[i].class_index, {syntax}});
    }
  }
  const auto each = ask(propose, classes, pairs);
  for (std::size_t i = 0; i < each.size(); ++i) {
    AcceptedClass& one = classes[pairs[i].class_index];
    const bool accepted = each[i].result == ul::ContextResult::accepted;
    (accepted ? one.accepted : one.refused).push_back(pairs[i].transfer_syntaxes.front());
    if (!accepted && one.accepted.empty()) {
      one.refusal = each[i].result;
    }
  }
  return classes;
}

}  // namespace kuva::workflow
