#include <kuva/dicom/uid.hpp>
#include <kuva/kos/check.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/tags.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

namespace kuva::kos {

namespace {

using dicom::Defect;
using dicom::Tag;
using Severity = Defect::Severity;

constexpr std::size_t k_most_of_a_rule = 20;  // examples; a last finding says how many more there are

class Checker {
 public:
  Checker(const Document& document, const CheckSettings& settings)
      : m_document(document), m_settings(settings), m_findings(document.defects) {}

  std::vector<Defect> run() {
    check_identifiers();
    check_title();
    check_type_2();
    check_evidence();
    check_content();
    check_study_of_evidence();
    check_retrieval();
    for (const auto& [rule, count] : m_counts) {
      if (count > k_most_of_a_rule) {
        m_findings.push_back({Severity::info,
                              rule,
                              fmt::format("{} more findings of this kind are left out", count - k_most_of_a_rule),
                              {},
                              0});
      }
    }
    return std::move(m_findings);
  }

 private:
  void add(Severity severity, std::string_view rule, std::string message, std::string tag_path = {}) {
    if (++m_counts[std::string(rule)] <= k_most_of_a_rule) {
      m_findings.push_back({severity, std::string(rule), std::move(message), std::move(tag_path), 0});
    }
  }

  static std::string path(Tag tag) { return dicom::to_string(tag); }

  static std::string path_of(const SeriesReference& series, std::string_view below = {}) {
    return fmt::format("{}[{}]/{}[{}]{}{}", path(tags::current_requested_procedure_evidence_sequence),
                       series.study_item, path(tags::referenced_series_sequence), series.series_item,
                       below.empty() ? "" : "/", below);
  }

  static std::string path_of(const SeriesReference& series, std::size_t index, Tag tag) {
    return path_of(series, fmt::format("{}[{}]/{}", path(tags::referenced_sop_sequence), index + 1, path(tag)));
  }

  static std::string path_of(const ContentReference& reference) {
    return fmt::format("{}[{}]/{}[1]/{}", path(tags::content_sequence), reference.item,
                       path(tags::referenced_sop_sequence), path(tags::referenced_sop_instance_uid));
  }

  void check_uid(std::string_view uid, std::string_view name, std::string tag_path) {
    if (uid.empty()) {
      add(Severity::error, "kos.uid-missing", fmt::format("there is no {}", name), std::move(tag_path));
    } else if (const auto defect = dicom::uid_defect(uid)) {
      add(Severity::error, "kos.uid-syntax", fmt::format("the {} is no UID: {}", name, *defect), std::move(tag_path));
    }
  }

  void check_identifiers() {
    check_uid(m_document.sop_instance_uid, "SOP Instance UID", path(tags::sop_instance_uid));
    check_uid(m_document.study_instance_uid, "Study Instance UID", path(tags::study_instance_uid));
    check_uid(m_document.series_instance_uid, "Series Instance UID", path(tags::series_instance_uid));
    if (m_document.attributes.string(tags::modality) != "KO") {
      add(Severity::error, "kos.modality", "Modality is not KO", path(tags::modality));
    }
    for (const auto& [tag, name] :
         {std::pair(tags::series_number, "Series Number"), std::pair(tags::instance_number, "Instance Number"),
          std::pair(tags::content_date, "Content Date"), std::pair(tags::content_time, "Content Time")}) {
      if (m_document.attributes.string(tag).empty()) {
        add(Severity::error, "kos.type-1-missing", fmt::format("{} has no value", name), path(tag));
      }
    }
    if (m_document.value_type != "CONTAINER") {
      add(Severity::error, "kos.root", "the root of the content tree is no CONTAINER", path(tags::value_type));
    }
    if (m_document.attributes.string(tags::continuity_of_content) != "SEPARATE") {
      add(Severity::error, "kos.root", "Continuity of Content is not SEPARATE", path(tags::continuity_of_content));
    }
    if (m_document.template_identifier != "2010") {
      add(Severity::warning, "kos.template", "the content template is not TID 2010",
          path(tags::content_template_sequence));
    }
  }

  void check_title() {
    const Code& title = m_document.title;
    const std::string title_path = path(tags::concept_name_code_sequence);
    if (title.value.empty() || title.scheme.empty()) {
      add(Severity::error, "kos.title-missing", "the document has no title code", title_path);
      return;
    }
    const auto titles = document_titles();
    const auto known =
        std::find_if(titles.begin(), titles.end(), [&](const CodeEntry& entry) { return entry.value == title.value; });
    if (title.scheme == "DCM" && known == titles.end()) {
      add(Severity::warning, "kos.title-unknown", fmt::format("the title ({}, DCM) is not of CID 7010", title.value),
          title_path);
    }
    if (known != titles.end() && title.scheme != "DCM") {
      add(Severity::warning, "kos.title-scheme",
          fmt::format("the title {} has coding scheme {}: DCM is meant, and archives do not know it otherwise",
                      title.value, title.scheme),
          title_path + "[1]/" + path(tags::coding_scheme_designator));
    }
    if (known != titles.end() && title.meaning != known->meaning) {
      add(Severity::info, "kos.title-meaning",
          fmt::format("the meaning of {} is \"{}\" in PS3.16", title.value, known->meaning),
          title_path + "[1]/" + path(tags::code_meaning));
    }
    if (title.meaning.empty()) {
      add(Severity::error, "kos.type-1-missing", "the title has no Code Meaning",
          title_path + "[1]/" + path(tags::code_meaning));
    }
    if (is_rejection_title(title) && !title.scheme_version.empty()) {
      add(Severity::warning, "kos.title-version",
          "the title of a rejection note has a Coding Scheme Version: archives compare it, and do not reject",
          title_path + "[1]/" + path(tags::coding_scheme_version));
    }
    if (m_settings.manifest && !is_manifest_title(title)) {
      add(Severity::error, "kos.not-manifest",
          fmt::format("the title is ({}, {}), a manifest has (113030, DCM)", title.value, title.scheme), title_path);
    }
  }

  void check_type_2() {
    for (const auto& [tag, name] :
         {std::pair(tags::patient_name, "Patient's Name"), std::pair(tags::patient_id, "Patient ID"),
          std::pair(tags::patient_birth_date, "Patient's Birth Date"), std::pair(tags::patient_sex, "Patient's Sex"),
          std::pair(tags::study_date, "Study Date"), std::pair(tags::study_time, "Study Time"),
          std::pair(tags::study_id, "Study ID"), std::pair(tags::accession_number, "Accession Number"),
          std::pair(tags::referring_physician_name, "Referring Physician's Name"),
          std::pair(tags::manufacturer, "Manufacturer"),
          std::pair(tags::referenced_performed_procedure_step_sequence,
                    "Referenced Performed Procedure Step Sequence")}) {
      if (!m_document.attributes.has(tag)) {
        add(Severity::error, "kos.type-2-missing", fmt::format("{} is absent; it may be empty", name), path(tag));
      }
    }
    if (m_document.attributes.string(tags::patient_id).empty()) {
      add(Severity::warning, "kos.no-patient-id", "Patient ID is empty: an archive cannot tell whose study it is",
          path(tags::patient_id));
    }
  }

  void check_evidence() {
    if (instance_count(m_document.evidence) == 0) {
      add(Severity::error, "kos.no-evidence", "the evidence refers to no instance",
          path(tags::current_requested_procedure_evidence_sequence));
    }
    std::unordered_map<std::string_view, std::string_view> study_of_series;
    for (const SeriesReference& series : m_document.evidence) {
      const std::string study_path =
          fmt::format("{}[{}]", path(tags::current_requested_procedure_evidence_sequence), series.study_item);
      check_uid(series.study_instance_uid, "Study Instance UID of an evidence item",
                study_path + "/" + path(tags::study_instance_uid));
      if (series.series_item == 0 && series.study_item != 0) {
        add(Severity::error, "kos.no-series", "an item of the evidence has no series",
            study_path + "/" + path(tags::referenced_series_sequence));
        continue;
      }
      check_uid(series.series_instance_uid, "Series Instance UID of an evidence item",
                path_of(series, path(tags::series_instance_uid)));
      if (series.instances.empty()) {
        add(Severity::error, "kos.no-instances", "a series of the evidence has no instances",
            path_of(series, path(tags::referenced_sop_sequence)));
      }
      const auto [known, is_new] = study_of_series.emplace(series.series_instance_uid, series.study_instance_uid);
      if (!is_new && known->second != series.study_instance_uid) {
        add(Severity::error, "kos.series-in-two-studies", "a series of the evidence stands in two studies",
            path_of(series, path(tags::series_instance_uid)));
      }
      for (std::size_t i = 0; i < series.instances.size(); ++i) {
        check_instance(series, i);
      }
    }
  }

  void check_instance(const SeriesReference& series, std::size_t index) {
    const InstanceReference& instance = series.instances[index];
    check_uid(instance.sop_class_uid, "Referenced SOP Class UID",
              path_of(series, index, tags::referenced_sop_class_uid));
    check_uid(instance.sop_instance_uid, "Referenced SOP Instance UID",
              path_of(series, index, tags::referenced_sop_instance_uid));
    if (instance.sop_instance_uid.empty()) {
      return;
    }
    if (instance.sop_instance_uid == m_document.sop_instance_uid) {
      add(Severity::error, "kos.refers-to-itself", "the evidence refers to the document itself",
          path_of(series, index, tags::referenced_sop_instance_uid));
    }
    const auto [known, is_new] = m_evidence.emplace(instance.sop_instance_uid, Place{&series, index});
    if (!is_new) {
      const bool same = known->second.series->series_instance_uid == series.series_instance_uid &&
                        known->second.series->instances[known->second.index].sop_class_uid == instance.sop_class_uid;
      add(same ? Severity::warning : Severity::error, same ? "kos.instance-twice" : "kos.instance-contradicts",
          same ? "the evidence refers to an instance twice"
               : "the evidence has an instance in two series, or with two SOP classes",
          path_of(series, index, tags::referenced_sop_instance_uid));
    }
    if (!dicom::is_storage_sop_class(instance.sop_class_uid) && !instance.sop_class_uid.empty() &&
        !dicom::uid_name(instance.sop_class_uid).empty()) {
      add(Severity::error, "kos.not-storage",
          fmt::format("{} is not the SOP class of a stored object", dicom::uid_name(instance.sop_class_uid)),
          path_of(series, index, tags::referenced_sop_class_uid));
    }
  }

  void check_content() {
    std::set<std::string_view> selected;
    for (const ContentReference& reference : m_document.references) {
      check_uid(reference.sop_instance_uid, "Referenced SOP Instance UID of the content tree", path_of(reference));
      selected.insert(reference.sop_instance_uid);
      const auto found = m_evidence.find(reference.sop_instance_uid);
      if (found == m_evidence.end()) {
        add(Severity::error, "kos.content-without-evidence",
            "the content tree refers to an instance that the evidence does not have", path_of(reference));
        continue;
      }
      const std::string& evidence_class = found->second.series->instances[found->second.index].sop_class_uid;
      if (evidence_class != reference.sop_class_uid) {
        add(Severity::error, "kos.class-contradicts", "content tree and evidence name different SOP classes",
            path_of(reference));
      }
      const std::string_view expected = value_type_of(reference.sop_class_uid);
      if (reference.value_type != expected && !dicom::uid_name(reference.sop_class_uid).empty()) {
        add(Severity::warning, "kos.value-type",
            fmt::format("the value type of a reference to {} is {}, not {}", dicom::uid_name(reference.sop_class_uid),
                        expected, reference.value_type),
            path_of(reference));
      }
    }
    for (const SeriesReference& series : m_document.evidence) {
      for (std::size_t i = 0; i < series.instances.size(); ++i) {
        const std::string& uid = series.instances[i].sop_instance_uid;
        if (!uid.empty() && !selected.contains(uid)) {
          add(Severity::error, "kos.evidence-without-content",
              "the evidence has an instance that the content tree does not refer to",
              path_of(series, i, tags::referenced_sop_instance_uid));
        }
      }
    }
    for (const ContentItem& item : m_document.content) {
      if (item.value_type == "TEXT" && item.text.empty()) {
        add(Severity::error, "kos.empty-text", "a text of the content tree is empty; it must not be there then",
            fmt::format("{}[{}]/{}", path(tags::content_sequence), item.item, path(tags::text_value)));
      }
    }
  }

  void check_study_of_evidence() {
    std::set<std::string_view> studies;
    for (const SeriesReference& series : m_document.evidence) {
      studies.insert(series.study_instance_uid);
    }
    if (!studies.empty() && !studies.contains(m_document.study_instance_uid)) {
      add(Severity::error, "kos.other-study", "the evidence has no instance of the document's own study",
          path(tags::study_instance_uid));
    }
    if (studies.size() > 1 && m_document.identical_documents.empty()) {
      add(Severity::error, "kos.no-identical-documents",
          "the evidence has instances of several studies, and no Identical Documents Sequence names the copies in them",
          path(tags::identical_documents_sequence));
    }
    if (studies.size() > 1 && (is_rejection_title(m_document.title) || is_manifest_title(m_document.title))) {
      add(Severity::warning, "kos.several-studies",
          "a manifest or rejection note of several studies: archives and registries expect one study each",
          path(tags::current_requested_procedure_evidence_sequence));
    }
    if (!m_document.other_evidence.empty()) {
      add(Severity::info, "kos.other-evidence",
          "a Key Object Selection has no Pertinent Other Evidence Sequence (PS3.3 C.17.6.2)",
          path(tags::pertinent_other_evidence_sequence));
    }
  }

  void check_retrieval() {
    if (!m_settings.manifest && !is_manifest_title(m_document.title)) {
      return;
    }
    for (const SeriesReference& series : m_document.evidence) {
      if (series.instances.empty()) {
        continue;
      }
      if (series.retrieve_location_uid.empty()) {
        add(Severity::warning, "kos.no-location",
            "a series has no Retrieve Location UID: consumers cannot tell which imaging document source to ask",
            path_of(series, path(tags::retrieve_location_uid)));
      } else if (const auto defect = dicom::uid_defect(series.retrieve_location_uid)) {
        add(Severity::error, "kos.uid-syntax", fmt::format("the Retrieve Location UID is no UID: {}", *defect),
            path_of(series, path(tags::retrieve_location_uid)));
      }
      if (series.retrieve_ae_title.empty()) {
        add(Severity::warning, "kos.no-ae-title", "a series has no Retrieve AE Title: C-MOVE has nobody to ask",
            path_of(series, path(tags::retrieve_ae_title)));
      }
    }
  }

  struct Place {
    const SeriesReference* series;
    std::size_t index;
  };

  const Document& m_document;
  const CheckSettings& m_settings;
  std::vector<Defect> m_findings;
  std::map<std::string, std::size_t> m_counts;
  std::unordered_map<std::string_view, Place> m_evidence;
};

}  // namespace

std::vector<Defect> check(const Document& document, const CheckSettings& settings) {
  return Checker(document, settings).run();
}

}  // namespace kuva::kos
