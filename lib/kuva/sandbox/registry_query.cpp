#include <kuva/sandbox/registry_query.hpp>
#include <kuva/xds/data_types.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

namespace kuva::sandbox {

namespace {

using xds::Association;
using xds::Code;
using xds::DocumentEntry;
using xds::Folder;
using xds::Parameter;
using xds::QueryResponse;
using xds::RegistryObjects;
using xds::StoredQuery;
using xds::SubmissionSet;

// Ends a query with an error.
struct Refusal {
  xds::RegistryError error;
};

[[noreturn]] void refuse(std::string code, std::string context, std::string location = {}) {
  throw Refusal{{std::move(code), std::move(context), std::move(location)}};
}

// The slots of this name: all of them must be met.
template <typename Meets>
bool each_slot(const StoredQuery& query, std::string_view name, const Meets& meets) {
  return std::all_of(query.parameters.begin(), query.parameters.end(), [&](const Parameter& parameter) {
    return parameter.name != name || std::any_of(parameter.values.begin(), parameter.values.end(), meets);
  });
}

bool is_code(const Code& code, const std::string& value) { return code.to_parameter() == value; }

bool meets_code(const StoredQuery& query, std::string_view name, const std::optional<Code>& code) {
  return each_slot(query, name, [&](const std::string& value) { return code && is_code(*code, value); });
}

bool meets_codes(const StoredQuery& query, std::string_view name, const std::vector<Code>& codes) {
  return each_slot(query, name, [&](const std::string& value) {
    return std::any_of(codes.begin(), codes.end(), [&](const Code& code) { return is_code(code, value); });
  });
}

bool meets_person(const StoredQuery& query, std::string_view name, const std::vector<xds::Author>& authors) {
  return each_slot(query, name, [&](const std::string& value) {
    return std::any_of(authors.begin(), authors.end(),
                       [&](const xds::Author& author) { return matches_pattern(value, author.person); });
  });
}

// From inclusive, To not. An object that lacks the time stays (ITI TF-2 3.18.4.1.2.3.7.1).
bool meets_times(const StoredQuery& query, const std::string& name, const std::string& time) {
  const auto value = xds::parse_dtm(time);
  if (!value) {
    return true;
  }
  return each_slot(query, name + "From",
                   [&](const std::string& text) {
                     const auto from = xds::parse_dtm(text);
                     return from && value->time >= from->time;
                   }) &&
         each_slot(query, name + "To", [&](const std::string& text) {
           const auto to = xds::parse_dtm(text);
           return to && value->time < to->time;
         });
}

bool meets_text(const StoredQuery& query, std::string_view name, const std::string& text) {
  return each_slot(query, name, [&](const std::string& value) { return value == text; });
}

bool meets_status(const StoredQuery& query, std::string_view name, const std::string& status) {
  return each_slot(query, name, [&](const std::string& value) { return value == status; });
}

// Stable documents where nothing is said.
bool meets_type(const StoredQuery& query, const DocumentEntry& document) {
  const auto types = query.values("$XDSDocumentEntryType");
  if (types.empty()) {
    return !document.is_on_demand();
  }
  return std::any_of(types.begin(), types.end(),
                     [&](const std::string& type) { return xds::same_uuid(type, document.object_type); });
}

// What GetAll and the queries for contents filter documents by.
bool meets_content_filter(const StoredQuery& query, const DocumentEntry& document) {
  return meets_code(query, "$XDSDocumentEntryFormatCode", document.format_code) &&
         meets_codes(query, "$XDSDocumentEntryConfidentialityCode", document.confidentiality_codes) &&
         meets_type(query, document);
}

bool matches_submission_set(const SubmissionSet& set, const StoredQuery& query) {
  return meets_text(query, "$XDSSubmissionSetSourceId", set.source_id) &&
         meets_times(query, "$XDSSubmissionSetSubmissionTime", set.submission_time) &&
         meets_person(query, "$XDSSubmissionSetAuthorPerson", set.authors) &&
         meets_code(query, "$XDSSubmissionSetContentType", set.content_type_code) &&
         meets_status(query, "$XDSSubmissionSetStatus", set.status);
}

bool matches_folder(const Folder& folder, const StoredQuery& query) {
  return meets_times(query, "$XDSFolderLastUpdateTime", folder.last_update_time) &&
         meets_codes(query, "$XDSFolderCodeList", folder.codes) &&
         meets_status(query, "$XDSFolderStatus", folder.status);
}

// The work of one query with the index locked.
class Query {
 public:
  Query(RegistryIndex& index, const StoredQuery& query, const QueryRules& rules)
      : m_index(index), m_query(query), m_rules(rules) {}

  RegistryObjects run(std::string_view name) {
    if (name.starts_with("FindDocuments")) {
      find(RegistryKind::document, "$XDSDocumentEntryPatientId",
           [&](const RegistryObjects& object) { return matches_document(object.documents.front(), m_query); });
    } else if (name == "FindSubmissionSets") {
      find(RegistryKind::submission_set, "$XDSSubmissionSetPatientId", [&](const RegistryObjects& object) {
        return matches_submission_set(object.submission_sets.front(), m_query);
      });
    } else if (name.starts_with("FindFolders")) {
      find(RegistryKind::folder, "$XDSFolderPatientId",
           [&](const RegistryObjects& object) { return matches_folder(object.folders.front(), m_query); });
    } else if (name == "GetAll") {
      get_all();
    } else if (name == "GetDocuments") {
      get_documents();
    } else if (name == "GetFolders") {
      get(RegistryKind::folder, "$XDSFolderEntryUUID", "$XDSFolderUniqueId");
    } else if (name == "GetAssociations") {
      for (const std::string& id : m_query.values("$uuid")) {
        add_associations(id);
      }
    } else if (name == "GetDocumentsAndAssociations") {
      get_documents();
      for (const std::string& id : ids(m_found.documents)) {
        add_associations(id);
      }
    } else if (name == "GetSubmissionSets") {
      get_submission_sets();
    } else if (name == "GetSubmissionSetAndContents") {
      get_submission_set_and_contents();
    } else if (name == "GetFolderAndContents") {
      get_folder_and_contents();
    } else if (name == "GetFoldersForDocument") {
      get_folders_for_document();
    } else if (name == "GetRelatedDocuments") {
      get_related_documents();
    } else {
      refuse("XDSUnknownStoredQuery", "This registry does not answer that query.");
    }
    return std::move(m_found);
  }

 private:
  template <typename Object>
  static std::vector<std::string> ids(const std::vector<Object>& objects) {
    std::vector<std::string> all;
    for (const Object& object : objects) {
      all.push_back(normal_uuid(object.id));
    }
    return all;
  }
  template <typename Object>
  static bool holds(const std::vector<Object>& objects, const std::string& id) {
    return std::any_of(objects.begin(), objects.end(),
                       [&](const Object& object) { return xds::same_uuid(object.id, id); });
  }

  void limit() const {
    if (m_rules.most_results != 0 && m_query.return_type == xds::ReturnType::leaf_class &&
        m_found.size() > m_rules.most_results) {
      refuse("XDSTooManyResults", fmt::format("More than {} objects match.", m_rules.most_results));
    }
  }

  void add(RegistryObjects object) {
    const auto put = [](auto& to, auto& from) {
      for (auto& one : from) {
        if (!holds(to, one.id)) {
          to.push_back(std::move(one));
        }
      }
    };
    put(m_found.documents, object.documents);
    put(m_found.submission_sets, object.submission_sets);
    put(m_found.folders, object.folders);
    put(m_found.associations, object.associations);
    limit();
  }

  void add(const Association& association) {
    if (!holds(m_found.associations, association.id)) {
      m_found.associations.push_back(association);
    }
  }
  void add_associations(const std::string& id) {
    for (const Association& association : m_index.associations(id)) {
      add(association);
    }
  }

  template <typename Fits>
  void find(RegistryKind kind, std::string_view patient_parameter, const Fits& fits) {
    std::vector<std::string> patients = m_query.values(patient_parameter);
    if (patients.empty()) {
      patients.emplace_back();  // a query for several patients that names none
    }
    for (const std::string& patient : patients) {
      m_index.each(kind, normal_patient_id(patient), [&](RegistryObjects object) {
        if (fits(object)) {
          // They come one by one, each once.
          append(std::move(object));
        }
        return true;
      });
    }
  }

  void append(RegistryObjects object) {
    const auto put = [](auto& to, auto& from) {
      to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
    };
    put(m_found.documents, object.documents);
    put(m_found.submission_sets, object.submission_sets);
    put(m_found.folders, object.folders);
    limit();
  }

  RegistryObjects fetch(RegistryKind kind, std::string_view by_uuid, std::string_view by_unique_id) {
    RegistryObjects objects;
    for (const std::string& id : m_query.values(by_uuid)) {
      m_index.get(kind, id, objects);
    }
    for (const std::string& id : m_query.values(by_unique_id)) {
      m_index.get_by_unique_id(kind, id, objects);
    }
    return objects;
  }
  void get(RegistryKind kind, std::string_view by_uuid, std::string_view by_unique_id) {
    add(fetch(kind, by_uuid, by_unique_id));
  }
  void get_documents() { get(RegistryKind::document, "$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId"); }

  void get_all() {
    const std::string patient = normal_patient_id(m_query.values("$patientId").front());
    m_index.each(RegistryKind::submission_set, patient, [&](RegistryObjects object) {
      if (meets_status(m_query, "$XDSSubmissionSetStatus", object.submission_sets.front().status)) {
        append(std::move(object));
      }
      return true;
    });
    m_index.each(RegistryKind::document, patient, [&](RegistryObjects object) {
      const DocumentEntry& document = object.documents.front();
      if (meets_status(m_query, "$XDSDocumentEntryStatus", document.status) &&
          meets_content_filter(m_query, document)) {
        append(std::move(object));
      }
      return true;
    });
    m_index.each(RegistryKind::folder, patient, [&](RegistryObjects object) {
      if (meets_status(m_query, "$XDSFolderStatus", object.folders.front().status)) {
        append(std::move(object));
      }
      return true;
    });
    std::vector<std::string> all = ids(m_found.documents);
    for (const auto& more : {ids(m_found.submission_sets), ids(m_found.folders)}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    for (const std::string& id : all) {
      add_associations(id);
    }
  }

  void get_submission_sets() {
    for (const std::string& id : m_query.values("$uuid")) {
      for (const Association& association : m_index.associations(id)) {
        if (association.type != xds::association_type::has_member || !xds::same_uuid(association.target, id)) {
          continue;
        }
        RegistryObjects set;
        m_index.get(RegistryKind::submission_set, association.source, set);
        if (!set.submission_sets.empty()) {
          add(std::move(set));
          add(association);
        }
      }
    }
  }

  // What a submission set or folder has as members.
  void add_members(const std::string& container) {
    for (const Association& association : m_index.associations(container)) {
      if (association.type != xds::association_type::has_member || !xds::same_uuid(association.source, container)) {
        continue;
      }
      RegistryObjects member;
      m_index.get(RegistryKind::document, association.target, member);
      std::erase_if(member.documents,
                    [&](const DocumentEntry& document) { return !meets_content_filter(m_query, document); });
      m_index.get(RegistryKind::folder, association.target, member);
      if (!member.documents.empty() || !member.folders.empty()) {
        add(std::move(member));
        add(association);
      }
    }
  }

  void get_submission_set_and_contents() {
    get(RegistryKind::submission_set, "$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId");
    for (const std::string& set : ids(m_found.submission_sets)) {
      add_members(set);
      // Associations are members too, where they join what is returned.
      const std::vector<std::string> documents = ids(m_found.documents);
      for (const std::string& id : documents) {
        for (const Association& association : m_index.associations(id)) {
          if (holds(m_found.documents, association.source) && holds(m_found.documents, association.target)) {
            add(association);
          }
          if (holds(m_found.folders, association.source)) {
            add(association);
          }
        }
      }
    }
  }

  void get_folder_and_contents() {
    get(RegistryKind::folder, "$XDSFolderEntryUUID", "$XDSFolderUniqueId");
    for (const std::string& folder : ids(m_found.folders)) {
      add_members(folder);
    }
  }

  void get_folders_for_document() {
    const RegistryObjects named =
        fetch(RegistryKind::document, "$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId");
    for (const std::string& id : ids(named.documents)) {
      for (const Association& association : m_index.associations(id)) {
        if (association.type == xds::association_type::has_member && xds::same_uuid(association.target, id)) {
          RegistryObjects folder;
          m_index.get(RegistryKind::folder, association.source, folder);
          add(std::move(folder));
        }
      }
    }
  }

  void get_related_documents() {
    const RegistryObjects named =
        fetch(RegistryKind::document, "$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId");
    const std::vector<std::string> types = m_query.values("$AssociationTypes");
    for (const DocumentEntry& document : named.documents) {
      for (const Association& association : m_index.associations(document.id)) {
        if (std::find(types.begin(), types.end(), association.type) == types.end()) {
          continue;
        }
        RegistryObjects ends;
        m_index.get(RegistryKind::document, association.source, ends);
        m_index.get(RegistryKind::document, association.target, ends);
        if (ends.documents.size() < 2) {
          continue;  // membership in a submission set or folder
        }
        std::erase_if(ends.documents, [&](const DocumentEntry& end) { return !meets_type(m_query, end); });
        add(std::move(ends));
        add(association);
      }
    }
  }

  RegistryIndex& m_index;
  const StoredQuery& m_query;
  const QueryRules& m_rules;
  RegistryObjects m_found;
};

bool is_patient(const Parameter& parameter) {
  return parameter.name == "$patientId" || parameter.name.ends_with("PatientId");
}

bool names_patient(const StoredQuery& query) {
  return std::any_of(query.parameters.begin(), query.parameters.end(), is_patient);
}

void check_home(const StoredQuery& query, const QueryRules& rules) {
  if (query.home.empty()) {
    if (rules.home_demanded && !names_patient(query)) {
      refuse("XDSMissingHomeCommunityId", "A query that names no patient needs homeCommunityId.");
    }
    return;
  }
  if (query.home != rules.home) {
    refuse("XDSUnknownCommunity", "The homeCommunityId is not that of this community.", query.home);
  }
}

// One patient in an answer with metadata (ITI TF-2 3.18.4.1.2.3.5), unless the query is for several.
void check_patients(const RegistryObjects& objects, std::string_view name) {
  if (name.ends_with("MultiplePatients")) {
    return;
  }
  std::set<std::string> patients;
  for (const DocumentEntry& document : objects.documents) {
    patients.insert(normal_patient_id(document.patient_id));
  }
  for (const SubmissionSet& set : objects.submission_sets) {
    patients.insert(normal_patient_id(set.patient_id));
  }
  for (const Folder& folder : objects.folders) {
    patients.insert(normal_patient_id(folder.patient_id));
  }
  if (patients.size() > 1) {
    refuse("XDSResultNotSinglePatient", "The objects are of more than one patient; ask for ObjectRef.");
  }
}

template <typename Object>
void finish(std::vector<Object>& objects, const QueryRules& rules, bool as_references, RegistryObjects& references) {
  for (Object& object : objects) {
    object.home = rules.home;
    if (as_references) {
      references.object_refs.push_back({object.id, rules.home});
    }
  }
  if (as_references) {
    objects.clear();
  }
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view text) {
  // The classic of wildcards: goes back to the last % only.
  std::size_t at = 0;
  std::size_t in = 0;
  std::size_t star = std::string_view::npos;
  std::size_t mark = 0;
  while (at < text.size()) {
    if (in < pattern.size() && pattern[in] == '%') {
      star = in++;
      mark = at;
    } else if (in < pattern.size() && (pattern[in] == '_' || pattern[in] == text[at])) {
      ++in;
      ++at;
      // A character of UTF-8 is one, however many bytes it has.
      while (pattern[in - 1] == '_' && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) {
        ++at;
      }
    } else if (star != std::string_view::npos) {
      in = star + 1;
      at = ++mark;
    } else {
      return false;
    }
  }
  while (in < pattern.size() && pattern[in] == '%') {
    ++in;
  }
  return in == pattern.size();
}

bool matches_document(const DocumentEntry& document, const StoredQuery& query) {
  const auto has_reference = [&](const std::string& value) {
    const bool is_pattern = value.find_first_of("%_") != std::string::npos;
    return std::any_of(document.reference_ids.begin(), document.reference_ids.end(), [&](const std::string& id) {
      return id == value || (is_pattern && matches_pattern(value, id));
    });
  };
  // A creation time is not looked at in what is made when it is asked for.
  const std::string creation_time = document.is_on_demand() ? std::string() : document.creation_time;
  return meets_status(query, "$XDSDocumentEntryStatus", document.status) && meets_content_filter(query, document) &&
         meets_code(query, "$XDSDocumentEntryClassCode", document.class_code) &&
         meets_code(query, "$XDSDocumentEntryTypeCode", document.type_code) &&
         meets_code(query, "$XDSDocumentEntryPracticeSettingCode", document.practice_setting_code) &&
         meets_code(query, "$XDSDocumentEntryHealthcareFacilityTypeCode", document.healthcare_facility_type_code) &&
         meets_codes(query, "$XDSDocumentEntryEventCodeList", document.event_codes) &&
         meets_person(query, "$XDSDocumentEntryAuthorPerson", document.authors) &&
         meets_times(query, "$XDSDocumentEntryCreationTime", creation_time) &&
         meets_times(query, "$XDSDocumentEntryServiceStartTime", document.service_start_time) &&
         meets_times(query, "$XDSDocumentEntryServiceStopTime", document.service_stop_time) &&
         each_slot(query, "$XDSDocumentEntryReferenceIdList", has_reference);
}

QueryResponse answer_query(Registry& registry, const xds::ReadQuery& asked, const QueryRules& rules) {
  const StoredQuery& query = asked.query;
  QueryResponse response;
  response.errors = asked.problems;
  for (xds::RegistryError& error : xds::check_query(query, false)) {
    if (std::find(response.errors.begin(), response.errors.end(), error) == response.errors.end()) {
      response.errors.push_back(std::move(error));
    }
  }
  const auto fail = [&] {
    response.status = xds::Status::failure;
    response.objects = {};
  };
  if (response.has_error()) {
    fail();
    return response;
  }
  try {
    const xds::StoredQueryDefinition* const definition = xds::find_query(query.id);
    if (definition == nullptr) {
      refuse("XDSUnknownStoredQuery", "There is no stored query with that id.");
    }
    check_home(query, rules);
    response.objects =
        registry.look([&](RegistryIndex& index) { return Query(index, query, rules).run(definition->name); });
    const bool as_references = query.return_type == xds::ReturnType::object_ref;
    if (!as_references) {
      check_patients(response.objects, definition->name);
    }
    RegistryObjects& objects = response.objects;
    finish(objects.submission_sets, rules, as_references, objects);
    finish(objects.documents, rules, as_references, objects);
    finish(objects.folders, rules, as_references, objects);
    finish(objects.associations, rules, as_references, objects);
  } catch (const Refusal& refusal) {
    response.errors.push_back(refusal.error);
    fail();
  }
  // A gateway says where its errors come from (ITI TF-2 3.38.4.1.3).
  for (xds::RegistryError& error : response.errors) {
    if (rules.home_demanded && error.location.empty()) {
      error.location = rules.home;
    }
  }
  return response;
}

std::vector<std::string> patients_of(const xds::StoredQuery& query) {
  std::vector<std::string> patients;
  for (const xds::Parameter& parameter : query.parameters) {
    if (is_patient(parameter)) {
      patients.insert(patients.end(), parameter.values.begin(), parameter.values.end());
    }
  }
  return patients;
}

}  // namespace kuva::sandbox
