#pragma once

#include <kuva/xds/data_types.hpp>
#include <kuva/xds/names.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Document metadata as ITI TF-3 4.2 has it. Values stand as in the message (times: DTM in UTC; ids: CX). What the
// profile does not name is kept beside it (`other_...`) and written again.
namespace kuva::xds {

struct Slot {
  std::string name;
  std::vector<std::string> values;
  std::string type;  // @slotType, mostly empty
  friend bool operator==(const Slot&, const Slot&) = default;
};

struct LocalizedString {
  std::string value;
  std::string lang;     // @xml:lang
  std::string charset;  // @charset, a relic
  friend bool operator==(const LocalizedString&, const LocalizedString&) = default;
};

// A name or a description, in as many languages as it has.
struct InternationalString {
  InternationalString() = default;
  InternationalString(std::string text);  // NOLINT(google-explicit-constructor): a plain text is one
  InternationalString(const char* text) : InternationalString(std::string(text)) {}  // NOLINT

  std::vector<LocalizedString> all;

  // The first that is not empty; empty where there is none.
  std::string text() const;
  bool empty() const { return text().empty(); }
  friend bool operator==(const InternationalString&, const InternationalString&) = default;
};

// A coded value: Classification with nodeRepresentation, slot codingScheme and Name.
struct Code {
  std::string code;
  std::string scheme;
  InternationalString display = {};
  std::vector<Slot> other_slots = {};

  std::string to_parameter() const { return code + "^^" + scheme; }  // as stored queries want it
  bool same_as(const Code& other) const { return code == other.code && scheme == other.scheme; }
  friend bool operator==(const Code&, const Code&) = default;
};

struct Author {
  std::string person;                     // XCN
  std::vector<std::string> institutions;  // XON
  std::vector<std::string> roles;
  std::vector<std::string> specialties;
  std::vector<std::string> telecommunications;  // XTN
  std::vector<Slot> other_slots = {};
  friend bool operator==(const Author&, const Author&) = default;
};

// A classification that the profile does not name, or that this place does not have.
struct Classification {
  std::string scheme;               // @classificationScheme
  std::string node;                 // @classificationNode
  std::string node_representation;  // @nodeRepresentation
  InternationalString name;
  InternationalString description;
  std::vector<Slot> slots;
  friend bool operator==(const Classification&, const Classification&) = default;
};

struct ExternalIdentifier {
  std::string scheme;  // @identificationScheme
  std::string value;
  InternationalString name;
  std::vector<Slot> slots;
  friend bool operator==(const ExternalIdentifier&, const ExternalIdentifier&) = default;
};

// What all registry objects have.
struct RegistryObject {
  std::string id;      // entryUUID
  std::string lid;     // logical id, the same for all versions
  std::string home;    // homeCommunityId, urn:oid:...
  std::string status;  // availabilityStatus as it stands (entry_status)
  InternationalString title;
  InternationalString comments;
  std::string version;  // VersionInfo/@versionName
  bool limited_metadata = false;
  std::vector<Slot> other_slots;
  std::vector<Classification> other_classifications;
  std::vector<ExternalIdentifier> other_identifiers;

  bool is_approved() const { return status == entry_status::approved; }
  bool is_deprecated() const { return status == entry_status::deprecated; }
  friend bool operator==(const RegistryObject&, const RegistryObject&) = default;
};

// ITI TF-3 4.2.3.2
struct DocumentEntry : RegistryObject {
  std::string object_type = std::string(object_type::stable_document);
  std::string mime_type;
  std::string unique_id;
  std::string patient_id;  // CX
  std::string repository_unique_id;
  std::string creation_time;  // DTM
  std::string service_start_time;
  std::string service_stop_time;
  std::string language_code;
  std::string source_patient_id;                 // CX
  std::vector<std::string> source_patient_info;  // PID-3|..., PID-5|..., PID-7|..., PID-8|..., PID-11|...
  std::string legal_authenticator;               // XCN
  std::string uri;
  std::optional<std::uint64_t> size;
  std::string hash;                        // SHA-1 in hexadecimal
  std::vector<std::string> reference_ids;  // CXi
  std::vector<Author> authors;
  std::optional<Code> class_code;
  std::optional<Code> type_code;
  std::optional<Code> format_code;
  std::optional<Code> healthcare_facility_type_code;
  std::optional<Code> practice_setting_code;
  std::vector<Code> confidentiality_codes;
  std::vector<Code> event_codes;

  bool is_on_demand() const { return same_uuid(object_type, object_type::on_demand_document); }
  // An imaging manifest (KOS): by its formatCode.
  bool is_manifest() const;
  // Assembled when asked for: size and hash say nothing (RAD-68).
  bool is_delayed() const;
  // The references of one kind (reference_type), as they stand; `parse_cx` reads them.
  std::vector<std::string> references(std::string_view kind) const;
  // Study Instance UIDs of its referenceIdList.
  std::vector<std::string> study_instance_uids() const;
  friend bool operator==(const DocumentEntry&, const DocumentEntry&) = default;
};

// ITI TF-3 4.2.3.3
struct SubmissionSet : RegistryObject {
  std::string unique_id;
  std::string source_id;
  std::string patient_id;
  std::string submission_time;                   // DTM
  std::vector<std::string> intended_recipients;  // XON|XCN|XTN
  std::vector<Author> authors;
  std::optional<Code> content_type_code;
  friend bool operator==(const SubmissionSet&, const SubmissionSet&) = default;
};

// ITI TF-3 4.2.3.4
struct Folder : RegistryObject {
  std::string unique_id;
  std::string patient_id;
  std::string last_update_time;  // DTM
  std::vector<Code> codes;
  friend bool operator==(const Folder&, const Folder&) = default;
};

// ITI TF-3 4.2.2
struct Association : RegistryObject {
  std::string type;  // association_type
  std::string source;
  std::string target;
  std::string submission_set_status;  // Original or Reference, of a SubmissionSet's members
  std::optional<Code> documentation;
  friend bool operator==(const Association&, const Association&) = default;
};

struct ObjectRef {
  std::string id;
  std::string home;
  friend bool operator==(const ObjectRef&, const ObjectRef&) = default;
};

// What a RegistryObjectList holds.
struct RegistryObjects {
  std::vector<DocumentEntry> documents;
  std::vector<SubmissionSet> submission_sets;
  std::vector<Folder> folders;
  std::vector<Association> associations;
  std::vector<ObjectRef> object_refs;
  std::vector<std::string> other_elements;  // names of elements that were not understood

  std::size_t size() const {
    return documents.size() + submission_sets.size() + folders.size() + associations.size() + object_refs.size();
  }
  friend bool operator==(const RegistryObjects&, const RegistryObjects&) = default;
};

}  // namespace kuva::xds
