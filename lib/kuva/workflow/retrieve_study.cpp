#include <kuva/core/record.hpp>
#include <kuva/kos/codes.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/workflow/instance_record.hpp>
#include <kuva/workflow/ledger_rows.hpp>
#include <kuva/workflow/retrieve_study.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

namespace kuva::workflow {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds k_glance{50};
constexpr std::string_view k_retrieved = "retrieved";

bool is_whole(const StudyOrder& order) { return order.series.empty() && !order.closed && !order.key_images; }

}  // namespace

std::string_view to_string(RetrieveVia via) {
  switch (via) {
    case RetrieveVia::automatic:
      return "auto";
    case RetrieveVia::rad69:
      return "rad69";
    case RetrieveVia::cmove:
      return "cmove";
    case RetrieveVia::wado:
      return "wado";
  }
  return "auto";
}

RetrieveRun::RetrieveRun(RecordSink& sink, Observer& observer, Accounting& accounting, const Target& target,
                         const RetrieveSettings& settings, std::stop_token stop, RunLimits* limits,
                         RetrieveLedger* ledger)
    : m_sink(sink),
      m_observer(observer),
      m_accounting(accounting),
      m_target(target),
      m_settings(settings),
      m_landing(settings.landing),
      m_stop(std::move(stop)),
      m_limits(limits),
      m_ledger(ledger),
      m_jobs(settings.jobs != 0 ? settings.jobs : std::max(1U, target.associations)),
      m_slots(static_cast<std::ptrdiff_t>(m_jobs)) {}

bool RetrieveRun::pause(std::chrono::milliseconds duration) const {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, m_stop, duration, [] { return false; });
  return !m_stop.stop_requested();
}

Error RetrieveRun::why_stopped() const {
  if (m_limits != nullptr) {
    if (const auto reached = m_limits->reached()) {
      return *reached;
    }
  }
  return {kind("interrupted"), "stopped before it came"};
}

void RetrieveRun::in_parallel(std::size_t count, const std::function<void(std::size_t)>& task) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::size_t index = next++; index < count; index = next++) {
        task(index);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      failure = failure ? failure : std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    while (helpers.size() + 1 < count && m_slots.try_acquire()) {
      helpers.emplace_back([&] {
        work();
        m_slots.release();
      });
    }
    work();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

void RetrieveRun::add(const Totals& totals) {
  const std::lock_guard lock(m_mutex);
  m_totals.expected += totals.expected;
  m_totals.received += totals.received;
  m_totals.already_there += totals.already_there;
  m_totals.passed_on += totals.passed_on;
  m_totals.failed += totals.failed;
  m_totals.bytes += totals.bytes;
}

void RetrieveRun::show_progress(bool one_done, bool one_failed) {
  Observer::Progress progress;
  {
    const std::lock_guard lock(m_mutex);
    m_done += one_done ? 1 : 0;
    m_failed += one_failed ? 1 : 0;
    progress.done = m_done;
    progress.failed = m_failed;
  }
  progress.seen = m_accounting.seen();
  progress.bytes = m_bytes.load(std::memory_order_relaxed);
  progress.doing = "retrieving";
  m_observer.progress(progress);
}

Json RetrieveRun::totals() const {
  const std::lock_guard lock(m_mutex);
  Json totals{{"expected", m_totals.expected},
              {"received", m_totals.received},
              {"alreadyThere", m_totals.already_there},
              {"failed", m_totals.failed}};
  if (m_totals.passed_on != 0) {
    totals["passedOn"] = m_totals.passed_on;
  }
  return totals;
}

void RetrieveRun::count_document(std::string_view outcome) {
  const std::lock_guard lock(m_mutex);
  ++m_documents[std::string(outcome)];
}

Json RetrieveRun::documents() const {
  const std::lock_guard lock(m_mutex);
  return Json(m_documents);
}

StudyRetrieval::StudyRetrieval(RetrieveRun& run, StudyOrder order, RetrieveVia via)
    : m_run(run),
      m_order(std::move(order)),
      m_via(via),
      m_is_whole(is_whole(m_order)),
      m_is_choosing(m_order.key_images && !run.settings().dry_run),
      m_touched(0) {
  touch();
  if (m_run.ledger() != nullptr) {
    look_into_ledger();
  }
  for (WantedInstance& instance : std::exchange(m_order.instances, {})) {
    expect(std::move(instance));
  }
  m_has_list = m_has_list || m_order.closed;
}

void StudyRetrieval::look_into_ledger() {
  m_known = m_run.ledger()->find(m_order.study);
  m_is_kept = !m_is_whole && m_known.is_complete;
  m_retrieval = m_known.retrieval;
  // Key images are chosen by reading files.
  if (m_run.settings().again || m_order.key_images) {
    m_known = {};
  }
  m_is_resumed = m_is_whole && m_known.is_complete && m_order.expected.value_or(0) <= m_known.instances.size();
  if (!m_is_resumed && !m_is_kept) {
    m_retrieval = m_run.ledger()->begin(m_order.study);
  }
}

bool StudyRetrieval::conclude_without_asking() {
  if (m_is_resumed) {
    for (const auto& [uid, known] : m_known.instances) {
      WantedInstance instance;
      instance.sop_instance_uid = uid;
      expect(std::move(instance));
    }
  } else if (!m_order.closed || m_is_choosing || outstanding_count() != 0 || !has_any()) {
    return false;
  }
  conclude(std::nullopt);
  return true;
}

void StudyRetrieval::expect(WantedInstance instance) {
  dicom::InstanceAttributes uids;
  uids.study_instance_uid = m_order.study;
  uids.series_instance_uid = instance.series;
  uids.sop_instance_uid = instance.sop_instance_uid;
  std::optional<Landing::Landed> there;
  const auto known_before = m_known.instances.find(instance.sop_instance_uid);
  const bool is_known_before = known_before != m_known.instances.end();
  if (!is_known_before && !instance.series.empty() && !m_run.settings().dry_run) {
    there = m_run.landing().find(uids);
  }
  const std::string uid = instance.sop_instance_uid;
  Json earlier = instance.record;
  if (is_known(uid)) {
    if (earlier.is_object()) {
      m_run.accounting().entered();
      set_outcome(earlier, k_retrieve_tool, outcome::duplicate, true);
      m_run.sink().emit(earlier);
    }
    return;
  }
  if (hold(instance)) {
    return;
  }
  {
    const std::lock_guard lock(m_mutex);
    m_has_list = true;
    Instance& known = m_instances[uid];
    known.wanted = std::move(instance);
    ++m_totals.expected;
    if (there || is_known_before) {
      known.state = State::there;
      ++(there || known_before->second.is_there ? m_totals.already_there : m_totals.passed_on);
    } else {
      ++m_outstanding;
    }
  }
  m_run.accounting().entered();
  if (is_known_before) {
    take_known(known_before->second, std::move(earlier));
  } else if (there) {
    keep_key_object(*there);
    emit_there(std::move(earlier), *there, Json::object(), true);
  }
}

bool StudyRetrieval::is_known(const std::string& sop_instance_uid) const {
  const std::lock_guard lock(m_mutex);
  return m_instances.contains(sop_instance_uid);
}

// Before the key images are chosen only key object selections are asked for.
bool StudyRetrieval::hold(WantedInstance& instance) {
  if (!m_is_choosing || instance.sop_class_uid == kos::k_key_object_selection) {
    return false;
  }
  const std::lock_guard lock(m_mutex);
  m_has_list = true;
  const std::string uid = instance.sop_instance_uid;
  return m_held.try_emplace(uid, std::move(instance)).second;
}

void StudyRetrieval::keep_key_object(const Landing::Landed& landed) {
  if (m_is_choosing && landed.header.attributes.sop_class_uid == kos::k_key_object_selection) {
    const std::lock_guard lock(m_mutex);
    m_key_objects.push_back(landed.path);
  }
}

std::optional<Error> StudyRetrieval::choose_key_images() {
  std::vector<std::filesystem::path> key_objects;
  {
    const std::lock_guard lock(m_mutex);
    m_is_choosing = false;
    key_objects.swap(m_key_objects);
  }
  std::vector<WantedInstance> chosen;
  for (const std::filesystem::path& path : key_objects) {
    const kos::Document selection = kos::read(path);
    if (kos::is_manifest_title(selection.title) || kos::is_rejection_title(selection.title)) {
      continue;
    }
    for (const kos::Reference& reference : kos::references(selection, true)) {
      if (reference.study_instance_uid != m_order.study) {
        m_run.observer().message(Observer::Level::warning,
                                 fmt::format("study {}: a key image is of another study, {}; it is not fetched",
                                             m_order.study, reference.study_instance_uid));
        continue;
      }
      WantedInstance instance;
      if (const auto held = m_held.find(reference.sop_instance_uid); held != m_held.end()) {
        instance = std::move(held->second);
        m_held.erase(held);
      }
      instance.sop_instance_uid = reference.sop_instance_uid;
      instance.series = reference.series_instance_uid;
      instance.sop_class_uid = reference.sop_class_uid;
      chosen.push_back(std::move(instance));
    }
  }
  for (WantedInstance& instance : chosen) {
    if (!is_known(instance.sop_instance_uid) || instance.record.is_object()) {
      expect(std::move(instance));
    }
  }
  if (!chosen.empty()) {
    return std::nullopt;
  }
  return Error(kind("retrieve.no-match"), "no key object selection of the study names an image");
}

// What nobody chose leaves as skipped where it came as a record.
void StudyRetrieval::drop_held() {
  std::map<std::string, WantedInstance> held;
  {
    const std::lock_guard lock(m_mutex);
    held.swap(m_held);
  }
  for (auto& [uid, instance] : held) {
    if (instance.record.is_object()) {
      m_run.accounting().entered();
      set_outcome(instance.record, k_retrieve_tool, outcome::skipped, true);
      instance.record["reason"] = "no key image";
      m_run.sink().emit(instance.record);
    }
  }
}

bool StudyRetrieval::has_list() const {
  const std::lock_guard lock(m_mutex);
  return m_has_list;
}

std::vector<WantedInstance> StudyRetrieval::outstanding() const {
  std::vector<WantedInstance> list;
  const std::lock_guard lock(m_mutex);
  for (const auto& [uid, instance] : m_instances) {
    if (instance.state == State::outstanding && !instance.final) {
      list.push_back(instance.wanted);
    }
  }
  return list;
}

std::size_t StudyRetrieval::outstanding_count() const {
  const std::lock_guard lock(m_mutex);
  return m_outstanding;
}

bool StudyRetrieval::has_any() const {
  const std::lock_guard lock(m_mutex);
  return m_totals.received + m_totals.already_there + m_totals.passed_on != 0;
}

bool StudyRetrieval::is_outstanding(const std::string& sop_instance_uid) const {
  const std::lock_guard lock(m_mutex);
  const auto known = m_instances.find(sop_instance_uid);
  return known != m_instances.end() && known->second.state == State::outstanding;
}

bool StudyRetrieval::takes(const Landing::Identity& identity) const {
  const std::lock_guard lock(m_mutex);
  if (m_instances.contains(identity.sop_instance_uid)) {
    return true;
  }
  if (m_order.closed) {
    return false;
  }
  // What is not known yet does not speak against it.
  if (!identity.study_instance_uid.empty() && identity.study_instance_uid != m_order.study) {
    return false;
  }
  return identity.series_instance_uid.empty() || m_order.series.empty() ||
         std::find(m_order.series.begin(), m_order.series.end(), identity.series_instance_uid) != m_order.series.end();
}

Json StudyRetrieval::start_record(Json earlier) const {
  return earlier.is_object() ? std::move(earlier) : make_record("instance", k_retrieve_tool, outcome::failed, false);
}

void StudyRetrieval::take_known(const RetrieveLedger::Known& known, Json earlier) {
  Json record = resumed_instance_record(std::move(earlier), known);
  record["retrieve"] = Json{{"via", to_string(m_via)}};
  m_run.sink().pass_on(std::move(record));
  m_run.show_progress(true, false);
}

void StudyRetrieval::emit_there(Json earlier, const Landing::Landed& landed, Json facts, bool already) {
  Json record = start_record(std::move(earlier));
  set_outcome(record, k_retrieve_tool, already ? k_already_there : k_retrieved, true);
  record["path"] = path_to_json(landed.path.string());
  put_header(record, landed.header);
  Json retrieve{{"via", to_string(m_via)}};
  retrieve.update(facts);
  record["retrieve"] = std::move(retrieve);
  const std::optional<ledger::FileIdentity> file =
      m_run.ledger() != nullptr ? identity_of(landed.path.string()) : std::nullopt;
  if (file) {
    ledger::Instance row = row_of(landed.header.attributes);
    row.file = *file;
    m_run.ledger()->landed(std::move(record), std::move(row), m_retrieval);
  } else {
    m_run.sink().pass_on(std::move(record));
  }
  m_run.show_progress(true, false);
}

void StudyRetrieval::arrived(const Landing::Landed& landed, Json facts) {
  touch();
  ++m_arrivals;
  Json earlier;
  {
    const std::lock_guard lock(m_mutex);
    const std::string& uid = landed.header.attributes.sop_instance_uid;
    const auto known = m_instances.find(uid);
    if (known != m_instances.end() && known->second.state == State::there) {
      return;  // once more: the same, else the landing had not taken it
    }
    if (known == m_instances.end()) {
      m_instances[uid].state = State::there;
      ++m_unlisted;
      ++m_totals.expected;
      if (m_has_list) {
        facts["unexpected"] = true;
      }
      m_run.accounting().entered();
    } else {
      earlier = std::move(known->second.wanted.record);
      known->second.state = State::there;
      m_outstanding -= known->second.final ? 0 : 1;
    }
    if (landed.was_there) {
      ++m_totals.already_there;
    } else {
      ++m_totals.received;
      m_totals.bytes += landed.header.size;
    }
  }
  keep_key_object(landed);
  emit_there(std::move(earlier), landed, std::move(facts), landed.was_there);
  m_changed.notify_all();
}

void StudyRetrieval::failed(const std::string& sop_instance_uid, const Error& error) {
  touch();
  {
    const std::lock_guard lock(m_mutex);
    auto known = m_instances.find(sop_instance_uid);
    if (known == m_instances.end()) {
      known = m_instances.try_emplace(sop_instance_uid).first;
      known->second.wanted.sop_instance_uid = sop_instance_uid;
      ++m_totals.expected;
      ++m_outstanding;
      m_run.accounting().entered();
    }
    if (known->second.state != State::outstanding) {
      return;
    }
    if (!known->second.final && error.kind().error_class != ErrorClass::temporary) {
      known->second.final = true;
      --m_outstanding;
    }
    if (!known->second.error) {
      known->second.error = error;
    }
  }
  m_changed.notify_all();
}

void StudyRetrieval::locate(const WantedInstance& instance) {
  const std::lock_guard lock(m_mutex);
  const auto known = m_instances.find(instance.sop_instance_uid);
  if (known == m_instances.end()) {
    return;
  }
  WantedInstance& wanted = known->second.wanted;
  const auto fill = [](std::string& have, const std::string& found) {
    if (have.empty()) {
      have = found;
    }
  };
  fill(wanted.series, instance.series);
  fill(wanted.sop_class_uid, instance.sop_class_uid);
  fill(wanted.transfer_syntax_uid, instance.transfer_syntax_uid);
}

std::set<std::string> StudyRetrieval::stored_syntaxes(const std::string& sop_class_uid) const {
  std::set<std::string> syntaxes;
  const std::lock_guard lock(m_mutex);
  for (const auto& [uid, instance] : m_instances) {
    if (instance.wanted.sop_class_uid == sop_class_uid && !instance.wanted.transfer_syntax_uid.empty()) {
      syntaxes.insert(instance.wanted.transfer_syntax_uid);
    }
  }
  return syntaxes;
}

std::optional<Error> StudyRetrieval::hopeless() const {
  const std::lock_guard lock(m_mutex);
  return m_hopeless;
}

void StudyRetrieval::give_up(const Error& error) {
  const std::lock_guard lock(m_mutex);
  if (!m_hopeless) {
    m_hopeless = error;
  }
}

std::chrono::steady_clock::duration StudyRetrieval::quiet_for() const {
  return Clock::now().time_since_epoch() - Clock::duration(m_touched.load());
}

bool StudyRetrieval::wait_for_rest(std::chrono::milliseconds grace, const std::stop_token& stop) {
  touch();
  std::unique_lock lock(m_mutex);
  while (m_outstanding != 0 && quiet_for() < grace && !stop.stop_requested()) {
    m_changed.wait_for(lock, k_glance);
  }
  return m_outstanding == 0;
}

void StudyRetrieval::claim(std::uint64_t completed, std::uint64_t failed, std::uint64_t warning) {
  const std::lock_guard lock(m_mutex);
  m_claimed_completed += completed;
  m_claimed_failed += failed;
  m_claimed_warning += warning;
}

std::uint64_t StudyRetrieval::claimed() const {
  const std::lock_guard lock(m_mutex);
  return m_claimed_completed + m_claimed_warning;
}

Json StudyRetrieval::study_record(std::string_view outcome, bool ok) const {
  Json record = make_record("retrieval", k_retrieve_tool, outcome, ok);
  record["StudyInstanceUID"] = m_order.study;
  record["via"] = to_string(m_via);
  if (m_run.settings().viewer_url && !m_run.target().viewer_url.empty()) {
    std::string url = m_run.target().viewer_url;
    static constexpr std::string_view k_key = "{StudyInstanceUID}";
    if (const std::size_t at = url.find(k_key); at != std::string::npos) {
      url.replace(at, k_key.size(), m_order.study);
    }
    record["viewerUrl"] = url;
  }
  return record;
}

void StudyRetrieval::conclude(const std::optional<Error>& error) {
  drop_held();
  std::vector<Json> records;
  std::optional<Error> cause = error;
  Json summary;
  RetrieveRun::Totals totals;
  std::optional<Error> permanent;  // of an instance, where no other error is of another class
  bool is_permanent = true;
  {
    const std::lock_guard lock(m_mutex);
    for (auto& [uid, instance] : m_instances) {
      if (instance.state != State::outstanding) {
        continue;
      }
      instance.state = State::failed;
      ++m_totals.failed;
      is_permanent = is_permanent && instance.final;
      permanent = permanent ? permanent : instance.error;
      Json record = start_record(std::move(instance.wanted.record));
      set_outcome(record, k_retrieve_tool, outcome::failed, false);
      record["StudyInstanceUID"] = m_order.study;
      put_text(record, "SeriesInstanceUID", instance.wanted.series);
      record["SOPInstanceUID"] = uid;
      put_text(record, "SOPClassUID", instance.wanted.sop_class_uid);
      record["retrieve"] = Json{{"via", to_string(m_via)}};
      set_error(record, instance.error ? *instance.error
                        : error        ? *error
                                       : Error(kind("retrieve.not-received"),
                                               "the archive reports no failure of it, and it has not come"));
      records.push_back(std::move(record));
    }
    m_outstanding = 0;
    const std::uint64_t there = m_totals.received + m_totals.already_there + m_totals.passed_on;
    std::uint64_t missing = 0;
    if (!m_has_list) {
      const std::uint64_t expected = std::max({m_order.expected.value_or(0), m_totals.expected});
      const std::uint64_t sent = m_claimed_completed + m_claimed_warning;
      missing = expected > there + m_totals.failed ? expected - there - m_totals.failed : 0;
      if (sent > m_arrivals && sent - m_arrivals > missing) {
        missing = sent - m_arrivals;
      }
      missing = std::max(missing, m_claimed_failed > m_totals.failed ? m_claimed_failed - m_totals.failed : 0);
      m_totals.expected = there + m_totals.failed + missing;
      m_totals.failed += missing;
    }
    const bool nothing = there == 0 && m_totals.failed == 0;
    if (!cause && nothing) {
      cause = Error(kind("retrieve.no-match"), "nothing came, and nothing was expected");
    } else if (m_totals.failed == 0 && there != 0) {
      // All is here, whatever the peer said last; without a list it may know better.
      if (m_has_list || (m_order.expected && there >= *m_order.expected)) {
        cause.reset();
      }
    } else if (!cause) {
      const std::string counts = fmt::format("{} of {} are here", there, m_totals.expected);
      cause = permanent && is_permanent && missing == 0
                  ? Error(permanent->kind(), counts + "; the first that failed: " + permanent->message())
                  : Error(kind("retrieve.incomplete"), counts);
    }
    summary = study_record(!cause ? k_retrieved : there != 0 ? "incomplete" : outcome::failed, !cause);
    summary["expected"] = m_totals.expected;
    summary["received"] = m_totals.received;
    summary["alreadyThere"] = m_totals.already_there;
    if (m_totals.passed_on != 0) {
      summary["passedOn"] = m_totals.passed_on;
    }
    summary["failed"] = m_totals.failed;
    if (missing != 0) {
      summary["unnamed"] = missing;
    }
    if (m_is_resumed) {
      summary["resumed"] = true;
    } else if (m_via == RetrieveVia::cmove) {
      summary["claimed"] =
          Json{{"completed", m_claimed_completed}, {"failed", m_claimed_failed}, {"warning", m_claimed_warning}};
    }
    summary["requests"] = m_requests.load();
    summary["bytes"] = m_totals.bytes;
    totals = m_totals;
  }
  for (const Json& record : records) {
    m_run.sink().emit(record);
    m_run.show_progress(false, true);
  }
  try {
    m_run.landing().sync();
  } catch (const Error& failure) {
    if (!cause) {
      cause = failure;
      set_outcome(summary, k_retrieve_tool, outcome::failed, false);
    }
  }
  summary["elapsed"] = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - m_begun).count();
  if (cause) {
    set_error(summary, *cause);
  }
  m_run.add(totals);
  emit_end(std::move(summary), cause, totals);
}

void StudyRetrieval::emit_end(Json summary, const std::optional<Error>& cause, const RetrieveRun::Totals& totals) {
  if (m_run.ledger() == nullptr || m_is_resumed || m_is_kept) {
    m_run.sink().pass_on(std::move(summary));
    return;
  }
  ledger::Retrieval retrieval;
  retrieval.id = m_retrieval;
  retrieval.expected = totals.expected;
  retrieval.retrieved = totals.received + totals.already_there + totals.passed_on;
  retrieval.failed = totals.failed;
  retrieval.complete = m_is_whole && !cause;
  retrieval.error_code = cause ? cause->kind().code : std::string_view();
  m_run.ledger()->ended(std::move(summary), std::move(retrieval));
}

void StudyRetrieval::conclude_planned() {
  for (const WantedInstance& instance : outstanding()) {
    Json record = start_record(instance.record);
    set_outcome(record, k_retrieve_tool, outcome::planned, true);
    record["StudyInstanceUID"] = m_order.study;
    put_text(record, "SeriesInstanceUID", instance.series);
    record["SOPInstanceUID"] = instance.sop_instance_uid;
    put_text(record, "SOPClassUID", instance.sop_class_uid);
    record["retrieve"] = Json{{"via", to_string(m_via)}};
    m_run.sink().emit(record);
  }
  Json summary = study_record(outcome::planned, true);
  if (m_has_list || m_order.expected) {
    summary["expected"] = m_has_list ? m_totals.expected : *m_order.expected;
  }
  if (m_order.bytes) {
    summary["bytes"] = *m_order.bytes;
  }
  m_run.sink().emit(summary);
}

namespace {

// Errors: none; a selection that cannot be read is one.
std::optional<Error> choose(RetrieveRun& run, StudyRetrieval& retrieval) {
  try {
    auto error = retrieval.choose_key_images();
    if (error) {
      run.observer().message(Observer::Level::warning,
                             fmt::format("study {}: {}", retrieval.order().study, error->message()));
    }
    return error;
  } catch (const Error& error) {
    return error;
  }
}

}  // namespace

void retrieve_in_rounds(RetrieveRun& run, StudyRetrieval& retrieval, const RetrieveRound& round) {
  std::optional<Error> error;
  std::chrono::milliseconds delay = run.settings().retry_delay;
  bool is_first = true;
  for (unsigned attempt = 0;; ++attempt) {
    error = run.stop().stop_requested() ? run.why_stopped() : round(is_first);
    is_first = false;
    bool is_complete = retrieval.has_list() && retrieval.outstanding_count() == 0;
    if (is_complete && retrieval.is_choosing() && !run.stop().stop_requested()) {
      error = choose(run, retrieval);
      is_complete = retrieval.outstanding_count() == 0;
      if (!error && !is_complete) {
        error = round(false);
        is_complete = retrieval.outstanding_count() == 0;
      }
    }
    const bool is_hopeless = error && error->kind().error_class != ErrorClass::temporary;
    if ((!error && !retrieval.has_list()) || is_complete || is_hopeless || attempt >= run.settings().retries ||
        run.stop().stop_requested()) {
      break;
    }
    run.observer().message(
        Observer::Level::info,
        fmt::format("study {}: {}; once more in {}", retrieval.order().study,
                    error ? error->message() : fmt::format("{} instances are missing", retrieval.outstanding_count()),
                    format_duration(delay)));
    if (!run.pause(delay)) {
      break;
    }
    delay *= 2;
  }
  if (run.stop().stop_requested() && retrieval.outstanding_count() != 0) {
    error = run.why_stopped();
  }
  retrieval.conclude(error);
}

}  // namespace kuva::workflow
