#include <kuva/kos/compare.hpp>
#include <kuva/kos/tags.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

namespace kuva::kos {

namespace {

using dicom::Tag;

struct ComparedAttribute {
  Tag tag;
  std::string_view keyword;
  bool identifies_patient;
};
constexpr auto k_compared = std::to_array<ComparedAttribute>({
    {tags::patient_id, "PatientID", true},
    {tags::issuer_of_patient_id, "IssuerOfPatientID", true},
    {tags::patient_name, "PatientName", true},
    {tags::patient_birth_date, "PatientBirthDate", true},
    {tags::patient_sex, "PatientSex", true},
    {tags::accession_number, "AccessionNumber", false},
    {tags::study_date, "StudyDate", false},
    {tags::study_time, "StudyTime", false},
    {tags::study_id, "StudyID", false},
    {tags::study_description, "StudyDescription", false},
    {tags::referring_physician_name, "ReferringPhysicianName", true},
});

std::string to_text(const Code& code) { return code.empty() ? std::string() : code.value + " " + code.scheme; }

// Frames of the content tree that an instance is selected by; "-" where the tree does not have it.
std::unordered_map<std::string_view, std::string> selections(const Document& document) {
  std::unordered_map<std::string_view, std::string> frames;
  for (const ContentReference& reference : document.references) {
    std::string& entry = frames[reference.sop_instance_uid];
    const std::string here = reference.frames.empty() ? reference.channels : reference.frames;
    entry += (entry.empty() || here.empty() ? "" : ";") + here;
  }
  return frames;
}

void add_change(std::vector<Change>& changes, std::string_view what, const std::string& left, const std::string& right,
                bool identifies_patient = false) {
  if (left != right) {
    changes.push_back({std::string(what), left, right, identifies_patient});
  }
}

}  // namespace

bool Comparison::equal() const {
  return document.empty() && std::all_of(differences.begin(), differences.end(), [](const Difference& difference) {
           return difference.kind == Difference::Kind::same;
         });
}

Comparison compare(const Document& left, const Document& right) {
  Comparison comparison;
  add_change(comparison.document, "title", to_text(left.title), to_text(right.title));
  add_change(comparison.document, "StudyInstanceUID", left.study_instance_uid, right.study_instance_uid);
  for (const ComparedAttribute& attribute : k_compared) {
    add_change(comparison.document, attribute.keyword, text(left, attribute.tag), text(right, attribute.tag),
               attribute.identifies_patient);
  }
  add_change(comparison.document, "keyObjectDescription", std::string(description(left)),
             std::string(description(right)));

  const std::vector<Reference> ours = references(left);
  const std::vector<Reference> theirs = references(right);
  std::unordered_map<std::string_view, const Reference*> others;
  for (const Reference& reference : theirs) {
    others.emplace(reference.sop_instance_uid, &reference);
  }
  const auto our_selections = selections(left);
  const auto their_selections = selections(right);
  const auto selection = [](const auto& all, const std::string& uid) {
    const auto found = all.find(uid);
    return found == all.end() ? std::string("-") : found->second;
  };

  comparison.differences.reserve(ours.size());
  for (const Reference& reference : ours) {
    Difference& difference = comparison.differences.emplace_back();
    difference.reference = reference;
    const auto found = others.find(reference.sop_instance_uid);
    if (found == others.end()) {
      difference.kind = Difference::Kind::removed;
      continue;
    }
    const Reference& other = *found->second;
    std::vector<Change>& changes = difference.changes;
    add_change(changes, "StudyInstanceUID", reference.study_instance_uid, other.study_instance_uid);
    add_change(changes, "SeriesInstanceUID", reference.series_instance_uid, other.series_instance_uid);
    add_change(changes, "SOPClassUID", reference.sop_class_uid, other.sop_class_uid);
    add_change(changes, "RetrieveAETitle", reference.retrieve_ae_title, other.retrieve_ae_title);
    add_change(changes, "RetrieveLocationUID", reference.retrieve_location_uid, other.retrieve_location_uid);
    add_change(changes, "RetrieveURL", reference.retrieve_url, other.retrieve_url);
    add_change(changes, "content", selection(our_selections, reference.sop_instance_uid),
               selection(their_selections, reference.sop_instance_uid));
    difference.kind = changes.empty() ? Difference::Kind::same : Difference::Kind::changed;
    others.erase(found);
  }
  for (const Reference& reference : theirs) {
    const auto found = others.find(reference.sop_instance_uid);
    if (found != others.end()) {
      comparison.differences.push_back({Difference::Kind::added, reference, {}});
    }
  }
  return comparison;
}

}  // namespace kuva::kos
