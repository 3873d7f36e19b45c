#pragma once

#include <kuva/xds/model.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace kuva::xml {
class Element;
class Writer;
}  // namespace kuva::xml

// ebRIM 3.0 as ITI TF-3 4.2 uses it, both ways.
namespace kuva::xds {

// Reads the children of rim:RegistryObjectList (also of lcm:SubmitObjectsRequest). Children may come in any order;
// packages are told apart by their classification, inside or beside them. What departs from the profile goes to
// `deviations`. Throws nothing on content: what is not understood is kept or named.
RegistryObjects read_registry_objects(const xml::Element& list, std::vector<std::string>& deviations);

// <rim:RegistryObjectList> with all of it; in the order that the schema wants. The caller has declared no prefix: each
// fragment declares its own.
void write_registry_objects(xml::Writer& writer, const RegistryObjects& objects);

}  // namespace kuva::xds
