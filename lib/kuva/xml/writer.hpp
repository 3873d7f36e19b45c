#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kuva::xml {

// Writes elements in one piece, without white space between them. Names are written as they are given; whoever writes
// declares the prefixes. Text and attribute values are escaped so that every character survives a reader (CR, and TAB
// and LF in attributes, as character references).
class Writer {
 public:
  Writer& open(std::string_view qname);
  // xmlns:prefix="uri", or xmlns="uri" for an empty prefix. Like attributes: before the element's content.
  Writer& declare(std::string_view prefix, std::string_view uri);
  Writer& attribute(std::string_view qname, std::string_view value);
  // Errors: xml.malformed where the text is not UTF-8 or holds a character that XML cannot carry.
  Writer& text(std::string_view value);
  // Well-formed XML, as it is: signed parts go in unchanged.
  Writer& raw(std::string_view fragment);
  Writer& close();
  // open, text, close.
  Writer& element(std::string_view qname, std::string_view value);

  // What was written; all elements are closed. The writer is empty afterwards.
  std::string take();

 private:
  void end_tag();

  std::string m_out;
  std::vector<std::string> m_open;
  bool m_in_tag = false;
};

// Text as element content, and as an attribute's value between double quotes. Errors: as Writer::text.
std::string escape_text(std::string_view value);
std::string escape_attribute(std::string_view value);

}  // namespace kuva::xml
