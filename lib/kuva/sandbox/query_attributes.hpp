#pragma once

#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/reader.hpp>
#include <kuva/dimse/query.hpp>

#include <filesystem>
#include <optional>

namespace kuva::sandbox {

// The elements of an object that queries match and return, in UTF-8, by the level that they belong to (PS3.4 C.6).
// Patient and study are one: a study has one patient.
struct QueryAttributes {
  dicom::DataSet study;
  dicom::DataSet series;
  dicom::DataSet instance;
};

// The level that a key belongs to; nothing when queries do not have it. Computed ones (numbers of related instances,
// Modalities in Study) are included.
std::optional<dimse::QueryLevel> level_of(dicom::Tag key);

// Picks the elements out of a data set that is being read.
class AttributeCollector {
 public:
  // After an `element` event.
  void take(dicom::DataSetReader& reader);
  const QueryAttributes& attributes() const { return m_attributes; }

 private:
  dicom::CharacterSets m_character_sets;
  QueryAttributes m_attributes;
};

// The same of a file, read no further than it must be. Errors: as open_part10.
QueryAttributes read_query_attributes(const std::filesystem::path& path);

}  // namespace kuva::sandbox
