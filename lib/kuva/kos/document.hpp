#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/reader.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::kos {

inline constexpr std::string_view k_key_object_selection = "1.2.840.10008.5.1.4.1.1.88.59";

// A coded entry (PS3.3 section 8); meaning in UTF-8.
struct Code {
  std::string value;
  std::string scheme;  // Coding Scheme Designator
  std::string meaning;
  std::string scheme_version;  // archives do not know a rejection note by a title that has one: left empty when built

  bool empty() const { return value.empty() && scheme.empty() && meaning.empty(); }
  // The same concept: value and scheme, whatever the meaning says.
  bool is(std::string_view other_value, std::string_view other_scheme = "DCM") const {
    return value == other_value && scheme == other_scheme;
  }
};

struct InstanceReference {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string retrieve_url;  // of this instance alone; the standard has it for the series only
};

// A series item of an evidence sequence (Hierarchical SOP Instance Reference Macro, PS3.3 C.17.2.1, table C.17-3).
struct SeriesReference {
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string retrieve_ae_title;      // (0008,0054)
  std::string retrieve_location_uid;  // (0040,E011): the repositoryUniqueId of the imaging document source (RAD-69)
  std::string retrieve_url;           // (0008,1190), or (0040,E010) where a producer wrote that
  std::string modality;               // of the objects where it was built from them; a KOS does not hold it
  std::vector<InstanceReference> instances;
  // Its place, counted from 1: of its study item in the sequence, and in that item. 0 where it was not read.
  std::uint32_t study_item = 0;
  std::uint32_t series_item = 0;
};

// A reference of the content tree: value type IMAGE, WAVEFORM or COMPOSITE.
struct ContentReference {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string frames;    // Referenced Frame Number as it stands; empty for the whole instance
  std::string channels;  // Referenced Waveform Channels, as "1,2"
  std::string value_type;
  std::uint32_t item = 0;  // its place in the root's Content Sequence, from 1; 0 where it was not read
};

// Another item of the content tree: title modifier, language, observer context, description.
struct ContentItem {
  std::string relationship_type;
  std::string value_type;
  Code name;
  std::string text;  // of TEXT, PNAME, UIDREF, DATE, TIME, DATETIME in UTF-8
  Code code;         // of CODE
  std::uint32_t item = 0;
};

// A Key Object Selection Document: manifest, rejection note or any other (PS3.3 A.35.4, PS3.16 TID 2010).
struct Document {
  std::string sop_instance_uid;
  std::string series_instance_uid;
  std::string study_instance_uid;
  Code title;                       // Concept Name of the root
  std::string value_type;           // of the root: CONTAINER
  std::string template_identifier;  // 2010
  std::string transfer_syntax_uid;  // of the file that it was read from
  // Every other element of the data set as it stands there: patient, study, series and equipment, in the character set
  // of its own (0008,0005).
  dicom::DataSet attributes;
  std::vector<SeriesReference> evidence;             // Current Requested Procedure Evidence Sequence (0040,A375)
  std::vector<SeriesReference> other_evidence;       // Pertinent Other Evidence Sequence (0040,A385)
  std::vector<SeriesReference> identical_documents;  // (0040,A525)
  std::vector<SeriesReference> predecessors;         // (0040,A360)
  std::vector<ContentReference> references;          // of the content tree
  std::vector<ContentItem> content;                  // what else the content tree holds
  std::vector<dicom::Defect> defects;                // what reading found
};

// An instance of the evidence with all that retrieving it needs.
struct Reference {
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string modality;  // from the SOP class where the document does not know it, empty where that does not tell
  std::string retrieve_ae_title;
  std::string retrieve_location_uid;
  std::string retrieve_url;
};

// The instances of the evidence in its order, each once (a series may stand in several items). `other_evidence`: those
// of (0040,A385) too.
std::vector<Reference> references(const Document& document, bool other_evidence = false);
std::size_t instance_count(const std::vector<SeriesReference>& evidence);

// A text of the attributes in UTF-8; empty where there is none. A value of a sequence's first item by its tag.
std::string text(const Document& document, dicom::Tag tag);
std::string text(const dicom::DataSet& attributes, dicom::Tag tag);
// The Key Object Description (113012,DCM), or an empty string.
std::string_view description(const Document& document);

// How the content tree refers to an instance of this class: IMAGE, WAVEFORM or COMPOSITE (PS3.16 TID 2010).
std::string_view value_type_of(std::string_view sop_class_uid);
// The modality that all objects of this class have, or an empty string: CT for CT Image Storage.
std::string_view modality_of(std::string_view sop_class_uid);

}  // namespace kuva::kos
