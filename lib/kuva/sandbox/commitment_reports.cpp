#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/commitment_reports.hpp>

#include <algorithm>

namespace kuva::sandbox {

namespace {

constexpr std::uint16_t k_processing_failure = 0x0110;
constexpr std::string_view k_secondary_capture = "1.2.840.10008.5.1.4.1.1.7";

dimse::CommitmentReport make_report(Archive& archive, const DueReport& due) {
  dimse::CommitmentReport report;
  report.transaction_uid = due.request.transaction_uid;
  const FaultRule* const status = find_fault(due.faults, FaultAction::status);
  for (const dimse::SopReference& reference : due.request.references) {
    const std::uint16_t reason = status != nullptr         ? status->status
                                 : due.failure_reason != 0 ? due.failure_reason
                                                           : archive.check(reference);
    if (reason == 0) {
      report.committed.push_back(reference);
    } else {
      report.failed.push_back({reference, reason});
    }
  }
  return report;
}

// An instance that nobody asked for.
dimse::SopReference stranger() { return {std::string(k_secondary_capture), dicom::make_uid()}; }

// Leaves out the last half of what is said, and at least one.
void leave_out(dimse::CommitmentReport& report) {
  const std::size_t half = (report.committed.size() + report.failed.size() + 1) / 2;
  const std::size_t of_committed = std::min(half, report.committed.size());
  report.committed.resize(report.committed.size() - of_committed);
  report.failed.resize(report.failed.size() - std::min(half - of_committed, report.failed.size()));
}

// The first instance is called committed and failed, the last (of several) neither.
void contradict(dimse::CommitmentReport& report) {
  if (report.committed.size() > 1) {
    report.committed.pop_back();
  }
  if (!report.committed.empty()) {
    report.failed.push_back({report.committed.front(), k_processing_failure});
  }
}

}  // namespace

const FaultRule* find_fault(const std::vector<FaultRule>& faults, FaultAction action) {
  const auto found =
      std::find_if(faults.begin(), faults.end(), [action](const FaultRule& rule) { return rule.action == action; });
  return found == faults.end() ? nullptr : &*found;
}

std::vector<dimse::CommitmentReport> make_reports(Archive& archive, const DueReport& due,
                                                  const std::string& retrieve_ae_title) {
  const dimse::CommitmentReport whole = make_report(archive, due);
  dimse::CommitmentReport said = whole;
  if (find_fault(due.faults, FaultAction::partial) != nullptr) {
    leave_out(said);
  }
  if (find_fault(due.faults, FaultAction::both_lists) != nullptr) {
    contradict(said);
  }
  std::vector<dimse::CommitmentReport> reports;
  if (find_fault(due.faults, FaultAction::stranger) != nullptr) {
    reports.push_back({dicom::make_uid(), {stranger()}, {{stranger(), k_processing_failure}}, {}});
    said.committed.push_back(stranger());
  }
  reports.push_back(std::move(said));
  if (find_fault(due.faults, FaultAction::twice) != nullptr) {
    reports.push_back(whole);
  }
  for (dimse::CommitmentReport& report : reports) {
    if (!report.committed.empty()) {
      report.retrieve_ae_title = retrieve_ae_title;
    }
  }
  return reports;
}

}  // namespace kuva::sandbox
