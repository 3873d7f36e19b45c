#pragma once

#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/retrieve.hpp>
#include <kuva/workflow/run_limits.hpp>
#include <kuva/workflow/target.hpp>
#include <kuva/workflow/user_assertions.hpp>

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

struct ReconcileSettings {
  // What of the archive is asked: C-FIND; its registry, for the entry and the manifest; or what the target has.
  enum class By { automatic, find, registry, both };

  By by = By::automatic;
  std::vector<std::string> studies;  // Study Instance UIDs; empty: all of the ledger
  bool only_differences = false;     // studies that are equal are counted and have no record
  bool again = false;                // what is missing leaves as instances to be sent
  bool update = false;               // the ledger learns what was found
  double sample = 0;                 // studies in a hundred whose instances are retrieved and compared
  std::string sample_seed;           // another seed, other studies
  std::filesystem::path directory;   // for what is retrieved
  RetrieveVia via = RetrieveVia::automatic;
  std::string destination;                     // the AE title that C-MOVE names; empty: our own
  unsigned jobs = 0;                           // studies at the same time; 0: as many as the target takes associations
  bool phi_plain = false;                      // values that differ stand in the records
  std::shared_ptr<UserAssertions> assertions;  // of the XDS side; may be null
  RunLimitSettings limits;
};

// kuva-ledger reconcile: holds each study of a ledger against the archive. One record of type `reconciliation` for each
// study, then one of type `instance` for each of its instances that differ. A study that the archive could not be asked
// about is not-checked, never missing; what is not listed is asked for again in other ways before it is called missing.
//
// With `update`, an instance that is stored and missing becomes failed-temporary (reconcile.difference), so that
// kuva-send sends it again, and one in doubt that is listed becomes stored-with-warning, or stored where its content
// was compared too. What is committed or registered stays so: the archive has taken responsibility, and what became of
// it is for its keeper to say. The ledger has then been opened to be written in the role committing, and its run has
// begun.
//
// Memory does not depend on the number of studies or instances. Errors: usage.*, tls.config, ledger.*, local.write;
// that of the archive where one study after the other cannot be asked about.
void reconcile(ledger::Ledger& ledger, RecordSink& sink, Observer& observer, Accounting& accounting,
               const Target& target, const ReconcileSettings& settings, std::stop_token stop);

}  // namespace kuva::workflow
