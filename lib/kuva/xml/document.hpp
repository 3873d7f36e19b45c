#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::xml {

// What a document may cost; checked before memory is taken for its tree.
struct Limits {
  std::size_t bytes = 64U << 20U;
  std::size_t depth = 96;         // of elements
  std::size_t nodes = 4'000'000;  // elements, attributes and pieces of text
};

// An element of a Document, a cheap view that is valid while its Document lives (also after it has been moved). Names
// are resolved: ns() is the namespace name, empty for none, and name() the local name.
class Element {
 public:
  std::string_view ns() const;
  std::string_view name() const;
  bool is(std::string_view ns_name, std::string_view local_name) const {
    return name() == local_name && ns() == ns_name;
  }

  // Attributes without a prefix have no namespace. Namespace declarations are no attributes.
  std::optional<std::string_view> attribute(std::string_view name, std::string_view ns = {}) const;
  // The namespace name of a prefix here, for QNames in content; empty prefix: the default namespace.
  std::optional<std::string_view> namespace_of(std::string_view prefix) const;

  // All character data below, in order, white space kept - but white space alone between two tags is dropped.
  std::string text() const;
  // The same without white space at both ends.
  std::string trimmed_text() const;

  std::optional<Element> parent() const;
  std::vector<Element> children() const;
  std::vector<Element> children(std::string_view ns, std::string_view name) const;
  std::optional<Element> child(std::string_view ns, std::string_view name) const;  // the first
  std::optional<Element> child(std::string_view name) const;                       // in any namespace
  std::optional<Element> first_child() const;
  std::optional<Element> next() const;  // sibling element

  int line() const;

  friend bool operator==(const Element& a, const Element& b) { return a.m_node == b.m_node; }

 private:
  friend class Document;
  explicit Element(const void* node) : m_node(node) {}
  const void* m_node;  // of the library that reads; its types stay inside
};

// A document in memory: XML 1.0 with namespaces, in UTF-8. There are no DTDs and no entities but the five of XML.
class Document {
 public:
  // Errors: xml.malformed (with the line), xml.doctype, xml.limit. The message never quotes content.
  static Document parse(std::string_view bytes, const Limits& limits = {});
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  Element root() const;

 private:
  struct Tree;
  explicit Document(std::unique_ptr<Tree> tree);
  std::unique_ptr<Tree> m_tree;
};

// Without white space (XML's: blank, tab, CR, LF) at both ends.
std::string_view trim(std::string_view text);

}  // namespace kuva::xml
