#pragma once

#include <kuva/dicom/byte_source.hpp>
#include <kuva/dicom/tag.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/vr.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom {

inline constexpr std::uint32_t k_undefined_length = 0xFFFFFFFFU;

// A place where the bytes break the rules of PS3.5 or PS3.10.
struct Defect {
  enum class Severity { error, warning, info };
  Severity severity = Severity::error;
  std::string rule;      // stable id, e.g. "structure.odd-length"
  std::string message;   // a sentence without patient data
  std::string tag_path;  // "0040,A730[2]/0008,0100", items counted from 1; empty for the file as a whole
  std::uint64_t offset = 0;  // bytes from the start of the file
};

// Reads a data set element by element (PS3.5 section 7), in every transfer syntax's structure, without recursion and
// without taking a length's word: nothing is allocated because a length says so, a length that is larger than what is
// left is a defect and ends the reading. Nesting is capped at k_deepest_nesting.
//
// Tolerated, with a defect: odd lengths, tags not ascending or doubled, delimiters with a length, UN or unknown VRs,
// implicit elements in an explicit data set that are UN sequences of undefined length (CP-246), missing final
// sequence delimiter of pixel data, trailing bytes.
class DataSetReader {
 public:
  enum class Event {
    element,         // a value element: header() and value access
    sequence_begin,  // an SQ (or UN of undefined length), or encapsulated pixel data: see is_fragments()
    item_begin,      // an item, or a fragment of encapsulated pixel data (then with value access)
    item_end,        // not for fragments
    sequence_end,
    end,             // of the data set, or where reading cannot go on: see truncated() and broken()
  };

  struct Header {
    Tag tag;
    Vr vr = Vr::none;          // as written; from the dictionary where the syntax is implicit
    std::uint32_t length = 0;  // as written, k_undefined_length included
    std::uint64_t offset = 0;  // of the tag, from the start of the source
    std::uint64_t value_offset = 0;
    bool vr_is_explicit = false;
  };

  // `source` stands at the first element. `base_offset` is added to all offsets (the inflated part of a file).
  DataSetReader(ByteSource& source, const TransferSyntax& syntax);

  // Goes to the next event; a value that was not read is skipped.
  Event next();
  const Header& header() const;
  // 0 for the data set itself.
  std::size_t depth() const;
  // Inside encapsulated pixel data.
  bool is_fragments() const;
  // Within an element whose contents are Implicit VR Little Endian whatever the syntax (UN of undefined length).
  bool big_endian() const;

  // The value of the current element, at most `limit` (<= ByteSource::k_largest_peek) bytes of it; valid until next().
  std::string_view value(std::size_t limit);
  // The value of the current element or fragment in pieces, for any length; an empty span at its end.
  std::span<const std::byte> read_some(std::size_t at_most = ByteSource::k_largest_peek);
  // Skips everything up to the end of the current sequence or element.
  void skip_sequence();

  // "0040,A730[2]/0008,0100" of the current element.
  std::string tag_path() const;

  const std::vector<Defect>& defects() const;  // capped at k_most_defects, a last one says how many more
  bool truncated() const;  // the bytes ended inside an element, item or sequence
  bool broken() const;     // reading stopped before the end for a defect that is not truncation

  static constexpr std::size_t k_deepest_nesting = 64;
  static constexpr std::size_t k_most_defects = 100;
  // ... private members by the implementer
};

}  // namespace kuva::dicom
