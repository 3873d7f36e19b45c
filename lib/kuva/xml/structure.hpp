#pragma once

#include <kuva/xml/document.hpp>

#include <string_view>

namespace kuva::xml {

// Reads over the markup without taking memory: refuses what is too large, too deep or has a DOCTYPE, and what the
// library behind Document would let pass (undeclared entities, bytes that are no UTF-8, several roots). Errors:
// xml.malformed, xml.doctype, xml.limit.
void check_structure(std::string_view bytes, const Limits& limits);

}  // namespace kuva::xml
