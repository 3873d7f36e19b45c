#include <kuva/core/time.hpp>
#include <kuva/ledger/ledger_impl.hpp>
#include <kuva/ledger/rows.hpp>

#include <fmt/format.h>

#include <map>
#include <set>

namespace kuva::ledger {

namespace {

constexpr std::size_t k_known_studies = 20'000;

bool is_date(std::string_view text) {
  return text.size() == 8 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// As the tables can hold it.
Instance in_stored_form(const Instance& given) {
  Instance instance = given;
  for (std::string Instance::*member :
       {&Instance::digest, &Instance::sop_instance_uid, &Instance::sop_class_uid, &Instance::transfer_syntax_uid,
        &Instance::series_instance_uid, &Instance::study_instance_uid, &Instance::patient_key,
        &Instance::accession_number, &Instance::modality, &Instance::error_code, &Instance::error_class,
        &Instance::error_message, &Instance::transaction_uid, &Instance::record}) {
    if (!(instance.*member).empty()) {
      instance.*member = stored_text(instance.*member);
    }
  }
  instance.study_date = is_date(given.study_date) ? given.study_date : "";
  return instance;
}

bool goes_out(State state) { return state == State::seen || state == State::valid; }

// A copy of an object that is there under another path.
void make_copy(Instance& instance, const std::string& other_path) {
  instance.state = State::skipped;
  instance.error_code.clear();
  instance.error_class.clear();
  instance.error_message = stored_text(fmt::format("a copy of {}", other_path));
}

void make_clash(Instance& instance, const std::string& other_path) {
  instance.state = State::failed_permanent;
  instance.error_code = k_uid_clash;
  instance.error_class = to_string(kind("batch.uid-clash").error_class);
  instance.error_message = stored_text(fmt::format("another object has this SOP Instance UID: {}", other_path));
}

// Nobody can tell any more whether it is a copy.
void make_undecided(Instance& instance, const std::string& other_path) {
  const ErrorKind& changed = kind("file.changed");
  instance.state = State::failed_permanent;
  instance.error_code = changed.code;
  instance.error_class = to_string(changed.error_class);
  instance.error_message =
      stored_text(fmt::format("{} had this SOP Instance UID and cannot be compared any more", other_path));
}

// The state that a second look at an unchanged file gives a row.
bool goes_forward(const Instance& known, const Instance& given) {
  const bool open = known.state == State::seen || known.state == State::valid ||
                    (known.state == State::failed_permanent && known.attempts == 0 && known.error_code != k_uid_clash);
  const bool says =
      given.state == State::valid || given.state == State::failed_permanent || given.state == State::skipped;
  return open && says && (known.state != given.state || known.error_code != given.error_code);
}

// What is to be done for one file, and the row that comes of it.
struct Planned {
  enum class Action { none, add, update };
  Action action = Action::none;
  std::string path;  // as stored
  Instance row;
};

class Recorder {
 public:
  using Pair = std::pair<std::string, std::string>;  // paths: known, added

  Recorder(Ledger::Impl& ledger, std::span<const Instance> instances) : m_ledger(ledger) {
    m_given.reserve(instances.size());
    m_paths.reserve(instances.size());
    for (const Instance& instance : instances) {
      m_given.push_back(in_stored_form(instance));
      m_paths.push_back(stored_path(instance.file.path));
    }
  }

  using Files = std::pair<Instance, Instance>;  // known, added

  // The pairs whose equality must be known first, and then nothing was written; or none.
  std::vector<Files> plan_and_write() {
    const std::scoped_lock lock(m_ledger.mutex);
    for (int attempt = 1;; ++attempt) {
      try {
        Transaction transaction(*m_ledger.connection, Connection::Durability::ordinary);
        plan();
        if (!m_undecided.empty()) {
          return std::move(m_undecided);
        }
        write();
        transaction.commit();
        return {};
      } catch (const Conflict& conflict) {
        if (attempt == Ledger::Impl::k_attempts) {
          throw Error(kind("ledger.in-use"), conflict.what());
        }
      }
    }
  }

  void decide(const Files& pair, std::optional<bool> same) {
    m_same[{pair.first.file.path, pair.second.file.path}] = same;
  }

  // After it was written.
  std::vector<Instance> finish() {
    const std::scoped_lock lock(m_ledger.mutex);
    if (m_ledger.studies.size() + m_new_studies.size() > k_known_studies) {
      m_ledger.studies.clear();
    }
    m_ledger.studies.merge(m_new_studies);
    std::vector<Instance> rows;
    rows.reserve(m_plan.size());
    for (std::size_t i = 0; i < m_plan.size(); ++i) {
      // A path that came twice has one row.
      rows.push_back(m_plan[m_row_of[i]].row);
    }
    return rows;
  }

 private:
  void plan() {
    m_undecided.clear();
    m_plan.clear();
    m_by_path.clear();
    m_by_uid.clear();
    m_clashing.clear();
    m_now = to_rfc3339(std::chrono::system_clock::now());
    const auto known = m_ledger.rows_at(m_paths);
    supersede_changed(known);
    const auto others = others_with_uid();
    m_plan.reserve(m_given.size());
    for (std::size_t i = 0; i < m_given.size(); ++i) {
      plan_one(i, known[i], others[i]);
    }
  }

  void write() {
    find_studies();
    add();
    update();
    mark_clashing();
  }

  void supersede_changed(const std::vector<std::optional<Instance>>& known) {
    std::vector<Value> changed;
    std::set<std::int64_t> seen;
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (known[i] && known[i]->file != m_given[i].file && seen.insert(known[i]->id).second) {
        changed.insert(changed.end(), {known[i]->id, std::string_view(m_now)});
      }
    }
    if (!changed.empty()) {
      m_ledger.connection->run("UPDATE instance SET state = 'superseded', live = 0, updated = $2 WHERE id = $1", 2,
                               changed, {});
    }
  }

  bool is_checked(std::size_t i) const {
    return !m_given[i].sop_instance_uid.empty() && (goes_out(m_given[i].state) || m_given[i].error_code == k_uid_clash);
  }

  std::vector<std::optional<Instance>> others_with_uid() {
    static const std::string k_select = fmt::format(
        "SELECT {} FROM {} WHERE i.sop_instance_uid = $1 AND i.live = 1 AND i.state <> 'skipped' AND i.path <> $2"
        " ORDER BY i.id LIMIT 1",
        k_instance_columns, k_instance_tables);
    std::vector<std::optional<Instance>> others(m_given.size());
    std::vector<Value> values;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < m_given.size(); ++i) {
      if (is_checked(i)) {
        values.insert(values.end(), {std::string_view(m_given[i].sop_instance_uid), std::string_view(m_paths[i])});
        places.push_back(i);
      }
    }
    if (!values.empty()) {
      m_ledger.connection->run(k_select, 2, values,
                               [&](std::size_t set, const Row& row) { others[places[set]] = instance_of(row); });
    }
    return others;
  }

  void plan_one(std::size_t i, const std::optional<Instance>& known, const std::optional<Instance>& other) {
    const Instance& given = m_given[i];
    Planned planned;
    planned.path = m_paths[i];
    planned.row = given;
    planned.row.updated = m_now;
    const auto again = m_by_path.find(m_paths[i]);
    if (again != m_by_path.end()) {
      // The same file twice in a batch: once.
      m_row_of.resize(i + 1);
      m_row_of[i] = again->second;
      m_plan.push_back(std::move(planned));
      return;
    }
    if (known && known->file == given.file) {
      planned.row = *known;
      if (!goes_forward(*known, given)) {
        keep(i, std::move(planned));
        return;
      }
      planned.action = Planned::Action::update;
      planned.row.state = given.state;
      planned.row.error_code = given.error_code;
      planned.row.error_class = given.error_class;
      planned.row.error_message = given.error_message;
      planned.row.digest = given.digest.empty() ? known->digest : given.digest;
      planned.row.record = given.record.empty() ? known->record : given.record;
      planned.row.updated = m_now;
    } else {
      planned.action = Planned::Action::add;
      planned.row.id = 0;
      planned.row.attempts = given.attempts;
    }
    if (is_checked(i)) {
      compare(i, planned.row, other);
    }
    keep(i, std::move(planned));
  }

  // Gives a row that shares its UID with another one the state that follows.
  void compare(std::size_t i, Instance& row, const std::optional<Instance>& other) {
    const auto in_batch = m_by_uid.find(row.sop_instance_uid);
    const bool from_batch = in_batch != m_by_uid.end();
    if (!other && !from_batch) {
      m_by_uid.emplace(row.sop_instance_uid, i);
      return;
    }
    const Instance& first = other ? *other : m_plan[in_batch->second].row;
    std::optional<bool> same;
    if (!first.digest.empty() && !row.digest.empty()) {
      same = first.digest == row.digest;
    } else {
      const auto decided = m_same.find({first.file.path, row.file.path});
      if (decided == m_same.end()) {
        m_undecided.emplace_back(first, row);
        return;
      }
      same = decided->second;
    }
    if (!same) {
      make_undecided(row, first.file.path);
      return;
    }
    if (*same) {
      make_copy(row, first.file.path);
      return;
    }
    make_clash(row, first.file.path);
    if (other) {
      m_clashing.push_back(Clashing{other->id, row.file.path});
    } else if (goes_out(m_plan[in_batch->second].row.state)) {
      Planned& earlier = m_plan[in_batch->second];
      make_clash(earlier.row, row.file.path);
      if (earlier.action == Planned::Action::none) {
        earlier.action = Planned::Action::update;
      }
    }
  }

  void keep(std::size_t i, Planned planned) {
    m_row_of.resize(i + 1);
    m_row_of[i] = i;
    m_by_path.emplace(planned.path, i);
    m_plan.push_back(std::move(planned));
  }

  void find_studies() {
    m_new_studies.clear();
    m_study_of.assign(m_plan.size(), std::nullopt);
    std::vector<Value> values;
    std::vector<const std::string*> uids;
    for (std::size_t i = 0; i < m_plan.size(); ++i) {
      const Planned& planned = m_plan[i];
      const Instance& row = planned.row;
      const std::string& uid = row.study_instance_uid;
      if (planned.action != Planned::Action::add || (uid.empty() && !goes_out(row.state))) {
        continue;  // what never goes out needs no study
      }
      if (!m_ledger.studies.contains(uid) && m_new_studies.emplace(uid, 0).second) {
        values.insert(values.end(), {std::string_view(uid), std::string_view(row.study_date),
                                     text_or_null(row.patient_key), text_or_null(row.accession_number)});
        uids.push_back(&uid);
      }
    }
    if (!values.empty()) {
      m_ledger.connection->run(
          "INSERT INTO study (study_instance_uid, study_date, patient_key, accession_number) VALUES ($1, $2, $3, $4)"
          " ON CONFLICT (study_instance_uid) DO UPDATE SET"
          " study_date = CASE WHEN study.study_date = '' THEN excluded.study_date ELSE study.study_date END,"
          " patient_key = COALESCE(study.patient_key, excluded.patient_key),"
          " accession_number = COALESCE(study.accession_number, excluded.accession_number) RETURNING id",
          4, values, [&](std::size_t set, const Row& row) { m_new_studies[*uids[set]] = row.number(0); });
    }
    for (std::size_t i = 0; i < m_plan.size(); ++i) {
      const std::string& uid = m_plan[i].row.study_instance_uid;
      if (const auto known = m_ledger.studies.find(uid); known != m_ledger.studies.end()) {
        m_study_of[i] = known->second;
      } else if (const auto added = m_new_studies.find(uid); added != m_new_studies.end()) {
        m_study_of[i] = added->second;
      }
    }
  }

  void add() {
    constexpr std::size_t k_width = 18;
    std::vector<Value> values;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < m_plan.size(); ++i) {
      const Planned& planned = m_plan[i];
      if (planned.action != Planned::Action::add) {
        continue;
      }
      const Instance& row = planned.row;
      const bool has_study = m_study_of[i] && (!row.study_instance_uid.empty() || goes_out(row.state));
      values.insert(values.end(),
                    {std::string_view(planned.path), static_cast<std::int64_t>(row.file.size), row.file.mtime_ns,
                     text_or_null(row.digest), text_or_null(row.sop_instance_uid), text_or_null(row.sop_class_uid),
                     text_or_null(row.transfer_syntax_uid), text_or_null(row.series_instance_uid),
                     has_study ? Value(*m_study_of[i]) : Value(), text_or_null(row.modality), to_string(row.state),
                     text_or_null(row.error_code), text_or_null(row.error_class), text_or_null(row.error_message),
                     static_cast<std::int64_t>(row.attempts), std::string_view(row.updated),
                     text_or_null(row.transaction_uid), text_or_null(row.record)});
      places.push_back(i);
    }
    if (!values.empty()) {
      m_ledger.connection->run(
          "INSERT INTO instance (path, size, mtime_ns, digest, sop_instance_uid, sop_class_uid, transfer_syntax_uid,"
          " series_instance_uid, study, modality, state, error_code, error_class, error_message, attempts, updated,"
          " transaction_uid, record, live)"
          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1) RETURNING id",
          k_width, values, [&](std::size_t set, const Row& row) { m_plan[places[set]].row.id = row.number(0); });
    }
  }

  void update() {
    constexpr std::size_t k_width = 8;
    std::vector<Value> values;
    for (const Planned& planned : m_plan) {
      if (planned.action == Planned::Action::update) {
        const Instance& row = planned.row;
        values.insert(values.end(),
                      {row.id, to_string(row.state), text_or_null(row.error_code), text_or_null(row.error_class),
                       text_or_null(row.error_message), text_or_null(row.digest), text_or_null(row.record),
                       std::string_view(row.updated)});
      }
    }
    if (!values.empty()) {
      m_ledger.connection->run(
          "UPDATE instance SET state = $2, error_code = $3, error_class = $4, error_message = $5, digest = $6,"
          " record = $7, updated = $8 WHERE id = $1 AND state IN ('seen', 'valid', 'failed-permanent')",
          k_width, values, {});
    }
  }

  // The other half of a pair; one that went out stays what it is.
  void mark_clashing() {
    std::vector<std::string> messages;
    messages.reserve(m_clashing.size());
    std::vector<Value> values;
    const std::string_view error_class = to_string(kind("batch.uid-clash").error_class);
    for (const Clashing& clashing : m_clashing) {
      messages.push_back(stored_text(fmt::format("another object has this SOP Instance UID: {}", clashing.other_path)));
      values.insert(values.end(), {clashing.id, k_uid_clash, error_class, std::string_view(messages.back()),
                                   std::string_view(m_now)});
    }
    if (!values.empty()) {
      m_ledger.connection->run(
          "UPDATE instance SET state = 'failed-permanent', error_code = $2, error_class = $3, error_message = $4,"
          " updated = $5 WHERE id = $1 AND state IN ('seen', 'valid', 'failed-temporary', 'failed-permanent')",
          5, values, {});
    }
  }

  struct Clashing {
    std::int64_t id;
    std::string other_path;
  };

  Ledger::Impl& m_ledger;
  std::vector<Instance> m_given;
  std::vector<std::string> m_paths;
  std::string m_now;
  std::vector<Files> m_undecided;
  std::vector<Planned> m_plan;
  std::vector<std::size_t> m_row_of;
  std::unordered_map<std::string, std::size_t> m_by_path;
  std::unordered_map<std::string, std::size_t> m_by_uid;
  std::vector<Clashing> m_clashing;
  std::vector<std::optional<std::int64_t>> m_study_of;
  std::unordered_map<std::string, std::int64_t> m_new_studies;
  std::map<Pair, std::optional<bool>> m_same;
};

}  // namespace

std::vector<Instance> Ledger::record(std::span<const Instance> instances, const SameDataSet& same) {
  if (instances.empty()) {
    return {};
  }
  Recorder recorder(*m_impl, instances);
  // Two files are compared outside of the transaction: it may take long, and others wait for it.
  for (auto undecided = recorder.plan_and_write(); !undecided.empty(); undecided = recorder.plan_and_write()) {
    for (const Recorder::Files& pair : undecided) {
      recorder.decide(pair, same ? same(pair.first, pair.second) : std::nullopt);
    }
  }
  return recorder.finish();
}

void Ledger::forget(std::span<const std::string> paths) {
  const std::scoped_lock lock(m_impl->mutex);
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  std::vector<std::string> stored;
  std::vector<Value> values;
  stored.reserve(paths.size());
  for (const std::string& path : paths) {
    stored.push_back(stored_path(path));
    values.insert(values.end(), {std::string_view(stored.back()), std::string_view(now)});
  }
  if (!values.empty()) {
    m_impl->transact(Connection::Durability::ordinary, [&] {
      m_impl->connection->run(
          "UPDATE instance SET state = 'superseded', live = 0, updated = $2 WHERE path = $1 AND live = 1", 2, values,
          {});
    });
  }
}

}  // namespace kuva::ledger
