#pragma once

#include <kuva/workflow/items.hpp>

#include <stop_token>
#include <string>

namespace kuva::workflow {

struct ValidateSettings {
  unsigned jobs = 0;       // threads; 0: one a processor
  bool studies = true;     // study records at the end
  bool strict = false;     // a skipped file counts as failed
  bool phi_plain = false;  // patient values in findings unmasked
  enum class FailOn { error, warning, never } fail_on = FailOn::error;
};

// kuva-validate: every file of the input is inspected, in parallel; records leave in the order of the input. Across the
// batch: UIDs that appear twice, one patient, accession number and study date a study. Study records at the end.
// Memory does not grow with the number of files: the batch's state is in a temporary database.
// The summary is left to the caller. Errors: local.write, local.resource.
void validate(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting,
              const ValidateSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
