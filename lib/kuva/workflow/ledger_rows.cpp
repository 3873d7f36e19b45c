#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_rows.hpp>

#include <fmt/format.h>

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_issuer_mark = "^^^";

bool has_gone_out(ledger::State state) {
  return state != ledger::State::seen && state != ledger::State::valid && state != ledger::State::failed_temporary &&
         state != ledger::State::failed_permanent;
}

// What the two files hold now; nothing where that of the known one cannot be read, or is another object.
std::optional<bool> compare_data_sets(const ledger::Instance& known, const ledger::Instance& added) {
  try {
    if (dicom::read_header(known.file.path).attributes.sop_instance_uid != known.sop_instance_uid) {
      return std::nullopt;
    }
    return dicom::has_same_data_set(known.file.path, added.file.path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::string_view outcome_of(ledger::State state) {
  switch (state) {
    case ledger::State::seen:
      return outcome::unsent;
    case ledger::State::valid:
      return outcome::valid;
    case ledger::State::sending:
    case ledger::State::indeterminate:
      return outcome::indeterminate;
    case ledger::State::stored:
      return outcome::stored;
    case ledger::State::stored_with_warning:
      return outcome::stored_with_warning;
    case ledger::State::committed:
      return outcome::committed;
    case ledger::State::registered:
      return outcome::registered;
    case ledger::State::failed_temporary:
    case ledger::State::failed_permanent:
      return outcome::failed;
    case ledger::State::skipped:
    case ledger::State::superseded:
      return outcome::skipped;
  }
  return {};
}

bool is_told_as_failed(ledger::State state) {
  return state == ledger::State::failed_permanent || state == ledger::State::failed_temporary ||
         state == ledger::State::indeterminate || state == ledger::State::sending;
}

void put_instance(Json& record, const ledger::Instance& row) {
  record["path"] = path_to_json(row.file.path);
  record["size"] = row.file.size;
  put_text(record, "StudyInstanceUID", row.study_instance_uid);
  put_text(record, "SeriesInstanceUID", row.series_instance_uid);
  put_text(record, "SOPInstanceUID", row.sop_instance_uid);
  put_text(record, "SOPClassUID", row.sop_class_uid);
  put_text(record, "TransferSyntaxUID", row.transfer_syntax_uid);
  put_text(record, "Modality", row.modality);
}

Error failure_of(const ledger::Instance& row) {
  const ErrorKind* const known = find_kind(row.error_code);
  if (known != nullptr || row.error_code.empty()) {
    return Error(known != nullptr ? *known : kind("store.no-response"), row.error_message);
  }
  return Error(kind("file.malformed"), row.error_code + ": " + row.error_message);  // a rule of kuva-validate
}

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
    if (word == outcome_of(state)) {
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
  put_instance(record, row);
  return record;
}

Json ended_record(Json record, const ledger::Instance& row, std::string_view tool) {
  const bool failed = is_told_as_failed(row.state);
  if (record.is_null() && row.record.empty()) {
    record = make_record("instance", tool, outcome_of(row.state), !failed);
    put_instance(record, row);
  } else {
    if (record.is_null()) {
      record = record_of_row(row, tool);
    }
    set_outcome(record, tool, outcome_of(row.state), !failed);
    record["path"] = path_to_json(row.file.path);
  }
  if (row.state == ledger::State::skipped) {
    record["reason"] = row.error_message.empty() ? "not a DICOM object" : row.error_message;
  }
  if (failed) {
    set_error(record, failure_of(row));
  }
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
  // No tool leaves the directory in which it began.
  static const std::string k_directory = std::filesystem::current_path().string();
  std::string absolute = k_directory;
  if (!absolute.ends_with('/')) {
    absolute += '/';
  }
  return absolute.append(relative);
}

std::optional<ledger::FileIdentity> identity_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  return ledger::FileIdentity{ledger_path(path), static_cast<std::uint64_t>(status.st_size),
                              std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::optional<ledger::FileIdentity> identity_of(const InventoryItem& item) {
  if (item.facts) {
    return ledger::FileIdentity{ledger_path(item.path), item.facts->size, item.facts->mtime_ns};
  }
  return identity_of(item.path);
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
    const std::optional<ledger::FileIdentity> there = identity_of(known.file.path);
    const bool is_gone = !there && (errno == ENOENT || errno == ENOTDIR);
    if (there && *there == known.file) {
      return compare_data_sets(known, added);
    }
    if (has_gone_out(known.state)) {
      if (!known.digest.empty()) {
        return known.digest == dicom::data_set_digest(added.file.path);
      }
      if (is_gone && known.file.size == added.file.size && known.file.mtime_ns == added.file.mtime_ns) {
        return true;
      }
      return std::nullopt;
    }
    if (is_gone) {
      ledger.forget({&known.file.path, 1});
      return std::nullopt;
    }
    return there ? compare_data_sets(known, added) : std::nullopt;
  };
}

std::string patient_key(const std::string& patient_id, const std::string& issuer) {
  return issuer.empty() ? patient_id : fmt::format("{}{}{}", patient_id, k_issuer_mark, issuer);
}

PatientKey split_patient_key(std::string_view key) {
  const std::size_t mark = key.find(k_issuer_mark);
  if (mark == std::string_view::npos) {
    return {std::string(key), {}};
  }
  return {std::string(key.substr(0, mark)), std::string(key.substr(mark + k_issuer_mark.size()))};
}

}  // namespace kuva::workflow
