#include <kuva/core/error.hpp>
#include <kuva/workflow/retrieve_names.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::workflow {

namespace {

using Attributes = dicom::InstanceAttributes;

struct Key {
  std::string_view name;
  std::string Attributes::*value;
  bool is_uid;  // known before the instance is there
};

constexpr std::array<Key, 10> k_keys{{
    {"StudyInstanceUID", &Attributes::study_instance_uid, true},
    {"SeriesInstanceUID", &Attributes::series_instance_uid, true},
    {"SOPInstanceUID", &Attributes::sop_instance_uid, true},
    {"SOPClassUID", &Attributes::sop_class_uid, false},
    {"TransferSyntaxUID", &Attributes::transfer_syntax_uid, false},
    {"Modality", &Attributes::modality, false},
    {"AccessionNumber", &Attributes::accession_number, false},
    {"PatientID", &Attributes::patient_id, false},
    {"StudyDate", &Attributes::study_date, false},
    {"InstanceNumber", &Attributes::instance_number, false},
}};

constexpr std::size_t k_longest_name_part = 128;

Error usage(std::string message) { return Error(kind("usage.argument"), "--name: " + std::move(message)); }

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
}

// What is between the braces must make names, whatever the values are.
void check_parts(std::string_view shape) {
  if (shape.empty() || shape.front() == '/' || shape.back() == '/') {
    throw usage("a name below the directory, without / at its ends");
  }
  for (std::size_t at = 0; at <= shape.size();) {
    const std::size_t end = std::min(shape.find('/', at), shape.size());
    const std::string_view part = shape.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") {
      throw usage(fmt::format("'{}' is not a name of a file or directory", part));
    }
    at = end + 1;
  }
}

}  // namespace

NameTemplate::NameTemplate(std::string_view text) {
  std::string shape;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t brace = std::min(text.find_first_of("{}", at), text.size());
    if (brace != at) {
      m_pieces.push_back({std::string(text.substr(at, brace - at)), nullptr});
      shape += m_pieces.back().literal;
      at = brace;
      continue;
    }
    const std::size_t end = text.find('}', at);
    if (text[at] == '}' || end == std::string_view::npos) {
      throw usage("a brace without its partner");
    }
    const std::string_view name = text.substr(at + 1, end - at - 1);
    const auto* const key = std::find_if(k_keys.begin(), k_keys.end(), [name](const Key& k) { return k.name == name; });
    if (key == k_keys.end()) {
      throw usage(fmt::format("there is no {{{}}}; there are {}", name, fmt::join(keys(), ", ")));
    }
    m_pieces.push_back({{}, key->value});
    m_needs_uids_only = m_needs_uids_only && key->is_uid;
    shape += 'x';
    at = end + 1;
  }
  if (shape.find('\0') != std::string::npos) {
    throw usage("a NUL character");
  }
  check_parts(shape);
}

std::filesystem::path NameTemplate::make(const dicom::InstanceAttributes& attributes) const {
  std::string name;
  for (const Piece& piece : m_pieces) {
    name += piece.value == nullptr ? piece.literal : safe_name(attributes.*piece.value);
  }
  return name;
}

std::vector<std::string_view> NameTemplate::keys() {
  std::vector<std::string_view> names;
  for (const Key& key : k_keys) {
    names.push_back(key.name);
  }
  return names;
}

std::string safe_name(std::string_view value) {
  std::string name(value.substr(0, k_longest_name_part));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_plain(c); }, '_');
  if (name.empty()) {
    return "_";
  }
  if (name.front() == '.') {
    name.front() = '_';
  }
  return name;
}

}  // namespace kuva::workflow
