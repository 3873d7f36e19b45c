#include <kuva/core/error.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/namespaces.hpp>
#include <kuva/xml/structure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tinyxml2.h>
#include <utility>

namespace kuva::xml {

namespace {

constexpr std::size_t k_most_bindings = 256;  // in scope at one place

const tinyxml2::XMLElement& element_of(const void* node) { return *static_cast<const tinyxml2::XMLElement*>(node); }

struct Name {
  std::string_view prefix;
  std::string_view local;
};

std::optional<Name> split(std::string_view qname) {
  const std::size_t colon = qname.find(':');
  if (colon == std::string_view::npos) {
    return Name{{}, qname};
  }
  const Name name{qname.substr(0, colon), qname.substr(colon + 1)};
  if (name.prefix.empty() || name.local.empty() || name.local.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  return name;
}

// The prefix that an attribute declares; empty for the default namespace.
std::optional<std::string_view> declared_prefix(std::string_view attribute_name) {
  if (attribute_name == "xmlns") {
    return std::string_view();
  }
  if (attribute_name.starts_with("xmlns:")) {
    return attribute_name.substr(6);
  }
  return std::nullopt;
}

}  // namespace

struct Document::Tree {
  // White space that stands alone between tags says nothing in the messages that we read.
  tinyxml2::XMLDocument document{true, tinyxml2::PRESERVE_WHITESPACE};
  std::set<std::string, std::less<>> names;  // namespace names; elements point to them

  void resolve();
};

namespace {

[[noreturn]] void fail(int line, std::string_view what) {
  throw Error(kind("xml.malformed"), fmt::format("not well-formed XML with namespaces, line {}: {}", line, what));
}

// Walks the tree in document order and gives each element its namespace name.
class Resolver {
 public:
  explicit Resolver(std::set<std::string, std::less<>>& names) : m_names(names) {
    bind("", "");
    bind("xml", ns::xml);
  }

  void enter(tinyxml2::XMLElement& element) {
    m_marks.push_back(m_bindings.size());
    for (const auto* attribute = element.FirstAttribute(); attribute != nullptr; attribute = attribute->Next()) {
      if (const auto prefix = declared_prefix(attribute->Name())) {
        const std::string_view uri = attribute->Value();
        if (uri.empty() && !prefix->empty()) {
          fail(attribute->GetLineNum(), "a prefix is bound to no namespace");
        }
        bind(*prefix, uri);
      }
    }
    const auto name = split(element.Name());
    if (!name) {
      fail(element.GetLineNum(), "an element's name is no qualified name");
    }
    element.SetUserData(const_cast<std::string*>(find(name->prefix, element.GetLineNum())));
    check_attributes(element);
  }

  void leave() {
    m_bindings.resize(m_marks.back());
    m_marks.pop_back();
  }

 private:
  void bind(std::string_view prefix, std::string_view uri) {
    if (m_bindings.size() >= k_most_bindings) {
      throw Error(kind("xml.limit"), fmt::format("more than {} namespace prefixes at one place", k_most_bindings));
    }
    m_bindings.emplace_back(prefix, &*m_names.emplace(uri).first);
  }

  const std::string* find(std::string_view prefix, int line) const {
    const auto found = std::find_if(m_bindings.rbegin(), m_bindings.rend(),
                                    [prefix](const auto& binding) { return binding.first == prefix; });
    if (found == m_bindings.rend()) {
      fail(line, "a prefix is not declared");
    }
    return found->second;
  }

  void check_attributes(const tinyxml2::XMLElement& element) {
    m_seen.clear();
    for (const auto* attribute = element.FirstAttribute(); attribute != nullptr; attribute = attribute->Next()) {
      const std::string_view qname = attribute->Name();
      if (declared_prefix(qname)) {
        continue;
      }
      const auto name = split(qname);
      if (!name) {
        fail(attribute->GetLineNum(), "an attribute's name is no qualified name");
      }
      if (name->prefix.empty()) {
        continue;  // the reader has seen to names that stand twice
      }
      const std::pair entry(find(name->prefix, attribute->GetLineNum()), name->local);
      if (std::find(m_seen.begin(), m_seen.end(), entry) != m_seen.end()) {
        fail(attribute->GetLineNum(), "an attribute stands twice");
      }
      m_seen.push_back(entry);
    }
  }

  std::set<std::string, std::less<>>& m_names;
  std::vector<std::pair<std::string_view, const std::string*>> m_bindings;
  std::vector<std::size_t> m_marks;
  std::vector<std::pair<const std::string*, std::string_view>> m_seen;
};

}  // namespace

void Document::Tree::resolve() {
  Resolver resolver(names);
  tinyxml2::XMLElement* const root = document.RootElement();
  tinyxml2::XMLElement* element = root;
  while (element != nullptr) {
    resolver.enter(*element);
    if (auto* const below = element->FirstChildElement()) {
      element = below;
      continue;
    }
    resolver.leave();
    while (element != root && element->NextSiblingElement() == nullptr) {
      element = element->Parent()->ToElement();
      resolver.leave();
    }
    element = element == root ? nullptr : element->NextSiblingElement();
  }
}

Document::Document(std::unique_ptr<Tree> tree) : m_tree(std::move(tree)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Document Document::parse(std::string_view bytes, const Limits& limits) {
  check_structure(bytes, limits);
  auto tree = std::make_unique<Tree>();
  if (tree->document.Parse(bytes.data(), bytes.size()) != tinyxml2::XML_SUCCESS) {
    std::string_view name = tree->document.ErrorName();
    name.remove_prefix(name.starts_with("XML_ERROR_") ? 10 : name.starts_with("XML_") ? 4 : 0);
    fail(tree->document.ErrorLineNum(), name);
  }
  if (tree->document.RootElement() == nullptr) {
    fail(1, "it has no element");
  }
  tree->resolve();
  return Document(std::move(tree));
}

Element Document::root() const { return Element(m_tree->document.RootElement()); }

std::string_view Element::ns() const { return *static_cast<const std::string*>(element_of(m_node).GetUserData()); }

std::string_view Element::name() const {
  const std::string_view qname = element_of(m_node).Name();
  return qname.substr(qname.find(':') + 1);
}

std::optional<std::string_view> Element::namespace_of(std::string_view prefix) const {
  if (prefix == "xml") {
    return ns::xml;
  }
  for (const tinyxml2::XMLNode* node = &element_of(m_node); node != nullptr && node->ToElement() != nullptr;
       node = node->Parent()) {
    for (const auto* at = node->ToElement()->FirstAttribute(); at != nullptr; at = at->Next()) {
      if (declared_prefix(at->Name()) == prefix) {
        return at->Value();
      }
    }
  }
  return prefix.empty() ? std::optional(std::string_view()) : std::nullopt;
}

std::optional<std::string_view> Element::attribute(std::string_view name, std::string_view ns_name) const {
  for (const auto* at = element_of(m_node).FirstAttribute(); at != nullptr; at = at->Next()) {
    const std::string_view qname = at->Name();
    if (!qname.ends_with(name) || declared_prefix(qname)) {
      continue;
    }
    const std::size_t colon = qname.find(':');
    if (colon == std::string_view::npos) {
      if (ns_name.empty() && qname == name) {
        return at->Value();
      }
    } else if (!ns_name.empty() && qname.substr(colon + 1) == name && namespace_of(qname.substr(0, colon)) == ns_name) {
      return at->Value();
    }
  }
  return std::nullopt;
}

std::string Element::text() const {
  std::string all;
  const tinyxml2::XMLNode* const top = &element_of(m_node);
  const tinyxml2::XMLNode* node = top->FirstChild();
  while (node != nullptr) {
    if (const auto* text = node->ToText()) {
      all += text->Value();
    }
    if (node->ToElement() != nullptr && node->FirstChild() != nullptr) {
      node = node->FirstChild();
      continue;
    }
    while (node != top && node->NextSibling() == nullptr) {
      node = node->Parent();
    }
    node = node == top ? nullptr : node->NextSibling();
  }
  return all;
}

std::string Element::trimmed_text() const { return std::string(trim(text())); }

std::optional<Element> Element::parent() const {
  const tinyxml2::XMLNode* const node = element_of(m_node).Parent();
  return node == nullptr || node->ToElement() == nullptr ? std::nullopt : std::optional(Element(node->ToElement()));
}

std::optional<Element> Element::first_child() const {
  const tinyxml2::XMLElement* const found = element_of(m_node).FirstChildElement();
  return found == nullptr ? std::nullopt : std::optional(Element(found));
}

std::optional<Element> Element::next() const {
  const tinyxml2::XMLElement* const found = element_of(m_node).NextSiblingElement();
  return found == nullptr ? std::nullopt : std::optional(Element(found));
}

std::vector<Element> Element::children() const {
  std::vector<Element> all;
  for (auto at = first_child(); at; at = at->next()) {
    all.push_back(*at);
  }
  return all;
}

std::vector<Element> Element::children(std::string_view ns_name, std::string_view local_name) const {
  std::vector<Element> all;
  for (auto at = first_child(); at; at = at->next()) {
    if (at->is(ns_name, local_name)) {
      all.push_back(*at);
    }
  }
  return all;
}

std::optional<Element> Element::child(std::string_view ns_name, std::string_view local_name) const {
  for (auto at = first_child(); at; at = at->next()) {
    if (at->is(ns_name, local_name)) {
      return at;
    }
  }
  return std::nullopt;
}

std::optional<Element> Element::child(std::string_view local_name) const {
  for (auto at = first_child(); at; at = at->next()) {
    if (at->name() == local_name) {
      return at;
    }
  }
  return std::nullopt;
}

int Element::line() const { return element_of(m_node).GetLineNum(); }

std::string_view trim(std::string_view text) {
  constexpr std::string_view k_space = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(k_space);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(k_space) - begin + 1);
}

}  // namespace kuva::xml
