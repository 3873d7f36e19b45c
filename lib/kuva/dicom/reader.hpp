#pragma once

#include <kuva/dicom/byte_source.hpp>
#include <kuva/dicom/tag.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/vr.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dicom {

inline constexpr std::uint32_t k_undefined_length = 0xFFFFFFFFU;

// A place where the bytes break the rules of PS3.5 or PS3.10.
struct Defect {
  enum class Severity { error, warning, info };
  Severity severity = Severity::error;
  std::string rule;          // stable id, e.g. "structure.odd-length"
  std::string message;       // a sentence without patient data
  std::string tag_path;      // "0040,A730[2]/0008,0100", items counted from 1; empty for the file as a whole
  std::uint64_t offset = 0;  // bytes from the start of the file
};

// Reads a data set element by element (PS3.5 section 7), in every transfer syntax's structure, without recursion and
// without taking a length's word: nothing is allocated because a length says so, a length that is larger than what is
// left is a defect and ends the reading. Nesting is capped at k_deepest_nesting.
//
// Tolerated, with a defect: odd lengths, tags not ascending or doubled, delimiters with a length, unknown VRs, missing
// item delimiters, missing final sequence delimiter of pixel data, trailing bytes. UN of undefined length is read as a
// sequence in Implicit VR Little Endian (CP-246).
class DataSetReader {
 public:
  enum class Event {
    element,         // a value element: header() and value access
    sequence_begin,  // an SQ (or UN of undefined length), or encapsulated pixel data: see is_fragments()
    item_begin,      // an item, or a fragment of encapsulated pixel data (then with value access)
    item_end,        // not for fragments
    sequence_end,
    end,  // of the data set, or where reading cannot go on: see truncated() and broken()
  };

  struct Header {
    Tag tag;
    Vr vr = Vr::none;          // as written; from the dictionary where the syntax is implicit (UN where it has none)
    std::uint32_t length = 0;  // as written, k_undefined_length included
    std::uint64_t offset = 0;  // of the tag, as source.position() counts: in a file from its start
    std::uint64_t value_offset = 0;
    bool vr_is_explicit = false;
  };

  // `source` stands at the first element and belongs to the reader while it reads. Of a deflated syntax it is the
  // inflated source (see data_set_source), and offsets count the inflated bytes.
  DataSetReader(ByteSource& source, const TransferSyntax& syntax);

  // Goes to the next event; a value that was not read is skipped.
  // Errors: those of the source.
  Event next();
  // The element, sequence, item or fragment that the last event began; at sequence_end only its tag.
  const Header& header() const { return m_header; }
  // Sequences that are open around the current element; 0 for the data set itself. At sequence_begin and sequence_end
  // that of the sequence element.
  std::size_t depth() const;
  // Inside encapsulated pixel data, its sequence_begin and sequence_end included.
  bool is_fragments() const { return m_in_fragments; }
  // The byte order of the current value; little within UN of undefined length whatever the syntax.
  bool big_endian() const;

  // The value of the current element, at most `limit` (<= ByteSource::k_largest_peek) bytes of it; valid until next().
  // It does not take the bytes: read_some() still gives them.
  std::string_view value(std::size_t limit);
  // Takes the value of the current element or fragment in pieces, for any length; an empty span at its end. A piece is
  // valid until the next call of any member.
  std::span<const std::byte> read_some(std::size_t at_most = ByteSource::k_largest_peek);
  // After element: skips its value. After sequence_begin: skips the sequence, its sequence_end is not reported. After
  // another event: skips the rest of the innermost open sequence in the same way.
  void skip_sequence();

  // "0040,A730[2]/0008,0100" of the current element or item.
  std::string tag_path() const;

  // At most k_most_defects, then the one that ended the reading and one that says how many more there were.
  const std::vector<Defect>& defects() const { return m_defects; }
  // The bytes ended inside an element, item or sequence.
  bool truncated() const { return m_truncated; }
  // Reading stopped before the end for a defect that is not truncation.
  bool broken() const { return m_broken; }

  static constexpr std::size_t k_deepest_nesting = 64;
  static constexpr std::size_t k_most_defects = 100;

 private:
  enum class Kind : std::uint8_t { data_set, sequence, item, fragments };

  // What is open: the data set, then sequence and item by turns.
  struct Frame {
    Kind kind = Kind::data_set;
    bool defined = false;     // its length is
    bool implicit = false;    // its contents are Implicit VR Little Endian whatever the syntax
    bool any = false;         // it has had an element or item
    Tag tag;                  // of a sequence
    Tag last;                 // of the elements of a data set or item
    std::uint32_t items = 0;  // of a sequence, so far
    std::uint64_t end = 0;    // by its own length or that of the nearest one around it
  };

  static constexpr std::uint64_t k_no_end = ~std::uint64_t{0};

  Event step();
  Event read_element();
  Event read_item();
  Event read_fragment();
  Event begin_sequence(Kind kind, bool implicit);
  Event begin_value();
  Event close(Kind kind);
  Event stop_truncated(std::string message);
  Event stop_broken(std::string_view rule, std::string message, std::uint64_t offset);
  Event finish();
  Event end_of_data_set();
  bool is_stray_tail(std::uint64_t start);

  bool explicit_here() const { return m_explicit && !m_frames.back().implicit; }
  bool fits_length(std::uint64_t length);
  void check_order(Frame& frame);
  void add_defect(Defect::Severity severity, std::string_view rule, std::string message, std::uint64_t offset);

  // The bytes at hand; position() is that of m_view's first unused byte.
  std::uint64_t position() const { return m_view_position + m_used; }
  std::size_t at_hand() const { return m_view.size() - m_used; }
  // At least `size` bytes at hand if the source has them.
  bool have(std::size_t size);
  // Leaves `size` bytes out, in the view or the source; false when there were fewer.
  bool pass(std::uint64_t size);
  const unsigned char* bytes() const { return reinterpret_cast<const unsigned char*>(m_view.data()) + m_used; }
  std::uint16_t u16(std::size_t at) const;
  std::uint32_t u32(std::size_t at) const;
  Tag tag_here() const { return {u16(0), u16(2)}; }
  bool rest_is_zero();

  ByteSource* m_source;
  std::span<const std::byte> m_view;
  std::size_t m_used = 0;
  std::uint64_t m_view_position = 0;
  std::optional<std::uint64_t> m_source_end;  // where it is known
  bool m_explicit;
  bool m_big_endian;

  std::vector<Frame> m_frames;
  Header m_header;
  std::uint64_t m_value_left = 0;  // of the current value, not yet taken
  Event m_event = Event::end;      // the last one
  bool m_at_sequence = false;      // it was sequence_begin
  bool m_in_fragments = false;
  bool m_done = false;
  bool m_truncated = false;
  bool m_broken = false;
  std::vector<Defect> m_defects;
  std::size_t m_defects_left_out = 0;
};

}  // namespace kuva::dicom
