#include <kuva/core/database.hpp>
#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/sandbox/registry.hpp>
#include <kuva/xds/data_types.hpp>
#include <kuva/xds/ebrim.hpp>
#include <kuva/xml/document.hpp>
#include <kuva/xml/writer.hpp>

#include <fmt/format.h>
#include <openssl/rand.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>

namespace kuva::sandbox {

namespace fs = std::filesystem;

namespace {

constexpr int k_registry_version = 1;
constexpr std::uint64_t k_largest_submission = 64U << 20U;
constexpr const char* k_registry_file = "index.db";

constexpr const char* k_registry_schema =
    "CREATE TABLE object(id TEXT PRIMARY KEY, kind INTEGER NOT NULL, number INTEGER NOT NULL, patient TEXT NOT NULL,"
    "unique_id TEXT NOT NULL, study TEXT NOT NULL, status TEXT NOT NULL, xml TEXT NOT NULL);"
    "CREATE INDEX object_patient ON object(kind, patient, number);"
    "CREATE INDEX object_unique ON object(unique_id);"
    "CREATE INDEX object_study ON object(study) WHERE study<>'';"
    "CREATE TABLE association(id TEXT PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL, xml TEXT NOT NULL);"
    "CREATE INDEX association_source ON association(source);"
    "CREATE INDEX association_target ON association(target);"
    "CREATE TABLE state(last INTEGER NOT NULL);"
    "INSERT INTO state VALUES(0);"
    "PRAGMA user_version=1;";

constexpr std::string_view k_registry_database = "the index of the registry failed";

std::string to_xml(const xds::RegistryObjects& objects) {
  xml::Writer writer;
  xds::write_registry_objects(writer, objects);
  return writer.take();
}

xds::RegistryObjects from_xml(std::string_view text) {
  const xml::Document document = xml::Document::parse(text);
  std::vector<std::string> ignored;
  return xds::read_registry_objects(document.root(), ignored);
}

void append(xds::RegistryObjects& to, xds::RegistryObjects from) {
  const auto move_all = [](auto& into, auto& out) {
    into.insert(into.end(), std::make_move_iterator(out.begin()), std::make_move_iterator(out.end()));
  };
  move_all(to.documents, from.documents);
  move_all(to.submission_sets, from.submission_sets);
  move_all(to.folders, from.folders);
  move_all(to.associations, from.associations);
}

template <typename Object>
xds::RegistryObjects only(const Object& object) {
  xds::RegistryObjects one;
  if constexpr (std::is_same_v<Object, xds::DocumentEntry>) {
    one.documents.push_back(object);
  } else if constexpr (std::is_same_v<Object, xds::SubmissionSet>) {
    one.submission_sets.push_back(object);
  } else if constexpr (std::is_same_v<Object, xds::Folder>) {
    one.folders.push_back(object);
  } else {
    one.associations.push_back(object);
  }
  return one;
}

std::string study_of(const xds::DocumentEntry& document) {
  if (!document.is_manifest()) {
    return {};
  }
  const auto studies = document.study_instance_uids();
  return studies.empty() ? std::string() : studies.front();
}

// The status that an UpdateAvailabilityStatus gives.
std::string new_status(const xds::Association& association) {
  for (const xds::Slot& slot : association.other_slots) {
    if (slot.name == "NewStatus" && !slot.values.empty()) {
      return slot.values.front();
    }
  }
  return std::string(xds::entry_status::deprecated);
}

}  // namespace

class RegistryIndex::Database {
 public:
  explicit Database(const fs::path& path) {
    try {
      open(path);
    } catch (const SQLite::Exception&) {
      remove(path);
      with_database(k_registry_database, [&] { open(path); });
    }
  }

  SQLite::Statement& prepare(const std::string& sql) {
    auto& statement = m_statements[sql];
    if (!statement) {
      statement = std::make_unique<SQLite::Statement>(*m_database, sql);
    }
    statement->reset();
    statement->clearBindings();
    return *statement;
  }
  SQLite::Database& database() { return *m_database; }

 private:
  static void remove(const fs::path& path) {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      std::error_code ignored;
      fs::remove(path.native() + suffix, ignored);
    }
  }
  void open(const fs::path& path) {
    m_statements.clear();
    m_database = std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    ::chmod(path.c_str(), 0600);  // it has patient data
    m_database->exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;");
    const int version = m_database->execAndGet("PRAGMA user_version").getInt();
    if (version == 0) {
      m_database->exec(k_registry_schema);
    } else if (version != k_registry_version || m_database->execAndGet("PRAGMA quick_check(1)").getString() != "ok") {
      m_database.reset();
      remove(path);
      open(path);
    }
  }

  std::unique_ptr<SQLite::Database> m_database;
  std::map<std::string, std::unique_ptr<SQLite::Statement>, std::less<>> m_statements;
};

RegistryIndex::RegistryIndex(const fs::path& path, PatientNow patient_now)
    : m_database(std::make_unique<Database>(path)), m_patient_now(std::move(patient_now)) {}
RegistryIndex::~RegistryIndex() = default;

std::uint64_t RegistryIndex::last_submission() {
  return with_database(k_registry_database, [this] {
    SQLite::Statement& statement = m_database->prepare("SELECT last FROM state");
    const std::uint64_t last =
        statement.executeStep() ? static_cast<std::uint64_t>(statement.getColumn(0).getInt64()) : 0;
    statement.reset();
    return last;
  });
}

void RegistryIndex::add(std::uint64_t number, const xds::RegistryObjects& submission) {
  const auto put = [&](RegistryKind kind, const auto& object, const std::string& unique_id, const std::string& study) {
    SQLite::Statement& insert = m_database->prepare("INSERT OR REPLACE INTO object VALUES(?,?,?,?,?,?,?,?)");
    insert.bind(1, normal_uuid(object.id));
    insert.bind(2, static_cast<int>(kind));
    insert.bind(3, static_cast<std::int64_t>(number));
    const std::string patient = normal_patient_id(object.patient_id);
    insert.bind(4, m_patient_now ? m_patient_now(patient) : patient);
    insert.bind(5, unique_id);
    insert.bind(6, study);
    insert.bind(7, object.status);
    insert.bind(8, to_xml(only(object)));
    insert.exec();
  };
  const auto set_status = [&](const std::string& id, std::string_view status) {
    SQLite::Statement& update = m_database->prepare("UPDATE object SET status=? WHERE id=? AND kind=0");
    update.bind(1, std::string(status));
    update.bind(2, normal_uuid(id));
    update.exec();
  };
  with_database(k_registry_database, [&] {
    SQLite::Transaction transaction(m_database->database());
    for (const xds::DocumentEntry& document : submission.documents) {
      put(RegistryKind::document, document, document.unique_id, study_of(document));
    }
    for (const xds::SubmissionSet& set : submission.submission_sets) {
      put(RegistryKind::submission_set, set, set.unique_id, {});
    }
    for (const xds::Folder& folder : submission.folders) {
      put(RegistryKind::folder, folder, folder.unique_id, {});
    }
    for (const xds::Association& association : submission.associations) {
      if (association.type == k_availability_update) {
        set_status(association.target, new_status(association));
        continue;
      }
      if (association.type == xds::association_type::replaces ||
          association.type == xds::association_type::transforms_and_replaces) {
        set_status(association.target, xds::entry_status::deprecated);
      }
      SQLite::Statement& insert = m_database->prepare("INSERT OR REPLACE INTO association VALUES(?,?,?,?)");
      insert.bind(1, normal_uuid(association.id));
      insert.bind(2, normal_uuid(association.source));
      insert.bind(3, normal_uuid(association.target));
      insert.bind(4, to_xml(only(association)));
      insert.exec();
    }
    SQLite::Statement& state = m_database->prepare("UPDATE state SET last=?");
    state.bind(1, static_cast<std::int64_t>(number));
    state.exec();
    transaction.commit();
  });
}

namespace {

// An object as it is in the index: its status and its patient may have changed since it was submitted.
xds::RegistryObjects read_row(SQLite::Statement& statement) {
  xds::RegistryObjects object = from_xml(statement.getColumn(0).getString());
  const std::string status = statement.getColumn(1).getString();
  const std::string patient = statement.getColumn(2).getString();
  const auto set_patient = [&](auto& of) {
    if (normal_patient_id(of.patient_id) != patient) {
      of.patient_id = patient;
    }
  };
  for (xds::DocumentEntry& document : object.documents) {
    document.status = status;
    set_patient(document);
  }
  for (xds::SubmissionSet& set : object.submission_sets) {
    set_patient(set);
  }
  for (xds::Folder& folder : object.folders) {
    set_patient(folder);
  }
  return object;
}

}  // namespace

void RegistryIndex::each(RegistryKind kind, const std::string& patient, const Take& take) {
  with_database(k_registry_database, [&] {
    SQLite::Statement& select =
        patient.empty() ? m_database->prepare("SELECT xml,status,patient FROM object WHERE kind=? ORDER BY number,id")
                        : m_database->prepare(
                              "SELECT xml,status,patient FROM object WHERE kind=? AND patient=? ORDER BY number,id");
    select.bind(1, static_cast<int>(kind));
    if (!patient.empty()) {
      select.bind(2, patient);
    }
    while (select.executeStep()) {
      if (!take(read_row(select))) {
        break;
      }
    }
    select.reset();
  });
}

void RegistryIndex::get(RegistryKind kind, const std::string& entry_uuid, xds::RegistryObjects& into) {
  with_database(k_registry_database, [&] {
    SQLite::Statement& select = m_database->prepare("SELECT xml,status,patient FROM object WHERE id=? AND kind=?");
    select.bind(1, normal_uuid(entry_uuid));
    select.bind(2, static_cast<int>(kind));
    if (select.executeStep()) {
      append(into, read_row(select));
    }
    select.reset();
  });
}

void RegistryIndex::get_by_unique_id(RegistryKind kind, const std::string& unique_id, xds::RegistryObjects& into) {
  with_database(k_registry_database, [&] {
    SQLite::Statement& select =
        m_database->prepare("SELECT xml,status,patient FROM object WHERE unique_id=? AND kind=? ORDER BY number,id");
    select.bind(1, unique_id);
    select.bind(2, static_cast<int>(kind));
    while (select.executeStep()) {
      append(into, read_row(select));
    }
    select.reset();
  });
}

std::vector<xds::Association> RegistryIndex::associations(const std::string& entry_uuid) {
  return with_database(k_registry_database, [&] {
    xds::RegistryObjects found;
    SQLite::Statement& select =
        m_database->prepare("SELECT xml FROM association WHERE source=?1 OR target=?1 ORDER BY rowid");
    select.bind(1, normal_uuid(entry_uuid));
    while (select.executeStep()) {
      append(found, from_xml(select.getColumn(0).getString()));
    }
    select.reset();
    return std::move(found.associations);
  });
}

std::optional<xds::DocumentEntry> RegistryIndex::manifest_of(const std::string& study_instance_uid) {
  return with_database(k_registry_database, [&]() -> std::optional<xds::DocumentEntry> {
    SQLite::Statement& select = m_database->prepare(
        "SELECT xml,status,patient FROM object WHERE study=? AND study<>'' AND status=? ORDER BY number DESC LIMIT 1");
    select.bind(1, study_instance_uid);
    select.bind(2, std::string(xds::entry_status::approved));
    std::optional<xds::DocumentEntry> found;
    if (select.executeStep()) {
      found = read_row(select).documents.front();
    }
    select.reset();
    return found;
  });
}

bool RegistryIndex::knows_study(const std::string& study_instance_uid) {
  return with_database(k_registry_database, [&] {
    SQLite::Statement& select = m_database->prepare("SELECT 1 FROM object WHERE study=? AND study<>'' LIMIT 1");
    select.bind(1, study_instance_uid);
    const bool is_known = select.executeStep();
    select.reset();
    return is_known;
  });
}

std::uint64_t RegistryIndex::count(RegistryKind kind) {
  return with_database(k_registry_database, [&] {
    SQLite::Statement& select = m_database->prepare("SELECT count(*) FROM object WHERE kind=?");
    select.bind(1, static_cast<int>(kind));
    const std::uint64_t count = select.executeStep() ? static_cast<std::uint64_t>(select.getColumn(0).getInt64()) : 0;
    select.reset();
    return count;
  });
}

void RegistryIndex::move_patient(const std::string& patient) {
  const std::string now = m_patient_now ? m_patient_now(patient) : patient;
  if (now == patient) {
    return;
  }
  with_database(k_registry_database, [&] {
    SQLite::Statement& update = m_database->prepare("UPDATE object SET patient=? WHERE patient=?");
    update.bind(1, now);
    update.bind(2, patient);
    update.exec();
  });
}

Registry::Registry(const fs::path& directory, bool durable, RegistryIndex::PatientNow patient_now)
    : m_directory(directory), m_durable(durable) {
  std::error_code error;
  fs::create_directories(m_directory, error);
  if (error) {
    throw write_error(m_directory, error.value());
  }
  // In their order; a number that is missing was never answered for.
  std::vector<std::uint64_t> numbers;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(m_directory)) {
      const std::string stem = entry.path().stem().string();
      std::uint64_t number = 0;
      const auto [end, problem] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
      if (entry.path().extension() == ".xml" && problem == std::errc() && end == stem.data() + stem.size()) {
        numbers.push_back(number);
      }
    }
  } catch (const fs::filesystem_error& failure) {
    throw read_error(m_directory, failure.code().value());
  }
  std::sort(numbers.begin(), numbers.end());
  const fs::path index = m_directory / k_registry_file;
  m_index = std::make_unique<RegistryIndex>(index, patient_now);
  if (m_index->last_submission() > (numbers.empty() ? 0 : numbers.back())) {
    // It speaks of what is not there: files were taken away.
    m_index.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) {
      fs::remove(index.native() + suffix, error);
    }
    m_index = std::make_unique<RegistryIndex>(index, patient_now);
  }
  const std::uint64_t last = m_index->last_submission();
  for (const std::uint64_t number : numbers) {
    if (number > last) {
      m_index->add(number, from_xml(read_small_file(file_of(number), k_largest_submission)));
    }
  }
}

fs::path Registry::file_of(std::uint64_t number) const { return m_directory / fmt::format("{:08}.xml", number); }

void Registry::submit(const xds::RegistryObjects& submission) {
  const std::string text = to_xml(submission);
  const std::lock_guard lock(m_mutex);
  const std::uint64_t number = m_index->last_submission() + 1;
  AtomicFile file(file_of(number), 0600);
  file.write(text);
  file.commit(m_durable);
  m_index->add(number, submission);
}

std::string normal_patient_id(std::string_view cx) {
  const xds::Cx parsed = xds::parse_cx(cx);
  return parsed.id.empty() ? std::string() : xds::make_cx(parsed.id, parsed.authority);
}

std::string normal_uuid(std::string_view uuid) {
  constexpr std::string_view k_prefix = "urn:uuid:";
  std::string text(xds::trimmed(uuid));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.starts_with("urn:") ? text : std::string(k_prefix) + text;
}

std::string make_entry_uuid() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw Error(kind("local.resource"), "no random numbers");
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);  // RFC 4122: version 4
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);
  std::string text = "urn:uuid:";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      text += '-';
    }
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

}  // namespace kuva::sandbox
