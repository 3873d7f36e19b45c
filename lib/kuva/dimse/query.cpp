#include <kuva/dimse/query.hpp>

#include <array>

namespace kuva::dimse {

namespace {

struct Model {
  std::string_view sop_class_uid;
  QueryModel model;
};

constexpr auto k_models = std::to_array<Model>({
    {"1.2.840.10008.5.1.4.1.2.1.1", {QueryService::find, QueryRoot::patient}},
    {"1.2.840.10008.5.1.4.1.2.1.2", {QueryService::move, QueryRoot::patient}},
    {"1.2.840.10008.5.1.4.1.2.1.3", {QueryService::get, QueryRoot::patient}},
    {"1.2.840.10008.5.1.4.1.2.2.1", {QueryService::find, QueryRoot::study}},
    {"1.2.840.10008.5.1.4.1.2.2.2", {QueryService::move, QueryRoot::study}},
    {"1.2.840.10008.5.1.4.1.2.2.3", {QueryService::get, QueryRoot::study}},
});

std::string_view sop_class(QueryService service, QueryRoot root) {
  for (const Model& entry : k_models) {
    if (entry.model.service == service && entry.model.root == root) {
      return entry.sop_class_uid;
    }
  }
  return {};
}

}  // namespace

std::string_view find_sop_class(QueryRoot root) { return sop_class(QueryService::find, root); }
std::string_view move_sop_class(QueryRoot root) { return sop_class(QueryService::move, root); }
std::string_view get_sop_class(QueryRoot root) { return sop_class(QueryService::get, root); }

std::optional<QueryModel> query_model(std::string_view sop_class_uid) {
  for (const Model& entry : k_models) {
    if (entry.sop_class_uid == sop_class_uid) {
      return entry.model;
    }
  }
  return std::nullopt;
}

std::string_view to_string(QueryLevel level) {
  switch (level) {
    case QueryLevel::patient:
      return "PATIENT";
    case QueryLevel::study:
      return "STUDY";
    case QueryLevel::series:
      return "SERIES";
    case QueryLevel::image:
      break;
  }
  return "IMAGE";
}

std::optional<QueryLevel> query_level(std::string_view value) {
  for (const QueryLevel level : {QueryLevel::patient, QueryLevel::study, QueryLevel::series, QueryLevel::image}) {
    if (to_string(level) == value) {
      return level;
    }
  }
  return std::nullopt;
}

}  // namespace kuva::dimse
