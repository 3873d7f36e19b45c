#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dimse/query.hpp>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kuva::sandbox {

// The level of a query or retrieve identifier and its unique keys (PS3.4 C.3), checked as hierarchical services demand.
struct UniqueKeys {
  dimse::QueryLevel level = dimse::QueryLevel::study;
  std::string patient_id;
  std::vector<std::string> studies;
  std::vector<std::string> series;
  std::vector<std::string> instances;
};

// What is answered A900.
struct IdentifierDefect {
  std::string comment;
  dicom::Tag element;
};

// Above the level each unique key is one value. At the level: a query may leave it open, a retrieval must not.
enum class IdentifierUse { query, retrieval };
std::variant<UniqueKeys, IdentifierDefect> read_identifier(const dicom::DataSet& identifier, dimse::QueryRoot root,
                                                           IdentifierUse use);

std::vector<std::string> split_values(std::string_view values);

}  // namespace kuva::sandbox
