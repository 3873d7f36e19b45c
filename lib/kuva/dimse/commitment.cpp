#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/commitment.hpp>

#include <fmt/format.h>

namespace kuva::dimse {

namespace {

void add_reference(dicom::DataSet& data, dicom::Tag sequence, const SopReference& reference) {
  dicom::DataSet& item = data.add_item(sequence);
  item.set_string(dicom::tags::referenced_sop_class_uid, reference.sop_class_uid);
  item.set_string(dicom::tags::referenced_sop_instance_uid, reference.sop_instance_uid);
}

SopReference read_reference(const dicom::DataSet& item) {
  return {item.string(dicom::tags::referenced_sop_class_uid), item.string(dicom::tags::referenced_sop_instance_uid)};
}

Error missing(std::string_view what) {
  return Error(kind("association.protocol"), fmt::format("the storage commitment message lacks {}", what));
}

std::string read_transaction_uid(const dicom::DataSet& data) {
  std::string uid = data.string(dicom::tags::transaction_uid);
  if (uid.empty()) {
    throw missing("Transaction UID (0008,1195)");
  }
  return uid;
}

// Retrieve AE Title is at the top or in the items (PS3.4 J.3.3.1.1); here it counts only when all items agree.
void note_retrieve_ae(const dicom::DataSet& item, bool& is_first, std::string& common) {
  const std::string title = item.string(dicom::tags::retrieve_ae_title);
  if (is_first) {
    common = title;
    is_first = false;
  } else if (common != title) {
    common.clear();
  }
}

}  // namespace

dicom::DataSet to_data_set(const CommitmentRequest& request) {
  dicom::DataSet data;
  data.set_string(dicom::tags::transaction_uid, request.transaction_uid);
  data.set_empty_sequence(dicom::tags::referenced_sop_sequence);
  for (const SopReference& reference : request.references) {
    add_reference(data, dicom::tags::referenced_sop_sequence, reference);
  }
  return data;
}

dicom::DataSet to_data_set(const CommitmentReport& report) {
  dicom::DataSet data;
  data.set_string(dicom::tags::transaction_uid, report.transaction_uid);
  if (!report.retrieve_ae_title.empty()) {
    data.set_string(dicom::tags::retrieve_ae_title, report.retrieve_ae_title);
  }
  for (const CommitmentFailure& failure : report.failed) {
    dicom::DataSet& item = data.add_item(dicom::tags::failed_sop_sequence);
    item.set_string(dicom::tags::referenced_sop_class_uid, failure.reference.sop_class_uid);
    item.set_string(dicom::tags::referenced_sop_instance_uid, failure.reference.sop_instance_uid);
    item.set_us(dicom::tags::failure_reason, failure.reason);
  }
  for (const SopReference& reference : report.committed) {
    add_reference(data, dicom::tags::referenced_sop_sequence, reference);
  }
  return data;
}

CommitmentRequest read_commitment_request(const dicom::DataSet& data) {
  CommitmentRequest request;
  request.transaction_uid = read_transaction_uid(data);
  const std::vector<dicom::DataSet>* const items = data.items(dicom::tags::referenced_sop_sequence);
  if (items == nullptr || items->empty()) {
    throw missing("Referenced SOP Sequence (0008,1199)");
  }
  request.references.reserve(items->size());
  for (const dicom::DataSet& item : *items) {
    request.references.push_back(read_reference(item));
    if (request.references.back().sop_class_uid.empty()) {
      throw missing("Referenced SOP Class UID (0008,1150)");
    }
    if (request.references.back().sop_instance_uid.empty()) {
      throw missing("Referenced SOP Instance UID (0008,1155)");
    }
  }
  return request;
}

CommitmentReport read_commitment_report(const dicom::DataSet& data) {
  CommitmentReport report;
  report.transaction_uid = read_transaction_uid(data);
  bool is_first = true;
  std::string common;
  if (const auto* const items = data.items(dicom::tags::referenced_sop_sequence)) {
    for (const dicom::DataSet& item : *items) {
      SopReference reference = read_reference(item);
      if (!reference.sop_instance_uid.empty()) {
        note_retrieve_ae(item, is_first, common);
        report.committed.push_back(std::move(reference));
      }
    }
  }
  if (const auto* const items = data.items(dicom::tags::failed_sop_sequence)) {
    for (const dicom::DataSet& item : *items) {
      SopReference reference = read_reference(item);
      if (!reference.sop_instance_uid.empty()) {
        report.failed.push_back({std::move(reference), item.us(dicom::tags::failure_reason).value_or(0)});
      }
    }
  }
  report.retrieve_ae_title = data.string(dicom::tags::retrieve_ae_title);
  if (report.retrieve_ae_title.empty()) {
    report.retrieve_ae_title = std::move(common);
  }
  return report;
}

Command make_commitment_request_command(std::uint16_t message_id) {
  Command command;
  command.field = CommandField::n_action_rq;
  command.message_id = message_id;
  command.requested_sop_class_uid = dicom::uids::storage_commitment_push_model;
  command.requested_sop_instance_uid = dicom::uids::storage_commitment_push_model_instance;
  command.action_type_id = 1;
  command.has_data_set = true;
  return command;
}

Command make_commitment_report_command(std::uint16_t message_id, const CommitmentReport& report) {
  Command command;
  command.field = CommandField::n_event_report_rq;
  command.message_id = message_id;
  command.affected_sop_class_uid = dicom::uids::storage_commitment_push_model;
  command.affected_sop_instance_uid = dicom::uids::storage_commitment_push_model_instance;
  command.event_type_id = report.failed.empty() ? std::uint16_t{1} : std::uint16_t{2};
  command.has_data_set = true;
  return command;
}

}  // namespace kuva::dimse
