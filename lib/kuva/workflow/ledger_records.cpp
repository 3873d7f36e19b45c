#include <kuva/core/error_catalogue.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_records.hpp>
#include <kuva/workflow/ledger_rows.hpp>

#include <array>
#include <utility>

namespace kuva::workflow {

namespace {

using ledger::State;

// What a state means for how far the batch has come. Every live state is in exactly one.
std::string_view progress_of(State state) {
  switch (state) {
    case State::seen:
    case State::valid:
      return "waiting";
    case State::sending:
      return "underWay";
    case State::indeterminate:
      return "inDoubt";
    case State::stored:
    case State::stored_with_warning:
      return "stored";
    case State::committed:
    case State::registered:
      return "committed";
    case State::failed_temporary:
    case State::failed_permanent:
      return "failed";
    case State::skipped:
      return "skipped";
    case State::superseded:
      break;
  }
  return {};
}

Json days_of(ledger::Ledger& ledger) {
  Json days = Json::array();
  for (const ledger::DayCount& count : ledger.days()) {
    if (days.empty() || days.back()["day"] != count.day) {
      days.push_back(Json{{"day", count.day}, {"attempts", 0}, {"bytes", 0}, {"outcomes", Json::object()}});
    }
    Json& day = days.back();
    day["attempts"] = day["attempts"].get<std::uint64_t>() + count.attempts;
    day["bytes"] = day["bytes"].get<std::uint64_t>() + count.bytes;
    day["outcomes"][count.outcome] = count.attempts;
  }
  return days;
}

Json retrievals_of(ledger::Ledger& ledger) {
  Json retrievals = Json::array();
  for (const ledger::RetrievalCounts& counts : ledger.retrieval_counts()) {
    retrievals.push_back(Json{{"source", counts.source},
                              {"studies", counts.studies},
                              {"complete", counts.complete},
                              {"inPart", counts.in_part},
                              {"incomplete", counts.studies - counts.complete - counts.in_part},
                              {"expected", counts.expected},
                              {"retrieved", counts.retrieved},
                              {"failed", counts.failed}});
  }
  return retrievals;
}

std::string csv_value(std::string_view value) {
  if (value.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(value);
  }
  std::string text = "\"";
  for (const char c : value) {
    text += c == '"' ? "\"\"" : std::string(1, c);
  }
  return text + "\"";
}

}  // namespace

Json ledger_status_record(ledger::Ledger& ledger, const std::string& name) {
  Json record = make_record("ledger", k_ledger_tool, "shown", true);
  record["ledger"] = path_to_json(name);
  put_text(record, "target", ledger.target_identity());
  std::uint64_t instances = 0;
  std::uint64_t bytes = 0;
  std::uint64_t remaining = 0;
  Json states = Json::object();
  Json progress = Json::object();
  for (const char* part : {"waiting", "underWay", "inDoubt", "stored", "committed", "failed", "skipped"}) {
    progress[part] = 0;
  }
  for (const ledger::StateCount& count : ledger.counts()) {
    if (count.instances == 0) {
      continue;
    }
    states[std::string(ledger::to_string(count.state))] = count.instances;
    if (count.state == State::superseded) {
      continue;
    }
    instances += count.instances;
    bytes += count.bytes;
    Json& part = progress[std::string(progress_of(count.state))];
    part = part.get<std::uint64_t>() + count.instances;
    if (!ledger::is_done_for_sending(count.state)) {
      remaining += count.instances;
    }
  }
  record["instances"] = instances;
  record["bytes"] = bytes;
  record["progress"] = std::move(progress);
  record["states"] = std::move(states);
  const ledger::StudyCounts studies = ledger.study_counts();
  record["studies"] =
      Json{{"total", studies.studies}, {"done", studies.done}, {"failed", studies.failed}, {"held", studies.held}};
  if (Json retrievals = retrievals_of(ledger); !retrievals.empty()) {
    record["retrievals"] = std::move(retrievals);
  }
  record["remaining"] = remaining;
  if (const ledger::Rate rate = ledger.rate(); rate.elapsed_ms > 0 && rate.instances > 1) {
    const double seconds = static_cast<double>(rate.elapsed_ms) / 1000.0;
    const double per_second = static_cast<double>(rate.instances) / seconds;
    record["rate"] = Json{{"instances", rate.instances},
                          {"elapsed", rate.elapsed_ms},
                          {"instancesPerHour", static_cast<std::uint64_t>(per_second * 3600)},
                          {"bytesPerSecond", static_cast<std::uint64_t>(static_cast<double>(rate.bytes) / seconds)}};
    if (remaining != 0) {
      record["eta"] = static_cast<std::uint64_t>(static_cast<double>(remaining) / per_second * 1000);
    }
  }
  record["days"] = days_of(ledger);
  if (const auto runs = ledger.runs(1); !runs.empty()) {
    const ledger::Run& run = runs.front();
    Json last{{"id", run.id}, {"tool", run.tool}, {"started", run.started}};
    put_text(last, "ended", run.ended);
    if (run.exit_code) {
      last["exitCode"] = *run.exit_code;
    }
    put_text(last, "configuration", run.configuration_digest);
    record["lastRun"] = std::move(last);
  }
  return record;
}

Json failure_record(const ledger::FailureGroup& group) {
  Json record = make_record("failure", k_ledger_tool, ledger::to_string(group.state), true);
  record["code"] = group.error_code;
  put_text(record, "class", group.error_class);
  record["instances"] = group.instances;
  record["studies"] = group.studies;
  if (const ErrorKind* const known = find_kind(group.error_code)) {
    record["meaning"] = known->meaning;
    record["hint"] = known->hint;
  }
  Json example = Json::object();
  example["path"] = path_to_json(group.example_path);
  put_text(example, "StudyInstanceUID", group.example_study_instance_uid);
  put_text(example, "SOPInstanceUID", group.example_sop_instance_uid);
  put_text(example, "message", group.example_message);
  record["example"] = std::move(example);
  return record;
}

Json instance_record(const ledger::Instance& instance, std::string_view tool, bool again) {
  const bool failed = is_told_as_failed(instance.state);
  Json record = again ? make_record("instance", tool, outcome::valid, true)
                      : make_record("instance", tool, outcome_of(instance.state), !failed);
  put_instance(record, instance);
  if (again) {
    return record;
  }
  if (instance.state == State::skipped) {
    put_text(record, "reason", instance.error_message);
  } else if (instance.state == State::superseded) {
    record["reason"] = "superseded: the file has changed since, or is gone";
  }
  Json state{
      {"state", ledger::to_string(instance.state)}, {"attempts", instance.attempts}, {"updated", instance.updated}};
  put_text(state, "transactionUID", instance.transaction_uid);
  put_text(state, "digest", instance.digest);
  record["ledger"] = std::move(state);
  if (failed) {
    record["error"] = failure_of(instance).to_json();
  }
  return record;
}

std::string csv_header() {
  return "path,size,StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,SOPClassUID,TransferSyntaxUID,Modality,StudyDate,"
         "AccessionNumber,state,errorCode,errorMessage,attempts,updated,transactionUID,digest\r\n";
}

std::string csv_line(const ledger::Instance& instance) {
  const Json path = path_to_json(instance.file.path);
  const std::array<std::string, 17> values{path.is_string() ? path.get<std::string>() : to_line(path),
                                           std::to_string(instance.file.size),
                                           instance.study_instance_uid,
                                           instance.series_instance_uid,
                                           instance.sop_instance_uid,
                                           instance.sop_class_uid,
                                           instance.transfer_syntax_uid,
                                           instance.modality,
                                           instance.study_date,
                                           instance.accession_number,
                                           std::string(ledger::to_string(instance.state)),
                                           instance.error_code,
                                           instance.error_message,
                                           std::to_string(instance.attempts),
                                           instance.updated,
                                           instance.transaction_uid,
                                           instance.digest};
  std::string line;
  for (const std::string& value : values) {
    line += (line.empty() ? "" : ",") + csv_value(value);
  }
  return line + "\r\n";
}

}  // namespace kuva::workflow
