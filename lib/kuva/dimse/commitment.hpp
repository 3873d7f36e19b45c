#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/status.hpp>

#include <string>
#include <vector>

namespace kuva::dimse {

// Storage Commitment Push Model (PS3.4 annex J).
struct SopReference {
  std::string sop_class_uid;
  std::string sop_instance_uid;
};

struct CommitmentRequest {  // N-ACTION, PS3.4 J.3.2
  std::string transaction_uid;
  std::vector<SopReference> references;
};

struct CommitmentFailure {
  SopReference reference;
  std::uint16_t reason = 0;  // PS3.3 C.14.1.1
};

struct CommitmentReport {  // N-EVENT-REPORT, PS3.4 J.3.3
  std::string transaction_uid;
  std::vector<SopReference> committed;
  std::vector<CommitmentFailure> failed;
  std::string retrieve_ae_title;  // empty where not given or not common
};

dicom::DataSet to_data_set(const CommitmentRequest& request);
dicom::DataSet to_data_set(const CommitmentReport& report);
// Errors: Error association.protocol naming what is missing. Sloppy reports are read: an empty or absent list,
// both lists with event type 1.
CommitmentRequest read_commitment_request(const dicom::DataSet& data);
CommitmentReport read_commitment_report(const dicom::DataSet& data);

// The N-ACTION-RQ and N-EVENT-REPORT-RQ commands for these.
Command make_commitment_request_command(std::uint16_t message_id);
Command make_commitment_report_command(std::uint16_t message_id, const CommitmentReport& report);

}  // namespace kuva::dimse
