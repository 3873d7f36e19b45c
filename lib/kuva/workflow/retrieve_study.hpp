#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/time.hpp>
#include <kuva/workflow/retrieve.hpp>
#include <kuva/workflow/retrieve_ledger.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <semaphore>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

// What the parts of one run share. Thread-safe.
class RetrieveRun {
 public:
  RetrieveRun(RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
              const RetrieveSettings& settings, std::stop_token stop, RunLimits* limits = nullptr,
              RetrieveLedger* ledger = nullptr);

  RecordSink& sink() { return m_sink; }
  Observer& observer() { return m_observer; }
  Accounting& accounting() { return m_accounting; }
  const Target& target() const { return m_target; }
  const RetrieveSettings& settings() const { return m_settings; }
  Landing& landing() { return m_landing; }
  const std::stop_token& stop() const { return m_stop; }
  // Of what did not come because the run is to stop: the limit that it came to, or interrupted.
  Error why_stopped() const;
  // Null where there is none; `sink` is then before it.
  RetrieveLedger* ledger() const { return m_ledger; }
  // Waits, unless the run is to stop: then false.
  bool pause(std::chrono::milliseconds duration) const;

  // Calls task(0) ... task(count - 1), several at the same time as far as --jobs goes over the whole run. What they
  // throw is thrown once all have ended.
  void in_parallel(std::size_t count, const std::function<void(std::size_t)>& task);
  // Held by each thread that talks to the archive.
  std::counting_semaphore<>& slots() { return m_slots; }
  unsigned jobs() const { return m_jobs; }

  // Numbers for the summary and for who looks on.
  struct Totals {
    std::uint64_t expected = 0;
    std::uint64_t received = 0;
    std::uint64_t already_there = 0;
    std::uint64_t passed_on = 0;  // not here any more: by the ledger the next archive has them
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;
  };
  void add(const Totals& totals);
  void came(std::uint64_t bytes) { m_bytes.fetch_add(bytes, std::memory_order_relaxed); }
  void show_progress(bool one_done, bool one_failed);
  Json totals() const;
  void count_document(std::string_view outcome);
  Json documents() const;  // by outcome

 private:
  RecordSink& m_sink;
  Observer& m_observer;
  Accounting& m_accounting;
  const Target& m_target;
  const RetrieveSettings& m_settings;
  Landing m_landing;
  std::stop_token m_stop;
  RunLimits* m_limits;
  RetrieveLedger* m_ledger;
  unsigned m_jobs;
  std::counting_semaphore<> m_slots;
  mutable std::mutex m_mutex;
  Totals m_totals;
  std::map<std::string, std::uint64_t, std::less<>> m_documents;
  std::uint64_t m_done = 0;
  std::uint64_t m_failed = 0;
  std::atomic<std::uint64_t> m_bytes{0};
};

// An instance that is to come.
struct WantedInstance {
  std::string sop_instance_uid;
  std::string series;
  std::string sop_class_uid;        // empty: not known
  std::string transfer_syntax_uid;  // as stored; empty: not known
  std::string location;             // Retrieve Location UID of the manifest
  std::string url;                  // Retrieve URL of the manifest
  Json record;                      // of an earlier stage, or null
};

// What is wanted of one study.
struct StudyOrder {
  std::string study;
  std::vector<std::string> series;        // these alone; empty: all
  std::vector<WantedInstance> instances;  // as far as they are known
  bool closed = false;                    // those and no others
  bool key_images = false;                // first the key object selections, then what they refer to, and no others
  std::optional<std::uint64_t> expected;  // instances, where the list is not known
  std::optional<std::uint64_t> bytes;
  std::string home;  // home community, repository of the manifest's entry
  std::string repository;
  std::string url;  // of the study, where the metadata has one
};

// One study while it is retrieved: what is expected, what has come, what failed. Each instance that is expected or
// comes leaves as exactly one record. Thread-safe: the requester's threads and the receiving ones share it.
class StudyRetrieval {
 public:
  StudyRetrieval(RetrieveRun& run, StudyOrder order, RetrieveVia via);
  StudyRetrieval(const StudyRetrieval&) = delete;
  StudyRetrieval& operator=(const StudyRetrieval&) = delete;

  // Where all of it is there already, or was: concludes it without asking anybody. With a ledger that knows the whole
  // study, and where the order names its instances. Errors: as conclude.
  bool conclude_without_asking();

  const StudyOrder& order() const { return m_order; }
  RetrieveVia via() const { return m_via; }

  // One more instance that is to come; those that are there whole already leave at once, and so does the record of one
  // that is expected already (duplicate). One thread expects.
  void expect(WantedInstance instance);
  // The list of what is expected is known.
  bool has_list() const;
  // With key_images: the rest of the list waits for the key object selections (PS3.3 A.35.4).
  bool is_choosing() const { return m_is_choosing; }
  // They have come as far as they will: what they refer to is expected, the rest is not. Nothing where they refer to
  // anything, else why not: retrieve.no-match.
  std::optional<Error> choose_key_images();
  std::vector<WantedInstance> outstanding() const;
  std::size_t outstanding_count() const;  // those that may still come
  // Something of it is there.
  bool has_any() const;
  bool is_outstanding(const std::string& sop_instance_uid) const;

  // Whether an object with these UIDs is of this retrieval. Empty UIDs are not known (yet).
  bool takes(const Landing::Identity& identity) const;
  // It has come and is there. `facts` go into its record (`retrieve`).
  void arrived(const Landing::Landed& landed, Json facts);
  // It could not be taken, or the peer says that it will not come. The first cause counts; after a permanent one it is
  // not asked for again.
  void failed(const std::string& sop_instance_uid, const Error& error);

  // What was missing of what is known of a wanted instance.
  void locate(const WantedInstance& instance);
  // The transfer syntaxes in which wanted instances of a SOP class are stored, as far as they are known.
  std::set<std::string> stored_syntaxes(const std::string& sop_class_uid) const;
  // Nothing more can be taken (the disk is full).
  std::optional<Error> hopeless() const;
  void give_up(const Error& error);

  // Something moves.
  void touch() { m_touched.store(std::chrono::steady_clock::now().time_since_epoch().count()); }
  std::chrono::steady_clock::duration quiet_for() const;
  // Objects that came, repeated ones included.
  std::uint64_t arrivals() const { return m_arrivals; }
  // Waits until nothing is outstanding, at most so long without progress.
  bool wait_for_rest(std::chrono::milliseconds grace, const std::stop_token& stop);

  // What the peer says of its side (C-MOVE): added up over requests.
  void claim(std::uint64_t completed, std::uint64_t failed, std::uint64_t warning);
  std::uint64_t claimed() const;
  void count_request() { ++m_requests; }

  // The end: what is outstanding leaves as failed with `error` (or an earlier cause of its own), then the record of the
  // study. Without an error what is outstanding has retrieve.not-received. Errors: local.write.
  void conclude(const std::optional<Error>& error);
  // The end of a dry run.
  void conclude_planned();

 private:
  enum class State { outstanding, there, failed };
  struct Instance {
    WantedInstance wanted;
    State state = State::outstanding;
    bool final = false;
    std::optional<Error> error;
  };

  bool is_known(const std::string& sop_instance_uid) const;
  bool hold(WantedInstance& instance);
  void drop_held();
  void keep_key_object(const Landing::Landed& landed);
  Json start_record(Json earlier) const;
  void look_into_ledger();
  void take_known(const RetrieveLedger::Known& known, Json earlier);
  void emit_there(Json earlier, const Landing::Landed& landed, Json facts, bool already);
  Json study_record(std::string_view outcome, bool ok) const;
  void emit_end(Json summary, const std::optional<Error>& cause, const RetrieveRun::Totals& totals);

  RetrieveRun& m_run;
  StudyOrder m_order;
  RetrieveVia m_via;
  bool m_is_whole;                // all of the study is wanted
  RetrieveLedger::Study m_known;  // of earlier runs
  bool m_is_resumed = false;      // nobody is asked
  bool m_is_kept = false;         // the ledger has the whole study as complete, and this is a part of it
  std::int64_t m_retrieval = 0;   // in the ledger
  mutable std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::map<std::string, Instance> m_instances;  // by SOP Instance UID
  bool m_has_list = false;
  std::atomic<bool> m_is_choosing;
  std::map<std::string, WantedInstance> m_held;      // by SOP Instance UID, until the key images are chosen
  std::vector<std::filesystem::path> m_key_objects;  // while they are waited for
  std::size_t m_outstanding = 0;
  std::optional<Error> m_hopeless;
  RetrieveRun::Totals m_totals;
  std::uint64_t m_unlisted = 0;  // came without being expected
  std::uint64_t m_claimed_completed = 0;
  std::uint64_t m_claimed_failed = 0;
  std::uint64_t m_claimed_warning = 0;
  std::atomic<std::uint64_t> m_arrivals{0};
  std::atomic<std::uint64_t> m_requests{0};
  std::atomic<std::chrono::steady_clock::rep> m_touched;
  std::chrono::steady_clock::time_point m_begun = std::chrono::steady_clock::now();
};

// Round after round, until nothing is outstanding, an error is permanent, or --retries is used up; then the retrieval
// is concluded. A round asks for what is outstanding and says what went wrong. Errors: local.write of the records.
using RetrieveRound = std::function<std::optional<Error>(bool first)>;
void retrieve_in_rounds(RetrieveRun& run, StudyRetrieval& retrieval, const RetrieveRound& round);

}  // namespace kuva::workflow
