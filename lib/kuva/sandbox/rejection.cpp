#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/sandbox/rejection.hpp>

#include <array>

namespace kuva::sandbox {

namespace {

constexpr std::size_t k_longest_note_value = 1024;

struct Title {
  std::string_view code_value;
  Rejection rejection;
};
constexpr auto k_titles = std::to_array<Title>({
    {"113001", Rejection::quality},
    {"113037", Rejection::patient_safety},
    {"113038", Rejection::worklist},
    {"113039", Rejection::retention},
});

const std::vector<dicom::DataSet>& items_of(const dicom::DataSet& data, dicom::Tag tag) {
  static const std::vector<dicom::DataSet> k_none;
  const std::vector<dicom::DataSet>* const items = data.items(tag);
  return items == nullptr ? k_none : *items;
}

}  // namespace

std::string_view to_string(Rejection rejection) {
  for (const Title& title : k_titles) {
    if (title.rejection == rejection) {
      return title.code_value;
    }
  }
  return {};
}

std::optional<Rejection> rejection_of(std::string_view code_value) {
  for (const Title& title : k_titles) {
    if (title.code_value == code_value) {
      return title.rejection;
    }
  }
  return std::nullopt;
}

bool may_override(Rejection earlier, Rejection later) {
  switch (later) {
    case Rejection::patient_safety:
      return earlier == Rejection::quality;
    case Rejection::worklist:
      return earlier == Rejection::quality || earlier == Rejection::patient_safety;
    case Rejection::retention:
      return earlier != Rejection::retention;
    case Rejection::quality:
    case Rejection::none:
      break;
  }
  return false;
}

std::optional<RejectionNote> read_rejection_note(const std::filesystem::path& path) {
  dicom::Part10File file = dicom::open_part10(path);
  const dicom::TransferSyntax syntax = file.syntax;
  const auto source = dicom::data_set_source(file);
  dicom::DataSetReader reader(*source, syntax);
  const dicom::DataSet data = dicom::DataSet::read(reader, k_longest_note_value);
  RejectionNote note;
  for (const dicom::DataSet& title : items_of(data, dicom::tags::concept_name_code_sequence)) {
    const std::string code = title.string(dicom::tags::code_value);
    const std::string scheme = title.string(dicom::tags::coding_scheme_designator);
    if (scheme == "DCM") {
      note.rejection = rejection_of(code).value_or(Rejection::none);
    } else if (scheme == "99DCM4CHEE" && code == "REVOKE_REJECTION") {
      note.revokes = true;
    }
  }
  if (note.rejection == Rejection::none && !note.revokes) {
    return std::nullopt;
  }
  for (const dicom::DataSet& study : items_of(data, dicom::tags::current_requested_procedure_evidence_sequence)) {
    for (const dicom::DataSet& series : items_of(study, dicom::tags::referenced_series_sequence)) {
      RejectionNote::Series evidence;
      evidence.study_instance_uid = study.string(dicom::tags::study_instance_uid);
      evidence.series_instance_uid = series.string(dicom::tags::series_instance_uid);
      for (const dicom::DataSet& item : items_of(series, dicom::tags::referenced_sop_sequence)) {
        evidence.references.push_back({item.string(dicom::tags::referenced_sop_class_uid),
                                       item.string(dicom::tags::referenced_sop_instance_uid)});
      }
      note.evidence.push_back(std::move(evidence));
    }
  }
  return note;
}

}  // namespace kuva::sandbox
