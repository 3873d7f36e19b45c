#pragma once

#include <kuva/xds/model.hpp>

// Metadata that was made up for tests.
namespace kuva::test {

inline xds::DocumentEntry full_entry() {
  using namespace xds;
  DocumentEntry entry;
  entry.id = "urn:uuid:00000000-0000-4000-8000-000000000001";
  entry.lid = entry.id;
  entry.home = "urn:oid:1.2.3.4";
  entry.status = entry_status::approved;
  entry.title.all = {{"CT of the head & neck", "en", "UTF-8"}, {"Pään ja kaulan TT", "fi", ""}};
  entry.comments = "made up <for> a test";
  entry.version = "2";
  entry.mime_type = "application/dicom";
  entry.unique_id = "1.2.3.4.5.1";
  entry.patient_id = make_cx("010181-900C", "1.2.246.21");
  entry.repository_unique_id = "1.2.3.4.6";
  entry.creation_time = "20240229213000";
  entry.service_start_time = "202402292120";
  entry.service_stop_time = "20240229";
  entry.language_code = "fi-FI";
  entry.source_patient_id = make_cx("77", "1.2.3.4.7");
  entry.source_patient_info = {"PID-5|Testi^Terttu", "PID-7|19810101", "PID-8|F"};
  entry.legal_authenticator = "11^Kuvaaja^Kalle^^^^^^&1.2.246.537.26&ISO";
  entry.uri = "kos.dcm";
  entry.size = 4711;
  entry.hash = "0123456789abcdef0123456789abcdef01234567";
  entry.reference_ids = {"A100^^^&1.2.3.4.8&ISO^urn:ihe:iti:xds:2013:accession",
                         "1.2.3.4.9^^^^urn:ihe:iti:xds:2016:studyInstanceUID"};
  entry.authors = {{"22^Kuvaaja^Kaisa",
                    {"Sairaala X^^^^^&1.2.246.10&ISO^^^^5"},
                    {"radiographer"},
                    {"radiology"},
                    {"^^Internet^a@b"},
                    {}},
                   {"", {"Toinen sairaala"}, {}, {}, {}, {{"authorShoeSize", {"44"}, {}}}}};
  entry.class_code = Code{"IMAGES", "1.3.6.1.4.1.19376.1.2.6.1", "Images"};
  entry.type_code = Code{"18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging report"};
  entry.format_code = Code{std::string(k_manifest_format), std::string(k_manifest_format_scheme), "KOS"};
  entry.healthcare_facility_type_code = Code{"1", "1.2.3", "Hospital"};
  entry.practice_setting_code = Code{"50", "1.2.246.537.6.24.2003", "Radiology"};
  entry.confidentiality_codes = {Code{"N", "2.16.840.1.113883.5.25", "Normal"}, Code{"R", "2.16.840.1.113883.5.25"}};
  entry.event_codes = {Code{"CT", "1.2.840.10008.2.16.4", "Computed Tomography", {{"note", {"x"}, {}}}}};
  entry.other_slots = {{"urn:kuva:test", {"a", "", "b'c"}, "urn:type"}};
  entry.other_classifications = {
      {"urn:uuid:11111111-1111-4111-8111-111111111111", "", "code", "name", "description", {{"s", {"v"}, {}}}},
      {"", "urn:uuid:22222222-2222-4222-8222-222222222222", "", {}, {}, {}}};
  entry.other_identifiers = {{"urn:uuid:33333333-3333-4333-8333-333333333333", "value", "name", {}}};
  return entry;
}

inline xds::RegistryObjects full_objects() {
  using namespace xds;
  RegistryObjects objects;
  objects.documents = {full_entry(), full_entry()};
  DocumentEntry& old = objects.documents[1];
  old.id = "urn:uuid:00000000-0000-4000-8000-000000000002";
  old.lid.clear();
  old.status = entry_status::deprecated;
  old.limited_metadata = true;
  old.object_type = object_type::on_demand_document;
  old.size.reset();

  SubmissionSet set;
  set.id = "urn:uuid:00000000-0000-4000-8000-000000000003";
  set.home = "urn:oid:1.2.3.4";
  set.status = entry_status::approved;
  set.title = "A submission";
  set.unique_id = "1.2.3.4.5.3";
  set.source_id = "1.2.3.4.5.4";
  set.patient_id = objects.documents[0].patient_id;
  set.submission_time = "20240229213001";
  set.intended_recipients = {"|1^Lääkäri"};
  set.authors = {{"33^Lähettäjä", {}, {}, {}, {}, {}}};
  set.content_type_code = Code{"1", "1.2.3.5", "content"};
  set.other_slots = {{"x", {"y"}, {}}};
  objects.submission_sets = {set};

  Folder folder;
  folder.id = "urn:uuid:00000000-0000-4000-8000-000000000004";
  folder.status = entry_status::approved;
  folder.title = "A folder";
  folder.unique_id = "1.2.3.4.5.5";
  folder.patient_id = objects.documents[0].patient_id;
  folder.last_update_time = "20240229";
  folder.codes = {Code{"f", "1.2.3.6", "folder"}};
  folder.limited_metadata = true;
  objects.folders = {folder};

  Association member;
  member.id = "urn:uuid:00000000-0000-4000-8000-000000000005";
  member.status = entry_status::approved;
  member.type = association_type::has_member;
  member.source = set.id;
  member.target = objects.documents[0].id;
  member.submission_set_status = "Original";
  member.other_slots = {{"x", {"y"}, {}}};
  Association replacement;
  replacement.id = "urn:uuid:00000000-0000-4000-8000-000000000006";
  replacement.type = association_type::replaces;
  replacement.source = objects.documents[0].id;
  replacement.target = objects.documents[1].id;
  replacement.documentation = Code{"why", "1.2.3.7", "because"};
  objects.associations = {member, replacement};
  objects.object_refs = {{"urn:uuid:00000000-0000-4000-8000-000000000007", "urn:oid:1.2.3.4"},
                         {"urn:uuid:00000000-0000-4000-8000-000000000008", ""}};
  return objects;
}

}  // namespace kuva::test
