#pragma once

#include <kuva/ledger/ledger.hpp>

#include <filesystem>
#include <stop_token>
#include <string>

namespace kuva::workflow {

// Writes where a batch stands as one HTML page that needs nothing from elsewhere: counts, charts, the list of what
// failed, the runs, and the digest of the table that `kuva-ledger export --csv` writes. Everything from outside is
// escaped. False when it was stopped, and then nothing is written. Errors: ledger.*, local.write.
bool write_ledger_report(ledger::Ledger& ledger, const std::string& name, const std::filesystem::path& file,
                         const std::stop_token& stop);

}  // namespace kuva::workflow
