#include <kuva/xds/ebrim.hpp>
#include <kuva/xds/elements.hpp>
#include <kuva/xds/stored_query.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::xds {

namespace {

constexpr std::size_t k_value_limit = 256;  // characters of a rim:Value (rim.xsd, LongName)

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string apostrophised(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "''" : std::string(1, c);
  }
  return out + "'";
}

std::vector<std::string> encode(const Parameter& parameter, const ParameterDefinition& definition) {
  std::vector<std::string> out;
  for (const std::string& value : parameter.values) {
    std::string text = definition.kind == ValueKind::time ? value : apostrophised(value);
    if (characters(text) + (definition.many ? 2 : 0) > k_value_limit) {
      throw Error(kind("xds.query"),
                  fmt::format("a value of {} is longer than {} characters", definition.name, k_value_limit));
    }
    if (!definition.many) {
      out.push_back(std::move(text));
    } else if (!out.empty() && characters(out.back()) + characters(text) + 1 <= k_value_limit) {
      out.back().pop_back();
      out.back() += "," + text + ")";
    } else {
      out.push_back("(" + text + ")");
    }
  }
  return out;
}

// --- reading

// A list of values as they stand in rim:Value: 'a', ('a','b'), 2004, (2004).
struct Decoded {
  struct Item {
    std::string text;
    bool quoted = false;
  };
  std::vector<Item> items;
  bool parentheses = false;
  bool sound = true;
};

Decoded decode(std::string_view text) {
  Decoded out;
  text = trimmed(text);
  if (!text.empty() && text.front() == '(') {
    out.parentheses = true;
    out.sound = text.back() == ')';
    text = trimmed(text.substr(1, text.size() - (out.sound ? 2 : 1)));
  }
  while (!text.empty()) {
    Decoded::Item item;
    if (text.front() == '\'') {
      item.quoted = true;
      std::size_t at = 1;
      bool closed = false;
      while (at < text.size() && !closed) {
        if (text[at] != '\'') {
          item.text += text[at++];
        } else if (at + 1 < text.size() && text[at + 1] == '\'') {
          item.text += '\'';
          at += 2;
        } else {
          closed = true;
          ++at;
        }
      }
      out.sound = out.sound && closed;
      text = trimmed(text.substr(at));
    } else {
      const auto comma = text.find(',');
      item.text = std::string(trimmed(text.substr(0, comma)));
      text = comma == std::string_view::npos ? std::string_view() : text.substr(comma);
    }
    out.items.push_back(std::move(item));
    if (text.empty()) {
      break;
    }
    if (text.front() != ',') {
      out.sound = false;
      break;
    }
    text = trimmed(text.substr(1));
    out.sound = out.sound && !text.empty();
  }
  return out;
}

class RequestReader {
 public:
  ReadQuery read(const xml::Element& element) {
    if (!is_named(element, xml::ns::query, "AdhocQueryRequest", m_out.deviations)) {
      throw Error(kind("xds.request"), fmt::format("the request is {}, not AdhocQueryRequest", element.name()));
    }
    const auto query = child_named(element, xml::ns::rim, "AdhocQuery", m_out.deviations);
    if (!query) {
      throw Error(kind("xds.request"), "AdhocQueryRequest has no AdhocQuery");
    }
    read_option(element);
    read_id(attribute_of(*query, "id"));
    m_out.query.home = attribute_of(*query, "home");
    for (const Slot& slot : read_slots(*query, m_out.deviations)) {
      read_parameter(slot);
    }
    return std::move(m_out);
  }

 private:
  void refuse(std::string context, const std::string& location) {
    m_out.problems.push_back({"XDSRegistryError", std::move(context), location, Severity::error});
  }
  void deviates(std::string text) { note(m_out.deviations, std::move(text)); }

  void read_option(const xml::Element& element) {
    const auto option = child_named(element, xml::ns::query, "ResponseOption", m_out.deviations);
    const std::string type = option ? attribute_of(*option, "returnType") : std::string();
    if (type == "ObjectRef") {
      m_out.query.return_type = ReturnType::object_ref;
    } else if (type.empty()) {
      deviates("there is no returnType: taken for LeafClass");
    } else if (type != "LeafClass") {
      refuse("returnType is neither LeafClass nor ObjectRef", "returnType");
    }
  }

  void read_id(const std::string& id) {
    m_definition = find_query(id);
    if (m_definition == nullptr) {
      m_out.query.id = id;
      return;  // check_query says so
    }
    m_out.query.id = std::string(m_definition->id);
    if (id != m_definition->id) {
      deviates("the id of the query is not written as a URN in lower case");
    }
  }

  void read_parameter(const Slot& slot) {
    if (slot.name == "$homeCommunityId" || slot.name == "$XDSHomeCommunityId") {
      deviates("the home community stands in a slot, not in the attribute home");
      const Decoded decoded = decode(slot.values.empty() ? std::string_view() : slot.values.front());
      if (m_out.query.home.empty() && !decoded.items.empty()) {
        m_out.query.home = decoded.items.front().text;
      }
      return;
    }
    const ParameterDefinition* definition = m_definition ? m_definition->find(slot.name) : nullptr;
    if (m_definition != nullptr && definition == nullptr) {
      deviates(fmt::format("{} has no parameter {}", m_definition->name, slot.name));
    }
    Parameter parameter{slot.name, {}, definition == nullptr};
    for (const std::string& value : slot.values) {
      if (definition == nullptr) {
        parameter.values.push_back(value);
      } else {
        read_values(*definition, value, parameter);
      }
    }
    m_out.query.parameters.push_back(std::move(parameter));
  }

  void read_values(const ParameterDefinition& definition, const std::string& value, Parameter& parameter) {
    Decoded decoded = decode(value);
    const std::string name(definition.name);
    if (!decoded.sound) {
      refuse(fmt::format("a value of {} is not well formed: parentheses or apostrophes do not match", name), name);
      return;
    }
    const bool plain = definition.kind == ValueKind::time;
    for (Decoded::Item& item : decoded.items) {
      if (plain && item.quoted) {
        deviates(fmt::format("a time in {} stands in apostrophes", name));
      } else if (!plain && !item.quoted) {
        refuse(fmt::format("a value of {} stands without apostrophes", name), name);
      }
      parameter.values.push_back(std::move(item.text));
    }
    if (definition.many && !decoded.parentheses) {
      deviates(fmt::format("the values of {} stand without parentheses", name));
    } else if (!definition.many && decoded.parentheses) {
      deviates(fmt::format("the value of {} stands in parentheses", name));
    }
  }

  ReadQuery m_out;
  const StoredQueryDefinition* m_definition = nullptr;
};

constexpr std::array k_schemes{
    document_scheme::author,
    document_scheme::class_code,
    document_scheme::confidentiality_code,
    document_scheme::event_code,
    document_scheme::format_code,
    document_scheme::healthcare_facility_type_code,
    document_scheme::practice_setting_code,
    document_scheme::type_code,
    document_scheme::patient_id,
    document_scheme::unique_id,
    submission_set_scheme::node,
    submission_set_scheme::author,
    submission_set_scheme::content_type_code,
    submission_set_scheme::patient_id,
    submission_set_scheme::source_id,
    submission_set_scheme::unique_id,
    folder_scheme::node,
    folder_scheme::code_list,
    folder_scheme::patient_id,
    folder_scheme::unique_id,
    k_association_documentation,
    object_type::stable_document,
    object_type::on_demand_document,
};

bool is_scheme(std::string_view id) {
  return std::any_of(k_schemes.begin(), k_schemes.end(),
                     [&](std::string_view scheme) { return same_uuid(scheme, id); });
}

// References among entries are the registry's own classification schemes.
void leave_out_references(QueryResponse& response) {
  RegistryObjects& objects = response.objects;
  if (objects.size() > objects.object_refs.size()) {
    objects.object_refs.clear();
    return;
  }
  std::erase_if(objects.object_refs, [](const ObjectRef& one) { return is_scheme(one.id); });
  if (!objects.object_refs.empty()) {
    note(response.deviations, "references came where entries were asked for");
  }
}

}  // namespace

std::string write_query_request(const StoredQuery& query) {
  const StoredQueryDefinition* definition = find_query(query.id);
  const bool all_raw =
      std::all_of(query.parameters.begin(), query.parameters.end(), [](const Parameter& one) { return one.raw; });
  if (definition == nullptr && !all_raw) {
    throw Error(kind("xds.query"), "there is no stored query with this id");
  }
  xml::Writer writer;
  writer.open("query:AdhocQueryRequest").declare("query", xml::ns::query).declare("rim", xml::ns::rim);
  writer.open("query:ResponseOption").attribute("returnComposedObjects", "true");
  writer.attribute("returnType", query.return_type == ReturnType::leaf_class ? "LeafClass" : "ObjectRef").close();
  writer.open("rim:AdhocQuery").attribute("id", definition ? definition->id : std::string_view(query.id));
  if (!query.home.empty()) {
    writer.attribute("home", query.home);
  }
  for (const Parameter& parameter : query.parameters) {
    const ParameterDefinition* known = parameter.raw || !definition ? nullptr : definition->find(parameter.name);
    if (!parameter.raw && known == nullptr) {
      throw Error(kind("xds.query"), fmt::format("{} has no parameter {}", definition->name, parameter.name));
    }
    write_slot(writer, Slot{parameter.name, known ? encode(parameter, *known) : parameter.values, {}});
  }
  writer.close().close();
  return writer.take();
}

ReadQuery read_query_request(const xml::Element& element) { return RequestReader().read(element); }

QueryResponse read_query_response(const xml::Element& element, ReturnType asked) {
  QueryResponse response;
  const bool bare = is_named(element, xml::ns::rs, "RegistryResponse", response.deviations);
  if (bare) {
    note(response.deviations, "the answer is a bare RegistryResponse");
  } else if (!is_named(element, xml::ns::query, "AdhocQueryResponse", response.deviations)) {
    throw Error(kind("xds.response"), fmt::format("the answer is {}, not AdhocQueryResponse", element.name()));
  }
  read_response_type(element, response);
  const auto list = child_named(element, xml::ns::rim, "RegistryObjectList", response.deviations);
  if (list) {
    response.objects = read_registry_objects(*list, response.deviations);
    if (asked == ReturnType::leaf_class) {
      leave_out_references(response);
    }
  } else if (bare && response.status == Status::success) {
    // The answer to something else, such as a registration: "nothing matched" would be made up.
    throw Error(kind("xds.response"), "the answer is a bare RegistryResponse: it says Success, and not what was found");
  } else if (response.status == Status::success) {
    note(response.deviations, "the status is Success, and there is no list of objects");
  }
  if (response.status == Status::failure && response.objects.size() > 0) {
    note(response.deviations, "the status is Failure, and there are objects");
  }
  return response;
}

std::string write_query_response(const QueryResponse& response) {
  xml::Writer writer;
  writer.open("query:AdhocQueryResponse")
      .declare("query", xml::ns::query)
      .declare("rs", xml::ns::rs)
      .declare("rim", xml::ns::rim);
  write_response_type(writer, response);
  write_registry_objects(writer, response.objects);
  writer.close();
  return writer.take();
}

}  // namespace kuva::xds
