#include <kuva/xds/ebrim.hpp>
#include <kuva/xds/elements.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>
#include <map>

namespace kuva::xds {

namespace {

// --- reading

InternationalString read_international(const xml::Element& parent, std::string_view name, Deviations& deviations) {
  InternationalString out;
  for (const xml::Element& element : children_named(parent, xml::ns::rim, name, deviations)) {
    for (const xml::Element& text : children_named(element, xml::ns::rim, "LocalizedString", deviations)) {
      LocalizedString one;
      one.value = std::string(text.attribute("value").value_or(std::string_view()));
      one.lang = std::string(text.attribute("lang", xml::ns::xml).value_or(std::string_view()));
      one.charset = attribute_of(text, "charset");
      out.all.push_back(std::move(one));
    }
  }
  return out;
}

Classification read_classification(const xml::Element& element, Deviations& deviations) {
  Classification out;
  out.scheme = attribute_of(element, "classificationScheme");
  out.node = attribute_of(element, "classificationNode");
  out.node_representation = std::string(element.attribute("nodeRepresentation").value_or(std::string_view()));
  out.name = read_international(element, "Name", deviations);
  out.description = read_international(element, "Description", deviations);
  out.slots = read_slots(element, deviations);
  return out;
}

ExternalIdentifier read_identifier(const xml::Element& element, Deviations& deviations) {
  ExternalIdentifier out;
  out.scheme = attribute_of(element, "identificationScheme");
  out.value = attribute_of(element, "value");
  out.name = read_international(element, "Name", deviations);
  out.slots = read_slots(element, deviations);
  return out;
}

// An object as ebRIM has it. What is taken out of it becomes an attribute of the profile; the rest stays.
struct Raw {
  RegistryObject object;  // other_slots and so on hold everything at first
  std::string what;       // "document entry 3"
  Deviations* deviations = nullptr;

  void deviates(std::string_view how) { note(*deviations, fmt::format("{}: {}", what, how)); }

  std::vector<std::string> take_all(std::string_view name) {
    std::vector<std::string> out;
    auto& slots = object.other_slots;
    for (auto slot = slots.begin(); slot != slots.end();) {
      if (slot->name == name) {
        std::move(slot->values.begin(), slot->values.end(), std::back_inserter(out));
        slot = slots.erase(slot);
      } else {
        ++slot;
      }
    }
    return out;
  }

  std::string take(std::string_view name) {
    std::vector<std::string> values = take_all(name);
    if (values.empty()) {
      return {};
    }
    if (values.size() > 1) {
      deviates(fmt::format("slot {} has {} values, it may have one", name, values.size()));
      object.other_slots.push_back({std::string(name), {values.begin() + 1, values.end()}, {}});
    }
    return std::move(values.front());
  }

  std::vector<Classification> take_classifications(std::string_view scheme) {
    std::vector<Classification> out;
    auto& all = object.other_classifications;
    const auto rest = std::stable_partition(all.begin(), all.end(), [&](const Classification& one) {
      return one.scheme.empty() || !same_uuid(one.scheme, scheme);
    });
    std::move(rest, all.end(), std::back_inserter(out));
    all.erase(rest, all.end());
    return out;
  }

  bool take_node(std::string_view node) {
    auto& all = object.other_classifications;
    return std::erase_if(all,
                         [&](const Classification& one) { return !one.node.empty() && same_uuid(one.node, node); }) > 0;
  }

  Code to_code(Classification one) {
    Code code;
    code.code = std::move(one.node_representation);
    code.display = std::move(one.name);
    for (Slot& slot : one.slots) {
      if (slot.name == "codingScheme" && code.scheme.empty() && slot.values.size() == 1) {
        code.scheme = std::move(slot.values.front());
      } else {
        code.other_slots.push_back(std::move(slot));
      }
    }
    if (!one.description.all.empty()) {
      deviates("the description of a code is left out");
    }
    if (code.scheme.empty()) {
      deviates("a code has no codingScheme");
    }
    return code;
  }

  std::vector<Code> take_codes(std::string_view scheme) {
    std::vector<Code> codes;
    for (Classification& one : take_classifications(scheme)) {
      codes.push_back(to_code(std::move(one)));
    }
    return codes;
  }

  std::optional<Code> take_code(std::string_view scheme, std::string_view attribute) {
    auto found = take_classifications(scheme);
    if (found.empty()) {
      return std::nullopt;
    }
    if (found.size() > 1) {
      deviates(fmt::format("{} stands {} times, it may stand once", attribute, found.size()));
      std::move(found.begin() + 1, found.end(), std::back_inserter(object.other_classifications));
    }
    return to_code(std::move(found.front()));
  }

  std::vector<Author> take_authors(std::string_view scheme) {
    std::vector<Author> authors;
    for (Classification& one : take_classifications(scheme)) {
      Author author;
      for (Slot& slot : one.slots) {
        if (slot.name == "authorPerson" && author.person.empty() && !slot.values.empty()) {
          author.person = std::move(slot.values.front());
          slot.values.erase(slot.values.begin());
          if (!slot.values.empty()) {
            deviates("an author has several persons");
            author.other_slots.push_back(std::move(slot));
          }
        } else if (slot.name == "authorInstitution" && author.institutions.empty()) {
          author.institutions = std::move(slot.values);
        } else if (slot.name == "authorRole" && author.roles.empty()) {
          author.roles = std::move(slot.values);
        } else if (slot.name == "authorSpecialty" && author.specialties.empty()) {
          author.specialties = std::move(slot.values);
        } else if (slot.name == "authorTelecommunication" && author.telecommunications.empty()) {
          author.telecommunications = std::move(slot.values);
        } else {
          author.other_slots.push_back(std::move(slot));
        }
      }
      authors.push_back(std::move(author));
    }
    return authors;
  }

  std::string take_identifier(std::string_view scheme) {
    auto& all = object.other_identifiers;
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const ExternalIdentifier& one) { return same_uuid(one.scheme, scheme); });
    if (found == all.end()) {
      return {};
    }
    std::string value = std::move(found->value);
    all.erase(found);
    return value;
  }

  void demand(const std::string& value, std::string_view attribute) {
    if (value.empty()) {
      deviates(fmt::format("no {}", attribute));
    }
  }
  void demand(const std::optional<Code>& value, std::string_view attribute) {
    if (!value) {
      deviates(fmt::format("no {}", attribute));
    }
  }
};

Raw read_object(const xml::Element& element, std::string what, Deviations& deviations) {
  Raw raw;
  raw.what = std::move(what);
  raw.deviations = &deviations;
  RegistryObject& object = raw.object;
  object.id = attribute_of(element, "id");
  object.lid = attribute_of(element, "lid");
  object.home = attribute_of(element, "home");
  object.status = attribute_of(element, "status");
  object.title = read_international(element, "Name", deviations);
  object.comments = read_international(element, "Description", deviations);
  object.other_slots = read_slots(element, deviations);
  for (auto child = element.first_child(); child; child = child->next()) {
    const auto is = [&](std::string_view name) { return is_named(*child, xml::ns::rim, name, deviations); };
    if (is("Classification")) {
      object.other_classifications.push_back(read_classification(*child, deviations));
    } else if (is("ExternalIdentifier")) {
      object.other_identifiers.push_back(read_identifier(*child, deviations));
    } else if (is("VersionInfo")) {
      object.version = attribute_of(*child, "versionName");
    } else if (!is("Slot") && !is("Name") && !is("Description") && !is("ContentVersionInfo")) {
      raw.deviates(fmt::format("element {} is not understood", child->name()));
    }
  }
  return raw;
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end && !text.empty() ? std::optional(value) : std::nullopt;
}

void check_time(Raw& raw, const std::string& value, std::string_view attribute) {
  if (!value.empty() && !parse_dtm(value)) {
    raw.deviates(fmt::format("{} is no date and time of the form YYYY[MM[DD[hh[mm[ss]]]]]", attribute));
  }
}

DocumentEntry to_document(Raw raw, const xml::Element& element) {
  DocumentEntry entry;
  entry.object_type = attribute_of(element, "objectType");
  entry.mime_type = attribute_of(element, "mimeType");
  entry.unique_id = raw.take_identifier(document_scheme::unique_id);
  entry.patient_id = raw.take_identifier(document_scheme::patient_id);
  entry.repository_unique_id = raw.take("repositoryUniqueId");
  entry.creation_time = raw.take("creationTime");
  entry.service_start_time = raw.take("serviceStartTime");
  entry.service_stop_time = raw.take("serviceStopTime");
  entry.language_code = raw.take("languageCode");
  entry.source_patient_id = raw.take("sourcePatientId");
  entry.source_patient_info = raw.take_all("sourcePatientInfo");
  entry.legal_authenticator = raw.take("legalAuthenticator");
  entry.uri = raw.take("URI");
  entry.hash = raw.take("hash");
  if (const std::string size = raw.take("size"); !size.empty()) {
    entry.size = to_number(size);
    if (!entry.size) {
      raw.deviates("size is no number");
      raw.object.other_slots.push_back({"size", {size}, {}});
    }
  }
  entry.reference_ids = raw.take_all(k_reference_id_list);
  entry.authors = raw.take_authors(document_scheme::author);
  entry.class_code = raw.take_code(document_scheme::class_code, "classCode");
  entry.type_code = raw.take_code(document_scheme::type_code, "typeCode");
  entry.format_code = raw.take_code(document_scheme::format_code, "formatCode");
  entry.healthcare_facility_type_code =
      raw.take_code(document_scheme::healthcare_facility_type_code, "healthcareFacilityTypeCode");
  entry.practice_setting_code = raw.take_code(document_scheme::practice_setting_code, "practiceSettingCode");
  entry.confidentiality_codes = raw.take_codes(document_scheme::confidentiality_code);
  entry.event_codes = raw.take_codes(document_scheme::event_code);
  raw.object.limited_metadata = raw.take_node(document_scheme::limited_metadata);

  if (!same_uuid(entry.object_type, object_type::stable_document) && !entry.is_on_demand()) {
    raw.deviates("objectType is neither that of a stable nor of an on-demand document");
  }
  raw.demand(raw.object.status, "status");
  raw.demand(entry.mime_type, "mimeType");
  raw.demand(entry.unique_id, "uniqueId");
  raw.demand(entry.patient_id, "patientId");
  raw.demand(entry.repository_unique_id, "repositoryUniqueId");
  raw.demand(entry.class_code, "classCode");
  raw.demand(entry.type_code, "typeCode");
  raw.demand(entry.format_code, "formatCode");
  if (!entry.is_on_demand()) {
    raw.demand(entry.creation_time, "creationTime");
  }
  check_time(raw, entry.creation_time, "creationTime");
  check_time(raw, entry.service_start_time, "serviceStartTime");
  check_time(raw, entry.service_stop_time, "serviceStopTime");
  static_cast<RegistryObject&>(entry) = std::move(raw.object);
  return entry;
}

SubmissionSet to_submission_set(Raw raw) {
  SubmissionSet set;
  set.unique_id = raw.take_identifier(submission_set_scheme::unique_id);
  set.source_id = raw.take_identifier(submission_set_scheme::source_id);
  set.patient_id = raw.take_identifier(submission_set_scheme::patient_id);
  set.submission_time = raw.take("submissionTime");
  set.intended_recipients = raw.take_all("intendedRecipient");
  set.authors = raw.take_authors(submission_set_scheme::author);
  set.content_type_code = raw.take_code(submission_set_scheme::content_type_code, "contentTypeCode");
  raw.object.limited_metadata = raw.take_node(submission_set_scheme::limited_metadata);
  check_time(raw, set.submission_time, "submissionTime");
  static_cast<RegistryObject&>(set) = std::move(raw.object);
  return set;
}

Folder to_folder(Raw raw) {
  Folder folder;
  folder.unique_id = raw.take_identifier(folder_scheme::unique_id);
  folder.patient_id = raw.take_identifier(folder_scheme::patient_id);
  folder.last_update_time = raw.take("lastUpdateTime");
  folder.codes = raw.take_codes(folder_scheme::code_list);
  raw.object.limited_metadata = raw.take_node(folder_scheme::limited_metadata);
  check_time(raw, folder.last_update_time, "lastUpdateTime");
  static_cast<RegistryObject&>(folder) = std::move(raw.object);
  return folder;
}

Association to_association(Raw raw, const xml::Element& element) {
  Association association;
  association.type = attribute_of(element, "associationType");
  association.source = attribute_of(element, "sourceObject");
  association.target = attribute_of(element, "targetObject");
  association.submission_set_status = raw.take("SubmissionSetStatus");
  association.documentation = raw.take_code(k_association_documentation, "documentation");
  raw.demand(association.type, "associationType");
  raw.demand(association.source, "sourceObject");
  raw.demand(association.target, "targetObject");
  static_cast<RegistryObject&>(association) = std::move(raw.object);
  return association;
}

// A package says by a classification what it is; where that is missing, its identifiers do.
void add_package(RegistryObjects& out, Raw raw) {
  if (raw.take_node(submission_set_scheme::node)) {
    out.submission_sets.push_back(to_submission_set(std::move(raw)));
    return;
  }
  if (raw.take_node(folder_scheme::node)) {
    out.folders.push_back(to_folder(std::move(raw)));
    return;
  }
  const bool is_folder = std::any_of(
      raw.object.other_identifiers.begin(), raw.object.other_identifiers.end(), [](const ExternalIdentifier& one) {
        return same_uuid(one.scheme, folder_scheme::unique_id) || same_uuid(one.scheme, folder_scheme::patient_id);
      });
  raw.deviates(fmt::format("not classified, taken for a {}", is_folder ? "folder" : "submission set"));
  if (is_folder) {
    out.folders.push_back(to_folder(std::move(raw)));
  } else {
    out.submission_sets.push_back(to_submission_set(std::move(raw)));
  }
}

// --- writing

class ObjectWriter {
 public:
  // Classifications and identifiers get ids that are made from the object's.
  ObjectWriter(xml::Writer& writer, const RegistryObject& object) : m_writer(writer), m_object(object) {}

  void attributes(std::string_view object_type) {
    m_writer.attribute("id", m_object.id);
    optional_attribute("home", m_object.home);
    optional_attribute("lid", m_object.lid);
    if (!object_type.empty()) {
      m_writer.attribute("objectType", object_type);
    }
    optional_attribute("status", m_object.status);
  }

  void optional_attribute(std::string_view name, const std::string& value) {
    if (!value.empty()) {
      m_writer.attribute(name, value);
    }
  }

  void slot(std::string_view name, const std::string& value) { write_slot(m_writer, name, value); }
  void slot(std::string_view name, const std::vector<std::string>& values) { write_slot(m_writer, name, values); }

  void other_slots_and_names() {
    for (const Slot& one : m_object.other_slots) {
      write_slot(m_writer, one);
    }
    international("Name", m_object.title);
    international("Description", m_object.comments);
    if (!m_object.version.empty()) {
      m_writer.open("rim:VersionInfo").attribute("versionName", m_object.version).close();
    }
  }

  void international(std::string_view name, const InternationalString& text) {
    if (text.all.empty()) {
      return;
    }
    m_writer.open(fmt::format("rim:{}", name));
    for (const LocalizedString& one : text.all) {
      m_writer.open("rim:LocalizedString");
      optional_attribute("xml:lang", one.lang);
      optional_attribute("charset", one.charset);
      m_writer.attribute("value", one.value).close();
    }
    m_writer.close();
  }

  void classification(const Classification& one) {
    m_writer.open("rim:Classification");
    m_writer.attribute("id", next_id());
    m_writer.attribute("objectType", object_type::classification);
    optional_attribute("classificationScheme", one.scheme);
    m_writer.attribute("classifiedObject", m_object.id);
    optional_attribute("classificationNode", one.node);
    if (!one.scheme.empty() || !one.node_representation.empty()) {
      m_writer.attribute("nodeRepresentation", one.node_representation);
    }
    for (const Slot& slot : one.slots) {
      write_slot(m_writer, slot);
    }
    international("Name", one.name);
    international("Description", one.description);
    m_writer.close();
  }

  void node(std::string_view node) { classification({{}, std::string(node), {}, {}, {}, {}}); }

  void code(std::string_view scheme, const Code& code) {
    Classification one{std::string(scheme), {}, code.code, code.display, {}, {}};
    if (!code.scheme.empty()) {
      one.slots.push_back({"codingScheme", {code.scheme}, {}});
    }
    one.slots.insert(one.slots.end(), code.other_slots.begin(), code.other_slots.end());
    classification(one);
  }
  void code(std::string_view scheme, const std::optional<Code>& value) {
    if (value) {
      code(scheme, *value);
    }
  }
  void codes(std::string_view scheme, const std::vector<Code>& values) {
    for (const Code& value : values) {
      code(scheme, value);
    }
  }

  void authors(std::string_view scheme, const std::vector<Author>& authors) {
    for (const Author& author : authors) {
      Classification one{std::string(scheme), {}, {}, {}, {}, {}};
      const auto add = [&](std::string_view name, const std::vector<std::string>& values) {
        if (!values.empty()) {
          one.slots.push_back({std::string(name), values, {}});
        }
      };
      if (!author.person.empty()) {
        add("authorPerson", {author.person});
      }
      add("authorInstitution", author.institutions);
      add("authorRole", author.roles);
      add("authorSpecialty", author.specialties);
      add("authorTelecommunication", author.telecommunications);
      one.slots.insert(one.slots.end(), author.other_slots.begin(), author.other_slots.end());
      classification(one);
    }
  }

  void other_classifications() {
    for (const Classification& one : m_object.other_classifications) {
      classification(one);
    }
  }

  void identifier(const ExternalIdentifier& one) {
    m_writer.open("rim:ExternalIdentifier");
    m_writer.attribute("id", next_id());
    m_writer.attribute("objectType", object_type::external_identifier);
    m_writer.attribute("registryObject", m_object.id);
    m_writer.attribute("identificationScheme", one.scheme);
    m_writer.attribute("value", one.value);
    for (const Slot& slot : one.slots) {
      write_slot(m_writer, slot);
    }
    international("Name", one.name);
    m_writer.close();
  }
  void identifier(std::string_view scheme, const std::string& value, std::string_view name) {
    if (!value.empty()) {
      identifier({std::string(scheme), value, InternationalString(std::string(name)), {}});
    }
  }
  void other_identifiers() {
    for (const ExternalIdentifier& one : m_object.other_identifiers) {
      identifier(one);
    }
  }

 private:
  std::string next_id() { return name_uuid(fmt::format("{}#{}", m_object.id, ++m_made)); }

  xml::Writer& m_writer;
  const RegistryObject& m_object;
  unsigned m_made = 0;
};

void write(xml::Writer& writer, const DocumentEntry& entry) {
  writer.open("rim:ExtrinsicObject");
  ObjectWriter out(writer, entry);
  out.attributes(entry.object_type);
  out.optional_attribute("mimeType", entry.mime_type);
  out.slot("creationTime", entry.creation_time);
  out.slot("hash", entry.hash);
  out.slot("languageCode", entry.language_code);
  out.slot("legalAuthenticator", entry.legal_authenticator);
  out.slot("repositoryUniqueId", entry.repository_unique_id);
  out.slot("serviceStartTime", entry.service_start_time);
  out.slot("serviceStopTime", entry.service_stop_time);
  if (entry.size) {
    out.slot("size", std::to_string(*entry.size));
  }
  out.slot("sourcePatientId", entry.source_patient_id);
  out.slot("sourcePatientInfo", entry.source_patient_info);
  out.slot("URI", entry.uri);
  out.slot(k_reference_id_list, entry.reference_ids);
  out.other_slots_and_names();
  out.authors(document_scheme::author, entry.authors);
  out.code(document_scheme::class_code, entry.class_code);
  out.codes(document_scheme::confidentiality_code, entry.confidentiality_codes);
  out.codes(document_scheme::event_code, entry.event_codes);
  out.code(document_scheme::format_code, entry.format_code);
  out.code(document_scheme::healthcare_facility_type_code, entry.healthcare_facility_type_code);
  out.code(document_scheme::practice_setting_code, entry.practice_setting_code);
  out.code(document_scheme::type_code, entry.type_code);
  if (entry.limited_metadata) {
    out.node(document_scheme::limited_metadata);
  }
  out.other_classifications();
  out.identifier(document_scheme::patient_id, entry.patient_id, "XDSDocumentEntry.patientId");
  out.identifier(document_scheme::unique_id, entry.unique_id, "XDSDocumentEntry.uniqueId");
  out.other_identifiers();
  writer.close();
}

void write(xml::Writer& writer, const SubmissionSet& set) {
  writer.open("rim:RegistryPackage");
  ObjectWriter out(writer, set);
  out.attributes(object_type::registry_package);
  out.slot("submissionTime", set.submission_time);
  out.slot("intendedRecipient", set.intended_recipients);
  out.other_slots_and_names();
  out.node(submission_set_scheme::node);
  out.authors(submission_set_scheme::author, set.authors);
  out.code(submission_set_scheme::content_type_code, set.content_type_code);
  if (set.limited_metadata) {
    out.node(submission_set_scheme::limited_metadata);
  }
  out.other_classifications();
  out.identifier(submission_set_scheme::patient_id, set.patient_id, "XDSSubmissionSet.patientId");
  out.identifier(submission_set_scheme::source_id, set.source_id, "XDSSubmissionSet.sourceId");
  out.identifier(submission_set_scheme::unique_id, set.unique_id, "XDSSubmissionSet.uniqueId");
  out.other_identifiers();
  writer.close();
}

void write(xml::Writer& writer, const Folder& folder) {
  writer.open("rim:RegistryPackage");
  ObjectWriter out(writer, folder);
  out.attributes(object_type::registry_package);
  out.slot("lastUpdateTime", folder.last_update_time);
  out.other_slots_and_names();
  out.node(folder_scheme::node);
  out.codes(folder_scheme::code_list, folder.codes);
  if (folder.limited_metadata) {
    out.node(folder_scheme::limited_metadata);
  }
  out.other_classifications();
  out.identifier(folder_scheme::patient_id, folder.patient_id, "XDSFolder.patientId");
  out.identifier(folder_scheme::unique_id, folder.unique_id, "XDSFolder.uniqueId");
  out.other_identifiers();
  writer.close();
}

void write(xml::Writer& writer, const Association& association) {
  writer.open("rim:Association");
  ObjectWriter out(writer, association);
  out.attributes(object_type::association);
  writer.attribute("associationType", association.type);
  writer.attribute("sourceObject", association.source);
  writer.attribute("targetObject", association.target);
  out.slot("SubmissionSetStatus", association.submission_set_status);
  out.other_slots_and_names();
  out.code(k_association_documentation, association.documentation);
  out.other_classifications();
  out.other_identifiers();
  writer.close();
}

}  // namespace

RegistryObjects read_registry_objects(const xml::Element& list, std::vector<std::string>& deviations) {
  RegistryObjects out;
  // A classification may stand beside the object that it names.
  std::multimap<std::string, Classification, std::less<>> beside;
  std::vector<xml::Element> objects;
  for (auto child = list.first_child(); child; child = child->next()) {
    if (is_named(*child, xml::ns::rim, "Classification", deviations)) {
      beside.emplace(attribute_of(*child, "classifiedObject"), read_classification(*child, deviations));
    } else {
      objects.push_back(*child);
    }
  }
  std::size_t packages = 0;
  for (const xml::Element& element : objects) {
    const auto is = [&](std::string_view name) { return is_named(element, xml::ns::rim, name, deviations); };
    if (is("ObjectRef")) {
      out.object_refs.push_back({attribute_of(element, "id"), attribute_of(element, "home")});
      continue;
    }
    const bool document = is("ExtrinsicObject");
    const bool package = !document && is("RegistryPackage");
    if (!document && !package && !is("Association")) {
      note(out.other_elements, std::string(element.name()));
      continue;
    }
    Raw raw = read_object(element,
                          document  ? fmt::format("document entry {}", out.documents.size() + 1)
                          : package ? fmt::format("package {}", ++packages)
                                    : fmt::format("association {}", out.associations.size() + 1),
                          deviations);
    const auto [from, to] = beside.equal_range(raw.object.id);
    for (auto one = from; one != to; ++one) {
      raw.object.other_classifications.push_back(std::move(one->second));
    }
    beside.erase(from, to);
    raw.demand(raw.object.id, "id");
    if (document) {
      out.documents.push_back(to_document(std::move(raw), element));
    } else if (package) {
      add_package(out, std::move(raw));
    } else {
      out.associations.push_back(to_association(std::move(raw), element));
    }
  }
  if (!beside.empty()) {
    note(deviations, fmt::format("{} classifications of objects that are not in the list", beside.size()));
  }
  for (const std::string& name : out.other_elements) {
    note(deviations, fmt::format("element {} in the list of objects is not understood", name));
  }
  return out;
}

void write_registry_objects(xml::Writer& writer, const RegistryObjects& objects) {
  writer.open("rim:RegistryObjectList").declare("rim", xml::ns::rim);
  for (const DocumentEntry& entry : objects.documents) {
    write(writer, entry);
  }
  for (const SubmissionSet& set : objects.submission_sets) {
    write(writer, set);
  }
  for (const Folder& folder : objects.folders) {
    write(writer, folder);
  }
  for (const Association& association : objects.associations) {
    write(writer, association);
  }
  for (const ObjectRef& reference : objects.object_refs) {
    writer.open("rim:ObjectRef").attribute("id", reference.id);
    if (!reference.home.empty()) {
      writer.attribute("home", reference.home);
    }
    writer.close();
  }
  writer.close();
}

}  // namespace kuva::xds
