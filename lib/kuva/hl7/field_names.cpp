#include <kuva/hl7/field_names.hpp>
#include <kuva/hl7/message.hpp>

#include <algorithm>
#include <array>

namespace kuva::hl7 {

namespace {

struct SegmentNames {
  std::string_view segment;
  std::string_view name;
  std::string_view fields;
};

constexpr auto k_segments = std::to_array<SegmentNames>({
#include <kuva/hl7/field_names.inc>
});

constexpr std::string_view k_cx =
    "ID|Check Digit|Check Digit Scheme|Assigning Authority|Identifier Type Code|"
    "Assigning Facility|Effective Date|Expiration Date";
constexpr std::string_view k_xpn =
    "Family Name|Given Name|Further Given Names|Suffix|Prefix|Degree|Name Type Code|"
    "Name Representation Code";
constexpr std::string_view k_hd = "Namespace ID|Universal ID|Universal ID Type";

struct FieldType {
  std::string_view segment;
  std::size_t field;
  std::string_view components;
};

constexpr auto k_types = std::to_array<FieldType>({
    {"MSH", 3, k_hd},
    {"MSH", 4, k_hd},
    {"MSH", 5, k_hd},
    {"MSH", 6, k_hd},
    {"MSH", 9, "Message Code|Trigger Event|Message Structure"},
    {"MSH", 11, "Processing ID|Processing Mode"},
    {"MSH", 12, "Version ID|Internationalization Code|International Version ID"},
    {"PID", 2, k_cx},
    {"PID", 3, k_cx},
    {"PID", 4, k_cx},
    {"PID", 5, k_xpn},
    {"PID", 6, k_xpn},
    {"PID", 9, k_xpn},
    {"PID", 18, k_cx},
    {"MRG", 1, k_cx},
    {"MRG", 4, k_cx},
    {"MRG", 7, k_xpn},
});

const SegmentNames* find(std::string_view segment) {
  const auto* const found = std::find_if(k_segments.begin(), k_segments.end(),
                                         [&](const SegmentNames& names) { return names.segment == segment; });
  return found == k_segments.end() ? nullptr : found;
}

}  // namespace

std::string_view segment_name(std::string_view segment) {
  const SegmentNames* const names = find(segment);
  return names == nullptr ? std::string_view() : names->name;
}

std::string_view field_name(std::string_view segment, std::size_t field) {
  const SegmentNames* const names = find(segment);
  return names == nullptr || field == 0 ? std::string_view() : piece(names->fields, '|', field);
}

std::string_view component_name(std::string_view segment, std::size_t field, std::size_t component) {
  const auto* const found = std::find_if(k_types.begin(), k_types.end(), [&](const FieldType& type) {
    return type.segment == segment && type.field == field;
  });
  return found == k_types.end() || component == 0 ? std::string_view() : piece(found->components, '|', component);
}

}  // namespace kuva::hl7
