#pragma once

#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/web_server.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// The transfer syntax in which a stored object can be given where only these are taken: its own, else an uncompressed
// one that it can be written in. "*" takes any. Nothing where there is none.
std::optional<std::string> servable_syntax(const StoredObject& object, const std::vector<std::string>& accepted);

// Writes the object as a Part 10 file in that syntax: its file as it is where the syntax is its own and
// no message has changed its patient. Memory is
// constant. Errors: as dicom::open_data_set; what the sink throws.
void write_object(const Archive& archive, const StoredObject& object, const std::string& transfer_syntax_uid,
                  const WebSink& sink);

// A file as it is. Errors: local.read; what the sink throws.
void write_file(const std::filesystem::path& path, const WebSink& sink);

}  // namespace kuva::sandbox
