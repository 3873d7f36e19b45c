#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_rows.hpp>

#include <sys/stat.h>

#include <filesystem>

namespace kuva::workflow {

namespace {

std::string_view outcome_of_state(ledger::State state) {
  switch (state) {
    case ledger::State::stored:
      return outcome::stored;
    case ledger::State::stored_with_warning:
      return outcome::stored_with_warning;
    case ledger::State::committed:
      return outcome::committed;
    case ledger::State::registered:
      return outcome::registered;
    case ledger::State::skipped:
      return outcome::skipped;
    case ledger::State::indeterminate:
    case ledger::State::sending:
      return outcome::indeterminate;
    case ledger::State::valid:
      return outcome::valid;
    case ledger::State::failed_temporary:
    case ledger::State::failed_permanent:
      return outcome::failed;
    case ledger::State::seen:
    case ledger::State::superseded:
      break;
  }
  return outcome::unsent;
}

}  // namespace

std::optional<ledger::State> state_of_record(const Json& record) {
  const std::string word = string_at(record, "outcome");
  if (word == outcome::failed || word == outcome::invalid) {
    const auto error = record.find("error");
    if (error != record.end() && string_at(*error, "code") == kind("commit.failed.no-such-instance").code) {
      return ledger::State::failed_temporary;  // the archive does not have it: it is to be sent (again)
    }
    const bool permanent =
        error == record.end() || !error->is_object() || string_at(*error, "class") == to_string(ErrorClass::permanent);
    return permanent ? ledger::State::failed_permanent : ledger::State::failed_temporary;
  }
  if (word == outcome::duplicate) {
    return ledger::State::skipped;
  }
  for (const ledger::State state :
       {ledger::State::valid, ledger::State::stored, ledger::State::stored_with_warning, ledger::State::indeterminate,
        ledger::State::committed, ledger::State::registered, ledger::State::skipped}) {
    if (word == outcome_of_state(state)) {
      return state;
    }
  }
  return std::nullopt;
}

Json record_of_row(const ledger::Instance& row, std::string_view tool) {
  Json record;
  if (!row.record.empty()) {
    record = Json::parse(row.record, nullptr, false);
  }
  if (!record.is_object()) {
    record = make_record("instance", tool, {}, false);
  }
  record["path"] = path_to_json(row.file.path);
  record["size"] = row.file.size;
  put_text(record, "StudyInstanceUID", row.study_instance_uid);
  put_text(record, "SeriesInstanceUID", row.series_instance_uid);
  put_text(record, "SOPInstanceUID", row.sop_instance_uid);
  put_text(record, "SOPClassUID", row.sop_class_uid);
  put_text(record, "TransferSyntaxUID", row.transfer_syntax_uid);
  put_text(record, "Modality", row.modality);
  return record;
}

Json resumed_record(Json record, const ledger::Instance& row, std::string_view tool) {
  const bool failed = row.state == ledger::State::failed_permanent || row.state == ledger::State::failed_temporary ||
                      row.state == ledger::State::indeterminate || row.state == ledger::State::sending;
  set_outcome(record, tool, outcome_of_state(row.state), !failed);
  if (row.state == ledger::State::skipped) {
    record["reason"] = row.error_message.empty() ? "not a DICOM object" : row.error_message;
  }
  if (failed) {
    const ErrorKind* which = find_kind(row.error_code);
    if (which != nullptr || row.error_code.empty()) {
      set_error(record, Error(which != nullptr ? *which : kind("store.no-response"), row.error_message));
    } else {  // a rule of kuva-validate
      set_error(record, Error(kind("file.malformed"), row.error_code + ": " + row.error_message));
    }
  }
  record["resumed"] = true;
  return record;
}

std::string ledger_path(const std::string& path) {
  if (path.empty() || path.front() == '/') {
    return path;
  }
  std::string_view relative = path;
  while (relative.starts_with("./")) {
    relative.remove_prefix(2);
  }
  return (std::filesystem::current_path() / relative).string();
}

std::optional<ledger::FileIdentity> identity_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  return ledger::FileIdentity{ledger_path(path), static_cast<std::uint64_t>(status.st_size),
                              std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

ledger::Instance row_of(const dicom::InstanceAttributes& attributes) {
  ledger::Instance row;
  row.sop_instance_uid = attributes.sop_instance_uid;
  row.sop_class_uid = attributes.sop_class_uid;
  row.transfer_syntax_uid = attributes.transfer_syntax_uid;
  row.series_instance_uid = attributes.series_instance_uid;
  row.study_instance_uid = attributes.study_instance_uid;
  row.study_date = attributes.study_date;
  row.patient_key = patient_key(attributes.patient_id, attributes.issuer_of_patient_id);
  row.accession_number = attributes.accession_number;
  row.modality = attributes.modality;
  return row;
}

ledger::Ledger::SameDataSet data_set_comparison(ledger::Ledger& ledger) {
  return [&ledger](const ledger::Instance& known, const ledger::Instance& added) -> std::optional<bool> {
    if (identity_of(known.file.path) == known.file) {
      return dicom::has_same_data_set(known.file.path, added.file.path);
    }
    const bool went_out = known.state != ledger::State::seen && known.state != ledger::State::valid &&
                          known.state != ledger::State::failed_temporary &&
                          known.state != ledger::State::failed_permanent;
    if (!went_out) {
      ledger.forget({&known.file.path, 1});
      return std::nullopt;
    }
    if (!known.digest.empty()) {
      return known.digest == dicom::data_set_digest(added.file.path);
    }
    if (known.file.size == added.file.size && known.file.mtime_ns == added.file.mtime_ns) {
      return true;
    }
    return std::nullopt;
  };
}

std::string patient_key(const std::string& patient_id, const std::string& issuer) {
  return issuer.empty() ? patient_id : patient_id + "^^^" + issuer;
}

}  // namespace kuva::workflow
