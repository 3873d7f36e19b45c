#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/kos/document.hpp>
#include <kuva/kos/tags.hpp>

#include <algorithm>
#include <array>
#include <unordered_set>

namespace kuva::kos {

namespace {

// Storage classes of images whose name does not say so.
constexpr std::array<std::string_view, 9> k_unnamed_images{
    "1.2.840.10008.5.1.4.1.1.30",        // Parametric Map
    "1.2.840.10008.5.1.4.1.1.66.4",      // Segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",      // Label Map Segmentation
    "1.2.840.10008.5.1.4.1.1.77.1.5.7",  // Ophthalmic Optical Coherence Tomography En Face
    "1.2.840.10008.5.1.4.1.1.77.1.5.8",  // Ophthalmic OCT B-scan Volume Analysis
    "1.2.840.10008.5.1.4.1.1.81.1",      // Ophthalmic Thickness Map
    "1.2.840.10008.5.1.4.1.1.82.1",      // Corneal Topography Map
    "1.2.840.10008.5.1.4.1.1.481.2",     // RT Dose
    "1.2.840.10008.5.1.4.1.1.7",         // Secondary Capture
};

struct ClassModality {
  std::string_view sop_class_uid;
  std::string_view modality;
};
// Classes whose IOD fixes the modality, or that one modality alone makes.
constexpr auto k_modalities = std::to_array<ClassModality>({
    {"1.2.840.10008.5.1.4.1.1.1", "CR"},
    {"1.2.840.10008.5.1.4.1.1.1.1", "DX"},
    {"1.2.840.10008.5.1.4.1.1.1.1.1", "DX"},
    {"1.2.840.10008.5.1.4.1.1.1.2", "MG"},
    {"1.2.840.10008.5.1.4.1.1.1.2.1", "MG"},
    {"1.2.840.10008.5.1.4.1.1.1.3", "IO"},
    {"1.2.840.10008.5.1.4.1.1.1.3.1", "IO"},
    {"1.2.840.10008.5.1.4.1.1.2", "CT"},
    {"1.2.840.10008.5.1.4.1.1.2.1", "CT"},
    {"1.2.840.10008.5.1.4.1.1.2.2", "CT"},
    {"1.2.840.10008.5.1.4.1.1.3.1", "US"},
    {"1.2.840.10008.5.1.4.1.1.4", "MR"},
    {"1.2.840.10008.5.1.4.1.1.4.1", "MR"},
    {"1.2.840.10008.5.1.4.1.1.4.2", "MR"},
    {"1.2.840.10008.5.1.4.1.1.4.3", "MR"},
    {"1.2.840.10008.5.1.4.1.1.4.4", "MR"},
    {"1.2.840.10008.5.1.4.1.1.6.1", "US"},
    {"1.2.840.10008.5.1.4.1.1.6.2", "US"},
    {"1.2.840.10008.5.1.4.1.1.9.1.1", "ECG"},
    {"1.2.840.10008.5.1.4.1.1.9.1.2", "ECG"},
    {"1.2.840.10008.5.1.4.1.1.9.1.3", "ECG"},
    {"1.2.840.10008.5.1.4.1.1.9.2.1", "HD"},
    {"1.2.840.10008.5.1.4.1.1.9.3.1", "EPS"},
    {"1.2.840.10008.5.1.4.1.1.11.1", "PR"},
    {"1.2.840.10008.5.1.4.1.1.11.2", "PR"},
    {"1.2.840.10008.5.1.4.1.1.11.3", "PR"},
    {"1.2.840.10008.5.1.4.1.1.11.4", "PR"},
    {"1.2.840.10008.5.1.4.1.1.12.1", "XA"},
    {"1.2.840.10008.5.1.4.1.1.12.1.1", "XA"},
    {"1.2.840.10008.5.1.4.1.1.12.2", "RF"},
    {"1.2.840.10008.5.1.4.1.1.12.2.1", "RF"},
    {"1.2.840.10008.5.1.4.1.1.13.1.3", "MG"},
    {"1.2.840.10008.5.1.4.1.1.20", "NM"},
    {"1.2.840.10008.5.1.4.1.1.66.1", "REG"},
    {"1.2.840.10008.5.1.4.1.1.66.3", "REG"},
    {"1.2.840.10008.5.1.4.1.1.66.4", "SEG"},
    {"1.2.840.10008.5.1.4.1.1.77.1.1", "ES"},
    {"1.2.840.10008.5.1.4.1.1.77.1.2", "GM"},
    {"1.2.840.10008.5.1.4.1.1.77.1.3", "SM"},
    {"1.2.840.10008.5.1.4.1.1.77.1.4", "XC"},
    {"1.2.840.10008.5.1.4.1.1.77.1.5.1", "OP"},
    {"1.2.840.10008.5.1.4.1.1.77.1.5.2", "OP"},
    {"1.2.840.10008.5.1.4.1.1.77.1.5.4", "OPT"},
    {"1.2.840.10008.5.1.4.1.1.77.1.6", "SM"},
    {"1.2.840.10008.5.1.4.1.1.88.11", "SR"},
    {"1.2.840.10008.5.1.4.1.1.88.22", "SR"},
    {"1.2.840.10008.5.1.4.1.1.88.33", "SR"},
    {"1.2.840.10008.5.1.4.1.1.88.34", "SR"},
    {"1.2.840.10008.5.1.4.1.1.88.35", "SR"},
    {"1.2.840.10008.5.1.4.1.1.88.50", "SR"},
    {k_key_object_selection, "KO"},
    {"1.2.840.10008.5.1.4.1.1.88.65", "SR"},
    {"1.2.840.10008.5.1.4.1.1.88.67", "SR"},
    {"1.2.840.10008.5.1.4.1.1.104.1", "DOC"},
    {"1.2.840.10008.5.1.4.1.1.104.2", "DOC"},
    {"1.2.840.10008.5.1.4.1.1.128", "PT"},
    {"1.2.840.10008.5.1.4.1.1.130", "PT"},
    {"1.2.840.10008.5.1.4.1.1.481.1", "RTIMAGE"},
    {"1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"},
    {"1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"},
    {"1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN"},
});

void append_references(const std::vector<SeriesReference>& evidence, std::unordered_set<std::string_view>& seen,
                       std::vector<Reference>& found) {
  for (const SeriesReference& series : evidence) {
    for (const InstanceReference& instance : series.instances) {
      if (!seen.insert(instance.sop_instance_uid).second) {
        continue;
      }
      found.push_back({series.study_instance_uid, series.series_instance_uid, instance.sop_class_uid,
                       instance.sop_instance_uid,
                       series.modality.empty() ? std::string(modality_of(instance.sop_class_uid)) : series.modality,
                       series.retrieve_ae_title, series.retrieve_location_uid,
                       instance.retrieve_url.empty() ? series.retrieve_url : instance.retrieve_url});
    }
  }
}

}  // namespace

std::vector<Reference> references(const Document& document, bool other_evidence) {
  std::vector<Reference> found;
  found.reserve(instance_count(document.evidence));
  std::unordered_set<std::string_view> seen;
  append_references(document.evidence, seen, found);
  if (other_evidence) {
    append_references(document.other_evidence, seen, found);
  }
  return found;
}

std::size_t instance_count(const std::vector<SeriesReference>& evidence) {
  std::size_t count = 0;
  for (const SeriesReference& series : evidence) {
    count += series.instances.size();
  }
  return count;
}

std::string text(const dicom::DataSet& attributes, dicom::Tag tag) {
  const dicom::DataSet::Element* const element = attributes.find(tag);
  if (element == nullptr) {
    return {};
  }
  const std::string value = attributes.string(tag);
  if (!dicom::uses_character_set(element->vr)) {
    return value;
  }
  return dicom::CharacterSets(attributes.string(tags::specific_character_set)).decode(value, element->vr).text;
}

std::string text(const Document& document, dicom::Tag tag) { return text(document.attributes, tag); }

std::string_view description(const Document& document) {
  for (const ContentItem& item : document.content) {
    if (item.name.is("113012")) {
      return item.text;
    }
  }
  return {};
}

std::string_view value_type_of(std::string_view sop_class_uid) {
  const std::string_view name = dicom::uid_name(sop_class_uid);
  if (name.find("Image Storage") != std::string_view::npos ||
      std::find(k_unnamed_images.begin(), k_unnamed_images.end(), sop_class_uid) != k_unnamed_images.end()) {
    return "IMAGE";
  }
  constexpr std::string_view k_waveforms = "1.2.840.10008.5.1.4.1.1.9.";
  return sop_class_uid.starts_with(k_waveforms) ? "WAVEFORM" : "COMPOSITE";
}

std::string_view modality_of(std::string_view sop_class_uid) {
  for (const ClassModality& entry : k_modalities) {
    if (entry.sop_class_uid == sop_class_uid) {
      return entry.modality;
    }
  }
  return {};
}

}  // namespace kuva::kos
