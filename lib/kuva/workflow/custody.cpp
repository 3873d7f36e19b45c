#include <kuva/core/record.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/workflow/custody.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace kuva::workflow {

namespace {

// What a report says of each instance, by SOP Instance UID.
class Verdicts {
 public:
  explicit Verdicts(const dimse::CommitmentReport& report) : m_report(report) {
    for (const dimse::SopReference& reference : report.committed) {
      m_committed.emplace(reference.sop_instance_uid, &reference);
    }
    // A UID in both lists is not confirmed.
    for (const dimse::CommitmentFailure& failure : report.failed) {
      m_failed.emplace(failure.reference.sop_instance_uid, &failure);
    }
  }

  // not_mentioned: the record is as it was. again: it is pending, for a reason that is none of the object's.
  enum class Verdict { settled, again, not_mentioned };
  // Puts what the report says into the record.
  Verdict apply(Json& record, const std::string& requested_at) const {
    const std::string uid = string_at(record, "SOPInstanceUID");
    const std::string sop_class = string_at(record, "SOPClassUID");
    Json commit;
    commit["transactionUID"] = m_report.transaction_uid;
    if (!m_report.retrieve_ae_title.empty()) {
      commit["retrieveAETitle"] = m_report.retrieve_ae_title;
    }
    commit["requestedAt"] = requested_at;
    commit["reportedAt"] = to_rfc3339(std::chrono::system_clock::now());
    if (const auto failed = m_failed.find(uid); failed != m_failed.end()) {
      commit["failureReason"] = dimse::hex(failed->second->reason);
      record["commit"] = std::move(commit);
      const Error error = dimse::commitment_failure(failed->second->reason);
      const bool again = error.kind().error_class == ErrorClass::temporary;
      set_outcome(record, k_commit_tool, again ? outcome::pending : outcome::failed, false);
      set_error(record, m_committed.contains(uid) ? contradicted(error) : error);
      return again ? Verdict::again : Verdict::settled;
    }
    const auto committed = m_committed.find(uid);
    if (committed == m_committed.end()) {
      return Verdict::not_mentioned;
    }
    record["commit"] = std::move(commit);
    const std::string& class_there = committed->second->sop_class_uid;
    if (class_there != sop_class) {
      set_outcome(record, k_commit_tool, outcome::failed, false);
      set_error(record, Error(kind("commit.failed.class-conflict"),
                              fmt::format("asked for {}, the archive committed it as {}", sop_class, class_there)));
      return Verdict::settled;
    }
    set_outcome(record, k_commit_tool, outcome::committed, true);
    return Verdict::settled;
  }

  // How many instances the report speaks of.
  std::size_t size() const {
    std::size_t both = 0;
    for (const auto& [uid, failure] : m_failed) {
      both += m_committed.contains(uid) ? 1U : 0U;
    }
    return m_committed.size() + m_failed.size() - both;
  }

 private:
  static Error contradicted(const Error& error) {
    Error marked(error.kind(), error.message() + "; the same report calls it committed, which is not believed");
    for (const auto& [key, value] : error.details().items()) {
      marked.with(key, value);
    }
    return marked;
  }

  const dimse::CommitmentReport& m_report;
  std::unordered_map<std::string, const dimse::SopReference*> m_committed;
  std::unordered_map<std::string, const dimse::CommitmentFailure*> m_failed;
};

void make_pending(Json& record, const std::string& transaction_uid, const std::string& requested_at,
                  const Error& error) {
  record["commit"] = Json{{"transactionUID", transaction_uid}, {"requestedAt", requested_at}};
  set_outcome(record, k_commit_tool, outcome::pending, false);
  set_error(record, error);
}

}  // namespace

Custody::Custody(RecordSink& sink, Observer& observer, TransactionStore& store)
    : m_sink(sink), m_observer(observer), m_store(store) {}

std::string Custody::open(std::vector<Json> records, const std::string& earlier) {
  TransactionStore::Transaction transaction;
  transaction.transaction_uid = dicom::make_uid();
  transaction.requested_at = to_rfc3339(std::chrono::system_clock::now());
  transaction.records = std::move(records);
  m_store.save(transaction);
  const std::lock_guard lock(m_mutex);
  m_open.emplace(transaction.transaction_uid, Open{});
  if (!earlier.empty()) {
    m_renewed.emplace(earlier, transaction.transaction_uid);
  }
  m_progress.seen += transaction.records.size();
  tell_progress();
  return transaction.transaction_uid;
}

dimse::CommitmentRequest Custody::request_of(const std::string& transaction_uid) const {
  dimse::CommitmentRequest request;
  request.transaction_uid = transaction_uid;
  std::set<std::string> seen;
  for (const Json& record : load(transaction_uid).records) {
    std::string uid = string_at(record, "SOPInstanceUID");
    if (seen.insert(uid).second) {
      request.references.push_back({string_at(record, "SOPClassUID"), std::move(uid)});
    }
  }
  return request;
}

std::string Custody::renew(const std::string& transaction_uid) {
  const std::lock_guard lock(m_mutex);
  const auto open = m_open.find(transaction_uid);
  if (open == m_open.end()) {
    return transaction_uid;  // a report came meanwhile: nothing is left to ask
  }
  TransactionStore::Transaction transaction = load(transaction_uid);
  transaction.transaction_uid = dicom::make_uid();
  transaction.requested_at = to_rfc3339(std::chrono::system_clock::now());
  m_store.save(transaction);
  m_store.remove(transaction_uid);
  Open renewed = open->second;
  renewed.acknowledged = false;
  renewed.reported = false;  // the new request has a report of its own
  m_open.emplace(transaction.transaction_uid, std::move(renewed));
  m_open.erase(open);
  m_renewed.emplace(transaction_uid, transaction.transaction_uid);
  return transaction.transaction_uid;
}

bool Custody::is_open(const std::string& transaction_uid) const {
  const std::lock_guard lock(m_mutex);
  return m_open.contains(transaction_uid);
}

// A transaction of ours whose file is gone cannot be settled, and must not be called so.
TransactionStore::Transaction Custody::load(const std::string& transaction_uid) const {
  std::optional<TransactionStore::Transaction> transaction = m_store.load(transaction_uid);
  if (!transaction) {
    throw Error(kind("local.read"), fmt::format("the state of transaction {} is gone", transaction_uid));
  }
  return std::move(*transaction);
}

// The transactions in which the instances of this one are asked for now: itself, or what came after it.
std::vector<std::string> Custody::current_uids(const std::string& transaction_uid) const {
  std::vector<std::string> current;
  std::vector<std::string> ahead{transaction_uid};
  while (!ahead.empty()) {
    const std::string uid = std::move(ahead.back());
    ahead.pop_back();
    const auto [first, last] = m_renewed.equal_range(uid);
    if (first == last) {
      current.push_back(uid);
    }
    for (auto later = first; later != last; ++later) {
      ahead.push_back(later->second);
    }
  }
  return current;
}

void Custody::acknowledged(const std::string& transaction_uid) {
  const std::lock_guard lock(m_mutex);
  const auto open = m_open.find(transaction_uid);
  if (open != m_open.end()) {  // otherwise the report came first, which is legal
    open->second.acknowledged = true;
  }
}

void Custody::request_failed(const std::string& transaction_uid, const Error& error, bool may_be_taken) {
  std::unique_lock lock(m_mutex);
  if (!m_open.contains(transaction_uid)) {
    return;  // settled by a report meanwhile
  }
  TransactionStore::Transaction transaction = load(transaction_uid);
  const bool is_open = may_be_taken || error.kind().error_class != ErrorClass::permanent;
  for (Json& record : transaction.records) {
    make_pending(record, transaction_uid, transaction.requested_at, error);
    if (!is_open) {
      record["outcome"] = outcome::failed;
    }
    m_sink.emit(record);
    ++m_progress.failed;
  }
  m_open.erase(transaction_uid);
  if (!is_open) {
    m_store.remove(transaction_uid);
  }
  tell_progress();
  m_changed.notify_all();
}

void Custody::report(const dimse::CommitmentReport& report) {
  const std::lock_guard lock(m_mutex);
  bool is_ours = false;
  bool is_repeated = false;
  for (const std::string& uid : current_uids(report.transaction_uid)) {
    if (m_open.contains(uid)) {
      settle(uid, report);
      is_ours = true;
    } else if (m_settled.contains(uid)) {
      is_repeated = true;
    }
  }
  if (is_ours) {
    return;
  }
  if (is_repeated) {
    m_observer.message(Observer::Level::detail,
                       fmt::format("the report of transaction {} came again", report.transaction_uid));
    return;
  }
  if (m_store.contains(report.transaction_uid)) {
    m_store.save_report(report);
    m_observer.message(
        Observer::Level::info,
        fmt::format("the report of transaction {} of an earlier run came; kuva-commit --resume takes it up",
                    report.transaction_uid));
    return;
  }
  m_observer.message(Observer::Level::warning,
                     fmt::format("a report came for transaction {}, which is not ours", report.transaction_uid));
}

// With the lock held. What the report leaves out is not confirmed: another report of this run may name it yet, or a
// later run asks again.
void Custody::settle(const std::string& transaction_uid, const dimse::CommitmentReport& report) {
  TransactionStore::Transaction transaction = load(transaction_uid);
  Open& open = m_open.at(transaction_uid);
  const Verdicts verdicts(report);
  std::set<std::string> named;
  std::vector<Json> left;
  bool is_complete = true;
  for (Json& record : transaction.records) {
    const std::string uid = string_at(record, "SOPInstanceUID");
    Json before = record;
    if (open.asked_later.contains(uid)) {
      left.push_back(std::move(before));
      continue;
    }
    const Verdicts::Verdict verdict = verdicts.apply(record, transaction.requested_at);
    if (verdict == Verdicts::Verdict::not_mentioned) {
      is_complete = false;
      left.push_back(std::move(before));
      continue;
    }
    named.insert(uid);
    m_sink.emit(record);
    ++(record["ok"].get<bool>() ? m_progress.done : m_progress.failed);
    if (verdict == Verdicts::Verdict::again) {
      left.push_back(std::move(before));
    }
  }
  for (const Json& record : left) {
    if (std::string uid = string_at(record, "SOPInstanceUID"); named.contains(uid)) {
      open.asked_later.insert(std::move(uid));
    }
  }
  // The report of an earlier transaction may rightly name more.
  if (report.transaction_uid == transaction_uid && verdicts.size() > named.size() && !open.reported) {
    m_observer.message(Observer::Level::warning,
                       fmt::format("the report of transaction {} names {} instances that were not asked for",
                                   transaction_uid, verdicts.size() - named.size()));
  }
  open.reported = true;
  if (left.empty()) {
    m_store.remove(transaction_uid);
  } else {
    m_store.save({transaction_uid, transaction.requested_at, std::move(left), std::nullopt});
  }
  if (is_complete) {
    m_open.erase(transaction_uid);
    m_settled.insert(transaction_uid);
  }
  tell_progress();
  m_changed.notify_all();
}

std::vector<Json> Custody::settle_earlier(const TransactionStore::Transaction& transaction) {
  std::vector<Json> open;
  const dimse::CommitmentReport none;
  const Verdicts verdicts(transaction.report ? *transaction.report : none);
  for (Json record : transaction.records) {
    Json before = record;
    if (verdicts.apply(record, transaction.requested_at) == Verdicts::Verdict::settled) {
      m_sink.emit(record);
    } else {
      open.push_back(std::move(before));
    }
  }
  return open;
}

bool Custody::wait(Deadline deadline, std::stop_token stop) {
  std::unique_lock lock(m_mutex);
  const auto settled = [this] {
    return std::all_of(m_open.begin(), m_open.end(), [](const auto& entry) { return entry.second.reported; });
  };
  return m_changed.wait_until(lock, stop, deadline.time_point(), settled);
}

void Custody::wait_for_rest(Deadline deadline, std::stop_token stop) {
  std::unique_lock lock(m_mutex);
  const auto settled = [this] {
    return std::none_of(m_open.begin(), m_open.end(), [](const auto& entry) { return entry.second.reported; });
  };
  m_changed.wait_until(lock, stop, deadline.time_point(), settled);
}

bool Custody::all_settled() const {
  const std::lock_guard lock(m_mutex);
  return m_open.empty();
}

void Custody::leave_pending() {
  const std::lock_guard lock(m_mutex);
  for (const auto& [uid, open] : m_open) {
    TransactionStore::Transaction transaction = load(uid);
    const Error error =
        open.reported
            ? Error(kind("commit.not-mentioned"), "the report names this instance neither committed nor failed")
            : Error(kind("commit.no-report"), open.acknowledged
                                                  ? "the archive took the request and has not reported yet"
                                                  : "the request was not answered");
    for (Json& record : transaction.records) {
      if (open.asked_later.contains(string_at(record, "SOPInstanceUID"))) {
        continue;  // has left
      }
      make_pending(record, uid, transaction.requested_at, error);
      m_sink.emit(record);
    }
  }
  m_open.clear();
}

void Custody::tell_progress() { m_observer.progress(m_progress); }

}  // namespace kuva::workflow
