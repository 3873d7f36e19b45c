#include <kuva/cli/options.hpp>
#include <kuva/cli/query_options.hpp>
#include <kuva/cli/query_table.hpp>
#include <kuva/core/patient_id.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kuva::cli {

namespace {

enum class WantedStatus { approved, deprecated, all };

void apply(WantedStatus status, workflow::QuerySettings& query) {
  query.approved = status != WantedStatus::deprecated;
  query.deprecated = status != WantedStatus::approved;
}

void add_search_options(CLI::App& app, QueryOptions& options) {
  constexpr const char* k_group = "Search";
  const auto text = [&](const char* name, std::string& value, const char* type, const char* what) {
    app.add_option(name, value, what)->type_name(type)->group(k_group);
  };
  const auto list = [&](const char* name, std::vector<std::string>& value, const char* type, const char* what) {
    app.add_option(name, value, what)->type_name(type)->group(k_group)->allow_extra_args(false);
  };
  text("--patient", options.patient, "ID", "Personal identity code, ID@OID, or a CX");
  app.add_flag("!--no-id-check", options.check_id, "Take the patient's identifier as it is")->group(k_group);
  app.add_flag("--images", options.images, "Imaging studies only (manifests)")->group(k_group);
  app.add_flag("--documents", options.documents, "Documents only: reports, requests")->group(k_group);
  text("--from", options.from, "TIME", "Local time from which on: 2024, 2024-03-31, 2024-03-31T12:30");
  text("--to", options.to, "TIME", "Local time up to the end of which");
  list("--study-type", options.query.study_types, "CODE", "typeCode: CODE, or CODE^^SCHEME; of several any");
  list("--modality", options.query.modalities, "CODE", "Modality, in eventCodeList");
  list("--body-part", options.query.body_parts, "CODE", "Body part, in eventCodeList");
  list("--procedure", options.query.procedures, "CODE", "Procedure, in eventCodeList or typeCode");
  list("--specialty", options.query.specialties, "CODE", "practiceSettingCode");
  list("--accession", options.query.accessions, "ID", "Accession number, or a whole CXi");
  list("--study-uid", options.query.studies, "UID", "Study Instance UID");
  list("--document-id", options.query.document_ids, "ID",
       "uniqueId, or entryUUID with urn:uuid:; no patient is needed");
  app.add_option_function<std::string>(
         "--status",
         [&options](const std::string& word) {
           const auto status = word == "approved"     ? WantedStatus::approved
                               : word == "deprecated" ? WantedStatus::deprecated
                                                      : WantedStatus::all;
           apply(status, options.query);
         },
         "Of the entries (approved)")
      ->check(CLI::IsMember({"approved", "deprecated", "all"}).description(""))
      ->type_name("approved|deprecated|all")
      ->group(k_group);
  app.add_flag("--all-versions", options.query.all_versions, "Older versions and replaced entries too")->group(k_group);
  text("--stored-query", options.query.stored_query, "NAME",
       "Any stored query, by name or UUID, in place of the above");
  list("--param", options.parameters, "NAME=VALUE", "Its parameters; again: one more value; NAME&=VALUE: and");
  list("--raw-param", options.raw_parameters, "NAME=VALUE",
       "A parameter that is not known here, coded as it is to be sent");
  add_choice<xds::ReturnType>(app, "--returns", options.query.returns,
                              {{"LeafClass", xds::ReturnType::leaf_class}, {"ObjectRef", xds::ReturnType::object_ref}},
                              "Entries, or references to them (LeafClass)")
      ->group(k_group);
  add_number(app, "--page", options.query.page, 1, 1000, "Ask in two steps, for so many entries at a time")
      ->group(k_group);
}

void add_view_options(CLI::App& app, QueryOptions& options) {
  constexpr const char* k_group = "View";
  app.add_option("--text", options.query.text, "Only what has this in its metadata; * and ? stand for others")
      ->type_name("PATTERN")
      ->group(k_group);
  add_choice<workflow::SortKey>(app, "--sort", options.query.sort,
                                {{"newest", workflow::SortKey::newest},
                                 {"oldest", workflow::SortKey::oldest},
                                 {"title", workflow::SortKey::title},
                                 {"modality", workflow::SortKey::modality}},
                                "Order of the documents (newest)")
      ->group(k_group);
  app.add_option("--group-by", options.group, "study, codes, kind, institution, day, month or year")
      ->check(CLI::IsMember(group_names()).description(""))
      ->type_name("KEY")
      ->group(k_group);
  app.add_option("--columns", options.columns, "Of the table, with commas between (kuva-query(1))")
      ->delimiter(',')
      ->type_name("NAME,...")
      ->allow_extra_args(false)
      ->group(k_group);
  app.add_flag("--timeline", options.timeline, "As text, from the oldest to the newest with the gaps between")
      ->group(k_group);
  app.add_option("--preliminary", options.preliminary, "A code that marks preliminary reports, CODE^^SCHEME")
      ->type_name("CODE")
      ->allow_extra_args(false)
      ->group(k_group);
  app.add_flag("-n,--dry-run", options.dry_run, "Print the request and ask nothing")->group(k_group);
  app.add_option("--save-raw", options.save_raw, "Keep the messages as they went, in files of this directory")
      ->type_name("DIR")
      ->group(k_group);
}

void take_parameter(workflow::QuerySettings& query, const std::string& text, bool raw) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw usage_error(fmt::format("{} takes NAME=VALUE", raw ? "--raw-param" : "--param"));
  }
  const bool again = text[equals - 1] == '&';
  std::string name = text.substr(0, again ? equals - 1 : equals);
  if (name.front() != '$') {
    name.insert(name.begin(), '$');
  }
  const auto same = std::find_if(query.parameters.begin(), query.parameters.end(),
                                 [&](const xds::Parameter& one) { return one.name == name && one.raw == raw; });
  if (same == query.parameters.end() || again) {
    query.parameters.push_back({name, {text.substr(equals + 1)}, raw});
  } else {
    same->values.push_back(text.substr(equals + 1));
  }
}

void check_columns(const QueryOptions& options) {
  const auto names = column_names();
  for (const std::string& column : options.columns) {
    if (std::find(names.begin(), names.end(), column) == names.end()) {
      throw usage_error(fmt::format("--columns takes {}", fmt::join(names, ", ")));
    }
  }
}

std::optional<std::chrono::sys_seconds> local_time(const char* option, const std::string& text, const TimeZone& zone,
                                                   bool end) {
  const auto time = text.empty() ? std::nullopt : workflow::parse_local_time(text, zone, end);
  if (!text.empty() && !time) {
    throw usage_error(fmt::format("{} '{}' is no time such as 2024, 2024-03-31 or 2024-03-31T12:30", option, text));
  }
  return time;
}

}  // namespace

void add_query_options(CLI::App& app, QueryOptions& options) {
  app.add_option("-t,--target", options.target.target, "Which target of kuva.toml")->type_name("NAME")->group("Target");
  add_search_options(app, options);
  add_view_options(app, options);
  add_assertion_options(app, options.assertion);
}

workflow::QuerySettings query_settings(const QueryOptions& options, const workflow::XdsSettings& xds,
                                       const TimeZone& zone) {
  workflow::QuerySettings query = options.query;
  check_columns(options);
  if (!options.patient.empty()) {
    PatientIdRules rules;
    rules.hetu_authority = xds.hetu_authority;
    rules.temporary_authority = xds.temporary_id_authority;
    rules.check = options.check_id;
    query.patient = to_cx(read_patient_id(options.patient, rules));
  }
  query.images = options.images || !options.documents;
  query.documents = options.documents || !options.images;
  query.from = local_time("--from", options.from, zone, false);
  query.to = local_time("--to", options.to, zone, true);
  query.home = xds.home_community;
  query.preliminary_codes = workflow::default_preliminary_codes();
  query.preliminary_codes.insert(query.preliminary_codes.end(), options.preliminary.begin(), options.preliminary.end());
  for (const std::string& text : options.parameters) {
    take_parameter(query, text, false);
  }
  for (const std::string& text : options.raw_parameters) {
    take_parameter(query, text, true);
  }
  return query;
}

}  // namespace kuva::cli
