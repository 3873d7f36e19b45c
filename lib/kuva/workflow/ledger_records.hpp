#pragma once

#include <kuva/core/error.hpp>
#include <kuva/ledger/ledger.hpp>

#include <string>
#include <string_view>

namespace kuva::workflow {

inline constexpr std::string_view k_ledger_tool = "kuva-ledger";

// Where a batch stands. `instances` is the sum of `progress`; `states` has superseded rows besides.
Json ledger_status_record(ledger::Ledger& ledger, const std::string& name);

// A group of failures.
Json failure_record(const ledger::FailureGroup& group);

// An instance as the stages write it. `again`: as one that was found valid, whatever became of it.
Json instance_record(const ledger::Instance& instance, std::string_view tool, bool again);

// Of an instance as CSV (RFC 4180), with the newline.
std::string csv_header();
std::string csv_line(const ledger::Instance& instance);

}  // namespace kuva::workflow
