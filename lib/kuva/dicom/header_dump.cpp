#include <kuva/core/error.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/header_dump.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/reader.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dicom {

namespace {

constexpr std::uint16_t k_patient_group = 0x0010;
constexpr std::size_t k_longest_shown = 128;

bool consists_of(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

// Whether the characters are those of the VR: a name in the place of a number stays hidden.
bool is_harmless_text(Vr vr, std::string_view text) {
  constexpr std::string_view k_digits = "0123456789";
  switch (vr) {
    case Vr::UI:
      return consists_of(text, "0123456789.\\") && text.size() <= k_longest_shown;
    case Vr::IS:
    case Vr::DS:
      return consists_of(text, "0123456789+-.Ee \\");
    case Vr::CS:
      // No code string of the standard has more than three digits in a row; identifiers do.
      return consists_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _\\") &&
             std::count_if(text.begin(), text.end(), [&](char c) { return k_digits.find(c) != k_digits.npos; }) <= 6;
    default:
      return false;
  }
}

std::string numbers(const DataSetReader& reader, Vr vr, std::string_view value) {
  const unsigned size = swap_unit(vr);
  std::string text;
  for (std::size_t at = 0; at + size <= value.size() && text.size() < k_longest_shown; at += size) {
    std::uint64_t number = 0;
    for (unsigned i = 0; i < size; ++i) {
      const unsigned from = reader.big_endian() ? i : size - 1 - i;
      number = number << 8U | static_cast<unsigned char>(value[at + from]);
    }
    text += fmt::format("{}{}", text.empty() ? "" : "\\", number);
  }
  return text;
}

std::string shown_value(DataSetReader& reader) {
  const DataSetReader::Header& header = reader.header();
  const std::string hidden = header.length == 0 ? "(empty)" : "***";
  if (header.tag.group == k_patient_group || header.tag.is_private() || header.length > k_longest_shown) {
    return hidden;
  }
  switch (header.vr) {
    case Vr::US:
    case Vr::UL:
    case Vr::SS:
    case Vr::SL:
      return header.length == 0 ? hidden : numbers(reader, header.vr, reader.value(k_longest_shown));
    default: {
      std::string_view value = reader.value(k_longest_shown);
      while (!value.empty() && (value.back() == '\0' || value.back() == ' ')) {
        value.remove_suffix(1);
      }
      return !value.empty() && is_harmless_text(header.vr, value) ? std::string(value) : hidden;
    }
  }
}

std::string element_line(DataSetReader& reader) {
  const DataSetReader::Header& header = reader.header();
  // A keyword of the standard says nothing of the patient; the number of a private element might.
  const std::string name = header.tag.is_private() ? "private" : name_of(header.tag);
  const std::string length =
      header.length == k_undefined_length ? std::string("undefined length") : fmt::format("{} bytes", header.length);
  return fmt::format("{}({}) {} {} {}", std::string(2 * reader.depth(), ' '), to_string(header.tag),
                     to_string(header.vr), name, length);
}

void dump(Part10File& file, std::string& text) {
  text += fmt::format("{} bytes; preamble {}, meta {}; transfer syntax {} ({})\n", file.size,
                      file.meta.has_preamble ? "yes" : "no", file.meta.has_meta ? "yes" : "no", file.syntax.uid,
                      file.syntax.name);
  text += fmt::format("SOP class in meta {}, written by {} {}\n", file.meta.media_storage_sop_class_uid,
                      file.meta.implementation_class_uid, file.meta.implementation_version_name);
  const TransferSyntax syntax = file.syntax;
  const auto source = data_set_source(file);
  DataSetReader reader(*source, syntax);
  using Event = DataSetReader::Event;
  for (std::size_t lines = 0;; ++lines) {
    const Event event = reader.next();
    if (event == Event::end) {
      break;
    }
    if (lines == k_most_lines) {
      text += "the rest is left out\n";
      break;
    }
    if (event == Event::element) {
      const std::string line = element_line(reader);
      text += line + " " + shown_value(reader) + "\n";
    } else if (event == Event::sequence_begin) {
      text += element_line(reader) + "\n";
      if (reader.is_fragments()) {
        reader.skip_sequence();
      }
    }
  }
  for (const Defect& defect : reader.defects()) {
    text += fmt::format("! {} {} at {}: {}\n", defect.rule, defect.tag_path, defect.offset, defect.message);
  }
}

}  // namespace

std::string masked_header_dump(const std::filesystem::path& path) {
  std::string text;
  try {
    Part10File file = open_part10(path);
    dump(file, text);
  } catch (const Error& error) {
    text += fmt::format("! {}: {}\n", error.kind().code, error.message());
  }
  return text;
}

}  // namespace kuva::dicom
