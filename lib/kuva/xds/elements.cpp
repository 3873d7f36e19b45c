#include <kuva/core/digest.hpp>
#include <kuva/xds/elements.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::xds {

void note(Deviations& deviations, std::string text) {
  constexpr std::size_t k_most = 500;
  if (deviations.size() >= k_most) {
    deviations.back() = "and more";
    return;
  }
  if (std::find(deviations.begin(), deviations.end(), text) == deviations.end()) {
    deviations.push_back(std::move(text));
  }
}

std::string attribute_of(const xml::Element& element, std::string_view name) {
  return std::string(trimmed(element.attribute(name).value_or(std::string_view())));
}

bool is_named(const xml::Element& element, std::string_view ns, std::string_view name, Deviations& deviations) {
  if (element.name() != name) {
    return false;
  }
  if (element.ns() == ns) {
    return true;
  }
  constexpr std::array k_ours{xml::ns::query, xml::ns::rim,  xml::ns::rs,       xml::ns::lcm,
                              xml::ns::xdsb,  xml::ns::xdsi, std::string_view()};
  if (std::find(k_ours.begin(), k_ours.end(), element.ns()) == k_ours.end()) {
    return false;
  }
  note(deviations, fmt::format("{} stands in the namespace \"{}\"", name, element.ns()));
  return true;
}

std::vector<xml::Element> children_named(const xml::Element& parent, std::string_view ns, std::string_view name,
                                         Deviations& deviations) {
  std::vector<xml::Element> out;
  for (auto child = parent.first_child(); child; child = child->next()) {
    if (is_named(*child, ns, name, deviations)) {
      out.push_back(*child);
    }
  }
  return out;
}

std::optional<xml::Element> child_named(const xml::Element& parent, std::string_view ns, std::string_view name,
                                        Deviations& deviations) {
  for (auto child = parent.first_child(); child; child = child->next()) {
    if (is_named(*child, ns, name, deviations)) {
      return child;
    }
  }
  return std::nullopt;
}

std::vector<Slot> read_slots(const xml::Element& parent, Deviations& deviations) {
  std::vector<Slot> slots;
  for (const xml::Element& element : children_named(parent, xml::ns::rim, "Slot", deviations)) {
    Slot slot;
    slot.name = attribute_of(element, "name");
    slot.type = attribute_of(element, "slotType");
    for (const xml::Element& list : children_named(element, xml::ns::rim, "ValueList", deviations)) {
      for (const xml::Element& value : children_named(list, xml::ns::rim, "Value", deviations)) {
        slot.values.emplace_back(value.trimmed_text());
      }
    }
    slots.push_back(std::move(slot));
  }
  return slots;
}

void write_slot(xml::Writer& writer, const Slot& slot) {
  writer.open("rim:Slot").attribute("name", slot.name);
  if (!slot.type.empty()) {
    writer.attribute("slotType", slot.type);
  }
  writer.open("rim:ValueList");
  for (const std::string& value : slot.values) {
    writer.element("rim:Value", value);
  }
  writer.close().close();
}

void write_slot(xml::Writer& writer, std::string_view name, const std::vector<std::string>& values) {
  if (!values.empty()) {
    write_slot(writer, Slot{std::string(name), values, {}});
  }
}

void write_slot(xml::Writer& writer, std::string_view name, const std::string& value) {
  if (!value.empty()) {
    write_slot(writer, Slot{std::string(name), {value}, {}});
  }
}

std::string name_uuid(std::string_view name) {
  std::string digest = digest_of(name, DigestAlgorithm::sha1);
  digest[6] = static_cast<char>((digest[6] & 0x0f) | 0x50);
  digest[8] = static_cast<char>((digest[8] & 0x3f) | 0x80);
  const std::string hex = to_hex(digest);
  const std::string_view text = hex;
  return fmt::format("urn:uuid:{}-{}-{}-{}-{}", text.substr(0, 8), text.substr(8, 4), text.substr(12, 4),
                     text.substr(16, 4), text.substr(20, 12));
}

}  // namespace kuva::xds
