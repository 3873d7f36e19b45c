#pragma once

#include <kuva/workflow/run_limits.hpp>
#include <kuva/workflow/target.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace kuva::cli {

// How far a run goes: windows, time, counts, pace.
struct LimitOptions {
  workflow::RunLimitSettings settings;
  std::string windows;
  std::string time_zone;
};

// --window, --max-duration, --time-zone.
void add_time_limit_options(CLI::App& app, LimitOptions& options);
// Those, and the limits of a run that sends objects: counts, bytes, failures, pace.
void add_send_limit_options(CLI::App& app, LimitOptions& options);

// The time zone is that of --time-zone, else that of the target's [xds], else Europe/Helsinki.
// Errors: usage.config where there is no such zone.
workflow::RunLimitSettings limits_of(const LimitOptions& options, const workflow::Target& target);

}  // namespace kuva::cli
