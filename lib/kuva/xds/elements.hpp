#pragma once

#include <kuva/xds/model.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/writer.hpp>

#include <string>
#include <string_view>
#include <vector>

// What the readers and writers of this room share.
namespace kuva::xds {

using Deviations = std::vector<std::string>;

// Adds it unless the same has been said.
void note(Deviations& deviations, std::string text);

// The attribute without white space around it; empty where there is none.
std::string attribute_of(const xml::Element& element, std::string_view name);

// Child elements with this local name. One in another namespace of ebRIM or XDS is taken too, and noted.
std::vector<xml::Element> children_named(const xml::Element& parent, std::string_view ns, std::string_view name,
                                         Deviations& deviations);
std::optional<xml::Element> child_named(const xml::Element& parent, std::string_view ns, std::string_view name,
                                        Deviations& deviations);
// True for this local name in one of those namespaces; another namespace than `ns` is noted.
bool is_named(const xml::Element& element, std::string_view ns, std::string_view name, Deviations& deviations);

std::vector<Slot> read_slots(const xml::Element& parent, Deviations& deviations);
void write_slot(xml::Writer& writer, const Slot& slot);
// Nothing where there are no values.
void write_slot(xml::Writer& writer, std::string_view name, const std::vector<std::string>& values);
void write_slot(xml::Writer& writer, std::string_view name, const std::string& value);

// A UUID made from a name, always the same for it (RFC 4122 4.3, SHA-1), with its urn:uuid:.
std::string name_uuid(std::string_view name);

}  // namespace kuva::xds
