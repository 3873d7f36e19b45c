#pragma once

#include <kuva/cli/toml_reader.hpp>
#include <kuva/workflow/target.hpp>

namespace kuva::cli {

// The tables `xds`, `xua` and `wado` of a target, and its viewer_url; what they share with the target (tls) must have
// been read before. Errors: usage.config.
void read_xds_sections(TomlReader& reader, workflow::Target& target);

// A coded value: an inline table of code, code_system, code_system_name and display_name. Errors: usage.config.
soap::CodedValue read_code(TomlReader& reader);
// An OID, with or without "urn:oid:", without it. Errors: usage.config.
std::optional<std::string> read_oid(TomlReader& reader, std::string_view key);

}  // namespace kuva::cli
