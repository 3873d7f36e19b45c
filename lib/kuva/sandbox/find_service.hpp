#pragma once

#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/sandbox.hpp>

namespace kuva::sandbox {

// Serves a C-FIND (PS3.4 C.4.1): hierarchical, without relational queries. What the AE does not see of rejected
// instances is not there. Identifiers without a level or a key of a level above are answered A900; keys that are not
// supported are left out, and each match is then FF01. Memory does not grow with the matches.
void serve_find(Archive& archive, const Settings& settings, const KnownAe& known, dimse::Operation& operation,
                dimse::QueryRoot root, const dicom::DataSet& identifier);

}  // namespace kuva::sandbox
