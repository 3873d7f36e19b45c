#pragma once

#include <kuva/dimse/commitment.hpp>
#include <kuva/sandbox/faults.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// A storage commitment request that has been answered 0000 and whose report is due; or a study whose availability is to
// be notified.
struct DueReport {
  std::filesystem::path file;
  std::string ae_title;  // whom to report to
  dimse::CommitmentRequest request;
  std::string study_instance_uid;  // of a notification, which has no request
  bool is_notification() const { return !study_instance_uid.empty(); }
  std::uint16_t failure_reason = 0;  // of every instance: the request itself was wrong
  std::vector<FaultRule> faults;     // of this run
  std::uint64_t association = 0;     // the one it came on, while that is open; 0: closed, or of an earlier run
  unsigned attempts = 0;             // in this run
  std::chrono::steady_clock::time_point due;
};

// The reports that are still to be delivered; each is a file in the archive until it has been delivered, so that a
// crash loses none. All members may be called from any thread.
class ReportQueue {
 public:
  // Reads what earlier runs left. Errors: local.read, local.write. A file that is not a report is left alone.
  ReportQueue(std::filesystem::path directory, bool durable);

  // Saves the request: when it returns, the report will be made. Errors: local.write.
  void add(DueReport report, std::chrono::milliseconds delay);
  // The same, and the report is the caller's until done() or retry().
  DueReport save(DueReport report);
  // Saves that the AE is to be notified of the study after the delay. One that waits already is put off, or brought
  // forward. Errors: local.write.
  void add_notification(const std::string& ae_title, const std::string& study_instance_uid,
                        std::chrono::milliseconds delay);
  // The association is gone: its reports may go another way.
  void association_closed(std::uint64_t association);

  using Fits = std::function<bool(const DueReport&)>;
  // A report that is due and fits, now the caller's until done() or retry().
  std::optional<DueReport> take(const Fits& fits);
  // The same; waits for one until stop(), then returns nothing.
  std::optional<DueReport> wait(const Fits& fits);
  void done(const DueReport& report);
  // Once more after the delay.
  void retry(DueReport report, std::chrono::milliseconds delay);
  void stop();
  std::size_t pending();

 private:
  std::optional<DueReport> take_locked(const Fits& fits);
  void load();

  std::filesystem::path m_directory;
  bool m_durable;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::list<DueReport> m_reports;
  bool m_stopped = false;
};

}  // namespace kuva::sandbox
