#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/archive.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace kuva::sandbox {

namespace fs = std::filesystem;

namespace {

constexpr const char* k_incoming = ".incoming";
constexpr const char* k_index_file = ".index.db";
constexpr const char* k_lock_file = ".lock";
constexpr const char* k_rejected_extension = ".rejected";
constexpr std::uint64_t k_largest_rejection = 64;

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

// A missing issuer matches any, as in dcm4chee-arc.
bool is_same_patient(const std::optional<PatientIdentity>& a, const StoredObject& stored_a,
                     const std::optional<PatientIdentity>& b, const StoredObject& stored_b) {
  const auto issuer = [](const std::optional<PatientIdentity>& identity, const StoredObject& stored) {
    return identity ? (identity->issuer.empty() ? identity->issuer_oid : identity->issuer)
                    : stored.issuer_of_patient_id;
  };
  const std::string issuer_a = issuer(a, stored_a);
  const std::string issuer_b = issuer(b, stored_b);
  return (a ? a->patient_id : stored_a.patient_id) == (b ? b->patient_id : stored_b.patient_id) &&
         (issuer_a.empty() || issuer_b.empty() || issuer_a == issuer_b);
}

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

}  // namespace

IncomingFile::IncomingFile(fs::path path, FileDescriptor fd) : m_path(std::move(path)), m_fd(std::move(fd)) {}

IncomingFile::~IncomingFile() {
  if (!m_path.empty()) {
    ::unlink(m_path.c_str());
  }
}

void IncomingFile::write(std::span<const std::byte> bytes) {
  m_size += bytes.size();
  m_hash.add(bytes);
  write_all(m_fd, bytes, m_path);
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
  m_index->begin();
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
  m_index->clear_rejections();
  try {
    for (const fs::directory_entry& study : fs::directory_iterator(m_storage)) {
      if (is_hidden(study.path()) || !study.is_directory()) {
        continue;
      }
      for (const fs::directory_entry& series : fs::directory_iterator(study.path())) {
        if (series.is_directory()) {
          index_series(series.path());
        }
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw read_error(error.path1(), error.code().value());
  }
  m_index->forget_empty();
  m_index->commit();
}

void Archive::index_series(const fs::path& directory) {
  std::vector<fs::path> rejections;
  for (const fs::directory_entry& file : fs::directory_iterator(directory)) {
    const fs::path& path = file.path();
    if (path.extension() == ".dcm" && !m_index->find(path.stem().string())) {
      index_file(path);
    } else if (path.extension() == k_rejected_extension) {
      rejections.push_back(path);
    }
  }
  for (const fs::path& path : rejections) {
    if (const auto rejection = rejection_of(read_small_file(path, k_largest_rejection))) {
      m_index->set_rejection(path.stem().string(), *rejection);
    }
  }
}

void Archive::index_file(const fs::path& file) {
  struct stat status {};
  dicom::Header header;
  QueryAttributes query_attributes;
  try {
    header = dicom::read_header(file);
    query_attributes = read_query_attributes(file);
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
  object.transfer_syntax_uid = attributes.transfer_syntax_uid;
  object.patient_id = attributes.patient_id;
  object.issuer_of_patient_id = attributes.issuer_of_patient_id;
  object.source_ae = header.meta.source_application_entity_title;
  object.size = static_cast<std::uint64_t>(status.st_size);
  object.modified = nanoseconds(status.st_mtim);
  if (path_of(object) == file) {
    m_index->put(object, query_attributes);
  }
}

fs::path Archive::path_of(const StoredObject& object) const {
  return m_storage / object.study_instance_uid / object.series_instance_uid / (object.sop_instance_uid + ".dcm");
}

fs::path Archive::rejection_file_of(const StoredObject& object) const {
  return path_of(object).replace_extension(k_rejected_extension);
}

// With the lock held. The file first: it is the truth.
void Archive::set_rejection(const StoredObject& object, Rejection rejection) {
  const fs::path path = rejection_file_of(object);
  if (rejection == Rejection::none) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      throw write_error(path, errno);
    }
    if (m_durable) {
      flush_directory(path.parent_path());
    }
  } else {
    AtomicFile file(path, 0640);
    file.write(to_string(rejection));
    file.commit(m_durable);
  }
  m_index->set_rejection(object.sop_instance_uid, rejection);
}

Archive::RejectVerdict Archive::reject(const std::string& study_uid, const std::string& series_uid,
                                       const dimse::SopReference& reference, Rejection rejection) {
  const std::lock_guard lock(m_mutex);
  const auto known = m_index->find(reference.sop_instance_uid);
  if (!known || known->study_instance_uid != study_uid) {
    return RejectVerdict::no_such_instance;
  }
  if (known->series_instance_uid != series_uid) {
    return RejectVerdict::no_such_series;
  }
  if (known->sop_class_uid != reference.sop_class_uid) {
    return RejectVerdict::class_conflict;
  }
  if (known->rejection == rejection) {
    return RejectVerdict::done;
  }
  if (rejection != Rejection::none && known->rejection != Rejection::none &&
      !may_override(known->rejection, rejection)) {
    return RejectVerdict::already_rejected;
  }
  set_rejection(*known, rejection);
  return RejectVerdict::done;
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

Archive::Placed Archive::place(IncomingFile& file, StoredObject object, const QueryAttributes& attributes,
                               Overwrite policy) {
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
      if (known->rejection == Rejection::patient_safety || known->rejection == Rejection::worklist) {
        placed.verdict = Verdict::rejected_before;
        return placed;
      }
      if (known->rejection == Rejection::quality) {
        placed.verdict = Verdict::ignored;
        return placed;
      }
      placed.verdict = Verdict::replaced;
    }
    const auto sibling = m_index->any_of_study(object.study_instance_uid);
    // Whoever was merged is the one that it was merged into.
    if (sibling && !is_same_patient(identity_of(*sibling), *sibling, identity_of(object), object)) {
      placed.verdict = Verdict::patient_conflict;
      placed.other = *sibling;
      return placed;
    }
    if (placed.verdict == Verdict::replaced && placed.other.rejection != Rejection::none) {
      set_rejection(placed.other, Rejection::none);
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
    m_index->put(object, attributes);
    if (!sibling && m_identify) {
      identify_study(*m_index->find_stored_study(object.study_instance_uid));
    }
  }
  if (m_durable) {
    const fs::path study = m_storage / object.study_instance_uid;
    flush_directory(study / object.series_instance_uid);
    flush_directory(study);
    flush_directory(m_storage);
  }
  return placed;
}

std::optional<PatientIdentity> Archive::identity_of(const StoredObject& object) const {
  return m_identify ? m_identify(object.patient_id, object.issuer_of_patient_id) : std::nullopt;
}

// With the lock held.
void Archive::identify_study(const IndexedStudy& stored) {
  const auto identity = m_identify(stored.patient_id, stored.issuer_of_patient_id);
  if (!identity) {
    m_index->set_patient(stored.study_instance_uid, stored.patient_id, stored.issuer_of_patient_id, stored.attributes);
    return;
  }
  dicom::DataSet attributes = stored.attributes;
  put_identity(attributes, *identity);
  m_index->set_patient(stored.study_instance_uid, identity->patient_id,
                       identity->issuer.empty() ? identity->issuer_oid : identity->issuer, attributes);
}

std::vector<std::string> Archive::identify(const std::string& patient_id) {
  std::vector<std::string> studies;
  const std::lock_guard lock(m_mutex);
  for (auto study = m_index->next_stored_study(patient_id, {}); m_identify && study;
       study = m_index->next_stored_study(patient_id, study->study_instance_uid)) {
    identify_study(*study);
    studies.push_back(study->study_instance_uid);
  }
  return studies;
}

std::uint16_t Archive::check(const dimse::SopReference& reference) {
  std::optional<StoredObject> known;
  {
    const std::lock_guard lock(m_mutex);
    known = m_index->find(reference.sop_instance_uid);
  }
  struct stat status {};
  if (!known || known->rejection != Rejection::none || ::stat(path_of(*known).c_str(), &status) != 0) {
    return 0x0112;
  }
  if (known->sop_class_uid != reference.sop_class_uid) {
    return 0x0119;
  }
  try {
    if (!known->digest.empty()) {
      return static_cast<std::uint64_t>(status.st_size) == known->size &&
                     digest_of_file(path_of(*known), DigestAlgorithm::sha256) == known->digest
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
