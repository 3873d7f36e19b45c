#pragma once

#include <kuva/cli/tool.hpp>
#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/send.hpp>
#include <kuva/workflow/target.hpp>

#include <CLI/CLI.hpp>

#include <memory>
#include <optional>
#include <string>

namespace kuva::cli {

struct LedgerOptions {
  std::string where;
  bool accept_target = false;
  bool digest = false;
  // What of the ledger is sent, and when.
  std::string order;
  std::string only;
  std::string studies;
  std::string patients;
  std::string ready_command;
  std::chrono::milliseconds ready_timeout{60'000};
  std::chrono::milliseconds lease{120'000};
};

// --ledger; not with --dry-run, where there is that already.
void add_ledger_option(CLI::App& app, LedgerOptions& options);
// --digest, of tools that take an inventory. It and all below need --ledger.
void add_digest_option(CLI::App& app, LedgerOptions& options);
// --again, of kuva-retrieve.
void add_again_option(CLI::App& app, bool& again);
// --ledger and --accept-target.
void add_target_ledger_options(CLI::App& app, LedgerOptions& options);
// Those, and which of its studies are sent in which order.
void add_batch_options(CLI::App& app, LedgerOptions& options);

// A ledger that is open for one run of a tool, whose end it gets when the session ends.
class LedgerRun {
 public:
  using Role = ledger::Ledger::Role;
  // The ledger is of one destination; a source is only noted.
  enum class Peer { destination, source };
  // `target`: null where the tool talks to nobody. Errors: ledger.*.
  LedgerRun(const LedgerOptions& options, Role role, Session& session, const workflow::Target* target,
            Peer peer = Peer::destination);

  ledger::Ledger& ledger() { return *m_ledger; }

 private:
  std::shared_ptr<ledger::Ledger> m_ledger;
};

// Study Instance UIDs, one a line, or the column StudyInstanceUID of a CSV file. Errors: usage.argument, local.read.
std::vector<std::string> read_studies(const std::string& file, const std::stop_token& stop);

// What kuva-send does with it; which ledger it is is left open. Errors: usage.argument, local.read (the lists).
workflow::SendSettings::Batch batch_of(const LedgerOptions& options, std::stop_token stop);

}  // namespace kuva::cli
