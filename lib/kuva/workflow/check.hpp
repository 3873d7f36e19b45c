#pragma once

#include <kuva/workflow/items.hpp>
#include <kuva/workflow/target.hpp>

#include <stop_token>

namespace kuva::workflow {

struct CheckSettings {
  unsigned expiry_days = 30;  // a certificate that ends within these days is a warning
};

// kuva-send --check: configuration, DNS, TCP, TLS, association, C-ECHO, the storage SOP classes and transfer syntaxes
// that the peer takes, and storage commitment, each timed and a record of type `check`; it ends at the first step that
// fails. The last record is the conclusion: one sentence that says whose side it is on and what to do.
// Errors: local.write. What the peer does wrong is in the records.
void check(RecordSink& sink, Observer& observer, const Target& target, const CheckSettings& settings,
           std::stop_token stop);

}  // namespace kuva::workflow
