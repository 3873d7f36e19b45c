#include <kuva/xds/elements.hpp>
#include <kuva/xds/stored_query.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::xds {

namespace {

constexpr bool k_required = true;
constexpr bool k_optional = false;

constexpr ParameterDefinition one(std::string_view name, ValueKind kind, bool required = k_optional) {
  return {name, kind, required, false, false};
}
constexpr ParameterDefinition many(std::string_view name, ValueKind kind, bool required = k_optional) {
  return {name, kind, required, true, false};
}
constexpr ParameterDefinition conjunction(std::string_view name, ValueKind kind, bool required = k_optional) {
  return {name, kind, required, true, true};
}

// What FindDocuments and its relatives share, besides the patient and the reference ids.
template <std::size_t N>
constexpr auto find_documents_with(std::array<ParameterDefinition, N> first) {
  constexpr auto k_common = std::to_array<ParameterDefinition>({
      many("$XDSDocumentEntryStatus", ValueKind::status, k_required),
      many("$XDSDocumentEntryClassCode", ValueKind::code),
      many("$XDSDocumentEntryTypeCode", ValueKind::code),
      many("$XDSDocumentEntryPracticeSettingCode", ValueKind::code),
      many("$XDSDocumentEntryHealthcareFacilityTypeCode", ValueKind::code),
      many("$XDSDocumentEntryFormatCode", ValueKind::code),
      conjunction("$XDSDocumentEntryEventCodeList", ValueKind::code),
      conjunction("$XDSDocumentEntryConfidentialityCode", ValueKind::code),
      many("$XDSDocumentEntryAuthorPerson", ValueKind::pattern),
      one("$XDSDocumentEntryCreationTimeFrom", ValueKind::time),
      one("$XDSDocumentEntryCreationTimeTo", ValueKind::time),
      one("$XDSDocumentEntryServiceStartTimeFrom", ValueKind::time),
      one("$XDSDocumentEntryServiceStartTimeTo", ValueKind::time),
      one("$XDSDocumentEntryServiceStopTimeFrom", ValueKind::time),
      one("$XDSDocumentEntryServiceStopTimeTo", ValueKind::time),
      many("$XDSDocumentEntryType", ValueKind::uuid),
  });
  std::array<ParameterDefinition, N + k_common.size()> all{};
  std::copy(k_common.begin(), k_common.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

template <std::size_t N>
constexpr auto find_folders_with(std::array<ParameterDefinition, N> first) {
  constexpr auto k_common = std::to_array<ParameterDefinition>({
      one("$XDSFolderLastUpdateTimeFrom", ValueKind::time),
      one("$XDSFolderLastUpdateTimeTo", ValueKind::time),
      conjunction("$XDSFolderCodeList", ValueKind::code),
      many("$XDSFolderStatus", ValueKind::status, k_required),
  });
  std::array<ParameterDefinition, N + k_common.size()> all{};
  std::copy(k_common.begin(), k_common.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

constexpr auto k_document_patient = one("$XDSDocumentEntryPatientId", ValueKind::patient_id, k_required);
constexpr auto k_document_patients = many("$XDSDocumentEntryPatientId", ValueKind::patient_id);
constexpr auto k_references = conjunction("$XDSDocumentEntryReferenceIdList", ValueKind::reference, k_required);

constexpr auto k_find_documents = find_documents_with(std::array{k_document_patient});
constexpr auto k_find_by_reference = find_documents_with(std::array{k_document_patient, k_references});
constexpr auto k_find_documents_multiple = find_documents_with(std::array{k_document_patients});
constexpr auto k_find_by_reference_multiple = find_documents_with(std::array{k_document_patients, k_references});
constexpr auto k_find_folders =
    find_folders_with(std::array{one("$XDSFolderPatientId", ValueKind::patient_id, k_required)});
constexpr auto k_find_folders_multiple =
    find_folders_with(std::array{many("$XDSFolderPatientId", ValueKind::patient_id)});

constexpr auto k_find_submission_sets = std::to_array<ParameterDefinition>({
    one("$XDSSubmissionSetPatientId", ValueKind::patient_id, k_required),
    many("$XDSSubmissionSetSourceId", ValueKind::text),
    one("$XDSSubmissionSetSubmissionTimeFrom", ValueKind::time),
    one("$XDSSubmissionSetSubmissionTimeTo", ValueKind::time),
    one("$XDSSubmissionSetAuthorPerson", ValueKind::pattern),
    many("$XDSSubmissionSetContentType", ValueKind::code),
    many("$XDSSubmissionSetStatus", ValueKind::status, k_required),
});
constexpr auto k_get_all = std::to_array<ParameterDefinition>({
    one("$patientId", ValueKind::patient_id, k_required),
    many("$XDSDocumentEntryStatus", ValueKind::status, k_required),
    many("$XDSSubmissionSetStatus", ValueKind::status, k_required),
    many("$XDSFolderStatus", ValueKind::status, k_required),
    many("$XDSDocumentEntryFormatCode", ValueKind::code),
    conjunction("$XDSDocumentEntryConfidentialityCode", ValueKind::code),
    many("$XDSDocumentEntryType", ValueKind::uuid),
});
constexpr auto k_get_documents = std::to_array<ParameterDefinition>({
    many("$XDSDocumentEntryEntryUUID", ValueKind::uuid),
    many("$XDSDocumentEntryUniqueId", ValueKind::text),
});
constexpr auto k_get_folders = std::to_array<ParameterDefinition>({
    many("$XDSFolderEntryUUID", ValueKind::uuid),
    many("$XDSFolderUniqueId", ValueKind::text),
});
constexpr auto k_by_uuid = std::to_array<ParameterDefinition>({
    many("$uuid", ValueKind::uuid, k_required),
});
constexpr auto k_get_submission_set_and_contents = std::to_array<ParameterDefinition>({
    one("$XDSSubmissionSetEntryUUID", ValueKind::uuid),
    one("$XDSSubmissionSetUniqueId", ValueKind::text),
    many("$XDSDocumentEntryFormatCode", ValueKind::code),
    conjunction("$XDSDocumentEntryConfidentialityCode", ValueKind::code),
    many("$XDSDocumentEntryType", ValueKind::uuid),
});
constexpr auto k_get_folder_and_contents = std::to_array<ParameterDefinition>({
    one("$XDSFolderEntryUUID", ValueKind::uuid),
    one("$XDSFolderUniqueId", ValueKind::text),
    many("$XDSDocumentEntryFormatCode", ValueKind::code),
    conjunction("$XDSDocumentEntryConfidentialityCode", ValueKind::code),
    many("$XDSDocumentEntryType", ValueKind::uuid),
});
constexpr auto k_get_folders_for_document = std::to_array<ParameterDefinition>({
    one("$XDSDocumentEntryEntryUUID", ValueKind::uuid),
    one("$XDSDocumentEntryUniqueId", ValueKind::text),
});
constexpr auto k_get_related_documents = std::to_array<ParameterDefinition>({
    one("$XDSDocumentEntryEntryUUID", ValueKind::uuid),
    one("$XDSDocumentEntryUniqueId", ValueKind::text),
    many("$AssociationTypes", ValueKind::text, k_required),
    many("$XDSDocumentEntryType", ValueKind::uuid),
});

constexpr std::string_view k_entry_uuid = "$XDSDocumentEntryEntryUUID";
constexpr std::string_view k_entry_unique_id = "$XDSDocumentEntryUniqueId";
constexpr std::string_view k_folder_uuid = "$XDSFolderEntryUUID";
constexpr std::string_view k_folder_unique_id = "$XDSFolderUniqueId";

// ITI TF-2 3.18.4.1.2.4 has the UUIDs; the Multi-Patient Queries are those of 3.51.
constexpr auto k_queries = std::to_array<StoredQueryDefinition>({
    {"urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
     "FindDocuments",
     k_find_documents,
     {},
     {},
     false,
     Returned::documents},
    {"urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
     "FindSubmissionSets",
     k_find_submission_sets,
     {},
     {},
     false,
     Returned::submission_sets},
    {"urn:uuid:958f3006-baad-4929-a4de-ff1114824431", "FindFolders", k_find_folders, {}, {}, false, Returned::folders},
    {"urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3", "GetAll", k_get_all, {}, {}, false, Returned::mixed},
    {"urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", "GetDocuments", k_get_documents, k_entry_uuid, k_entry_unique_id,
     true, Returned::documents},
    {"urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4", "GetFolders", k_get_folders, k_folder_uuid, k_folder_unique_id,
     true, Returned::folders},
    {"urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155",
     "GetAssociations",
     k_by_uuid,
     {},
     {},
     true,
     Returned::associations},
    {"urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a", "GetDocumentsAndAssociations", k_get_documents, k_entry_uuid,
     k_entry_unique_id, true, Returned::mixed},
    {"urn:uuid:51224314-5390-4169-9b91-b1980040715a", "GetSubmissionSets", k_by_uuid, {}, {}, true, Returned::mixed},
    {"urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83", "GetSubmissionSetAndContents", k_get_submission_set_and_contents,
     "$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId", true, Returned::mixed},
    {"urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7", "GetFolderAndContents", k_get_folder_and_contents, k_folder_uuid,
     k_folder_unique_id, true, Returned::mixed},
    {"urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578", "GetFoldersForDocument", k_get_folders_for_document, k_entry_uuid,
     k_entry_unique_id, true, Returned::folders},
    {"urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6", "GetRelatedDocuments", k_get_related_documents, k_entry_uuid,
     k_entry_unique_id, true, Returned::mixed},
    {"urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
     "FindDocumentsByReferenceId",
     k_find_by_reference,
     {},
     {},
     false,
     Returned::documents},
    {"urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
     "FindDocumentsForMultiplePatients",
     k_find_documents_multiple,
     {},
     {},
     false,
     Returned::documents},
    {"urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df",
     "FindFoldersForMultiplePatients",
     k_find_folders_multiple,
     {},
     {},
     false,
     Returned::folders},
    {"urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5",
     "FindDocumentsByReferenceIdForMultiplePatients",
     k_find_by_reference_multiple,
     {},
     {},
     false,
     Returned::documents},
});

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

// A name that was perhaps meant: the same but for case and the $.
std::string_view likely(const StoredQueryDefinition& definition, std::string_view name) {
  const auto bare = [](std::string_view text) { return lower(text.substr(text.rfind('$') == 0 ? 1 : 0)); };
  for (const ParameterDefinition& parameter : definition.parameters) {
    if (bare(parameter.name) == bare(name)) {
      return parameter.name;
    }
  }
  return {};
}

bool is_uuid(std::string_view text) {
  constexpr std::string_view k_urn = "urn:uuid:";
  constexpr std::string_view k_form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (lower(text.substr(0, k_urn.size())) != k_urn || text.size() != k_urn.size() + k_form.size()) {
    return false;
  }
  for (std::size_t i = 0; i < k_form.size(); ++i) {
    const char c = text[k_urn.size() + i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (k_form[i] == '-' ? c != '-' : !hex) {
      return false;
    }
  }
  return true;
}

class Checker {
 public:
  Checker(const StoredQuery& query, const StoredQueryDefinition& definition, bool strict)
      : m_query(query), m_definition(definition), m_strict(strict) {}

  std::vector<RegistryError> run() {
    check_pair();
    for (const ParameterDefinition& parameter : m_definition.parameters) {
      check_presence(parameter);
    }
    for (const Parameter& parameter : m_query.parameters) {
      check_values(parameter);
    }
    return std::move(m_errors);
  }

 private:
  void refuse(std::string_view code, std::string context, std::string_view location) {
    m_errors.push_back({std::string(code), std::move(context), std::string(location), Severity::error});
  }

  std::size_t slots(std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(m_query.parameters.begin(), m_query.parameters.end(),
                      [&](const Parameter& one) { return one.name == name && !one.values.empty(); }));
  }

  void check_pair() {
    if (m_definition.either.empty()) {
      return;
    }
    const bool first = slots(m_definition.either) > 0;
    const bool second = slots(m_definition.other) > 0;
    if (first && second) {
      refuse("XDSStoredQueryParamNumber",
             fmt::format("{} takes {} or {}, not both", m_definition.name, m_definition.either, m_definition.other),
             m_definition.either);
    } else if (!first && !second) {
      refuse("XDSStoredQueryMissingParam",
             fmt::format("{} needs {} or {}", m_definition.name, m_definition.either, m_definition.other),
             m_definition.either);
    }
  }

  void check_presence(const ParameterDefinition& definition) {
    const std::size_t count = slots(definition.name);
    if (count == 0 && definition.required) {
      refuse("XDSStoredQueryMissingParam", fmt::format("{} needs {}", m_definition.name, definition.name),
             definition.name);
    }
    if (count > 1 && !definition.conjunction) {
      refuse("XDSStoredQueryParamNumber",
             fmt::format("{} may stand in one slot only: its values are joined by or", definition.name),
             definition.name);
    }
  }

  void check_values(const Parameter& parameter) {
    const ParameterDefinition* definition = m_definition.find(parameter.name);
    if (definition == nullptr) {
      if (m_strict && !parameter.raw) {
        const auto meant = likely(m_definition, parameter.name);
        refuse("XDSRegistryError",
               fmt::format("{} has no parameter {}{}", m_definition.name, parameter.name,
                           meant.empty() ? std::string() : fmt::format(", but {}", meant)),
               parameter.name);
      }
      return;
    }
    if (!definition->many && parameter.values.size() > 1) {
      refuse("XDSStoredQueryParamNumber", fmt::format("{} takes one value", definition->name), definition->name);
    }
    for (const std::string& value : parameter.values) {
      if (const std::string_view fault = fault_of(*definition, value); !fault.empty()) {
        refuse("XDSRegistryError", fmt::format("a value of {} {}", definition->name, fault), definition->name);
      }
    }
  }

  // Never quotes the value: it may be a patient's.
  std::string_view fault_of(const ParameterDefinition& definition, std::string_view value) const {
    if (trimmed(value).empty()) {
      return "is empty";
    }
    switch (definition.kind) {
      case ValueKind::patient_id: {
        const Cx cx = parse_cx(value);
        if (cx.id.empty() || cx.authority.empty() || cx.authority_type != "ISO") {
          return "is no patient identifier of the form ID^^^&OID&ISO";
        }
        break;
      }
      case ValueKind::code: {
        const auto parts = split_components(value);
        if (parts.size() != 3 || parts[0].empty() || parts[2].empty()) {
          return "is no code of the form CODE^^SCHEME";
        }
        break;
      }
      case ValueKind::time:
        if (!parse_dtm(value)) {
          return "is no time of the form YYYY[MM[DD[hh[mm[ss]]]]] in UTC";
        }
        break;
      case ValueKind::uuid:
        if (m_strict && !is_uuid(value)) {
          return "is no UUID of the form urn:uuid:8-4-4-4-12 hexadecimal digits";
        }
        break;
      case ValueKind::status:
        if (m_strict && value != entry_status::approved && value != entry_status::deprecated) {
          return "is neither Approved nor Deprecated by its URN";
        }
        break;
      case ValueKind::text:
      case ValueKind::pattern:
      case ValueKind::reference:
        break;
    }
    return {};
  }

  const StoredQuery& m_query;
  const StoredQueryDefinition& m_definition;
  bool m_strict;
  std::vector<RegistryError> m_errors;
};

}  // namespace

const ParameterDefinition* StoredQueryDefinition::find(std::string_view parameter) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const ParameterDefinition& one) { return one.name == parameter; });
  return found == parameters.end() ? nullptr : &*found;
}

std::span<const StoredQueryDefinition> stored_queries() { return k_queries; }

const StoredQueryDefinition* find_query(std::string_view name_or_uuid) {
  const std::string wanted = lower(trimmed(name_or_uuid));
  const auto found = std::find_if(k_queries.begin(), k_queries.end(), [&](const StoredQueryDefinition& one) {
    return lower(one.name) == wanted || same_uuid(one.id, wanted);
  });
  return found == k_queries.end() ? nullptr : &*found;
}

std::vector<std::string> StoredQuery::values(std::string_view name) const {
  std::vector<std::string> out;
  for (const Parameter& parameter : parameters) {
    if (parameter.name == name) {
      out.insert(out.end(), parameter.values.begin(), parameter.values.end());
    }
  }
  return out;
}

std::vector<RegistryError> check_query(const StoredQuery& query, bool strict) {
  const StoredQueryDefinition* definition = find_query(query.id);
  if (definition == nullptr) {
    return {{"XDSUnknownStoredQuery", "there is no stored query with this id", {}, Severity::error}};
  }
  return Checker(query, *definition, strict).run();
}

void require_sound(const StoredQuery& query) {
  const auto errors = check_query(query, true);
  if (errors.empty()) {
    return;
  }
  std::string message = errors.front().context;
  for (auto more = errors.begin() + 1; more != errors.end(); ++more) {
    message += "; " + more->context;
  }
  throw Error(kind("xds.query"), std::move(message)).with("registryErrors", to_json(errors));
}

}  // namespace kuva::xds
