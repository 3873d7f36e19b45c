#include <kuva/core/error.hpp>
#include <kuva/xml/characters.hpp>
#include <kuva/xml/structure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kuva::xml {

namespace {

// More in one element than anybody writes; looking for duplicates costs the square of it.
constexpr std::size_t k_most_attributes = 500;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

class Checker {
 public:
  Checker(std::string_view bytes, const Limits& limits) : m_bytes(bytes), m_limits(limits) {}

  void run() {
    if (m_bytes.size() > m_limits.bytes) {
      throw Error(kind("xml.limit"),
                  fmt::format("the document has {} bytes, more than the {} allowed", m_bytes.size(), m_limits.bytes));
    }
    if (m_bytes.starts_with("\xFE\xFF") || m_bytes.starts_with("\xFF\xFE")) {
      fail("it is UTF-16, not UTF-8");
    }
    m_at = find_bad_character(m_bytes);
    if (m_at != std::string_view::npos) {
      fail("a byte is not of a UTF-8 character that XML allows");
    }
    m_at = m_bytes.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    m_begin = m_at;
    while (m_at < m_bytes.size()) {
      if (m_bytes[m_at] == '<') {
        markup();
      } else {
        text();
      }
    }
    if (m_depth != 0) {
      fail("it ends within an element");
    }
    if (m_roots == 0) {
      fail("it has no element");
    }
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    const auto line =
        1 + std::count(m_bytes.begin(), m_bytes.begin() + static_cast<std::ptrdiff_t>(std::min(m_at, m_bytes.size())),
                       '\n');
    throw Error(kind("xml.malformed"), fmt::format("not well-formed XML, line {}: {}", line, what));
  }

  void count(std::size_t nodes) {
    m_nodes += nodes;
    if (m_nodes > m_limits.nodes) {
      throw Error(
          kind("xml.limit"),
          fmt::format("the document has more than the {} elements, attributes and texts allowed", m_limits.nodes));
    }
  }

  bool ahead(std::string_view text) const { return m_bytes.substr(m_at).starts_with(text); }

  void skip_past(std::string_view end, std::size_t from, std::string_view what) {
    const std::size_t found = m_bytes.find(end, m_at + from);
    if (found == std::string_view::npos) {
      fail(what);
    }
    m_at = found + end.size();
  }

  void text() {
    const std::size_t end = std::min(m_bytes.find('<', m_at), m_bytes.size());
    const std::string_view piece = m_bytes.substr(m_at, end - m_at);
    if (m_depth == 0) {
      if (!std::all_of(piece.begin(), piece.end(), is_space)) {
        fail("text outside the root element");
      }
    } else {
      count(1);
      references(piece);
    }
    m_at = end;
  }

  // The five entities of XML and character references; a DTD could declare others.
  void references(std::string_view piece) {
    for (std::size_t at = piece.find('&'); at != std::string_view::npos; at = piece.find('&', at + 1)) {
      const std::string_view rest = piece.substr(at + 1, 12);
      const std::size_t end = rest.find(';');
      if (end == std::string_view::npos || !is_reference(rest.substr(0, end))) {
        fail("an ampersand that begins no reference, or an entity that is not declared");
      }
    }
  }

  static bool is_reference(std::string_view name) {
    if (!name.starts_with('#')) {
      return name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos";
    }
    name.remove_prefix(1);
    const bool is_hex = name.starts_with('x');
    if (is_hex) {
      name.remove_prefix(1);
    }
    unsigned long code_point = 0;
    const auto result = std::from_chars(name.data(), name.data() + name.size(), code_point, is_hex ? 16 : 10);
    return result.ec == std::errc() && result.ptr == name.data() + name.size() && is_character(code_point);
  }

  void markup() {
    if (ahead("<!--")) {
      count(1);
      skip_past("-->", 4, "a comment does not end");
    } else if (ahead("<![CDATA[")) {
      if (m_depth == 0) {
        fail("text outside the root element");
      }
      count(1);
      skip_past("]]>", 9, "a CDATA section does not end");
    } else if (ahead("<!")) {
      if (ahead("<!DOCTYPE")) {
        throw Error(kind("xml.doctype"), "the document has a document type declaration");
      }
      fail("a declaration that no document without DTD has");
    } else if (ahead("<?")) {
      instruction();
    } else if (ahead("</")) {
      if (m_depth == 0) {
        fail("an end tag without its start");
      }
      --m_depth;
      skip_past(">", 2, "a tag does not end");
    } else {
      start_tag();
    }
  }

  void instruction() {
    const std::size_t begin = m_at;
    skip_past("?>", 2, "a processing instruction does not end");
    const std::string_view all = m_bytes.substr(begin, m_at - begin);
    if (!all.starts_with("<?xml") || all.size() < 7 || !(is_space(all[5]) || all[5] == '?')) {
      count(1);
      return;
    }
    if (begin != m_begin) {
      m_at = begin;
      fail("the XML declaration is not the first thing");
    }
    const std::size_t encoding = all.find("encoding");
    if (encoding == std::string_view::npos) {
      return;
    }
    const std::size_t open = all.find_first_of("\"'", encoding);
    const std::size_t close = open == std::string_view::npos ? open : all.find(all[open], open + 1);
    if (close == std::string_view::npos) {
      fail("the XML declaration is broken");
    }
    std::string name(all.substr(open + 1, close - open - 1));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    if (name != "UTF-8" && name != "UTF8" && name != "US-ASCII" && name != "ASCII") {
      fail("its encoding is not UTF-8");
    }
  }

  void start_tag() {
    if (m_depth == 0 && m_roots++ != 0) {
      fail("a second root element");
    }
    count(1);
    std::size_t attributes = 0;
    for (++m_at;; ++m_at) {
      if (m_at >= m_bytes.size()) {
        fail("a tag does not end");
      }
      const char c = m_bytes[m_at];
      if (c == '"' || c == '\'') {
        const std::size_t end = m_bytes.find(c, m_at + 1);
        if (end == std::string_view::npos) {
          fail("a value does not end");
        }
        const std::string_view value = m_bytes.substr(m_at + 1, end - m_at - 1);
        if (value.find('<') != std::string_view::npos) {
          fail("an attribute's value holds a less-than sign");
        }
        references(value);
        if (++attributes > k_most_attributes) {
          throw Error(kind("xml.limit"), fmt::format("an element has more than {} attributes", k_most_attributes));
        }
        m_at = end;
      } else if (c == '<') {
        fail("a tag does not end");
      } else if (c == '>') {
        break;
      }
    }
    count(attributes);
    if (m_bytes[m_at - 1] != '/') {
      ++m_depth;
    }
    if (m_depth > m_limits.depth) {
      throw Error(kind("xml.limit"),
                  fmt::format("elements are nested deeper than the {} levels allowed", m_limits.depth));
    }
    ++m_at;
  }

  std::string_view m_bytes;
  const Limits& m_limits;
  std::size_t m_at = 0;
  std::size_t m_begin = 0;
  std::size_t m_depth = 0;
  std::size_t m_nodes = 0;
  std::size_t m_roots = 0;
};

}  // namespace

void check_structure(std::string_view bytes, const Limits& limits) { Checker(bytes, limits).run(); }

}  // namespace kuva::xml
