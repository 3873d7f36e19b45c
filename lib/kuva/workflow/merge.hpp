#pragma once

#include <kuva/workflow/adt_delivery.hpp>
#include <kuva/workflow/rows.hpp>

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

namespace kuva::workflow {

struct MergeSettings {
  enum class Kind { merge, change_id };  // A40, A47
  Kind kind = Kind::merge;
  bool dry_run = false;
  bool keep_demographics = false;  // a survivor without name, birth date and sex goes out as it is
  bool show_identifiers = false;   // in records
  bool same_archive = false;       // the history is of this archive, whatever address it notes
  // Instead of sending: somebody looked at the archive, and a merge in doubt was applied, or was not.
  enum class Settle { none, applied, not_applied };
  Settle settle = Settle::none;
  DeliverySettings delivery;
  std::filesystem::path state;
  // Asked before each merge with a sentence that names both patients; false leaves it. Empty: confirmed already.
  std::function<bool(const std::string&)> confirm;
};

// Merges the patient of column `from` into the one of column `into`, row by row in their order, and emits a record of
// type message for each. What would mix patients is refused before anything is sent (merge.*). A merge that an earlier
// run applied is not sent again; one that an earlier run sent and did not see answered is sent with the same MSH-10,
// and "merged with" the survivor (204) is then its confirmation. What went out once and was not confirmed stays in the
// history, and forbids what contradicts it, until it is confirmed or settled by hand. Errors: local.*, usage.*,
// tls.config.
void merge(RowSource& rows, RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
           const MergeSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
