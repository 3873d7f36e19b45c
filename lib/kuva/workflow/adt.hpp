#pragma once

#include <kuva/workflow/adt_delivery.hpp>
#include <kuva/workflow/rows.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

namespace kuva::workflow {

struct AdtSettings {
  std::string trigger = "A31";  // of update: A08 or A31
  bool dry_run = false;
  bool show_identifiers = false;  // in records
  DeliverySettings delivery;
  hl7::CheckProfile profile;  // of show and check, where no target has one
};

// Makes an update of each row and sends it: a record of type message each. Errors: local.*, tls.config.
void adt_update(RowSource& rows, RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
                const AdtSettings& settings, std::stop_token stop);
// Sends the messages of the files as they are, each checked first.
void adt_send(InputSource& input, RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
              const AdtSettings& settings, std::stop_token stop);
// Records of the messages of the files, with findings (valid, invalid).
void adt_check(InputSource& input, RecordSink& sink, Accounting& accounting, const AdtSettings& settings,
               std::stop_token stop);
// The same with every field, by the names of the standard.
void adt_show(InputSource& input, RecordSink& sink, Accounting& accounting, const AdtSettings& settings,
              std::stop_token stop);

struct ReceiveSettings {
  net::Endpoint bind;
  bool tls = true;
  net::TlsSettings tls_settings;
  std::filesystem::path directory;  // a file for each message, before it is acknowledged; empty: none
  std::uint64_t count = 0;          // ends after so many; 0: when it is stopped
};
// Acknowledges what comes (AA; AE with the findings where the message has errors) and emits a record each, after one of
// type listener that says where it listens. Until it is stopped. Errors: listen.failed, tls.config, local.*.
void adt_receive(RecordSink& sink, Observer& observer, Accounting& accounting, const ReceiveSettings& receive,
                 const AdtSettings& settings, std::stop_token stop);

// A directory, or a file with "DICM" at offset 128 (PS3.10 7.1).
bool holds_dicom(const std::string& path);

// A row for each patient of DICOM files. What cannot be read is a row with a defect, and so is a file that says
// otherwise of a patient than one before it: nobody knows which of them is right.
class DicomRows : public RowSource {
 public:
  explicit DicomRows(InputSource& input) : m_input(input) {}
  std::optional<Row> next() override;

 private:
  InputSource& m_input;
  std::map<std::string, std::string> m_seen;  // what was said of each patient, by id and authority
};

}  // namespace kuva::workflow
