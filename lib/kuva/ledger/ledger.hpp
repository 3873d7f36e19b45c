#pragma once

#include <kuva/core/error.hpp>
#include <kuva/ledger/state.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The durable state of a batch: one row an instance, in SQLite for one machine or in PostgreSQL for many. The tables
// are those of kuva-ledger(5). Errors of everything here: ledger.* of the catalogue; a message never holds a password.
namespace kuva::ledger {

// What tells whether a file is the one that was looked at.
struct FileIdentity {
  std::string path;           // bytes as the file system has them
  std::uint64_t size = 0;     // bytes
  std::int64_t mtime_ns = 0;  // since 1970
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// A row.
struct Instance {
  std::int64_t id = 0;
  FileIdentity file;
  std::string digest;  // SHA-256 of the data set in hex; empty where it was not computed
  std::string sop_instance_uid;
  std::string sop_class_uid;
  std::string transfer_syntax_uid;
  std::string series_instance_uid;
  std::string study_instance_uid;
  std::string study_date;   // DICOM DA
  std::string patient_key;  // Patient ID and issuer as one text, for --patients; never printed
  std::string accession_number;
  std::string modality;
  State state = State::seen;
  std::string error_code;     // of the catalogue
  std::string error_class;    // temporary, permanent, indeterminate, usage
  std::string error_message;  // without identifiers of a patient
  unsigned attempts = 0;
  std::string updated;          // RFC 3339 UTC; for people, nothing is decided by it
  std::string transaction_uid;  // of storage commitment
  std::string record;           // JSON of what an earlier stage said besides; may be empty
  std::string run;              // the last one that took it or decided on it
};

// What became of an instance that was taken, or asked about.
struct Verdict {
  std::int64_t instance = 0;  // 0: by path
  std::string path;
  State state = State::seen;
  std::string error_code;
  std::string error_class;
  std::string error_message;
  std::string transaction_uid;  // empty: stays as it is
  std::string record;           // empty: stays as it is
  std::string started;          // of the attempt, RFC 3339 UTC; empty: it was none, and no attempt is noted
  std::string ended;
};

// Who works, and with what. The command line without secrets.
struct RunFacts {
  std::string id;  // unique; empty: one is made
  std::string tool;
  std::string version;
  std::string command_line;
  std::string target;           // its name
  std::string target_identity;  // host:port and AE titles; empty: the run has no target
  std::string configuration_digest;
};

// Which studies, which of their instances, and in what order.
struct Selection {
  enum class Order { as_given, newest, oldest, listed };
  Order order = Order::as_given;  // listed: as `studies` has them
  // Failed ones instead of those that wait: every failed one, or those whose code is one of these or begins with
  // one and a dot ("store" is also store.out-of-resources).
  bool only_failed = false;
  std::vector<std::string> error_codes;
  std::vector<std::string> studies;   // Study Instance UIDs; empty: all
  std::vector<std::string> patients;  // patient keys; empty: all
};

// A study in this process's hands.
struct Study {
  std::int64_t id = 0;
  std::string study_instance_uid;
  std::string study_date;
  std::string patient_key;
  std::string accession_number;
  std::uint64_t instances = 0;  // live ones
};

struct StateCount {
  State state = State::seen;
  std::uint64_t instances = 0;
  std::uint64_t bytes = 0;
};

struct StudyCounts {
  std::uint64_t studies = 0;
  std::uint64_t done = 0;    // nothing waits, is under way, in doubt or has failed
  std::uint64_t failed = 0;  // with a failed instance
  std::uint64_t held = 0;    // in the hands of a run
};

struct DayCount {
  std::string day;  // 2026-11-22, UTC
  std::string outcome;
  std::uint64_t attempts = 0;
  std::uint64_t bytes = 0;
};

struct FailureGroup {
  State state = State::failed_permanent;
  std::string error_code;
  std::string error_class;
  std::uint64_t instances = 0;
  std::uint64_t studies = 0;
  std::string example_path;
  std::string example_sop_instance_uid;
  std::string example_study_instance_uid;
  std::string example_message;
};

struct Rate {
  std::uint64_t instances = 0;
  std::uint64_t bytes = 0;
  std::int64_t elapsed_ms = 0;  // between the first and the last; 0: not known
};

struct Run {
  std::string id, tool, version, command_line, target, target_identity, configuration_digest, started, ended, host;
  std::int64_t pid = 0;
  std::optional<int> exit_code;
  std::string summary;  // JSON
};

struct Attempt {
  std::int64_t id = 0;
  std::int64_t instance = 0;
  std::string run, tool, started, ended, outcome, error_code, message;
  unsigned number = 0;
};

// Which rows a listing has.
struct Filter {
  std::vector<State> states;             // empty: all but superseded
  std::vector<std::string> error_codes;  // as in Selection
  std::string study_instance_uid;
};

// Rows of a study, for a comparison with what the archive has.
struct StudyRow {
  std::int64_t id = 0;
  std::string study_instance_uid, study_date, accession_number;
  std::uint64_t instances = 0, stored = 0, committed = 0, failed = 0, skipped = 0, waiting = 0, bytes = 0;
};

// A study as it was last taken out of an archive (kuva-retrieve).
struct Retrieval {
  std::int64_t id = 0;
  std::string source;  // the archive: its address and AE title
  std::string study_instance_uid;
  std::uint64_t expected = 0;   // instances
  std::uint64_t retrieved = 0;  // of those, the ones that are there
  std::uint64_t failed = 0;
  bool complete = false;   // the whole study was asked for, and all of it is there
  std::string error_code;  // of the catalogue
  std::string run, started, ended;
};

// The retrievals from one archive.
struct RetrievalCounts {
  std::string source;
  std::uint64_t studies = 0;
  std::uint64_t complete = 0;  // of the studies
  std::uint64_t in_part = 0;   // of the studies: what was asked for is there, and it was not the whole study
  std::uint64_t expected = 0;  // instances, as the other two
  std::uint64_t retrieved = 0;
  std::uint64_t failed = 0;
};

// Thread-safe.
class Ledger {
 public:
  // In SQLite one process at a time has a role of the first three (a lock file beside the ledger names its pid);
  // maintenance wants all of them. Inventory and sending may both record files.
  enum class Role { inventory, sending, committing, reading, maintenance };

  // `where` is a file, or postgresql://[user@]host[:port]/database (a password in it is refused: ~/.pgpass has it).
  // Makes the tables and brings older ones up to date, unless the role is reading; a ledger that is only read must be
  // there. Errors: also usage.argument, local.read (not there).
  static std::unique_ptr<Ledger> open(const std::string& where, Role role);
  // True for a URL of PostgreSQL.
  static bool is_shared(std::string_view where);
  // The same as text for messages and records: a URL without user and parameters.
  static std::string display_name(std::string_view where);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Begins this process's run; before anything is claimed. Errors: ledger.other-target, unless `accept_target`.
  void begin_run(const RunFacts& facts, bool accept_target = false);
  // Gives back what the run holds.
  void end_run(int exit_code, const Json& summary);
  const std::string& run_id() const { return m_run; }

  // The live row of each path, in one statement.
  std::vector<std::optional<Instance>> find(std::span<const std::string> paths);

  // Whether two files hold the same data set; asked where a SOP Instance UID is there already under another path and
  // a digest is missing, outside of any transaction. Nothing where it cannot be known (the added one is then
  // failed_permanent, file.changed); `known` may be forgotten there, which asks no more. What it throws passes.
  using SameDataSet = std::function<std::optional<bool>(const Instance& known, const Instance& added)>;
  // Files that were looked at, in one transaction. A new path gets a row; a changed file (size or mtime_ns) makes the
  // old row superseded and gets a new one; else the state goes forward among seen, valid, skipped and
  // failed_permanent, and what was sent stays as it is. A copy of a known object becomes skipped
  // (error_message names the other path), another object with its UID makes both failed_permanent (batch.uid-clash;
  // what was stored stays so), and a study with such a pair is not claimed. Returns the rows as they are now, in the
  // order given.
  std::vector<Instance> record(std::span<const Instance> instances, const SameDataSet& same = {});
  // These files are gone.
  void forget(std::span<const std::string> paths);

  // The next study of the selection that has something to be sent and that nobody else holds. One pass over the
  // selection, whose lists are read at its first claim; nothing at its end. An instance is taken once a run. `lease`
  // matters in PostgreSQL, where it is the database's clock that counts; in SQLite the process's lock is the lease.
  // Marks no instance.
  std::optional<Study> claim_study(const Selection& selection, std::chrono::seconds lease);
  // The next claim begins anew.
  void rewind_claims();
  // Studies with something to be sent that other runs hold, or held until their leases were over: of those that the
  // last pass was for.
  std::uint64_t held_elsewhere();
  // Prolongs the lease; false where the study is no longer ours.
  bool renew(const Study& study, std::chrono::seconds lease);
  void release(const Study& study);
  // Up to `count` instances of a claimed study that this run has not had yet, in the order they were recorded. Those to
  // be sent come as sending, and are so on disk, durably, before it returns; those that may have been sent come as
  // indeterminate and are settled before they are sent. Nothing where the study is no longer ours.
  std::vector<Instance> take(const Study& study, std::size_t count);
  // Taken and not sent after all: back to what they were.
  void put_back(std::span<const std::int64_t> instances);
  // One transaction. Committed and registered never become less; what is stored becomes less by a commitment's report
  // alone (Role::committing), not by a late answer to a sender. A sender's failure says nothing about an instance that
  // another worker has taken since.
  void finish(std::span<const Verdict> verdicts);

  // A place in a listing; nothing is kept open between two pages.
  struct Position {
    std::int64_t study = 0;
    std::int64_t instance = 0;
    std::int64_t retrieval = 0;
  };
  // The next instances that are stored and not committed, study by study. `position` begins as {} and moves on.
  std::vector<Instance> next_uncommitted(Position& position, std::size_t count);
  // The next rows by their id, also superseded ones where the filter says so.
  std::vector<Instance> next_instances(Position& position, std::size_t count, const Filter& filter);
  std::vector<StudyRow> next_studies(Position& position, std::size_t count);
  std::vector<Attempt> next_attempts(Position& position, std::size_t count);

  std::vector<StateCount> counts();  // of every state, superseded too
  std::uint64_t waiting();           // instances that are to be sent, or to be settled and then sent
  StudyCounts study_counts();
  std::vector<DayCount> days();
  std::vector<FailureGroup> failures();
  // Of the last attempts, up to `attempts`.
  Rate rate(std::uint64_t attempts = 10'000);
  // First the one that was begun last, then by the times at which they began.
  std::vector<Run> runs(std::size_t latest);
  std::string target_identity();

  // A study is about to be retrieved; what an earlier retrieval from there landed stays known. Returns its id. It is
  // not complete until end_retrieval says so.
  std::int64_t begin_retrieval(const std::string& source, const std::string& study_instance_uid);
  // These rows came with it.
  void mark_retrieved(std::int64_t retrieval, std::span<const std::int64_t> instances);
  // Its numbers, by its id; `run` empty: the one that began it.
  void end_retrieval(const Retrieval& retrieval);
  std::optional<Retrieval> find_retrieval(const std::string& source, const std::string& study_instance_uid);
  // All that came with it, superseded rows too, in the order they were recorded.
  std::vector<Instance> retrieved_instances(const Retrieval& retrieval);
  std::vector<RetrievalCounts> retrieval_counts();
  // The next ones by their id.
  std::vector<Retrieval> next_retrievals(Position& position, std::size_t count);

  struct Merged {
    std::uint64_t added = 0;
    std::uint64_t advanced = 0;   // known here, and the other one knew more
    std::uint64_t unchanged = 0;  // known here as well or better
    std::uint64_t clashes = 0;    // one UID, two objects
  };
  // Takes over what another ledger knows: rows, runs, attempts and retrievals. Can be repeated. Errors:
  // ledger.other-target.
  Merged merge_from(Ledger& other, bool accept_target, const std::function<bool()>& stopped = {});
  // Gives free space back.
  void vacuum();
  // What is wrong with the database, a sentence each; nothing where it is sound.
  std::vector<std::string> check();

  class Impl;  // of this room

 private:
  explicit Ledger(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> m_impl;
  std::string m_run;
};

}  // namespace kuva::ledger
