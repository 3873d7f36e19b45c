#pragma once

#include <kuva/workflow/items.hpp>

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

// What kuva-ledger does. Errors of all: ledger.*, usage.argument, and those of the sink.

// Makes the tables of a ledger; one that is there stays as it is. Items are records of type ledger.
void ledger_create(const std::string& where, RecordSink& sink, Accounting& accounting);

// Items are records of type ledger: where a batch stands, in counts that add up.
void ledger_status(const std::string& where, RecordSink& sink, Accounting& accounting);

// Items are records of type failure: failed instances by error code, with one example and what to do.
void ledger_failed(const std::string& where, RecordSink& sink, Accounting& accounting);

struct LedgerExportSettings {
  std::vector<std::string> states;  // by name; empty: all that are live
  std::vector<std::string> error_codes;
  std::string study;
  bool again = false;         // as instances to be sent, without what became of them
  std::filesystem::path csv;  // a file for them in place of records
};
// Items are instances.
void ledger_export(const std::string& where, RecordSink& sink, Accounting& accounting,
                   const LedgerExportSettings& settings, const std::stop_token& stop);

// Items are records of type ledger, one for each ledger that is taken over.
void ledger_merge(const std::string& where, const std::vector<std::string>& from, bool accept_target, RecordSink& sink,
                  Accounting& accounting, const std::stop_token& stop);

// Writes the page of write_ledger_report. Items are records of type ledger.
void ledger_report(const std::string& where, const std::filesystem::path& html, RecordSink& sink,
                   Accounting& accounting, const std::stop_token& stop);

// Gives free space back.
void ledger_vacuum(const std::string& where, RecordSink& sink, Accounting& accounting);

// Brings an older ledger up to date and looks for damage; the record's error is ledger.damaged where there is some.
void ledger_check(const std::string& where, RecordSink& sink, Accounting& accounting);

}  // namespace kuva::workflow
