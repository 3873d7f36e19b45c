#include <kuva/workflow/xds_settings.hpp>

namespace kuva::workflow {

namespace {

std::string find_or(const std::map<std::string, std::string>& table, const std::string& key,
                    const std::string& otherwise) {
  const auto found = table.find(key);
  return found == table.end() ? otherwise : found->second;
}

}  // namespace

std::string XdsSettings::repository(const std::string& unique_id) const {
  return find_or(repositories, unique_id, repository_url);
}

std::string XdsSettings::imaging_source(const std::string& location_uid) const {
  return find_or(imaging_sources, location_uid, imaging_source_url);
}

}  // namespace kuva::workflow
