#include <kuva/cli/query_options.hpp>
#include <kuva/cli/query_table.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/query.hpp>
#include <kuva/workflow/registry_client.hpp>

#include <utility>

namespace {

using kuva::Json;
using kuva::cli::QueryOptions;
using kuva::workflow::QueryResult;
using kuva::workflow::QuerySettings;

constexpr kuva::cli::ToolInfo k_info{
    .name = "kuva-query",
    .usage = "[OPTION]... -t TARGET --patient ID",
    .description =
        "Searches a registry for a patient's imaging studies and documents (ITI-18, ITI-38): each becomes a record,\n"
        "and studies are joined with their reports.",
    .examples =
        "  kuva-query -t kanta --patient 010181-900C --images --from 2024 --modality CT\n"
        "  kuva-query -t kanta --patient 010181-900C --timeline\n"
        "  kuva-query -t kanta --patient 010181-900C --study-uid 1.2.3 | kuva-retrieve -t kanta --out priors\n"
        "  kuva-query -t kanta --stored-query GetFolders --param '$XDSFolderUniqueId=1.2.3'\n",
    .documents = "fhir|ehn",
};

void write(kuva::cli::Session& session, const QueryOptions& options, const QueryResult& result,
           const kuva::workflow::RecordSettings& settings) {
  using Format = kuva::cli::StandardOptions::Format;
  const Format format = session.options().format;
  auto records = kuva::cli::in_groups(kuva::workflow::to_records(result, settings), options.group);
  if (format == Format::fhir) {
    session.write_document(kuva::workflow::to_fhir(result));
  } else if (format == Format::ehn) {
    session.write_document(kuva::workflow::to_ehn(result, settings));
  } else if (session.writes_text()) {
    session.write_text(
        options.timeline
            ? kuva::cli::render_timeline(records)
            : kuva::cli::render_table(
                  records, {options.columns.empty() ? kuva::cli::default_columns() : options.columns, options.group}));
  }
  for (const Json& record : records) {
    kuva::workflow::count_found(record, session.accounting());
    if (session.writes_text() && kuva::string_at(record, "type") == "document") {
      session.accounting().left(record);  // it stands in the table
    } else {
      session.sink().emit(record);
    }
  }
}

// An assertion says of whom the search is.
kuva::soap::Security security(kuva::cli::Session& session, const QueryOptions& options, const QuerySettings& query,
                              const kuva::workflow::Target& target) {
  auto assertions = kuva::cli::make_assertions(options.assertion, target, session.observer());
  if (!assertions) {
    return {};
  }
  kuva::soap::CallFacts facts;
  facts.patient = query.patient;
  facts.home_community = query.home;
  return kuva::workflow::UserAssertions::provider(std::move(assertions), std::move(facts));
}

void run(kuva::cli::Session& session, const QueryOptions& options) {
  const auto target = session.target(options.target, kuva::cli::TargetNeeds::any);
  const kuva::workflow::XdsSettings& xds = kuva::workflow::xds_of(target);
  const kuva::workflow::RecordSettings settings{kuva::TimeZone::load(xds.time_zone), xds.transfer_rate};
  const QuerySettings query = kuva::cli::query_settings(options, xds, settings.zone);
  session.accounting().items_are({"document", "registry-object"});
  if (options.dry_run) {
    session.sink().emit(kuva::workflow::request_record(query, target));
    return;
  }
  kuva::workflow::RegistryClient registry(target, security(session, options, query, target), options.save_raw,
                                          session.observer());
  const QueryResult result = kuva::workflow::query(registry, query, session.stop_token());
  write(session, options, result, settings);
  kuva::workflow::summarise(result, query, session.accounting(), session.observer());
  if (result.error) {
    session.report(*result.error);
  }
}

}  // namespace

int main(int argc, char** argv) {
  QueryOptions options;
  return kuva::cli::run_tool(
      k_info, argc, argv, [&](CLI::App& app) { kuva::cli::add_query_options(app, options); },
      [&](kuva::cli::Session& session) { run(session, options); });
}
