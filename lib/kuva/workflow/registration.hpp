#pragma once

#include <kuva/core/time.hpp>
#include <kuva/dimse/availability.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/transaction_store.hpp>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

namespace kuva::workflow {

// Registration by Instance Availability Notifications: stands between custody and the sink of a run. A committed
// instance is kept back until the archive has notified that it is available; it then leaves as registered. Everything
// else passes.
//
// What the archive notifies is kept in files, one a study, before it is told that we have it: a notification may come
// before the commitment report, or in an earlier run, and comes once. The latest word on an instance counts. Files of
// studies that nothing was heard of for k_keep are removed. What waits is in a temporary database. Thread-safe.
class Registrations : public RecordSink {
 public:
  // Errors: local.read, local.write.
  Registrations(RecordSink& sink, Observer& observer, TransactionStore& store, std::filesystem::path directory);
  ~Registrations() override;

  void emit(const Json& record) override;
  // Durable when it returns. Errors: local.read, local.write.
  void take(const dimse::AvailabilityNotification& notification);

  // Until nothing waits, or the deadline, or a stop. True when nothing is left.
  bool wait(Deadline deadline, std::stop_token stop);
  // What is committed and not registered leaves as pending, and into the store for a later run.
  void leave_pending();

  static constexpr std::chrono::hours k_keep{30 * 24};

 private:
  struct Waiting;
  struct Word {
    std::string sop_class_uid;
    std::string availability;
    std::string retrieve_ae_title;
    std::string notified_at;
  };
  using Words = std::map<std::string, Word>;  // by SOP Instance UID

  const Words& words_of(const std::string& study_uid);
  void save(const std::string& study_uid);
  bool register_if_available(Json& record);
  void remove_old();

  RecordSink& m_sink;
  Observer& m_observer;
  TransactionStore& m_store;
  std::filesystem::path m_directory;
  std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::unique_ptr<Waiting> m_waiting;
  std::string m_study;  // whose words are at hand
  Words m_words;
};

}  // namespace kuva::workflow
