#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/ledger_commands.hpp>
#include <kuva/workflow/ledger_records.hpp>
#include <kuva/workflow/ledger_report.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

namespace kuva::workflow {

namespace {

using ledger::Ledger;

constexpr std::size_t k_ledger_page = 1000;

void emit_item(const Json& record, RecordSink& sink, Accounting& accounting) {
  accounting.entered();
  sink.emit(record);
}

Json ledger_record(const std::string& where, std::string_view outcome) {
  Json record = make_record("ledger", k_ledger_tool, outcome, true);
  record["ledger"] = path_to_json(Ledger::display_name(where));
  return record;
}

// Only what is there can be looked after.
std::unique_ptr<Ledger> open_existing(const std::string& where) {
  if (!Ledger::is_shared(where) && ::access(where.c_str(), F_OK) != 0) {
    throw read_error(where, errno);
  }
  return Ledger::open(where, Ledger::Role::maintenance);
}

ledger::Filter filter_of(const LedgerExportSettings& settings) {
  ledger::Filter filter;
  for (const std::string& name : settings.states) {
    // "failed" is both of its kinds.
    if (name == "failed") {
      filter.states.insert(filter.states.end(), {ledger::State::failed_temporary, ledger::State::failed_permanent});
      continue;
    }
    const auto state = ledger::parse_state(name);
    if (!state) {
      throw Error(kind("usage.argument"), fmt::format("'{}' is no state; kuva-ledger(5) lists them", name));
    }
    filter.states.push_back(*state);
  }
  filter.error_codes = settings.error_codes;
  filter.study_instance_uid = settings.study;
  return filter;
}

}  // namespace

void ledger_create(const std::string& where, RecordSink& sink, Accounting& accounting) {
  Ledger::open(where, Ledger::Role::maintenance);
  emit_item(ledger_record(where, "created"), sink, accounting);
}

void ledger_status(const std::string& where, RecordSink& sink, Accounting& accounting) {
  const auto ledger = Ledger::open(where, Ledger::Role::reading);
  emit_item(ledger_status_record(*ledger, Ledger::display_name(where)), sink, accounting);
}

void ledger_failed(const std::string& where, RecordSink& sink, Accounting& accounting) {
  const auto ledger = Ledger::open(where, Ledger::Role::reading);
  for (const ledger::FailureGroup& group : ledger->failures()) {
    emit_item(failure_record(group), sink, accounting);
  }
}

void ledger_export(const std::string& where, RecordSink& sink, Accounting& accounting,
                   const LedgerExportSettings& settings, const std::stop_token& stop) {
  const ledger::Filter filter = filter_of(settings);
  const auto ledger = Ledger::open(where, Ledger::Role::reading);
  std::optional<AtomicFile> csv;
  if (!settings.csv.empty()) {
    csv.emplace(settings.csv, 0600);  // it holds identifiers
    csv->write(csv_header());
  }
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  Ledger::Position position;
  while (!stop.stop_requested()) {
    const auto page = ledger->next_instances(position, k_ledger_page, filter);
    if (page.empty()) {
      break;
    }
    for (const ledger::Instance& instance : page) {
      if (csv) {
        csv->write(csv_line(instance));
      } else {
        emit_item(instance_record(instance, k_ledger_tool, settings.again), sink, accounting);
      }
      ++rows;
      bytes += instance.file.size;
    }
  }
  if (csv) {
    if (stop.stop_requested()) {
      return;  // half of a table is none
    }
    csv->commit();
    Json record = ledger_record(where, "exported");
    record["instances"] = rows;
    record["bytes"] = bytes;
    record["csv"] = path_to_json(settings.csv.native());
    emit_item(record, sink, accounting);
  }
}

void ledger_merge(const std::string& where, const std::vector<std::string>& from, bool accept_target, RecordSink& sink,
                  Accounting& accounting, const std::stop_token& stop) {
  // First, so that nothing is made where one of them is not there.
  std::vector<std::unique_ptr<Ledger>> sources;
  for (const std::string& other : from) {
    sources.push_back(Ledger::open(other, Ledger::Role::reading));
  }
  const auto into = Ledger::open(where, Ledger::Role::maintenance);
  for (std::size_t i = 0; i < from.size() && !stop.stop_requested(); ++i) {
    const std::string& other = from[i];
    const auto& source = sources[i];
    const Ledger::Merged merged = into->merge_from(*source, accept_target, [&] { return stop.stop_requested(); });
    Json record = ledger_record(where, "merged");
    record["from"] = path_to_json(Ledger::display_name(other));
    record["added"] = merged.added;
    record["advanced"] = merged.advanced;
    record["unchanged"] = merged.unchanged;
    record["clashes"] = merged.clashes;
    if (merged.clashes != 0) {
      record["ok"] = false;
      set_error(record, Error(kind("batch.uid-clash"),
                              fmt::format("{} instances have the SOP Instance UID of another object", merged.clashes)));
    }
    emit_item(record, sink, accounting);
  }
}

void ledger_report(const std::string& where, const std::filesystem::path& html, RecordSink& sink,
                   Accounting& accounting, const std::stop_token& stop) {
  const auto ledger = Ledger::open(where, Ledger::Role::reading);
  if (write_ledger_report(*ledger, Ledger::display_name(where), html, stop)) {
    Json record = ledger_record(where, "exported");
    record["html"] = path_to_json(html.native());
    emit_item(record, sink, accounting);
  }
}

void ledger_vacuum(const std::string& where, RecordSink& sink, Accounting& accounting) {
  const auto ledger = open_existing(where);
  ledger->vacuum();
  emit_item(ledger_record(where, "vacuumed"), sink, accounting);
}

void ledger_check(const std::string& where, RecordSink& sink, Accounting& accounting) {
  const auto ledger = open_existing(where);
  const std::vector<std::string> faults = ledger->check();
  Json record = ledger_record(where, faults.empty() ? "sound" : "damaged");
  if (!faults.empty()) {
    record["ok"] = false;
    record["faults"] = faults;
    set_error(record,
              Error(kind("ledger.damaged"), fmt::format("{}: {}", Ledger::display_name(where), faults.front())));
  }
  emit_item(record, sink, accounting);
}

}  // namespace kuva::workflow
