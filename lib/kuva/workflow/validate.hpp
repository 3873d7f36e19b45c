#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/items.hpp>

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

struct ValidateSettings {
  ledger::Ledger* ledger = nullptr;  // gets a row of each file; null: none
  bool with_digests = false;         // in those rows: the files are read whole
  unsigned jobs = 0;                 // threads; 0: one a processor
  bool studies = true;               // study records at the end
  bool strict = false;               // a skipped file counts as failed
  bool phi_plain = false;            // patient values in findings unmasked
  enum class FailOn { error, warning, never } fail_on = FailOn::error;
  std::string profile;               // name or file; empty: the checks of the file's structure and of the batch alone
  std::string waivers;               // a file; empty: none
  std::vector<std::string> reports;  // "junit:FILE", "csv:FILE", "text:FILE"
};

// What --list-rules prints of a profile. Errors: usage.profile.
std::string list_rules(std::string_view profile);
// What --explain prints of a rule: as it is in the profile dicom, or the first that has it. Nothing where none has.
std::optional<std::string> explain_rule(std::string_view id);
// Errors: usage.argument where the text is no FORMAT:FILE.
void check_report(std::string_view report);

// kuva-validate: every file of the input is inspected, in parallel; records leave in the order of the input. Across the
// batch: UIDs that appear twice, one patient, accession number and study date a study. Study records at the end.
// With a ledger, and without studies, a profile, waivers and `strict`, files that it knows as good and that have not
// changed are not read again; their records leave with `resumed`. One of each study is read all the same.
// Memory does not grow with the number of files: the batch's state is in a temporary database.
// With a profile its rules are applied too (kuva-profiles(5)), findings have keyword, masked value, section and hint,
// and study records a view of the study. The summary is left to the caller. Errors: local.write, local.resource,
// usage.profile, usage.argument, ledger.*.
void validate(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting,
              const ValidateSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
