#pragma once

#include <kuva/kos/document.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace kuva::kos {

// A Part 10 file in Explicit VR Little Endian. Evidence and content tree are written from the document's lists,
// everything else from its attributes. Errors: Error internal for a document without UIDs or title.
std::string encode(const Document& document);
// The same to a file that appears whole or not at all, durable when it returns; its size. Memory does not grow with the
// file. Errors: local.write.
std::uint64_t write(const Document& document, const std::filesystem::path& path);

}  // namespace kuva::kos
