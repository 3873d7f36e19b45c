#pragma once

#include <kuva/cli/assertion_options.hpp>
#include <kuva/cli/target_options.hpp>
#include <kuva/core/time_zone.hpp>
#include <kuva/workflow/query.hpp>
#include <kuva/workflow/xds_settings.hpp>

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace kuva::cli {

// The command line of kuva-query; what of it is a setting of the query stands there.
struct QueryOptions {
  TargetOptions target;
  AssertionOptions assertion;
  workflow::QuerySettings query;
  std::string patient;
  bool check_id = true;
  bool images = false;
  bool documents = false;
  std::string from;
  std::string to;
  std::vector<std::string> parameters;
  std::vector<std::string> raw_parameters;
  std::vector<std::string> preliminary;
  std::vector<std::string> columns;
  std::string group;
  bool timeline = false;
  bool dry_run = false;
  std::string save_raw;
};

void add_query_options(CLI::App& app, QueryOptions& options);

// The settings with what stands in words: patient, local times, parameters. Errors: usage.argument, usage.patient-id.
workflow::QuerySettings query_settings(const QueryOptions& options, const workflow::XdsSettings& xds,
                                       const TimeZone& zone);

}  // namespace kuva::cli
