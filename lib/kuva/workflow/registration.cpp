#include <kuva/core/database.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/custody.hpp>
#include <kuva/workflow/registration.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t k_largest_registration = 256U << 20U;
constexpr std::size_t k_records_a_transaction = 500;
constexpr std::string_view k_unavailable = "UNAVAILABLE";

constexpr std::string_view k_waiting_database = "temporary database of what waits";

constexpr const char* k_waiting_tables =
    "CREATE TABLE waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT, record TEXT);"
    "CREATE INDEX waiting_study ON waiting (study, number);";

}  // namespace

struct Registrations::Waiting {
  SQLite::Database db = open_temporary_database(k_waiting_tables);
  SQLite::Statement insert{db, "INSERT INTO waiting(study, record) VALUES (?, ?)"};
  SQLite::Statement of_study{
      db, "SELECT number, record FROM waiting WHERE study = ? AND number > ? ORDER BY number LIMIT 1"};
  SQLite::Statement next{db, "SELECT number, record FROM waiting WHERE number > ? ORDER BY number LIMIT 1"};
  SQLite::Statement erase{db, "DELETE FROM waiting WHERE number = ?"};
  std::uint64_t count = 0;

  void add(const std::string& study, const Json& record) {
    insert.reset();
    insert.bind(1, study);
    insert.bind(2, to_line(record));
    insert.exec();
    ++count;
  }
  // The next record that waits; 0 in `number` when there is none.
  static Json read(SQLite::Statement& statement, std::int64_t& number) {
    Json record;
    number = 0;
    if (statement.executeStep()) {
      number = statement.getColumn(0).getInt64();
      record = Json::parse(statement.getColumn(1).getString());
    }
    statement.reset();
    return record;
  }
  void remove(std::int64_t number) {
    erase.reset();
    erase.bind(1, number);
    erase.exec();
    --count;
  }
};

Registrations::Registrations(RecordSink& sink, Observer& observer, TransactionStore& store, fs::path directory)
    : m_sink(sink),
      m_observer(observer),
      m_store(store),
      m_directory(std::move(directory)),
      m_waiting(with_database(k_waiting_database, [] { return std::make_unique<Waiting>(); })) {
  std::error_code error;
  fs::create_directories(m_directory, error);
  if (error) {
    throw write_error(m_directory, error.value());
  }
  fs::permissions(m_directory, fs::perms::owner_all, error);
  remove_old();
}

Registrations::~Registrations() = default;

void Registrations::remove_old() {
  std::error_code error;
  const auto oldest = fs::file_time_type::clock::now() - k_keep;
  for (const fs::directory_entry& entry : fs::directory_iterator(m_directory, error)) {
    std::error_code ignored;
    if (entry.path().extension() == ".json" && entry.last_write_time(ignored) < oldest && !ignored) {
      fs::remove(entry.path(), ignored);
    }
  }
}

const Registrations::Words& Registrations::words_of(const std::string& study_uid) {
  if (m_study == study_uid) {
    return m_words;
  }
  m_study.clear();
  m_words.clear();
  // The UID comes from outside and becomes a file name.
  const fs::path path = m_directory / (study_uid + ".json");
  std::error_code ignored;
  if (!dicom::uid_defect(study_uid) && fs::exists(path, ignored)) {
    try {
      const Json json = Json::parse(read_small_file(path, k_largest_registration));
      for (const auto& [uid, word] : json.items()) {
        m_words[uid] = {word.at(0).get<std::string>(), word.at(1).get<std::string>(), word.at(2).get<std::string>(),
                        word.at(3).get<std::string>()};
      }
    } catch (const Json::exception& exception) {
      throw Error(kind("local.read"), fmt::format("{} is damaged: {}", path.string(), exception.what()));
    }
  }
  m_study = study_uid;
  return m_words;
}

void Registrations::save(const std::string& study_uid) {
  Json json = Json::object();
  for (const auto& [uid, word] : m_words) {
    json[uid] = Json::array({word.sop_class_uid, word.availability, word.retrieve_ae_title, word.notified_at});
  }
  AtomicFile file(m_directory / (study_uid + ".json"), 0600);
  file.write(to_line(json));
  file.commit();
}

// With the lock held. Puts what the archive says into the record; false where that is not that it is available.
bool Registrations::register_if_available(Json& record) {
  const Words& words = words_of(string_at(record, "StudyInstanceUID"));
  const auto word = words.find(string_at(record, "SOPInstanceUID"));
  if (word == words.end() || word->second.sop_class_uid != string_at(record, "SOPClassUID")) {
    return false;
  }
  Json registration;
  registration["availability"] = word->second.availability;
  registration["retrieveAETitle"] = word->second.retrieve_ae_title;
  registration["notifiedAt"] = word->second.notified_at;
  record["registration"] = std::move(registration);
  if (word->second.availability == k_unavailable) {
    return false;
  }
  set_outcome(record, k_commit_tool, outcome::registered, true);
  return true;
}

void Registrations::emit(const Json& record) {
  if (string_at(record, "type") != "instance" || string_at(record, "outcome") != outcome::committed) {
    m_sink.emit(record);
    return;
  }
  const std::lock_guard lock(m_mutex);
  Json own = record;
  own.erase("registration");
  if (register_if_available(own)) {
    m_sink.emit(own);
    return;
  }
  with_database(k_waiting_database, [&] { m_waiting->add(string_at(own, "StudyInstanceUID"), own); });
}

void Registrations::take(const dimse::AvailabilityNotification& notification) {
  const std::string& study = notification.study_instance_uid;
  if (dicom::uid_defect(study)) {
    throw Error(kind("association.protocol"), "the Study Instance UID of a notification is not a legal UID");
  }
  const std::lock_guard lock(m_mutex);
  words_of(study);
  const std::string now = to_rfc3339(std::chrono::system_clock::now());
  for (const auto& series : notification.series) {
    for (const dimse::InstanceAvailability& instance : series.instances) {
      Word& word = m_words[instance.reference.sop_instance_uid];
      const bool is_new = word.availability != instance.availability;
      word = {instance.reference.sop_class_uid, instance.availability, instance.retrieve_ae_title,
              is_new ? now : word.notified_at};
    }
  }
  save(study);
  std::uint64_t registered = 0;
  with_database(k_waiting_database, [&] {
    std::int64_t number = 0;
    do {
      m_waiting->of_study.bind(1, study);
      m_waiting->of_study.bind(2, number);
      Json record = Waiting::read(m_waiting->of_study, number);
      if (number != 0 && register_if_available(record)) {
        m_sink.emit(record);
        m_waiting->remove(number);
        ++registered;
      }
    } while (number != 0);
  });
  m_observer.message(Observer::Level::detail,
                     fmt::format("a notification of study {} came; {} instances that waited for it are registered",
                                 study, registered));
  m_changed.notify_all();
}

bool Registrations::wait(Deadline deadline, std::stop_token stop) {
  std::unique_lock lock(m_mutex);
  return m_changed.wait_until(lock, stop, deadline.time_point(), [this] { return m_waiting->count == 0; });
}

void Registrations::leave_pending() {
  const std::lock_guard lock(m_mutex);
  std::vector<Json> left;
  const auto keep = [this, &left] {
    if (!left.empty()) {
      m_store.save(
          {dicom::make_uid(), to_rfc3339(std::chrono::system_clock::now()), std::exchange(left, {}), std::nullopt});
    }
  };
  std::int64_t number = 0;
  for (;;) {
    Json record = with_database(k_waiting_database, [&] {
      m_waiting->next.bind(1, number);
      return Waiting::read(m_waiting->next, number);
    });
    if (number == 0) {
      break;
    }
    left.push_back(record);
    register_if_available(record);
    const bool is_unavailable = record.contains("registration");
    set_outcome(record, k_commit_tool, outcome::pending, false);
    set_error(record,
              Error(kind("commit.not-registered"),
                    is_unavailable ? "the archive has committed the object and notifies that it is UNAVAILABLE"
                                   : "the archive has committed the object and not notified that it is available"));
    m_sink.emit(record);
    if (left.size() == k_records_a_transaction) {
      keep();
    }
  }
  keep();
  m_waiting->count = 0;
}

}  // namespace kuva::workflow
