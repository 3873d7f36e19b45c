#include <kuva/kos/codes.hpp>

#include <algorithm>
#include <array>

namespace kuva::kos {

namespace {

// PS3.16 CID 7010.
constexpr auto k_titles = std::to_array<CodeEntry>({
    {"113000", "Of Interest", ""},
    {"113001", "Rejected for Quality Reasons", "quality"},
    {"113002", "For Referring Provider", ""},
    {"113003", "For Surgery", ""},
    {"113004", "For Teaching", ""},
    {"113005", "For Conference", ""},
    {"113006", "For Therapy", ""},
    {"113007", "For Patient", ""},
    {"113008", "For Peer Review", ""},
    {"113009", "For Research", ""},
    {"113010", "Quality Issue", ""},
    {"113013", "Best In Set", ""},
    {"113018", "For Printing", ""},
    {"113020", "For Report Attachment", ""},
    {"113021", "For Litigation", ""},
    {"113022", "Collection of Presentation States", ""},
    {"113030", "Manifest", "manifest"},
    {"113031", "Signed Manifest", ""},
    {"113032", "Complete Study Content", ""},
    {"113033", "Signed Complete Study Content", ""},
    {"113034", "Complete Acquisition Content", ""},
    {"113035", "Signed Complete Acquisition Content", ""},
    {"113036", "Group of Frames for Display", ""},
    {"113037", "Rejected for Patient Safety Reasons", "patient-safety"},
    {"113038", "Incorrect Modality Worklist Entry", "worklist"},
    {"113039", "Data Retention Policy Expired", "retention"},
});

constexpr auto k_reasons = std::to_array<CodeEntry>({
    {"113001", "Rejected for Quality Reasons", "quality"},
    {"113037", "Rejected for Patient Safety Reasons", "patient-safety"},
    {"113038", "Incorrect Modality Worklist Entry", "worklist"},
    {"113039", "Data Retention Policy Expired", "retention"},
});

// PS3.16 CID 7011.
constexpr auto k_modifiers = std::to_array<CodeEntry>({
    {"111207", "Image artifact(s)", ""},
    {"111208", "Grid artifact(s)", ""},
    {"111209", "Positioning", ""},
    {"111210", "Motion blur", ""},
    {"111211", "Under exposed", ""},
    {"111212", "Over exposed", ""},
    {"111213", "No image", ""},
    {"111214", "Detector artifact(s)", ""},
    {"111215", "Artifact(s) other than grid or detector artifact", ""},
    {"111216", "Mechanical failure", ""},
    {"111217", "Electrical failure", ""},
    {"111218", "Software failure", ""},
    {"111219", "Inappropriate image processing", ""},
    {"111220", "Other failure", ""},
    {"111221", "Unknown failure", ""},
    {"113026", "Double exposure", ""},
});

std::optional<Code> find(std::span<const CodeEntry> entries, std::string_view text) {
  for (const CodeEntry& entry : entries) {
    if (entry.value == text || (!entry.name.empty() && entry.name == text)) {
      return Code{std::string(entry.value), "DCM", std::string(entry.meaning), {}};
    }
  }
  return std::nullopt;
}

}  // namespace

std::span<const CodeEntry> document_titles() { return k_titles; }
std::span<const CodeEntry> quality_modifiers() { return k_modifiers; }
std::span<const CodeEntry> rejection_reasons() { return k_reasons; }

std::optional<Code> find_rejection_reason(std::string_view text) { return find(k_reasons, text); }
std::optional<Code> find_quality_modifier(std::string_view text) { return find(k_modifiers, text); }
Code manifest_title() { return {"113030", "DCM", "Manifest", {}}; }

bool is_manifest_title(const Code& title) {
  return title.scheme == "DCM" && title.value >= "113030" && title.value <= "113035" && title.value.size() == 6;
}

bool is_rejection_title(const Code& title) {
  return title.scheme == "DCM" && std::any_of(k_reasons.begin(), k_reasons.end(),
                                              [&](const CodeEntry& entry) { return entry.value == title.value; });
}

}  // namespace kuva::kos
