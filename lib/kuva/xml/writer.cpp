#include <kuva/core/error.hpp>
#include <kuva/xml/characters.hpp>
#include <kuva/xml/writer.hpp>

#include <utility>

namespace kuva::xml {

namespace {

std::string escape(std::string_view value, bool in_attribute) {
  if (find_bad_character(value) != std::string_view::npos) {
    throw Error(kind("xml.malformed"), "a value that is to be written has a byte that XML cannot carry");
  }
  std::string out;
  out.reserve(value.size());
  for (const char c : value) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\r':
        out += "&#xD;";
        break;
      case '"':
        out += in_attribute ? "&quot;" : "\"";
        break;
      case '\t':
        out += in_attribute ? "&#x9;" : "\t";
        break;
      case '\n':
        out += in_attribute ? "&#xA;" : "\n";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

std::string escape_text(std::string_view value) { return escape(value, false); }
std::string escape_attribute(std::string_view value) { return escape(value, true); }

void Writer::end_tag() {
  if (std::exchange(m_in_tag, false)) {
    m_out += '>';
  }
}

Writer& Writer::open(std::string_view qname) {
  end_tag();
  m_out += '<';
  m_out += qname;
  m_open.emplace_back(qname);
  m_in_tag = true;
  return *this;
}

Writer& Writer::declare(std::string_view prefix, std::string_view uri) {
  return attribute(prefix.empty() ? "xmlns" : "xmlns:" + std::string(prefix), uri);
}

Writer& Writer::attribute(std::string_view qname, std::string_view value) {
  if (!m_in_tag) {
    throw Error(kind("internal"), "an attribute was written after its element's content");
  }
  m_out += ' ';
  m_out += qname;
  m_out += "=\"";
  m_out += escape_attribute(value);
  m_out += '"';
  return *this;
}

Writer& Writer::text(std::string_view value) {
  end_tag();
  m_out += escape_text(value);
  return *this;
}

Writer& Writer::raw(std::string_view fragment) {
  end_tag();
  m_out += fragment;
  return *this;
}

Writer& Writer::close() {
  if (m_open.empty()) {
    throw Error(kind("internal"), "an element was closed that was not open");
  }
  if (std::exchange(m_in_tag, false)) {
    m_out += "/>";
  } else {
    m_out += "</";
    m_out += m_open.back();
    m_out += '>';
  }
  m_open.pop_back();
  return *this;
}

Writer& Writer::element(std::string_view qname, std::string_view value) { return open(qname).text(value).close(); }

std::string Writer::take() {
  if (!m_open.empty()) {
    throw Error(kind("internal"), "an element was not closed");
  }
  return std::exchange(m_out, {});
}

}  // namespace kuva::xml
