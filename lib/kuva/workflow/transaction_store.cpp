#include <kuva/core/record.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/transaction_store.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

namespace kuva::workflow {

namespace {

// A chunk is at most some thousands of records of a few kilobytes.
constexpr std::uint64_t k_largest_file = 256ULL * 1024 * 1024;

constexpr std::string_view k_suffix = ".transaction.ndjson";
constexpr std::string_view k_report_suffix = ".report.json";

Json to_json(const dimse::CommitmentReport& report) {
  Json json;
  json["transactionUID"] = report.transaction_uid;
  json["retrieveAETitle"] = report.retrieve_ae_title;
  json["committed"] = Json::array();
  for (const dimse::SopReference& reference : report.committed) {
    json["committed"].push_back({reference.sop_class_uid, reference.sop_instance_uid});
  }
  json["failed"] = Json::array();
  for (const dimse::CommitmentFailure& failure : report.failed) {
    json["failed"].push_back({failure.reference.sop_class_uid, failure.reference.sop_instance_uid, failure.reason});
  }
  return json;
}

dimse::CommitmentReport report_from_json(const Json& json) {
  dimse::CommitmentReport report;
  report.transaction_uid = json.at("transactionUID").get<std::string>();
  report.retrieve_ae_title = json.at("retrieveAETitle").get<std::string>();
  for (const Json& entry : json.at("committed")) {
    report.committed.push_back({entry.at(0).get<std::string>(), entry.at(1).get<std::string>()});
  }
  for (const Json& entry : json.at("failed")) {
    report.failed.push_back(
        {{entry.at(0).get<std::string>(), entry.at(1).get<std::string>()}, entry.at(2).get<std::uint16_t>()});
  }
  return report;
}

// A state file that was damaged by somebody else is an error of reading, with the file's name.
template <typename Work>
auto parsed(const std::filesystem::path& path, const Work& work) {
  try {
    return work();
  } catch (const Json::exception& exception) {
    throw Error(kind("local.read"), fmt::format("{} is damaged: {}", path.string(), exception.what()));
  }
}

}  // namespace

TransactionStore::TransactionStore(std::filesystem::path directory) : m_directory(std::move(directory)) {
  std::error_code error;
  std::filesystem::create_directories(m_directory, error);
  if (error) {
    throw write_error(m_directory, error.value());
  }
  std::filesystem::permissions(m_directory, std::filesystem::perms::owner_all, error);
  const std::filesystem::path lock = m_directory / "lock";
  m_lock = FileDescriptor(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!m_lock) {
    throw write_error(lock, errno);
  }
  if (::flock(m_lock.get(), LOCK_EX | LOCK_NB) != 0) {
    char text[32] = {};
    const ssize_t count = ::pread(m_lock.get(), text, sizeof text - 1, 0);
    throw Error(kind("usage.state-in-use"),
                fmt::format("{} is in use by process {}", m_directory.string(), count > 0 ? text : "unknown"));
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(m_lock.get(), 0) != 0 || ::pwrite(m_lock.get(), pid.data(), pid.size(), 0) < 0) {
    throw write_error(lock, errno);
  }
}

void TransactionStore::save(const Transaction& transaction) {
  AtomicFile file(path_of(transaction.transaction_uid), 0600);
  Json head;
  head["transactionUID"] = transaction.transaction_uid;
  head["requestedAt"] = transaction.requested_at;
  head["instances"] = transaction.records.size();
  file.write(to_line(head) + '\n');
  for (const Json& record : transaction.records) {
    file.write(to_line(record) + '\n');
  }
  file.commit();
}

std::optional<TransactionStore::Transaction> TransactionStore::load(const std::string& transaction_uid) const {
  if (!contains(transaction_uid)) {
    return std::nullopt;
  }
  const std::filesystem::path path = path_of(transaction_uid);
  Transaction transaction;
  parsed(path, [&] {
    std::istringstream lines(read_small_file(path, k_largest_file));
    std::string line;
    std::getline(lines, line);
    const Json head = Json::parse(line);
    transaction.transaction_uid = head.at("transactionUID").get<std::string>();
    transaction.requested_at = head.at("requestedAt").get<std::string>();
    while (std::getline(lines, line)) {
      transaction.records.push_back(Json::parse(line));
    }
  });
  const std::filesystem::path report = report_path_of(transaction_uid);
  if (std::filesystem::exists(report)) {
    transaction.report =
        parsed(report, [&] { return report_from_json(Json::parse(read_small_file(report, k_largest_file))); });
  }
  return transaction;
}

bool TransactionStore::contains(const std::string& transaction_uid) const {
  // The UID comes from outside and becomes a file name.
  std::error_code error;
  return !dicom::uid_defect(transaction_uid) && std::filesystem::exists(path_of(transaction_uid), error);
}

void TransactionStore::save_report(const dimse::CommitmentReport& report) {
  AtomicFile file(report_path_of(report.transaction_uid), 0600);
  file.write(to_line(to_json(report)));
  file.commit();
}

void TransactionStore::remove(const std::string& transaction_uid) {
  std::error_code error;
  std::filesystem::remove(path_of(transaction_uid), error);
  std::filesystem::remove(report_path_of(transaction_uid), error);
}

std::vector<std::string> TransactionStore::list() const {
  std::vector<std::pair<std::filesystem::file_time_type, std::string>> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(m_directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(k_suffix)) {
      found.emplace_back(entry.last_write_time(error), name.substr(0, name.size() - k_suffix.size()));
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> uids;
  for (auto& [time, uid] : found) {
    uids.push_back(std::move(uid));
  }
  return uids;
}

std::filesystem::path TransactionStore::path_of(const std::string& transaction_uid) const {
  return m_directory / (transaction_uid + std::string(k_suffix));
}

std::filesystem::path TransactionStore::report_path_of(const std::string& transaction_uid) const {
  return m_directory / (transaction_uid + std::string(k_report_suffix));
}

}  // namespace kuva::workflow
