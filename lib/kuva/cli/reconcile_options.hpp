#pragma once

#include <kuva/cli/assertion_options.hpp>
#include <kuva/cli/limit_options.hpp>
#include <kuva/cli/target_options.hpp>
#include <kuva/cli/tool.hpp>
#include <kuva/workflow/reconcile.hpp>

#include <CLI/CLI.hpp>

#include <span>
#include <string>

namespace kuva::cli {

// Of kuva-ledger reconcile.
struct ReconcileOptions {
  TargetOptions target;
  AssertionOptions assertion;
  LimitOptions limits;
  ReportOptions report;
  workflow::ReconcileSettings settings;
  std::string sample;     // "1", "2.5%"
  std::string directory;  // empty: that of the system
};

void add_reconcile_options(CLI::App& app, ReconcileOptions& options);
// Their names, which no other command of the tool takes.
std::span<const char* const> reconcile_option_names();

// Opens the ledger and compares it with the target. Errors: usage.*, those of workflow::reconcile.
void run_reconcile(Session& session, ReconcileOptions& options, const std::string& ledger, bool accept_target);

}  // namespace kuva::cli
