#include "support/associations.hpp"
#include "support/shared_material.hpp"

#include <kuva/core/file.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/namespaces.hpp>
#include <kuva/xml/writer.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using test::code_of;
using test::error_of;
using xml::Document;

namespace {

std::string code(std::string_view text, const xml::Limits& limits = {}) {
  return code_of(error_of([&] { Document::parse(text, limits); }));
}

}  // namespace

TEST_CASE("names are resolved whatever the prefixes") {
  const auto document = Document::parse(R"(<?xml version="1.0" encoding="utf-8"?>
<!-- before --><a:root xmlns:a="urn:a" xmlns="urn:default" a:x="1" x="2">
  <child xmlns:b="urn:b" b:x="3" xml:lang="fi"><a:x xmlns:a="urn:other"/><plain xmlns=""/></child>
  <b:child xmlns:b="urn:default"/>
</a:root>)");
  const auto root = document.root();
  CHECK(root.is("urn:a", "root"));
  CHECK(root.attribute("x") == "2");
  CHECK(root.attribute("x", "urn:a") == "1");
  CHECK_FALSE(root.attribute("x", "urn:b"));
  CHECK_FALSE(root.attribute("xmlns"));
  CHECK_FALSE(root.parent());
  REQUIRE(root.children("urn:default", "child").size() == 2);
  const auto child = root.children("urn:default", "child")[0];
  CHECK(child.attribute("x", "urn:b") == "3");
  CHECK(child.attribute("lang", xml::ns::xml) == "fi");
  CHECK(child.children().size() == 2);
  CHECK(child.children()[0].is("urn:other", "x"));
  CHECK(child.child("", "plain"));
  CHECK(child.child("plain")->namespace_of("b") == "urn:b");
  CHECK(child.child("plain")->namespace_of("") == "");
  CHECK_FALSE(child.namespace_of("none"));
  CHECK(child.next()->is("urn:default", "child"));
  CHECK_FALSE(child.next()->next());
  CHECK(*child.parent() == root);
  CHECK(child.line() == 3);
}

TEST_CASE("text is all below, with references and CDATA undone") {
  const auto document = Document::parse(
      "\xEF\xBB\xBF<a> one &amp; <b>two&#x20;&lt;<!-- no --></b><![CDATA[<three> &amp;]]>\r\n\xC3\xA4</a>\n");
  CHECK(document.root().text() == " one & two <<three> &amp;\n\xC3\xA4");
  CHECK(Document::parse("<a>\n urn:x \t</a>").root().trimmed_text() == "urn:x");
  CHECK(Document::parse("<a/>").root().text().empty());
}

TEST_CASE("what is not well-formed is refused") {
  for (const char* text : {"",
                           " ",
                           "text",
                           "<a>",
                           "<a></b>",
                           "<a/><b/>",
                           "<a/>x",
                           "<a b=\"1\" b=\"2\"/>",
                           "<a b=\"<\"/>",
                           "<a b=1/>",
                           "<a b='1/>",
                           "<a>&foo;</a>",
                           "<a>& </a>",
                           "<a b='&foo;'/>",
                           "<a>&#0;</a>",
                           "<a>&#xFFFF;</a>",
                           "<a>&#x;</a>",
                           "<a>\x01</a>",
                           "<a>\xFF</a>",
                           "<a>\xC0\x80</a>",
                           "<a>\xED\xA0\x80</a>",
                           "<a><!-- </a>",
                           "<a><![CDATA[</a>",
                           "</a>",
                           "<p:a/>",
                           "<a p:x='1'/>",
                           "<a:b:c xmlns:a='urn:a'/>",
                           "<a xmlns:p='' />",
                           "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
                           "<?xml version='1.0' encoding='UTF-16'?><a/>",
                           "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
                           " <?xml version='1.0'?><a/>",
                           "<a><?xml version='1.0'?></a>",
                           "<![CDATA[x]]><a/>",
                           "<a",
                           "<a b",
                           "<!ELEMENT a><a/>"}) {
    CAPTURE(text);
    CHECK(code(text) == "xml.malformed");
  }
  CHECK(code(std::string_view("<a>\0</a>", 8)) == "xml.malformed");
  CHECK(code("\xFF\xFE<\0a\0") == "xml.malformed");
}

TEST_CASE("document types and too much of anything are refused before a tree is built") {
  CHECK(code("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>") == "xml.doctype");
  CHECK(code("<?xml version='1.0'?>\n<!DOCTYPE html><html/>") == "xml.doctype");
  std::string deep;
  for (int i = 0; i < 97; ++i) {
    deep += "<a>";
  }
  CHECK(code(deep) == "xml.limit");
  std::string fits = deep.substr(3);
  for (int i = 0; i < 96; ++i) {
    fits += "</a>";
  }
  CHECK(code(fits) == "none");
  CHECK(code("<a><b/><b/><b/></a>", {.nodes = 3}) == "xml.limit");
  CHECK(code("<a>123456</a>", {.bytes = 12}) == "xml.limit");
  std::string many = "<a";
  for (int i = 0; i < 600; ++i) {
    many += " b" + std::to_string(i) + "=''";
  }
  CHECK(code(many + "/>") == "xml.limit");
  std::string bindings = "<a";
  for (int i = 0; i < 300; ++i) {
    bindings += " xmlns:b" + std::to_string(i) + "='urn:b'";
  }
  CHECK(code(bindings + "/>") == "xml.limit");
  const auto error = error_of([] { Document::parse("<a>\n\n<secret></a>"); });
  REQUIRE(error);
  CHECK(error->message().find("secret") == std::string::npos);
  CHECK(error->message().find("line 3") != std::string::npos);
}

TEST_CASE("elements stay valid when their document moves") {
  auto first = Document::parse("<a xmlns='urn:a'><b>x</b></a>");
  const auto b = *first.root().child("urn:a", "b");
  const Document second = std::move(first);
  CHECK(b.text() == "x");
  CHECK(*b.parent() == second.root());
}

TEST_CASE("what is written is read the same") {
  const std::string nasty = "<&>\"' \t\r\n ]]> \xC3\xA4\xF0\x9F\x98\x80";
  xml::Writer writer;
  writer.open("p:a").declare("p", "urn:a").declare("", "urn:d&").attribute("x", nasty);
  writer.element("b", nasty).open("c").close().raw("<d>raw</d>").close();
  const std::string text = writer.take();
  CAPTURE(text);
  const auto document = Document::parse(text);
  CHECK(document.root().is("urn:a", "a"));
  CHECK(document.root().attribute("x") == nasty);
  CHECK(document.root().child("urn:d&", "b")->text() == nasty);
  CHECK(document.root().child("c"));
  CHECK(document.root().child("d")->text() == "raw");
  CHECK(code_of(error_of([] { xml::Writer().open("a").text("\x01"); })) == "xml.malformed");
  CHECK(code_of(error_of([] { xml::Writer().open("a").text("\xE4"); })) == "xml.malformed");
  CHECK(code_of(error_of([] { xml::Writer().open("a").take(); })) == "internal");
  CHECK(code_of(error_of([] { xml::Writer().close(); })) == "internal");
}

TEST_CASE("every XML sample of others is read") {
  const auto samples = test::shared_material("samples/xds");
  if (!samples) {
    MESSAGE("skipped: no samples");
    return;
  }
  int read = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*samples)) {
    if (entry.path().extension() == ".xml") {
      CAPTURE(entry.path().string());
      const std::string text = read_small_file(entry.path(), 1U << 22U);
      CHECK(code(text) == "none");
      ++read;
    }
  }
  CHECK(read > 40);
}
