#include <kuva/core/digest.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/sandbox/document_directory.hpp>
#include <kuva/sandbox/registrar.hpp>
#include <kuva/xds/data_types.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace kuva::sandbox {

namespace fs = std::filesystem;

namespace {

using xml::Element;

constexpr std::uint64_t k_largest_document = 64U << 20U;
constexpr std::uint64_t k_largest_metadata = 1U << 20U;
constexpr std::string_view k_metadata_extension = ".json";
// The accession number and the service event's study in an imaging report (PS3.20 and HL7 CDA DIR).
constexpr std::string_view k_accession_ns = "urn:dicom-org:ps3-20";

// The element at the end of a path of local names in HL7's namespace.
std::optional<Element> at(const std::optional<Element>& from, std::initializer_list<std::string_view> path) {
  std::optional<Element> element = from;
  for (const std::string_view name : path) {
    if (element) {
      element = element->child(xml::ns::hl7, name);
    }
  }
  return element;
}

std::string attribute(const std::optional<Element>& element, std::string_view name) {
  const auto value = element ? element->attribute(name) : std::nullopt;
  return value ? std::string(xml::trim(*value)) : std::string();
}

std::string text(const std::optional<Element>& element) { return element ? element->trimmed_text() : std::string(); }

// II as it stands in a unique id: root, or root^extension.
std::string to_unique_id(const std::optional<Element>& id) {
  const std::string extension = attribute(id, "extension");
  return attribute(id, "root") + (extension.empty() ? "" : "^" + extension);
}

std::optional<xds::Code> to_code(const std::optional<Element>& element) {
  const std::string code = attribute(element, "code");
  return code.empty()
             ? std::nullopt
             : std::optional(xds::Code{code, attribute(element, "codeSystem"), attribute(element, "displayName")});
}

// A reference of an II: extension in the authority root, or the root alone.
std::string to_reference(const std::optional<Element>& id, std::string_view kind) {
  const std::string root = attribute(id, "root");
  const std::string extension = attribute(id, "extension");
  if (extension.empty()) {
    return xds::Cx{root, "", "", "", std::string(kind)}.to_string();
  }
  return xds::Cx{extension, root, "", root.empty() ? "" : "ISO", std::string(kind)}.to_string();
}

xds::Author to_author(const Element& author) {
  const auto assigned = at(author, {"assignedAuthor"});
  const auto name = at(assigned, {"assignedPerson", "name"});
  const auto id = at(assigned, {"id"});
  xds::Xcn person;
  person.id = attribute(id, "extension");
  person.authority = person.id.empty() ? "" : attribute(id, "root");
  person.family = text(at(name, {"family"}));
  person.given = text(at(name, {"given"}));
  person.prefix = text(at(name, {"prefix"}));
  xds::Author result;
  result.person = person.to_string();
  const auto organization = at(assigned, {"representedOrganization"});
  if (const std::string title = text(at(organization, {"name"})); !title.empty()) {
    result.institutions.push_back(xds::Xon{title, attribute(at(organization, {"id"}), "root"), ""}.to_string());
  }
  if (const auto role = to_code(at(author, {"functionCode"}))) {
    result.roles.push_back(role->display.empty() ? role->code : role->display.text());
  }
  if (const auto specialty = to_code(at(assigned, {"code"}))) {
    result.specialties.push_back(specialty->display.empty() ? specialty->code : specialty->display.text());
  }
  return result;
}

void add_patient(xds::DocumentEntry& entry, const Element& document) {
  const auto role = at(document, {"recordTarget", "patientRole"});
  const auto id = at(role, {"id"});
  if (const std::string extension = attribute(id, "extension"); !extension.empty()) {
    entry.patient_id = xds::make_cx(extension, attribute(id, "root"));
    entry.source_patient_id = entry.patient_id;
    entry.source_patient_info.push_back("PID-3|" + entry.patient_id);
  }
  const auto patient = at(role, {"patient"});
  const auto name = at(patient, {"name"});
  const std::string family = text(at(name, {"family"}));
  const std::string given = text(at(name, {"given"}));
  if (!family.empty() || !given.empty()) {
    entry.source_patient_info.push_back("PID-5|" + family + "^" + given);
  }
  if (const std::string born = attribute(at(patient, {"birthTime"}), "value"); !born.empty()) {
    entry.source_patient_info.push_back("PID-7|" + born.substr(0, 8));
  }
  if (const std::string sex = attribute(at(patient, {"administrativeGenderCode"}), "code"); !sex.empty()) {
    entry.source_patient_info.push_back("PID-8|" + sex);
  }
}

void add_references(xds::DocumentEntry& entry, const Element& document, const TimeZone& zone) {
  for (const Element& fulfilled : document.children(xml::ns::hl7, "inFulfillmentOf")) {
    const auto order = at(fulfilled, {"order"});
    if (const auto id = at(order, {"id"})) {
      entry.reference_ids.push_back(to_reference(id, xds::reference_type::order));
    }
    if (order) {
      if (const auto accession = order->child(k_accession_ns, "accessionNumber")) {
        entry.reference_ids.push_back(to_reference(accession, xds::reference_type::accession));
      }
    }
  }
  for (const Element& documented : document.children(xml::ns::hl7, "documentationOf")) {
    const auto event = at(documented, {"serviceEvent"});
    if (const std::string study = attribute(at(event, {"id"}), "root"); !study.empty()) {
      entry.reference_ids.push_back(
          xds::Cx{study, "", "", "", std::string(xds::reference_type::study_instance_uid)}.to_string());
    }
    if (const auto code = to_code(at(event, {"code"}))) {
      entry.event_codes.push_back(*code);
    }
    for (const auto& translation :
         at(event, {"code"}) ? at(event, {"code"})->children(xml::ns::hl7, "translation") : std::vector<Element>()) {
      if (const auto code = to_code(translation)) {
        entry.event_codes.push_back(*code);
      }
    }
    const auto time = at(event, {"effectiveTime"});
    const std::string begin = attribute(at(time, {"low"}), "value");
    const std::string point = begin.empty() ? attribute(time, "value") : begin;
    if (entry.service_start_time.empty()) {
      entry.service_start_time = hl7_time_to_dtm(point, zone);
      entry.service_stop_time = hl7_time_to_dtm(attribute(at(time, {"high"}), "value"), zone);
    }
  }
  if (const auto encounter = at(document, {"componentOf", "encompassingEncounter", "id"})) {
    entry.reference_ids.push_back(to_reference(encounter, xds::reference_type::encounter));
  }
}

std::optional<xds::Code> to_code(const Json& json) {
  if (!json.is_object() || !json.contains("code")) {
    return std::nullopt;
  }
  const auto word = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return xds::Code{word("code"), word("scheme"), word("display")};
}

// FILE.json; its keys are the attributes of XDS. Unknown ones are not looked at.
void apply_metadata(xds::DocumentEntry& entry, const Json& json, std::string& replaces) {
  const auto text = [&](const char* key, std::string& value) {
    const auto found = json.find(key);
    if (found != json.end() && found->is_string()) {
      value = found->get<std::string>();
    }
  };
  const auto code = [&](const char* key, std::optional<xds::Code>& value) {
    const auto found = json.find(key);
    if (found != json.end()) {
      value = to_code(*found);
    }
  };
  const auto codes = [&](const char* key, std::vector<xds::Code>& values) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_array()) {
      return;
    }
    values.clear();
    for (const Json& one : *found) {
      if (const auto read = to_code(one)) {
        values.push_back(*read);
      }
    }
  };
  const auto texts = [&](const char* key, std::vector<std::string>& values) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_array()) {
      return;
    }
    values.clear();
    for (const Json& one : *found) {
      if (one.is_string()) {
        values.push_back(one.get<std::string>());
      }
    }
  };
  text("uniqueId", entry.unique_id);
  text("mimeType", entry.mime_type);
  text("patientId", entry.patient_id);
  text("sourcePatientId", entry.source_patient_id);
  text("creationTime", entry.creation_time);
  text("serviceStartTime", entry.service_start_time);
  text("serviceStopTime", entry.service_stop_time);
  text("languageCode", entry.language_code);
  text("legalAuthenticator", entry.legal_authenticator);
  text("URI", entry.uri);
  text("replaces", replaces);
  std::string title = entry.title.text();
  text("title", title);
  entry.title = title;
  std::string comments = entry.comments.text();
  text("comments", comments);
  entry.comments = comments;
  texts("sourcePatientInfo", entry.source_patient_info);
  texts("referenceIdList", entry.reference_ids);
  code("classCode", entry.class_code);
  code("typeCode", entry.type_code);
  code("formatCode", entry.format_code);
  code("healthcareFacilityTypeCode", entry.healthcare_facility_type_code);
  code("practiceSettingCode", entry.practice_setting_code);
  codes("confidentialityCode", entry.confidentiality_codes);
  codes("eventCodeList", entry.event_codes);
}

}  // namespace

std::string hl7_time_to_dtm(std::string_view time, const TimeZone& zone) {
  const std::size_t sign = time.find_first_of("+-");
  std::string_view digits = time.substr(0, std::min(sign, time.find('.')));
  if (digits.size() <= 8) {
    return std::string(digits);
  }
  return to_utc_dtm(digits.substr(0, 8), digits.substr(8),
                    sign == std::string_view::npos ? std::string_view() : time.substr(sign), zone);
}

xds::DocumentEntry read_cda_header(std::string_view bytes, const XdsSettings& settings, const TimeZone& zone,
                                   std::string& replaces) {
  xds::DocumentEntry entry;
  const xml::Document parsed = xml::Document::parse(bytes);
  const Element document = parsed.root();
  if (!document.is(xml::ns::hl7, "ClinicalDocument")) {
    return entry;
  }
  entry.mime_type = "text/xml";
  entry.format_code = settings.document_format;
  entry.unique_id = to_unique_id(at(document, {"id"}));
  entry.title = text(at(document, {"title"}));
  entry.type_code = to_code(at(document, {"code"}));
  entry.creation_time = hl7_time_to_dtm(attribute(at(document, {"effectiveTime"}), "value"), zone);
  entry.language_code = attribute(at(document, {"languageCode"}), "code");
  if (const auto confidentiality = to_code(at(document, {"confidentialityCode"}))) {
    entry.confidentiality_codes.push_back(*confidentiality);
  }
  add_patient(entry, document);
  for (const Element& author : document.children(xml::ns::hl7, "author")) {
    entry.authors.push_back(to_author(author));
  }
  add_references(entry, document, zone);
  for (const Element& related : document.children(xml::ns::hl7, "relatedDocument")) {
    if (attribute(related, "typeCode") == "RPLC") {
      replaces = to_unique_id(at(related, {"parentDocument", "id"}));
    }
  }
  return entry;
}

DocumentDirectory::DocumentDirectory(const XdsSettings& settings, Registry& registry, DocumentStore& documents,
                                     TimeZone zone, Transcript& transcript)
    : m_settings(settings),
      m_registry(registry),
      m_documents(documents),
      m_zone(std::move(zone)),
      m_transcript(transcript) {}

void DocumentDirectory::scan() {
  if (m_settings.documents.empty()) {
    return;
  }
  const std::lock_guard lock(m_mutex);
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(m_settings.documents, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    std::error_code ignored;
    if (path.extension() == k_metadata_extension || path.filename().native().starts_with('.') ||
        !entry->is_regular_file(ignored)) {
      continue;
    }
    const auto time = entry->last_write_time(ignored);
    const auto seen = m_seen.find(path.filename().string());
    if (seen == m_seen.end() || seen->second != time) {
      m_seen[path.filename().string()] = time;
      found.push_back(path);
    }
  }
  // One after the other by name: a document comes before the one that replaces it where they are so named.
  std::sort(found.begin(), found.end());
  for (const fs::path& file : found) {
    try {
      add(file);
    } catch (const Error& failure) {
      m_transcript.write("document-refused", 0, Json{{"file", file.filename().string()}, {"error", failure.to_json()}});
    } catch (const Json::exception&) {
      m_transcript.write("document-refused", 0,
                         Json{{"file", file.filename().string()},
                              {"error", Error(kind("usage.config"), "its metadata file is no JSON object").to_json()}});
    }
  }
}

void DocumentDirectory::add(const fs::path& file) {
  const std::string bytes = read_small_file(file, k_largest_document);
  std::string replaces;
  xds::DocumentEntry entry;
  if (file.extension() == ".xml") {
    entry = read_cda_header(bytes, m_settings, m_zone, replaces);
  }
  fs::path metadata = file;
  metadata += k_metadata_extension;
  std::error_code ignored;
  if (fs::exists(metadata, ignored)) {
    apply_metadata(entry, Json::parse(read_small_file(metadata, k_largest_metadata)), replaces);
  }
  if (entry.unique_id.empty() || entry.patient_id.empty() || entry.mime_type.empty()) {
    throw Error(kind("usage.config"), "a document needs a unique id, a patient id and a MIME type");
  }
  entry.size = bytes.size();
  entry.hash = to_hex(digest_of(bytes, DigestAlgorithm::sha1));
  xds::RegistryObjects known;
  xds::RegistryObjects old;
  m_registry.look([&](RegistryIndex& index) {
    index.get_by_unique_id(RegistryKind::document, entry.unique_id, known);
    if (!replaces.empty()) {
      index.get_by_unique_id(RegistryKind::document, replaces, old);
    }
  });
  if (!known.documents.empty()) {
    if (known.documents.front().hash != entry.hash) {
      throw Error(kind("usage.config"), "another document is registered under its unique id");
    }
    return;
  }
  entry.id = make_entry_uuid();
  entry.lid = entry.id;
  entry.home = m_settings.home_community;
  entry.status = xds::entry_status::approved;
  entry.repository_unique_id = m_settings.repository;
  if (entry.creation_time.empty()) {
    entry.creation_time = xds::format_dtm(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
  }
  if (entry.source_patient_id.empty()) {
    entry.source_patient_id = entry.patient_id;
  }
  if (entry.language_code.empty()) {
    entry.language_code = m_settings.language;
  }
  const auto complete = [](std::optional<xds::Code>& code, const xds::Code& usual) {
    if (!code) {
      code = usual;
    }
  };
  complete(entry.class_code, m_settings.document_class);
  complete(entry.type_code, m_settings.type_code);
  complete(entry.format_code, m_settings.document_format);
  complete(entry.healthcare_facility_type_code, m_settings.facility);
  complete(entry.practice_setting_code, m_settings.practice_setting);
  if (entry.confidentiality_codes.empty()) {
    entry.confidentiality_codes.push_back(m_settings.confidentiality);
  }
  std::erase_if(old.documents, [](const xds::DocumentEntry& document) { return !document.is_approved(); });
  m_documents.put(entry.unique_id, bytes);
  m_registry.submit(
      make_submission(m_settings, entry, old.documents.empty() ? std::nullopt : std::optional(old.documents.front())));
  m_transcript.write("document-registered", 0,
                     Json{{"file", file.filename().string()},
                          {"documentUniqueId", entry.unique_id},
                          {"disposition", old.documents.empty() ? "registered" : "replaced"}});
}

}  // namespace kuva::sandbox
