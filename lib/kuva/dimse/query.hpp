#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kuva::dimse {

// The Query/Retrieve Service Class (PS3.4 annex C): two information models, three services each.
enum class QueryRoot : std::uint8_t { patient, study };
enum class QueryLevel : std::uint8_t { patient, study, series, image };

std::string_view find_sop_class(QueryRoot root);
std::string_view move_sop_class(QueryRoot root);
std::string_view get_sop_class(QueryRoot root);

enum class QueryService : std::uint8_t { find, move, get };
struct QueryModel {
  QueryService service = QueryService::find;
  QueryRoot root = QueryRoot::study;
};
// Nothing when the UID is not one of the six.
std::optional<QueryModel> query_model(std::string_view sop_class_uid);

// "STUDY", the value of Query/Retrieve Level (0008,0052).
std::string_view to_string(QueryLevel level);
// Nothing when it is none of the four.
std::optional<QueryLevel> query_level(std::string_view value);

}  // namespace kuva::dimse
