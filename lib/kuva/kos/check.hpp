#pragma once

#include <kuva/kos/document.hpp>

#include <vector>

namespace kuva::kos {

struct CheckSettings {
  bool manifest = false;  // it must be an XDS-I.b manifest: title, location, AE title
};

// What is wrong with a document as a Key Object Selection: its type 1 attributes (PS3.3 C.17.6), evidence against
// content tree, UIDs, instances referred to twice, references to itself, title, template, and what retrieving its
// instances needs. Severity error breaks the standard, warning makes archives or consumers refuse it. The document's
// own defects come first. Rules are stable ids, kos.… for those of this function.
std::vector<dicom::Defect> check(const Document& document, const CheckSettings& settings = {});

}  // namespace kuva::kos
