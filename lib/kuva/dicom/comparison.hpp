#pragma once

#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/vr.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kuva::dicom {

// A place where two data sets differ.
struct ElementDifference {
  enum class Kind {
    only_left,
    only_right,
    value,
  };
  Kind kind = Kind::value;
  std::string tag_path;  // "0040,A730[2]/0008,0100"; "0040,A730[3]" for an item and those after it
  Vr vr = Vr::none;
  // Of the values as they are encoded, bytes; none for a sequence, an item, and where there is none.
  std::optional<std::uint64_t> left_length;
  std::optional<std::uint64_t> right_length;
  // Of what was compared: with the key of the settings, so that nobody finds a short value by trying.
  std::string left_digest;
  std::string right_digest;
  // Text in UTF-8, at most k_longest_shown bytes of it; only where the settings keep values.
  std::string left_value;
  std::string right_value;
};

struct ComparisonSettings {
  std::string digest_key;  // bytes that only this run knows
  bool keep_values = false;
};

struct Comparison {
  std::vector<ElementDifference> differences;  // the first k_most_differences
  std::uint64_t different = 0;                 // all of them
  std::uint64_t elements = 0;                  // that both have and that were compared
  // Values that could not be compared: text too long to be decoded, in two character sets; a sequence that the other
  // side has as bytes.
  std::uint64_t not_compared = 0;
  bool pixel_data_not_compared = false;  // encapsulated, in two transfer syntaxes

  bool is_same() const { return different == 0; }
};

inline constexpr std::size_t k_most_differences = 100;
inline constexpr std::size_t k_longest_shown_value = 256;

// Compares two objects element by element, in one pass over both and in constant memory, whatever their transfer
// syntaxes. The same is what means the same: text is compared as decoded by the Specific Character Set that holds for
// it on its side, without the padding of its VR (PS3.5 6.2); numbers in one byte order; encapsulated pixel data without
// its offset table and however it is cut into fragments. Not looked at: file meta, group lengths, Length to End, Data
// Set Trailing Padding, the Specific Character Set itself, a VR that is UN on one side. Items of a sequence are
// compared in their order; elements that are not in ascending order are found missing on one side. Errors: those of
// open_part10; file.truncated, file.malformed where a data set cannot be read to its end.
Comparison compare_objects(const std::filesystem::path& left, const std::filesystem::path& right,
                           const ComparisonSettings& settings);
Comparison compare_objects(Part10File left, Part10File right, const ComparisonSettings& settings);

}  // namespace kuva::dicom
