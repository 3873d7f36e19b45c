#pragma once

#include <kuva/dicom/part10.hpp>
#include <kuva/kos/document.hpp>

#include <filesystem>
#include <span>

namespace kuva::kos {

// Reads a Key Object Selection Document element by element: memory goes with the references that it holds, 100,000 of
// them are some 40 MB. What is missing stays empty, and check() says so; the same series may stand in several items.
// Errors: those of open_part10; kos.not-kos for an object of another SOP class; file.malformed, also for more than
// k_most_references, or a value longer than k_longest_value where a text or an identifier is expected; file.truncated.
Document read(const std::filesystem::path& path);
Document read(dicom::Part10File file);
// The bytes of a Part 10 file, e.g. of a document that a repository sent.
Document read(std::span<const std::byte> bytes);

inline constexpr std::size_t k_most_references = 1'000'000;  // of each of evidence and content
inline constexpr std::size_t k_longest_value = 65'536;

}  // namespace kuva::kos
