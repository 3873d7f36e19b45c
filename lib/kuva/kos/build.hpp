#pragma once

#include <kuva/kos/document.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::kos {

// What a document takes from an object that it refers to.
struct SourceObject {
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string modality;
  std::optional<long> series_number;
  std::optional<long> instance_number;
  // Patient and study attributes and the request (0040,0275), as they stand in the object with its (0008,0005).
  dicom::DataSet attributes;
  bool from_file = true;  // false: identifiers alone, the attributes are to come from another object of the study
};

// Reads as far as (0040,0275); pixel data and functional groups are not touched.
// Errors: those of open_part10; file.truncated, file.malformed; file.incomplete when a UID is absent.
SourceObject read_source_object(const std::filesystem::path& path);
// The attributes of a document, for a study whose objects are not at hand.
dicom::DataSet study_attributes(const Document& document);

// Where the objects of a series can be had.
struct Retrieval {
  std::string ae_title;
  std::string location_uid;
  std::string url;  // of the DICOMweb service (PS3.18): /studies/.../series/... is added to it
};

struct BuildSettings {
  Retrieval retrieval;          // for every series that has no own
  std::string description;      // Key Object Description (113012,DCM), UTF-8; none when empty
  std::vector<Code> modifiers;  // Document Title Modifiers (113011,DCM)
  std::chrono::system_clock::time_point now = std::chrono::system_clock::now();  // Content Date and Time
  // For objects without (0008,0201): how far the local time of their Study Time is ahead of UTC.
  std::chrono::minutes utc_offset{0};
  long series_number = 999;
};

// The objects of any number of studies, and a document for each of them. Order of adding does not matter: series are
// sorted by Series Number and instances by Instance Number, then by UID.
class Collection {
 public:
  // False when the study holds that instance already. Errors: kos.patient-differs when the study is another patient's
  // than this object; kos.instance-differs when the instance is known with another series or SOP class.
  bool add(const SourceObject& object, const Retrieval& retrieval = {});
  // Attributes for a study's document, instead of those of its first object.
  void set_attributes(const std::string& study_instance_uid, dicom::DataSet attributes);

  std::vector<std::string> study_instance_uids() const;  // in the order of their first objects
  bool empty() const { return m_studies.empty(); }
  std::size_t instances(const std::string& study_instance_uid) const;
  std::size_t series(const std::string& study_instance_uid) const;

  // An XDS-I.b manifest (IHE RAD TF-2 4.68; TID 2010, title 113030) of the study. The request that the objects name
  // becomes the Referenced Request Sequence.
  // Errors: kos.empty when there is no such study; kos.no-attributes when no object of it was a file;
  // kos.text when the description cannot be written beside the objects' texts.
  Document manifest(const std::string& study_instance_uid, const BuildSettings& settings) const;
  // A rejection note (IHE RAD TF-2 4.66, IOCM) of all instances that were added. Errors: as manifest().
  Document rejection_note(const std::string& study_instance_uid, const Code& reason,
                          const BuildSettings& settings) const;

 private:
  struct Instance {
    std::string sop_class_uid;
    std::optional<long> number;
  };
  struct Series {
    std::optional<long> number;
    std::string modality;
    Retrieval retrieval;
    std::map<std::string, Instance, std::less<>> instances;  // by SOP Instance UID
  };
  struct Study {
    dicom::DataSet attributes;
    bool has_attributes = false;
    std::vector<dicom::DataSet> requests;  // items of (0040,0275), each once
    std::map<std::string, Series, std::less<>> series;
  };

  const Study& study(const std::string& study_instance_uid) const;
  Document begin(const std::string& study_instance_uid, const Code& title, const BuildSettings& settings) const;

  std::map<std::string, Study, std::less<>> m_studies;
  std::vector<std::string> m_order;
};

}  // namespace kuva::kos
