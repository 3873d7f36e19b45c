#include <kuva/core/digest.hpp>
#include <kuva/core/error.hpp>
#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/comparison.hpp>
#include <kuva/dicom/reader.hpp>
#include <kuva/dicom/reading_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace kuva::dicom {

namespace {

using ReaderEvent = DataSetReader::Event;

// Values up to here are compared whole.
constexpr std::size_t k_whole_value = ByteSource::k_largest_peek;
constexpr std::size_t k_piece = 64 * 1024;
constexpr Tag k_length_to_end{0x0008, 0x0001};  // retired; depends on the encoding as a group length does

bool depends_on_encoding(Tag tag) {
  return tag.is_group_length() || tag == k_length_to_end || tag == tags::data_set_trailing_padding ||
         tag == tags::specific_character_set;
}

std::string_view without_trailing(std::string_view text, std::string_view characters) {
  const std::size_t last = text.find_last_not_of(characters);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

constexpr std::string_view k_padding{" \0", 2};

bool may_lead_with_spaces(Vr vr) {
  return vr == Vr::AE || vr == Vr::CS || vr == Vr::DS || vr == Vr::IS || vr == Vr::LO || vr == Vr::SH || vr == Vr::PN;
}

// Components and groups that are empty at the end may be left out (PS3.5 6.2.1.1).
std::string significant_name(std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('=', at), name.size());
    text += at == 0 ? "" : "=";
    std::string_view group = name.substr(at, end - at);
    for (std::string_view shorter = group;; group = shorter) {
      shorter = without_trailing(without_trailing(group, k_padding), "^");
      if (shorter == group) {
        break;
      }
    }
    text += group;
    at = end + 1;
  }
  return std::string(without_trailing(text, "="));
}

// What of a decoded value means something.
std::string significant(std::string_view text, Vr vr) {
  if (vr == Vr::LT || vr == Vr::ST || vr == Vr::UT || vr == Vr::UR) {
    return std::string(without_trailing(text, k_padding));
  }
  std::string values;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\\', at), text.size());
    std::string_view value = without_trailing(text.substr(at, end - at), k_padding);
    if (may_lead_with_spaces(vr)) {
      value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    }
    values += at == 0 ? "" : "\\";
    values += vr == Vr::PN ? significant_name(value) : std::string(value);
    at = end + 1;
  }
  return values;
}

void swap_bytes(std::string& bytes, unsigned unit) {
  for (std::size_t at = 0; at + unit <= bytes.size(); at += unit) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + unit));
  }
}

// One of the two objects while it is read.
class ComparedSide {
 public:
  ComparedSide(Part10File file, std::string name)
      : m_name(std::move(name)),
        m_file(std::move(file)),
        m_source(data_set_source(m_file)),
        m_reader(*m_source, m_file.syntax),
        m_sets{std::make_shared<const CharacterSets>()} {
    advance();
  }

  const TransferSyntax& syntax() const { return m_file.syntax; }
  DataSetReader& reader() { return m_reader; }
  ReaderEvent event() const { return m_event; }
  Tag tag() const { return m_reader.header().tag; }
  Vr vr() const { return m_reader.header().vr; }
  const CharacterSets& sets() const { return *m_sets.back(); }
  bool is_at_end_of_data_set() const { return m_event == ReaderEvent::end || m_event == ReaderEvent::item_end; }

  ReaderEvent step() { return m_event = m_reader.next(); }
  // To the next event that is compared. Errors: file.truncated, file.malformed.
  void advance() {
    for (;;) {
      step();
      if (const auto error = m_event == ReaderEvent::end ? reading_error(m_reader) : std::nullopt) {
        throw Error(error->kind(), fmt::format("{}: {}", m_name, error->message()));
      }
      if (m_event != ReaderEvent::element || !depends_on_encoding(tag())) {
        return;
      }
      if (tag() == tags::specific_character_set) {
        m_sets.back() =
            std::make_shared<const CharacterSets>(without_trailing(m_reader.value(k_whole_value), k_padding));
      }
    }
  }
  // Items have the character sets of what is around them until they say something else.
  void enter_item() { m_sets.push_back(m_sets.back()); }
  void leave_item() { m_sets.pop_back(); }

 private:
  std::string m_name;
  Part10File m_file;
  std::unique_ptr<ByteSource> m_source;
  DataSetReader m_reader;
  ReaderEvent m_event = ReaderEvent::end;
  std::vector<std::shared_ptr<const CharacterSets>> m_sets;  // of the data set and the items that are open
};

// Of bytes that pass by.
class KeyedDigest {
 public:
  explicit KeyedDigest(const std::string& key) : m_digest(DigestAlgorithm::sha256) { m_digest.add(key); }
  void add(std::span<const std::byte> bytes) {
    m_digest.add(bytes);
    m_size += bytes.size();
  }
  std::uint64_t size() const { return m_size; }
  std::string finish() { return to_hex(m_digest.finish()).substr(0, 16); }

 private:
  Digest m_digest;
  std::uint64_t m_size = 0;
};

class ObjectComparer {
 public:
  ObjectComparer(Part10File left, Part10File right, const ComparisonSettings& settings)
      : m_settings(settings), m_left(std::move(left), "the first"), m_right(std::move(right), "the second") {}

  Comparison run() {
    compare_data_sets();
    forget_moved();
    return std::move(m_result);
  }

 private:
  // From the first element of both to the end of both.
  void compare_data_sets() {
    while (!m_left.is_at_end_of_data_set() || !m_right.is_at_end_of_data_set()) {
      if (m_right.is_at_end_of_data_set() || (!m_left.is_at_end_of_data_set() && m_left.tag() < m_right.tag())) {
        only(m_left, ElementDifference::Kind::only_left);
      } else if (m_left.is_at_end_of_data_set() || m_right.tag() < m_left.tag()) {
        only(m_right, ElementDifference::Kind::only_right);
      } else {
        compare_elements();
        m_left.advance();
        m_right.advance();
      }
    }
  }

  void compare_elements() {
    const bool left_is_value = m_left.event() == ReaderEvent::element;
    const bool right_is_value = m_right.event() == ReaderEvent::element;
    if (left_is_value && right_is_value) {
      ++m_result.elements;
      compare_values();
    } else if (!left_is_value && !right_is_value && m_left.reader().is_fragments() == m_right.reader().is_fragments()) {
      ++m_result.elements;
      if (m_left.reader().is_fragments()) {
        compare_fragments();
      } else {
        compare_sequences();
      }
    } else {
      // Pixel data that one side has compressed; a sequence that the other side has as UN.
      const bool pixels = m_left.reader().is_fragments() || m_right.reader().is_fragments();
      m_result.pixel_data_not_compared = m_result.pixel_data_not_compared || pixels;
      m_result.not_compared += pixels ? 0 : 1;
      m_left.reader().skip_sequence();
      m_right.reader().skip_sequence();
    }
  }

  void compare_sequences() {
    for (;;) {
      m_left.step();
      m_right.step();
      const bool left_has = m_left.event() == ReaderEvent::item_begin;
      const bool right_has = m_right.event() == ReaderEvent::item_begin;
      if (!left_has && !right_has) {
        return;
      }
      if (left_has != right_has) {
        ComparedSide& side = left_has ? m_left : m_right;
        ElementDifference difference;
        difference.kind = left_has ? ElementDifference::Kind::only_left : ElementDifference::Kind::only_right;
        difference.tag_path = side.reader().tag_path();
        difference.vr = Vr::SQ;
        add(std::move(difference));
        side.reader().skip_sequence();
        return;
      }
      m_left.enter_item();
      m_right.enter_item();
      m_left.advance();
      m_right.advance();
      compare_data_sets();
      m_left.leave_item();
      m_right.leave_item();
    }
  }

  // The bytes of all fragments, without the offset table that is the first of them (PS3.5 A.4).
  std::pair<std::string, std::uint64_t> digest_of_fragments(ComparedSide& side) const {
    KeyedDigest digest(m_settings.digest_key);
    bool is_table = true;
    while (side.step() == ReaderEvent::item_begin) {
      if (std::exchange(is_table, false)) {
        continue;
      }
      for (auto piece = side.reader().read_some(k_piece); !piece.empty(); piece = side.reader().read_some(k_piece)) {
        digest.add(piece);
      }
    }
    const std::uint64_t size = digest.size();
    return {digest.finish(), size};
  }

  void compare_fragments() {
    if (m_left.syntax().uid != m_right.syntax().uid) {
      m_result.pixel_data_not_compared = true;
      m_left.reader().skip_sequence();
      m_right.reader().skip_sequence();
      return;
    }
    ElementDifference difference = begin_difference();
    const auto left = digest_of_fragments(m_left);
    const auto right = digest_of_fragments(m_right);
    if (left != right) {
      difference.left_digest = left.first;
      difference.left_length = left.second;
      difference.right_digest = right.first;
      difference.right_length = right.second;
      add(std::move(difference));
    }
  }

  ElementDifference begin_difference() {
    ElementDifference difference;
    difference.tag_path = m_left.reader().tag_path();
    difference.vr = m_left.vr() == Vr::UN ? m_right.vr() : m_left.vr();
    return difference;
  }

  void compare_values() {
    ElementDifference difference = begin_difference();
    const std::uint64_t left_length = m_left.reader().header().length;
    const std::uint64_t right_length = m_right.reader().header().length;
    difference.left_length = left_length;
    difference.right_length = right_length;
    const bool is_text = is_string(difference.vr);
    const bool is_long = left_length > k_whole_value || right_length > k_whole_value;
    if (is_text && !is_long) {
      compare_text(std::move(difference));
    } else if (is_text && uses_character_set(difference.vr) && m_left.sets().terms() != m_right.sets().terms()) {
      ++m_result.not_compared;
    } else {
      compare_bytes(std::move(difference));
    }
  }

  void compare_text(ElementDifference difference) {
    const Vr vr = difference.vr;
    const std::string left_raw(m_left.reader().value(k_whole_value));
    const std::string right_raw(m_right.reader().value(k_whole_value));
    CharacterSets::Decoded left{left_raw, true};
    CharacterSets::Decoded right{right_raw, true};
    if (uses_character_set(vr)) {
      left = m_left.sets().decode(left_raw, vr);
      right = m_right.sets().decode(right_raw, vr);
    }
    left.text = significant(left.text, vr);
    right.text = significant(right.text, vr);
    // Two texts that nobody can read are the same only where their bytes are.
    const bool is_same =
        left.text == right.text && ((left.clean && right.clean) ||
                                    without_trailing(left_raw, k_padding) == without_trailing(right_raw, k_padding));
    if (is_same) {
      return;
    }
    difference.left_digest = digest_of_value(left.text);
    difference.right_digest = digest_of_value(right.text);
    if (m_settings.keep_values) {
      difference.left_value = shown(left.text);
      difference.right_value = shown(right.text);
    }
    add(std::move(difference));
  }

  // Numbers and other bytes, in little endian; one byte of padding behind an odd length is none of the value.
  void compare_bytes(ElementDifference difference) {
    KeyedDigest left_digest(m_settings.digest_key);
    KeyedDigest right_digest(m_settings.digest_key);
    bool is_same = true;
    for (;;) {
      const std::string left = next_piece(m_left, left_digest);
      const std::string right = next_piece(m_right, right_digest);
      if (left.empty() && right.empty()) {
        break;
      }
      const std::size_t common = std::min(left.size(), right.size());
      const std::string_view rest = std::string_view(left.size() > right.size() ? left : right).substr(common);
      const bool is_padding = rest.empty() || (rest.size() == 1 && rest.front() == '\0' &&
                                               std::min(left_digest.size(), right_digest.size()) % 2 == 1);
      is_same = is_same && is_padding &&
                std::string_view(left).substr(0, common) == std::string_view(right).substr(0, common);
    }
    if (!is_same) {
      difference.left_digest = left_digest.finish();
      difference.right_digest = right_digest.finish();
      add(std::move(difference));
    }
  }

  static std::string next_piece(ComparedSide& side, KeyedDigest& digest) {
    const auto bytes = side.reader().read_some(k_piece);
    std::string piece(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (side.reader().big_endian()) {
      swap_bytes(piece, swap_unit(side.vr()));
    }
    digest.add(std::as_bytes(std::span(piece)));
    return piece;
  }

  void only(ComparedSide& side, ElementDifference::Kind kind) {
    ElementDifference difference;
    difference.kind = kind;
    difference.tag_path = side.reader().tag_path();
    difference.vr = side.vr();
    if (side.event() == ReaderEvent::element) {
      const bool left = kind == ElementDifference::Kind::only_left;
      (left ? difference.left_length : difference.right_length) = side.reader().header().length;
      KeyedDigest digest(m_settings.digest_key);
      while (!next_piece(side, digest).empty()) {
      }
      (left ? difference.left_digest : difference.right_digest) = digest.finish();
    } else {
      side.reader().skip_sequence();
    }
    add(std::move(difference));
    side.advance();
  }

  // An element that stands elsewhere in the other data set was found missing on each side.
  void forget_moved() {
    using Kind = ElementDifference::Kind;
    std::vector<ElementDifference>& all = m_result.differences;
    const auto is_moved = [](const ElementDifference& left, const ElementDifference& right) {
      return left.kind == Kind::only_left && right.kind == Kind::only_right && left.tag_path == right.tag_path &&
             !left.left_digest.empty() && left.left_digest == right.right_digest;
    };
    for (std::size_t i = 0; i < all.size();) {
      const auto partner =
          std::find_if(all.begin(), all.end(), [&](const auto& other) { return is_moved(all[i], other); });
      if (partner == all.end()) {
        ++i;
        continue;
      }
      const auto other = static_cast<std::size_t>(partner - all.begin());
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(std::max(i, other)));
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(std::min(i, other)));
      if (other < i) {
        --i;
      }
      m_result.different -= 2;
    }
  }

  std::string digest_of_value(std::string_view text) const {
    KeyedDigest digest(m_settings.digest_key);
    digest.add(std::as_bytes(std::span(text.data(), text.size())));
    return digest.finish();
  }

  // Not cut within a character.
  static std::string shown(std::string text) {
    if (text.size() > k_longest_shown_value) {
      std::size_t end = k_longest_shown_value;
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
        --end;
      }
      text.resize(end);
    }
    return text;
  }

  void add(ElementDifference difference) {
    ++m_result.different;
    if (m_result.differences.size() < k_most_differences) {
      m_result.differences.push_back(std::move(difference));
    }
  }

  const ComparisonSettings& m_settings;
  ComparedSide m_left;
  ComparedSide m_right;
  Comparison m_result;
};

}  // namespace

Comparison compare_objects(Part10File left, Part10File right, const ComparisonSettings& settings) {
  return ObjectComparer(std::move(left), std::move(right), settings).run();
}

Comparison compare_objects(const std::filesystem::path& left, const std::filesystem::path& right,
                           const ComparisonSettings& settings) {
  return compare_objects(open_part10(left), open_part10(right), settings);
}

}  // namespace kuva::dicom
