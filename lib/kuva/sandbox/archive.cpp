#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/archive.hpp>

#include <fmt/format.h>
#include <sqlite3.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

namespace kuva::sandbox {

namespace fs = std::filesystem;

namespace {

constexpr const char* k_incoming = ".incoming";
constexpr const char* k_index_file = ".index.db";
constexpr const char* k_lock_file = ".lock";
constexpr int k_index_version = 2;

constexpr const char* k_schema =
    "CREATE TABLE instance("
    "sop_instance TEXT PRIMARY KEY, sop_class TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL,"
    "patient TEXT NOT NULL, issuer TEXT NOT NULL, source TEXT NOT NULL, size INTEGER NOT NULL,"
    "modified INTEGER NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX instance_study ON instance(study);"
    "CREATE TABLE seen_transaction(uid TEXT PRIMARY KEY) WITHOUT ROWID;"
    "PRAGMA user_version=2;";

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

void make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) {
    throw write_error(path, errno);
  }
}

void flush_directory(const fs::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    throw write_error(path, errno);
  }
}

// Errors: local.read.
std::string digest_of(const fs::path& path) {
  constexpr std::size_t k_piece = 1U << 18U;
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    throw read_error(path, errno);
  }
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(k_piece);
  Sha256 hash;
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.get(), k_piece);
    if (count == 0) {
      return hash.finish();
    }
    if (count > 0) {
      hash.add({buffer.get(), static_cast<std::size_t>(count)});
    } else if (errno != EINTR) {
      throw read_error(path, errno);
    }
  }
}

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

}  // namespace

Sha256::Sha256() : m_context(EVP_MD_CTX_new()) {
  if (!m_context || EVP_DigestInit_ex(m_context.get(), EVP_sha256(), nullptr) != 1) {
    throw Error(kind("local.resource"), "no memory for a digest");
  }
}

void Sha256::add(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(m_context.get(), bytes.data(), bytes.size()) != 1) {
    throw Error(kind("local.resource"), "a digest cannot be made");
  }
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(m_context.get(), digest.data(), &size) != 1) {
    throw Error(kind("local.resource"), "a digest cannot be made");
  }
  return {reinterpret_cast<const char*>(digest.data()), size};
}

IncomingFile::IncomingFile(fs::path path, FileDescriptor fd) : m_path(std::move(path)), m_fd(std::move(fd)) {}

IncomingFile::~IncomingFile() {
  if (!m_path.empty()) {
    ::unlink(m_path.c_str());
  }
}

void IncomingFile::write(std::span<const std::byte> bytes) {
  m_size += bytes.size();
  m_hash.add(bytes);
  while (!bytes.empty()) {
    const ssize_t count = ::write(m_fd.get(), bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw write_error(m_path, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void IncomingFile::close(bool durable) {
  struct stat status {};
  if ((durable && ::fsync(m_fd.get()) != 0) || ::fstat(m_fd.get(), &status) != 0) {
    throw write_error(m_path, errno);
  }
  m_modified = nanoseconds(status.st_mtim);
  m_digest = m_hash.finish();
  m_fd.reset();
}

// The SQLite side. In the hands of one thread at a time.
class Archive::Index {
 public:
  explicit Index(const fs::path& path) {
    if (!open(path)) {
      // The index only repeats what the files say: make it again.
      close();
      for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
        std::error_code ignored;
        fs::remove(path.native() + suffix, ignored);
      }
      if (!open(path)) {
        const Error error(kind("local.write"),
                          fmt::format("cannot open the index {}: {}", path.string(),
                                      m_database != nullptr ? sqlite3_errmsg(m_database) : "no memory"));
        close();
        throw error;
      }
    }
  }
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;
  ~Index() { close(); }

  std::optional<StoredObject> find(const std::string& sop_instance_uid) {
    return first("SELECT * FROM instance WHERE sop_instance=?", sop_instance_uid);
  }
  std::optional<StoredObject> any_of_study(const std::string& study_uid) {
    return first("SELECT * FROM instance WHERE study=? LIMIT 1", study_uid);
  }
  // The next one in the order of the SOP Instance UID.
  std::optional<StoredObject> next(const std::string& after) {
    return first("SELECT * FROM instance WHERE sop_instance>? ORDER BY sop_instance LIMIT 1", after);
  }

  void put(const StoredObject& object) {
    Statement statement(*this, "INSERT OR REPLACE INTO instance VALUES(?,?,?,?,?,?,?,?,?,?)");
    int at = 0;
    for (const std::string* text :
         {&object.sop_instance_uid, &object.sop_class_uid, &object.study_instance_uid, &object.series_instance_uid,
          &object.patient_id, &object.issuer_of_patient_id, &object.source_ae}) {
      statement.bind(++at, *text);
    }
    statement.bind(++at, static_cast<std::int64_t>(object.size));
    statement.bind(++at, object.modified);
    statement.bind_bytes(++at, object.digest);
    statement.step();
  }

  // False when it was there.
  bool note_transaction(const std::string& transaction_uid) {
    Statement statement(*this, "INSERT OR IGNORE INTO seen_transaction VALUES(?)");
    statement.bind(1, transaction_uid);
    statement.step();
    return sqlite3_changes(m_database) == 1;
  }

  void erase(const std::string& sop_instance_uid) {
    Statement statement(*this, "DELETE FROM instance WHERE sop_instance=?");
    statement.bind(1, sop_instance_uid);
    statement.step();
  }

  std::uint64_t count() {
    Statement statement(*this, "SELECT count(*) FROM instance");
    return statement.step() ? static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), 0)) : 0;
  }

  void execute(const char* sql) {
    if (sqlite3_exec(m_database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw failure();
    }
  }

 private:
  class Statement {
   public:
    Statement(Index& index, const char* sql) : m_index(index) {
      if (sqlite3_prepare_v2(index.m_database, sql, -1, &m_statement, nullptr) != SQLITE_OK) {
        throw index.failure();
      }
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_finalize(m_statement); }

    sqlite3_stmt* get() { return m_statement; }
    void bind(int at, const std::string& text) {
      sqlite3_bind_text64(m_statement, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    void bind_bytes(int at, const std::string& bytes) {
      sqlite3_bind_blob64(m_statement, at, bytes.data(), bytes.size(), SQLITE_STATIC);
    }
    void bind(int at, std::int64_t number) { sqlite3_bind_int64(m_statement, at, number); }
    bool step() {
      switch (sqlite3_step(m_statement)) {
        case SQLITE_ROW:
          return true;
        case SQLITE_DONE:
          return false;
        default:
          throw m_index.failure();
      }
    }

   private:
    Index& m_index;
    sqlite3_stmt* m_statement = nullptr;
  };

  Error failure() const {
    return Error(kind("local.write"), fmt::format("the sandbox's index failed: {}", sqlite3_errmsg(m_database)));
  }

  std::optional<StoredObject> first(const char* sql, const std::string& key) {
    Statement statement(*this, sql);
    statement.bind(1, key);
    if (!statement.step()) {
      return std::nullopt;
    }
    const auto text = [&statement](int column) {
      const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(statement.get(), column));
      const int size = sqlite3_column_bytes(statement.get(), column);
      return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
    };
    StoredObject object;
    object.sop_instance_uid = text(0);
    object.sop_class_uid = text(1);
    object.study_instance_uid = text(2);
    object.series_instance_uid = text(3);
    object.patient_id = text(4);
    object.issuer_of_patient_id = text(5);
    object.source_ae = text(6);
    object.size = static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), 7));
    object.modified = sqlite3_column_int64(statement.get(), 8);
    object.digest = text(9);
    return object;
  }

  bool open(const fs::path& path) {
    constexpr int k_flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path.c_str(), &m_database, k_flags, nullptr) != SQLITE_OK) {
      return false;
    }
    ::chmod(path.c_str(), 0600);  // it has Patient IDs
    try {
      execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;");
      int version = 0;
      {
        Statement statement(*this, "PRAGMA user_version");
        statement.step();
        version = sqlite3_column_int(statement.get(), 0);
      }
      if (version == 0) {
        execute(k_schema);
        return true;
      }
      Statement check(*this, "PRAGMA quick_check(1)");
      check.step();
      const auto* const result = reinterpret_cast<const char*>(sqlite3_column_text(check.get(), 0));
      return version == k_index_version && result != nullptr && std::string_view(result) == "ok";
    } catch (const Error&) {
      return false;
    }
  }

  void close() {
    sqlite3_close(m_database);
    m_database = nullptr;
  }

  sqlite3* m_database = nullptr;
};

Archive::Archive(const fs::path& storage, bool durable) : m_storage(storage), m_durable(durable) {
  std::error_code error;
  fs::create_directories(m_storage, error);
  if (error) {
    throw write_error(m_storage, error.value());
  }
  const fs::path lock = m_storage / k_lock_file;
  m_lock = FileDescriptor(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!m_lock) {
    throw write_error(lock, errno);
  }
  if (::flock(m_lock.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(kind("local.write"), fmt::format("another sandbox has the storage {}", m_storage.string()));
  }
  // What was half-received when an earlier run ended.
  const fs::path incoming = m_storage / k_incoming;
  fs::remove_all(incoming, error);
  make_directory(incoming);
  m_index = std::make_unique<Index>(m_storage / k_index_file);
  bring_up_to_date();
}

Archive::~Archive() = default;

void Archive::bring_up_to_date() {
  m_index->execute("BEGIN");
  for (auto row = m_index->next({}); row; row = m_index->next(row->sop_instance_uid)) {
    // What differs from what was stored stays known by its digest: it is damaged, and must not pass for a new object.
    struct stat status {};
    const bool is_there = ::stat(path_of(*row).c_str(), &status) == 0;
    const bool differs =
        static_cast<std::uint64_t>(status.st_size) != row->size || nanoseconds(status.st_mtim) != row->modified;
    if (!is_there || (differs && row->digest.empty())) {
      m_index->erase(row->sop_instance_uid);
    }
  }
  try {
    for (const fs::directory_entry& study : fs::directory_iterator(m_storage)) {
      if (is_hidden(study.path()) || !study.is_directory()) {
        continue;
      }
      for (const fs::directory_entry& series : fs::directory_iterator(study.path())) {
        if (!series.is_directory()) {
          continue;
        }
        for (const fs::directory_entry& file : fs::directory_iterator(series.path())) {
          if (file.path().extension() == ".dcm" && !m_index->find(file.path().stem().string())) {
            index_file(file.path());
          }
        }
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw read_error(error.path1(), error.code().value());
  }
  m_index->execute("COMMIT");
}

void Archive::index_file(const fs::path& file) {
  struct stat status {};
  dicom::Header header;
  try {
    header = dicom::read_header(file);
  } catch (const Error&) {
    return;  // not one of ours, or damaged: it is not in the archive
  }
  if (::stat(file.c_str(), &status) != 0) {
    return;
  }
  const dicom::InstanceAttributes& attributes = header.attributes;
  StoredObject object;
  object.sop_class_uid = attributes.sop_class_uid;
  object.sop_instance_uid = attributes.sop_instance_uid;
  object.study_instance_uid = attributes.study_instance_uid;
  object.series_instance_uid = attributes.series_instance_uid;
  object.patient_id = attributes.patient_id;
  object.issuer_of_patient_id = attributes.issuer_of_patient_id;
  object.source_ae = header.meta.source_application_entity_title;
  object.size = static_cast<std::uint64_t>(status.st_size);
  object.modified = nanoseconds(status.st_mtim);
  if (path_of(object) == file) {
    m_index->put(object);
  }
}

fs::path Archive::path_of(const StoredObject& object) const {
  return m_storage / object.study_instance_uid / object.series_instance_uid / (object.sop_instance_uid + ".dcm");
}

std::unique_ptr<IncomingFile> Archive::receive() {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(m_mutex);
    number = m_next_file++;
  }
  fs::path path = m_storage / k_incoming / fmt::format("{}.part", number);
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!fd) {
    throw write_error(path, errno);
  }
  return std::make_unique<IncomingFile>(std::move(path), std::move(fd));
}

void Archive::make_directories(const StoredObject& object) const {
  const fs::path study = m_storage / object.study_instance_uid;
  make_directory(study);
  make_directory(study / object.series_instance_uid);
}

Archive::Placed Archive::place(IncomingFile& file, StoredObject object, Overwrite policy) {
  object.size = file.size();
  object.modified = file.modified();
  object.digest = file.digest();
  Placed placed;
  {
    const std::lock_guard lock(m_mutex);
    if (const auto known = m_index->find(object.sop_instance_uid)) {
      placed.other = *known;
      if (known->sop_class_uid != object.sop_class_uid) {
        placed.verdict = Verdict::class_conflict;
        return placed;
      }
      if (known->study_instance_uid != object.study_instance_uid) {
        placed.verdict = Verdict::study_conflict;
        return placed;
      }
      if (known->series_instance_uid != object.series_instance_uid) {
        placed.verdict = Verdict::series_conflict;
        return placed;
      }
      placed.verdict = Verdict::replaced;
    }
    if (const auto sibling = m_index->any_of_study(object.study_instance_uid)) {
      // A missing issuer matches any, as in dcm4chee-arc.
      const bool same_issuer = sibling->issuer_of_patient_id.empty() || object.issuer_of_patient_id.empty() ||
                               sibling->issuer_of_patient_id == object.issuer_of_patient_id;
      if (sibling->patient_id != object.patient_id || !same_issuer) {
        placed.verdict = Verdict::patient_conflict;
        placed.other = *sibling;
        return placed;
      }
    }
    if (placed.verdict == Verdict::replaced &&
        (policy == Overwrite::never ||
         (policy == Overwrite::same_source && placed.other.source_ae != object.source_ae))) {
      placed.verdict = Verdict::ignored;
      return placed;
    }
    make_directories(object);
    const fs::path final_path = path_of(object);
    if (::rename(file.path().c_str(), final_path.c_str()) != 0) {
      throw write_error(final_path, errno);
    }
    file.disown();
    m_index->put(object);
  }
  if (m_durable) {
    const fs::path study = m_storage / object.study_instance_uid;
    flush_directory(study / object.series_instance_uid);
    flush_directory(study);
    flush_directory(m_storage);
  }
  return placed;
}

std::uint16_t Archive::check(const dimse::SopReference& reference) {
  std::optional<StoredObject> known;
  {
    const std::lock_guard lock(m_mutex);
    known = m_index->find(reference.sop_instance_uid);
  }
  struct stat status {};
  if (!known || ::stat(path_of(*known).c_str(), &status) != 0) {
    return 0x0112;
  }
  if (known->sop_class_uid != reference.sop_class_uid) {
    return 0x0119;
  }
  try {
    if (!known->digest.empty()) {
      return static_cast<std::uint64_t>(status.st_size) == known->size && digest_of(path_of(*known)) == known->digest
                 ? 0x0000
                 : 0x0110;
    }
    const dicom::InstanceAttributes attributes = dicom::read_header(path_of(*known)).attributes;
    const bool sound = static_cast<std::uint64_t>(status.st_size) == known->size &&
                       attributes.sop_class_uid == known->sop_class_uid &&
                       attributes.sop_instance_uid == known->sop_instance_uid &&
                       attributes.study_instance_uid == known->study_instance_uid &&
                       attributes.series_instance_uid == known->series_instance_uid;
    return sound ? 0x0000 : 0x0110;
  } catch (const Error&) {
    return 0x0110;
  }
}

bool Archive::note_transaction(const std::string& transaction_uid) {
  const std::lock_guard lock(m_mutex);
  return m_index->note_transaction(transaction_uid);
}

std::uint64_t Archive::instances() {
  const std::lock_guard lock(m_mutex);
  return m_index->count();
}

}  // namespace kuva::sandbox
