#include <kuva/core/command.hpp>
#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/kos/document.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/ledger_send.hpp>
#include <kuva/workflow/pacing.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace kuva::workflow {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t k_inventory_batch = 1000;
constexpr std::size_t k_pages = 3;  // of the inventory, that wait for the ledger
constexpr std::size_t k_page = 1000;
// Taken at a time: each time costs a write that is forced to disk, and what is taken and not sent is asked about after
// a kill.
constexpr std::size_t k_take = 64;
// A worker with fewer jobs than this gets more.
constexpr std::size_t k_low = 32;
constexpr std::chrono::milliseconds k_feeding_pause{20};
// How often studies that others hold are looked at again.
constexpr std::chrono::milliseconds k_other_hands{2'000};
// A study of nothing but key object selections is no reason to keep them all in memory.
constexpr std::size_t k_most_held_back = 1000;

bool is_code_wanted(const std::string& code, const std::vector<std::string>& wanted) {
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&code](const std::string& each) {
           return code == each || code.starts_with(each + ".");
         });
}

// Whether a run with this selection sends it.
bool is_to_be_sent(const ledger::Instance& row, const ledger::Selection& selection) {
  if (!selection.only_failed) {
    return !ledger::is_done_for_sending(row.state);
  }
  return (row.state == ledger::State::failed_temporary || row.state == ledger::State::failed_permanent) &&
         is_code_wanted(row.error_code, selection.error_codes);
}

ledger::Filter waiting_rows(const ledger::Selection& selection) {
  ledger::Filter filter;
  if (selection.only_failed) {
    filter.states = {ledger::State::failed_temporary, ledger::State::failed_permanent};
    filter.error_codes = selection.error_codes;
  } else {
    filter.states = {ledger::State::seen, ledger::State::valid, ledger::State::failed_temporary,
                     ledger::State::indeterminate};
  }
  return filter;
}

}  // namespace

LedgerInventory::LedgerInventory(StoreRun& run, LedgerSink& sink, Accounting& accounting)
    : m_run(run),
      m_sink(sink),
      m_accounting(accounting),
      m_batch(run.settings().batch),
      m_studies(m_batch.selection.studies.begin(), m_batch.selection.studies.end()),
      m_patients(m_batch.selection.patients.begin(), m_batch.selection.patients.end()),
      m_thread([this] { work(); }) {}

LedgerInventory::~LedgerInventory() {
  {
    const std::lock_guard lock(m_mutex);
    m_ended = true;
  }
  m_changed.notify_all();
  m_thread.join();
}

void LedgerInventory::take(InventoryItem item) {
  if (std::optional<Json> passing = record_of_passing_item(item, k_send_tool)) {
    if (counts_as_item(item)) {
      leave(*std::move(passing));
    } else {
      m_run.emit(*std::move(passing));
    }
    return;
  }
  if (m_run.ending()) {
    StoreJob job;
    job.record = start_record(item, k_send_tool);
    m_accounting.entered();
    ++m_left;
    m_run.finish_unsent(std::move(job));
    return;
  }
  const std::optional<ledger::FileIdentity> file = identity_of(item);
  if (!file) {
    Json record = start_record(item, k_send_tool);
    set_outcome(record, k_send_tool, outcome::failed, false);
    set_error(record, read_error(item.path, errno));
    leave(std::move(record));
    return;
  }
  m_files.push_back({std::move(item), *file});
  if (m_files.size() >= k_inventory_batch) {
    hand_over();
  }
}

void LedgerInventory::hand_over() {
  std::unique_lock lock(m_mutex);
  m_changed.wait(lock, [this] { return m_failure || m_pages.size() < k_pages; });
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
  m_pages.push_back(std::exchange(m_files, {}));
  m_changed.notify_all();
}

void LedgerInventory::flush() {
  hand_over();
  std::unique_lock lock(m_mutex);
  m_changed.wait(lock, [this] { return m_failure || m_pages.empty(); });
  if (m_failure) {
    std::rethrow_exception(m_failure);
  }
}

void LedgerInventory::work() {
  std::unique_lock lock(m_mutex);
  for (;;) {
    m_changed.wait(lock, [this] { return m_ended || !m_pages.empty(); });
    if (m_ended) {
      return;
    }
    Page page = std::move(m_pages.front());
    lock.unlock();
    try {
      settle_all(std::move(page));
      lock.lock();
    } catch (...) {
      lock.lock();
      m_failure = std::current_exception();
      m_changed.notify_all();
      return;
    }
    m_pages.pop_front();
    m_changed.notify_all();
  }
}

void LedgerInventory::settle_all(Page files) {
  std::vector<std::string> paths;
  paths.reserve(files.size());
  for (const Looked& each : files) {
    paths.push_back(each.file.path);
  }
  std::vector<std::optional<ledger::Instance>> known = m_batch.ledger->find(paths);
  std::vector<ledger::Instance> rows;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (known[i] && known[i]->file == files[i].file) {
      settle(files[i], *std::move(known[i]), true);
    } else if (std::optional<ledger::Instance> row = look(files[i])) {
      rows.push_back(std::move(*row));
      places.push_back(i);
    }
  }
  if (!rows.empty()) {
    std::vector<ledger::Instance> recorded = m_batch.ledger->record(rows, data_set_comparison(*m_batch.ledger));
    for (std::size_t i = 0; i < recorded.size(); ++i) {
      settle(files[places[i]], std::move(recorded[i]), false);
    }
  }
  m_sink.leave(std::exchange(m_leaving, {}), k_send_tool);
  m_progress.done += files.size();
  m_progress.seen = m_progress.done;
  m_run.observer().progress(m_progress);
}

// The row of a file that is new or has changed; nothing where its record has left.
std::optional<ledger::Instance> LedgerInventory::look(Looked& looked) {
  ledger::Instance row;
  const auto fail = [&](const Error& error) {
    row.state = ledger::State::failed_permanent;
    row.error_code = error.kind().code;
    row.error_class = to_string(error.kind().error_class);
    row.error_message = error.message();
  };
  try {
    const dicom::Header header = dicom::read_header(looked.file.path);
    row = row_of(header.attributes);
    const std::string expected = looked.item.record ? string_at(*looked.item.record, "SOPInstanceUID") : std::string();
    if (const std::string reason = skip_reason(header.meta); !reason.empty()) {
      row.state = ledger::State::skipped;
      row.error_message = reason;
    } else if (!expected.empty() && expected != row.sop_instance_uid) {
      fail(Error(kind("file.changed"),
                 fmt::format("the file now holds {}, an earlier stage saw {}", row.sop_instance_uid, expected)));
    } else {
      row.state = looked.item.record && string_at(*looked.item.record, "outcome") == outcome::valid
                      ? ledger::State::valid
                      : ledger::State::seen;
      if (m_batch.with_digests) {
        row.digest = dicom::data_set_digest(looked.file.path);
      }
    }
  } catch (const Error& error) {
    if (&error.kind() == &kind("file.not-dicom")) {
      row.state = ledger::State::skipped;
      row.error_message = error.message();
    } else if (error.kind().exit_code == ExitCode::local_io || error.kind().error_class != ErrorClass::permanent) {
      Json record = start_record(looked.item, k_send_tool);
      set_outcome(record, k_send_tool, outcome::failed, false);
      set_error(record, error);
      leave(std::move(record));
      return std::nullopt;
    } else {
      fail(error);
    }
  }
  row.file = looked.file;
  if (looked.item.record) {
    row.record = to_line(*looked.item.record);
  }
  return row;
}

// What is to be sent waits for the second part; all else leaves.
void LedgerInventory::settle(Looked& looked, ledger::Instance&& row, bool is_known) {
  using Why = LedgerSink::Left::Why;
  const bool is_wanted_here = is_wanted(row);
  if (is_wanted_here && is_to_be_sent(row, m_batch.selection)) {
    return;
  }
  m_accounting.entered();
  ++m_left;
  LedgerSink::Left left;
  if (!is_wanted_here || !ledger::is_done_for_sending(row.state)) {
    left.why = Why::not_selected;
  } else {
    left.why = is_known ? Why::resumed : Why::ended;
  }
  left.row = std::move(row);
  if (looked.item.record) {
    left.record = std::move(*looked.item.record);
  }
  m_leaving.push_back(std::move(left));
}

void LedgerInventory::leave(Json record) {
  m_accounting.entered();
  ++m_left;
  m_run.emit(std::move(record));
}

bool LedgerInventory::is_wanted(const ledger::Instance& row) const {
  return (m_studies.empty() || m_studies.contains(row.study_instance_uid)) &&
         (m_patients.empty() || m_patients.contains(row.patient_key));
}

LedgerDispatcher::LedgerDispatcher(StoreRun& run, LedgerSink& sink, Accounting& accounting,
                                   std::deque<StoreQueue>& queues)
    : m_run(run),
      m_sink(sink),
      m_accounting(accounting),
      m_queues(queues),
      m_batch(run.settings().batch),
      m_ledger(*m_batch.ledger),
      m_slots(queues.size()) {}

void LedgerDispatcher::work() {
  while (!m_run.ending() && !m_run.given_up()) {
    renew_leases();
    bool has_work = false;
    bool has_moved = false;
    for (std::size_t i = 0; i < m_slots.size(); ++i) {
      std::optional<Held>& slot = m_slots[i];
      if (!slot && m_queues[i].load() < k_low) {
        has_moved = claim(slot) || has_moved;
      }
      if (slot && m_queues[i].load() < k_low) {
        has_moved = feed(*slot, m_queues[i]) || has_moved;
      }
      if (slot && slot->is_exhausted && slot->last.empty()) {
        m_draining.push_back(std::move(slot->study));
        slot.reset();
      }
      has_work = has_work || slot;
    }
    std::erase_if(m_draining, [this](const ledger::Study& study) {
      if (m_sink.outstanding(study.study_instance_uid) != 0) {
        return false;
      }
      m_ledger.release(study);
      const std::lock_guard lock(m_mutex);
      m_leases.erase(study.study_instance_uid);
      return true;
    });
    if (!has_work && m_draining.empty() && m_is_at_end) {
      if (!m_batch.shared) {
        return;
      }
      if (m_ledger.held_elsewhere() != 0) {
        m_has_waited = true;
      } else if (!std::exchange(m_has_waited, false)) {
        return;
      } else {
        m_next_pass = {};  // what they have left behind since
      }
      // What others hold is theirs to finish; where they have died it comes to us.
      if (SteadyClock::now() >= m_next_pass) {
        m_next_pass = SteadyClock::now() + k_other_hands;
        m_ledger.rewind_claims();
        m_is_at_end = false;
      }
      sleep_unless_stopped(k_feeding_pause, m_run.ending_token());
    } else if (!has_moved) {
      m_sink.wait_changed(k_feeding_pause);
    }
  }
}

bool LedgerDispatcher::claim(std::optional<Held>& slot) {
  if (m_is_at_end) {
    return false;
  }
  const auto asked_at = SteadyClock::now();
  std::optional<ledger::Study> study = m_ledger.claim_study(m_batch.selection, m_batch.lease);
  if (!study) {
    m_is_at_end = true;
    return false;
  }
  note_lease(study->study_instance_uid, asked_at);
  if (!is_ready(*study)) {
    if (m_not_ready.insert(study->study_instance_uid).second) {
      ledger::Filter filter = waiting_rows(m_batch.selection);
      filter.study_instance_uid = study->study_instance_uid;
      let_leave(filter, Error(kind("send.not-ready"), "the study is not to be sent yet, as --ready-command says"));
    }
    m_ledger.release(*study);
    return true;
  }
  slot.emplace(Held{std::move(*study), {}, false});
  return true;
}

bool LedgerDispatcher::is_ready(const ledger::Study& study) {
  if (m_batch.ready_command.empty()) {
    return true;
  }
  CommandLimits limits;
  limits.time = m_batch.ready_timeout;
  const CommandResult result = run_command({"env", "KUVA_STUDY_INSTANCE_UID=" + study.study_instance_uid, "sh", "-c",
                                            m_batch.ready_command + " \"$@\"", "sh", study.study_instance_uid},
                                           "", limits);
  if (result.timed_out) {
    m_run.observer().message(Observer::Level::warning,
                             fmt::format("--ready-command took longer than {} for study {}",
                                         format_duration(limits.time), study.study_instance_uid));
  }
  return !result.timed_out && result.exit_status == 0;
}

// The next instances of a study go to its worker; key object selections after all others have ended. True when
// something went.
bool LedgerDispatcher::feed(Held& held, StoreQueue& queue) {
  if (held.is_exhausted) {
    if (held.last.empty() || m_sink.outstanding(held.study.study_instance_uid) > held.last.size()) {
      return false;
    }
    for (const ledger::Instance& row : std::exchange(held.last, {})) {
      push(row, queue);
    }
    return true;
  }
  const std::vector<ledger::Instance> rows = m_ledger.take(held.study, k_take);
  held.is_exhausted = rows.empty();
  m_sink.took(rows);
  for (const ledger::Instance& row : rows) {
    m_accounting.entered();
    if (row.sop_class_uid == kos::k_key_object_selection && held.last.size() < k_most_held_back) {
      held.last.push_back(row);
    } else {
      push(row, queue);
    }
  }
  return true;
}

void LedgerDispatcher::push(const ledger::Instance& row, StoreQueue& queue) {
  StoreJob job;
  job.record = record_of_row(row, k_send_tool);
  job.path = row.file.path;
  job.kind = {row.sop_class_uid, row.transfer_syntax_uid};
  job.sop_instance_uid = row.sop_instance_uid;
  job.study_instance_uid = row.study_instance_uid;
  job.size = row.file.size;
  if (row.state == ledger::State::indeterminate) {
    job.doubt = std::make_shared<const Error>(kind("store.no-response"),
                                              "an earlier run ended while the archive's answer was not known");
  } else if (identity_of(row.file.path) != row.file) {
    m_run.finish_failed(std::move(job), Error(kind("file.changed"), "the file is not the one that was inventoried"));
    return;
  }
  queue.push(std::move(job), m_run);
}

void LedgerDispatcher::renew_leases() {
  const auto now = SteadyClock::now();
  if (!m_batch.shared || now < m_next_renewal) {
    return;
  }
  m_next_renewal = now + m_batch.lease / 4;
  const auto renew = [this](const ledger::Study& study) {
    const auto asked_at = SteadyClock::now();
    if (m_ledger.renew(study, m_batch.lease)) {
      note_lease(study.study_instance_uid, asked_at);
    } else {
      const std::lock_guard lock(m_mutex);
      m_leases[study.study_instance_uid] = {};
    }
  };
  for (const std::optional<Held>& slot : m_slots) {
    if (slot) {
      renew(slot->study);
    }
  }
  std::for_each(m_draining.begin(), m_draining.end(), renew);
}

void LedgerDispatcher::note_lease(const std::string& study_instance_uid, SteadyClock::time_point asked_at) {
  if (m_batch.shared) {
    const std::lock_guard lock(m_mutex);
    m_leases[study_instance_uid] = asked_at + m_batch.lease;
  }
}

std::optional<Error> LedgerDispatcher::lost_lease(const std::string& study_instance_uid) const {
  if (!m_batch.shared) {
    return std::nullopt;
  }
  const std::lock_guard lock(m_mutex);
  const auto lease = m_leases.find(study_instance_uid);
  if (lease != m_leases.end() && SteadyClock::now() < lease->second) {
    return std::nullopt;
  }
  return Error(kind("ledger.lease-lost"), "the study was not renewed in time");
}

void LedgerDispatcher::finish() {
  for (std::optional<Held>& slot : m_slots) {
    if (slot) {
      for (const ledger::Instance& row : slot->last) {
        StoreJob job;
        job.record = record_of_row(row, k_send_tool);
        m_run.finish_unsent(std::move(job));
      }
      m_draining.push_back(std::move(slot->study));
    }
  }
  m_sink.flush();
  for (const ledger::Study& study : m_draining) {
    m_ledger.release(study);
  }
  if (m_run.stopping()) {
    return;
  }
  const ledger::Filter filter = waiting_rows(m_batch.selection);
  if (const std::optional<Error> reason = m_run.why_ended()) {
    let_leave(filter, *reason);
  } else if (!m_batch.shared && !m_batch.selection.only_failed && m_ledger.waiting() != 0) {
    ledger::Filter waiting;
    waiting.states = {ledger::State::seen, ledger::State::valid};
    let_leave(waiting, Error(kind("batch.uid-clash"), "held back: two objects of its study have one SOP Instance UID"));
  }
  m_sink.flush();
}

// Rows that wait leave as unsent, and stay as they are.
void LedgerDispatcher::let_leave(const ledger::Filter& filter, const Error& reason) {
  const std::unordered_set<std::string> studies(m_batch.selection.studies.begin(), m_batch.selection.studies.end());
  const std::unordered_set<std::string> patients(m_batch.selection.patients.begin(), m_batch.selection.patients.end());
  ledger::Ledger::Position position;
  for (;;) {
    const std::vector<ledger::Instance> rows = m_ledger.next_instances(position, k_page, filter);
    if (rows.empty() || m_run.stopping()) {
      return;
    }
    for (const ledger::Instance& row : rows) {
      const bool is_told = filter.study_instance_uid.empty() && m_not_ready.contains(row.study_instance_uid);
      const bool has_left = row.run == m_ledger.run_id();
      if (is_told || has_left || (!studies.empty() && !studies.contains(row.study_instance_uid)) ||
          (!patients.empty() && !patients.contains(row.patient_key))) {
        continue;
      }
      m_accounting.entered();
      StoreJob job;
      job.record = record_of_row(row, k_send_tool);
      m_run.finish_unsent(std::move(job), reason);
    }
  }
}

}  // namespace kuva::workflow
