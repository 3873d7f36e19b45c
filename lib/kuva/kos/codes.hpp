#pragma once

#include <kuva/kos/document.hpp>

#include <optional>
#include <span>
#include <string_view>

namespace kuva::kos {

// A document title of PS3.16 CID 7010, or a title modifier of CID 7011, of the coding scheme DCM.
struct CodeEntry {
  std::string_view value;
  std::string_view meaning;
  std::string_view name;  // our word for it on a command line; empty where it has none
};

std::span<const CodeEntry> document_titles();
std::span<const CodeEntry> quality_modifiers();
// The four titles of rejection notes (IHE RAD IOCM): quality, patient-safety, worklist, retention.
std::span<const CodeEntry> rejection_reasons();

// By code value or by name. Nothing when there is none.
std::optional<Code> find_rejection_reason(std::string_view text);
std::optional<Code> find_quality_modifier(std::string_view text);
Code manifest_title();

// 113030-113035, complete content included.
bool is_manifest_title(const Code& title);
bool is_rejection_title(const Code& title);

}  // namespace kuva::kos
