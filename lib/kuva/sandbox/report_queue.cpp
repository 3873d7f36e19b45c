#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/report_queue.hpp>

#include <sys/stat.h>

#include <cerrno>

namespace kuva::sandbox {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t k_largest_file = 64U << 20U;

Json to_json(const DueReport& report) {
  if (report.is_notification()) {
    return Json{{"aeTitle", report.ae_title}, {"StudyInstanceUID", report.study_instance_uid}};
  }
  Json references = Json::array();
  for (const dimse::SopReference& reference : report.request.references) {
    references.push_back(Json::array({reference.sop_class_uid, reference.sop_instance_uid}));
  }
  Json json;
  json["aeTitle"] = report.ae_title;
  json["TransactionUID"] = report.request.transaction_uid;
  json["references"] = std::move(references);
  if (report.failure_reason != 0) {
    json["failureReason"] = report.failure_reason;
  }
  return json;
}

std::optional<DueReport> from_file(const fs::path& file) {
  const Json json = Json::parse(read_small_file(file, k_largest_file), nullptr, false);
  DueReport report;
  try {
    report.file = file;
    report.ae_title = json.at("aeTitle").get<std::string>();
    report.due = Clock::now();
    if (json.contains("StudyInstanceUID")) {
      report.study_instance_uid = json.at("StudyInstanceUID").get<std::string>();
      return report;
    }
    report.request.transaction_uid = json.at("TransactionUID").get<std::string>();
    report.failure_reason = json.value("failureReason", std::uint16_t{0});
    for (const Json& reference : json.at("references")) {
      report.request.references.push_back({reference.at(0).get<std::string>(), reference.at(1).get<std::string>()});
    }
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return report;
}

}  // namespace

ReportQueue::ReportQueue(fs::path directory, bool durable) : m_directory(std::move(directory)), m_durable(durable) {
  if (::mkdir(m_directory.c_str(), 0750) != 0 && errno != EEXIST) {
    throw write_error(m_directory, errno);
  }
  load();
}

void ReportQueue::load() {
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(m_directory)) {
      if (entry.path().extension() == ".json") {
        if (auto report = from_file(entry.path())) {
          m_reports.push_back(std::move(*report));
        }
      } else {
        fs::remove(entry.path());  // half-written when an earlier run ended: the request was not answered yet
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw read_error(error.path1(), error.code().value());
  }
}

void ReportQueue::add_notification(const std::string& ae_title, const std::string& study_instance_uid,
                                   std::chrono::milliseconds delay) {
  {
    const std::lock_guard lock(m_mutex);
    for (DueReport& report : m_reports) {
      if (report.study_instance_uid == study_instance_uid && report.ae_title == ae_title) {
        report.due = Clock::now() + delay;
        m_changed.notify_all();
        return;
      }
    }
  }
  DueReport report;
  report.ae_title = ae_title;
  report.study_instance_uid = study_instance_uid;
  retry(save(std::move(report)), delay);
}

DueReport ReportQueue::save(DueReport report) {
  report.file = m_directory / (dicom::make_uid() + ".json");
  AtomicFile file(report.file, 0640);
  file.write(to_json(report).dump());
  file.commit(m_durable);
  return report;
}

void ReportQueue::add(DueReport report, std::chrono::milliseconds delay) { retry(save(std::move(report)), delay); }

void ReportQueue::association_closed(std::uint64_t association) {
  const std::lock_guard lock(m_mutex);
  for (DueReport& report : m_reports) {
    if (report.association == association) {
      report.association = 0;
    }
  }
  m_changed.notify_all();
}

std::optional<DueReport> ReportQueue::take_locked(const Fits& fits) {
  const auto now = Clock::now();
  for (auto report = m_reports.begin(); report != m_reports.end(); ++report) {
    if (report->due <= now && fits(*report)) {
      DueReport taken = std::move(*report);
      m_reports.erase(report);
      return taken;
    }
  }
  return std::nullopt;
}

std::optional<DueReport> ReportQueue::take(const Fits& fits) {
  const std::lock_guard lock(m_mutex);
  return m_stopped ? std::nullopt : take_locked(fits);
}

std::optional<DueReport> ReportQueue::wait(const Fits& fits) {
  std::unique_lock lock(m_mutex);
  while (!m_stopped) {
    if (auto report = take_locked(fits)) {
      return report;
    }
    std::optional<Clock::time_point> next;
    for (const DueReport& report : m_reports) {
      if (fits(report) && (!next || report.due < *next)) {
        next = report.due;
      }
    }
    if (next) {
      m_changed.wait_until(lock, *next);
    } else {
      m_changed.wait(lock);
    }
  }
  return std::nullopt;
}

void ReportQueue::done(const DueReport& report) {
  std::error_code ignored;
  fs::remove(report.file, ignored);  // what stays is reported once more at the next start, which the protocol allows
}

void ReportQueue::retry(DueReport report, std::chrono::milliseconds delay) {
  const std::lock_guard lock(m_mutex);
  report.due = Clock::now() + delay;
  m_reports.push_back(std::move(report));
  m_changed.notify_all();
}

void ReportQueue::stop() {
  const std::lock_guard lock(m_mutex);
  m_stopped = true;
  m_changed.notify_all();
}

std::size_t ReportQueue::pending() {
  const std::lock_guard lock(m_mutex);
  return m_reports.size();
}

}  // namespace kuva::sandbox
