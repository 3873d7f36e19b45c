#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/hl7/field_names.hpp>
#include <kuva/mllp/listener.hpp>
#include <kuva/workflow/adt.hpp>
#include <kuva/workflow/adt_message.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <tuple>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_adt_tool = "kuva-adt";
constexpr std::uint64_t k_file_limit = 64U * 1024U * 1024U;
constexpr std::chrono::milliseconds k_stop_limit{5'000};
constexpr std::size_t k_most_errors = 50;  // ERR segments of an answer

// For the output of people: decoded as far as it goes.
hl7::CharacterSet readable_set(const hl7::Message& message, const hl7::CheckProfile& profile) {
  const auto set = hl7::CharacterSet::find(message.character_set_term());
  if (set && !(set->is_ascii() && message.character_set_term().empty())) {
    return *set;
  }
  return set && !profile.assumed_set ? *set : profile.assumed_set.value_or(hl7::CharacterSet::utf8());
}

void show_identifiers(Json& record, const hl7::Message& message, const hl7::CharacterSet& set) {
  for (const auto& [segment, field, key] :
       {std::tuple{"PID", std::size_t{3}, "PID-3"}, std::tuple{"MRG", std::size_t{1}, "MRG-1"}}) {
    const std::string_view raw = message.raw(segment, field, 0, 0);
    if (!raw.empty()) {
      record[key] = set.to_utf8(raw).text;
    }
  }
}

// "2 errors: field.missing at PID-3.4, ..." of the first.
Error invalid(const std::vector<hl7::Finding>& findings) {
  const auto first = std::find_if(findings.begin(), findings.end(),
                                  [](const hl7::Finding& finding) { return finding.severity == hl7::Severity::error; });
  const auto count = std::count_if(findings.begin(), findings.end(), [](const hl7::Finding& finding) {
    return finding.severity == hl7::Severity::error;
  });
  return Error(kind("hl7.invalid"),
               fmt::format("{}{}{}", first->message,
                           first->position.empty() || first->message.find(first->position) != std::string::npos
                               ? ""
                               : fmt::format(" ({})", first->position),
                           count > 1 ? fmt::format(", and {} more", count - 1) : ""));
}

void set_failed(Json& record, const Error& error) {
  set_outcome(record, k_adt_tool, outcome::failed, false);
  set_error(record, error);
}

// Sends, or says what it would send.
void deliver(Json& record, const hl7::Message& message, Courier* courier, const std::string& what,
             const hl7::CharacterSet& set) {
  if (courier == nullptr) {
    record["sentence"] = what;
    record["message"] = set.to_utf8(message.wire_bytes()).text;
    set_outcome(record, k_adt_tool, outcome::planned, true);
    return;
  }
  if (courier->unreachable()) {
    set_outcome(record, k_adt_tool, outcome::unsent, false);
    set_error(record, *courier->unreachable());
    return;
  }
  const std::vector<std::string> secrets = secrets_of(message);
  conclude(record, k_adt_tool, courier->deliver(message, secrets), secrets);
}

std::string sentence_of(const hl7::Message& message, const hl7::CharacterSet& set) {
  const auto id = [&](const char* segment, std::size_t field) { return set.to_utf8(message.raw(segment, field)).text; };
  if (message.find("MRG") != nullptr) {
    return fmt::format("{}: patient {} disappears into {}.", message.trigger(), id("MRG", 1), id("PID", 3));
  }
  return fmt::format("{}: the data of patient {} are replaced by what the message says; empty fields stay as they are.",
                     message.trigger(), id("PID", 3));
}

// Counts and emits the records of a run.
class Run {
 public:
  Run(RecordSink& sink, Accounting& accounting) : m_sink(sink), m_accounting(accounting) {}

  void emit(const Json& record) {
    m_accounting.entered();
    m_sink.emit(record);
    ++done;
    failed += record.value("ok", false) ? 0U : 1U;
  }

  std::uint64_t done = 0;
  std::uint64_t failed = 0;

 private:
  RecordSink& m_sink;
  Accounting& m_accounting;
};

// Each message of each file; a file that cannot be read is a record.
template <typename Work>
void for_each_message(InputSource& input, Run& run, std::stop_token stop, const Work& work) {
  while (!stop.stop_requested()) {
    const auto item = input.next();
    if (!item) {
      return;
    }
    Json base = make_record("message", k_adt_tool, outcome::failed, false);
    if (item->record) {
      set_failed(base, Error(kind("stream.record"), "a record came in, and this command reads files of HL7 messages"));
      run.emit(base);
      continue;
    }
    base["path"] = path_to_json(item->path);
    try {
      const hl7::MessageFile file = hl7::MessageFile::parse(read_small_file(item->path, k_file_limit));
      const auto messages = file.messages();
      for (std::size_t i = 0; i < messages.size() && !stop.stop_requested(); ++i) {
        Json record = base;
        if (messages.size() > 1) {
          record["index"] = i + 1;
        }
        describe(record, *messages[i]);
        work(*messages[i], record);
        run.emit(record);
      }
    } catch (const Error& error) {
      if (error.kind().code == kind("local.write").code) {
        throw;
      }
      set_failed(base, error);
      run.emit(base);
    }
  }
}

// "PID-5 Patient Name: ..." with components, for records and people.
Json segment_to_json(const hl7::Segment& segment, const hl7::Message& message, const hl7::CharacterSet& set) {
  const hl7::Delimiters& delimiters = message.delimiters();
  Json json = {{"segment", set.to_utf8(segment.name()).text}};
  if (const auto name = hl7::segment_name(segment.name()); !name.empty()) {
    json["name"] = name;
  }
  json["fields"] = Json::array();
  const auto add = [&](const hl7::Position& position, std::string_view name, std::string_view raw) {
    Json field = {{"position", set.to_utf8(position.to_string()).text}};
    if (!name.empty()) {
      field["name"] = name;
    }
    field["value"] = set.to_utf8(raw).text;
    if (hl7::is_null(raw)) {
      field["null"] = true;
    } else if (const std::string text = hl7::decode(raw, delimiters, set).text; text != field["value"]) {
      field["text"] = text;
    }
    json["fields"].push_back(std::move(field));
  };
  for (std::size_t number = 1; number <= segment.size(); ++number) {
    const std::string_view raw = segment.field(number);
    if (raw.empty()) {
      continue;
    }
    const std::string_view name = hl7::field_name(segment.name(), number);
    hl7::Position position{std::string(segment.name()), number, 1, 0, 0, 1};
    if (segment.is_header() && number <= 2) {
      add(position, name, raw);
      continue;
    }
    const auto repetitions = hl7::split(raw, delimiters.repetition);
    for (std::size_t i = 0; i < repetitions.size(); ++i) {
      position.repetition = i + 1;
      position.component = 0;
      const auto components = hl7::split(repetitions[i], delimiters.component);
      if (components.size() == 1) {
        add(position, name, repetitions[i]);
        continue;
      }
      for (std::size_t j = 0; j < components.size(); ++j) {
        if (components[j].empty()) {
          continue;
        }
        position.component = j + 1;
        const std::string_view part = hl7::component_name(segment.name(), number, j + 1);
        add(position, part.empty() ? std::string(name) : fmt::format("{}: {}", name, part), components[j]);
      }
    }
  }
  return json;
}

class Receiver final : public mllp::Handler {
 public:
  Receiver(RecordSink& sink, Observer& observer, Accounting& accounting, const ReceiveSettings& receive,
           const AdtSettings& settings)
      : m_sink(sink), m_observer(observer), m_accounting(accounting), m_receive(receive), m_settings(settings) {}

  std::optional<std::string> on_message(const mllp::Received& received) override {
    Json record = make_record("message", k_adt_tool, outcome::failed, false);
    record["peer"] = received.peer.to_json();
    record["connection"] = received.connection;
    std::optional<std::string> answer;
    try {
      answer = take(received, record);
    } catch (const Error& error) {
      set_failed(record, error);
    }
    const std::lock_guard lock(m_mutex);
    m_accounting.entered();
    try {
      m_sink.emit(record);
    } catch (const Error& error) {
      m_failure = error;
      m_changed.notify_all();
      return std::nullopt;  // what is not on record is not acknowledged
    }
    ++m_count;
    m_changed.notify_all();
    return answer;
  }

  void on_error(const Error& error, std::uint64_t) override {
    m_observer.message(Observer::Level::warning, fmt::format("{} ({})", error.message(), error.kind().code));
  }

  // Until it is stopped, all have come, or a record could not be written.
  void wait(std::stop_token stop) {
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, stop,
                   [this] { return m_failure.has_value() || (m_receive.count != 0 && m_count >= m_receive.count); });
  }

  void rethrow() {
    const std::lock_guard lock(m_mutex);
    if (m_failure) {
      throw Error(*m_failure);
    }
  }

 private:
  std::string take(const mllp::Received& received, Json& record) {
    const hl7::Message message = hl7::Message::parse(received.bytes);
    describe(record, message);
    if (m_settings.show_identifiers) {
      show_identifiers(record, message, readable_set(message, m_settings.profile));
    }
    record["size"] = received.bytes.size();
    const auto findings = hl7::check(message, m_settings.profile);
    if (!findings.empty()) {
      record["findings"] = workflow::to_json(findings);
    }
    hl7::Acknowledgement answer;
    answer.own_control_id = make_control_id();
    if (hl7::has_errors(findings)) {
      answer.code = hl7::AckCode::AE;
      std::size_t more = 0;
      for (const hl7::Finding& finding : findings) {
        if (finding.severity == hl7::Severity::error && answer.errors.size() == k_most_errors) {
          ++more;
        } else if (finding.severity == hl7::Severity::error) {
          const bool missing = finding.rule == "field.missing" || finding.rule == "segment.missing";
          answer.errors.push_back({finding.position, missing ? "101" : "102", "", "E", "", finding.message});
        }
      }
      if (more > 0) {
        answer.errors.push_back({"", "102", "", "E", "", fmt::format("and {} more", more)});
      }
      set_outcome(record, k_adt_tool, outcome::invalid, false);
      set_error(record, invalid(findings));
    } else {
      if (!m_receive.directory.empty()) {
        save(received.bytes, record);
      }
      set_outcome(record, k_adt_tool, "received", true);
    }
    record["acknowledgement"] = {{"code", hl7::to_string(answer.code)}, {"controlId", answer.own_control_id}};
    return hl7::make_acknowledgement(message, answer).wire_bytes();
  }

  void save(const std::string& bytes, Json& record) {
    // A name of ours: what a peer puts into MSH-10 is no name of a file.
    const std::filesystem::path path = m_receive.directory / (make_control_id() + ".hl7");
    AtomicFile file(path, 0600);
    file.write(bytes);
    file.commit();
    record["path"] = path_to_json(path.string());
  }

  RecordSink& m_sink;
  Observer& m_observer;
  Accounting& m_accounting;
  const ReceiveSettings& m_receive;
  const AdtSettings& m_settings;
  std::mutex m_mutex;
  std::condition_variable_any m_changed;
  std::uint64_t m_count = 0;
  std::optional<Error> m_failure;
};

}  // namespace

void adt_update(RowSource& rows, RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
                const AdtSettings& settings, std::stop_token stop) {
  std::optional<Courier> courier;
  if (!settings.dry_run) {
    courier.emplace(target, settings.delivery, stop);
  }
  Run run(sink, accounting);
  while (!stop.stop_requested()) {
    Json record = make_record("message", k_adt_tool, outcome::failed, false);
    try {
      const auto row = rows.next();
      if (!row) {
        break;
      }
      if (!row->source.empty()) {
        record["path"] = path_to_json(row->source);
      }
      if (row->line != 0) {
        record["line"] = row->line;
      }
      if (row->defect) {
        throw Error(*row->defect);
      }
      const PatientData patient = read_patient_row(row->values, "id", target);
      const hl7::Message message = make_update(target, patient, settings.trigger, make_control_id());
      describe(record, message);
      const hl7::CharacterSet set = hl7::character_set_of(message);
      if (settings.show_identifiers) {
        show_identifiers(record, message, set);
      }
      if (const auto findings = hl7::check(message, target.profile); hl7::has_errors(findings)) {
        record["findings"] = workflow::to_json(findings);
        throw invalid(findings);
      }
      deliver(record, message, courier ? &*courier : nullptr, sentence_of(message, set), set);
    } catch (const Error& error) {
      if (error.kind().exit_code == ExitCode::local_io) {
        throw;
      }
      set_failed(record, error);
    }
    run.emit(record);
    observer.progress({run.done, run.done, run.failed, 0, "updating"});
  }
}

void adt_send(InputSource& input, RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
              const AdtSettings& settings, std::stop_token stop) {
  std::optional<Courier> courier;
  if (!settings.dry_run) {
    courier.emplace(target, settings.delivery, stop);
  }
  Run run(sink, accounting);
  for_each_message(input, run, stop, [&](const hl7::Message& message, Json& record) {
    const hl7::CharacterSet set = readable_set(message, target.profile);
    if (settings.show_identifiers) {
      show_identifiers(record, message, set);
    }
    const auto findings = hl7::check(message, target.profile);
    if (!findings.empty()) {
      record["findings"] = workflow::to_json(findings);
    }
    if (hl7::has_errors(findings)) {
      set_failed(record, invalid(findings));
    } else {
      deliver(record, message, courier ? &*courier : nullptr, sentence_of(message, set), set);
    }
    observer.progress({run.done, run.done, run.failed, 0, "sending"});
  });
}

void adt_check(InputSource& input, RecordSink& sink, Accounting& accounting, const AdtSettings& settings,
               std::stop_token stop) {
  Run run(sink, accounting);
  for_each_message(input, run, stop, [&](const hl7::Message& message, Json& record) {
    const auto findings = hl7::check(message, settings.profile);
    const bool good = !hl7::has_errors(findings);
    set_outcome(record, k_adt_tool, good ? outcome::valid : outcome::invalid, good);
    if (!findings.empty()) {
      record["findings"] = workflow::to_json(findings);
    }
  });
}

void adt_show(InputSource& input, RecordSink& sink, Accounting& accounting, const AdtSettings& settings,
              std::stop_token stop) {
  Run run(sink, accounting);
  for_each_message(input, run, stop, [&](const hl7::Message& message, Json& record) {
    set_outcome(record, k_adt_tool, "shown", true);
    const hl7::CharacterSet set = readable_set(message, settings.profile);
    record["segments"] = Json::array();
    for (const hl7::Segment& segment : message.segments()) {
      record["segments"].push_back(segment_to_json(segment, message, set));
    }
  });
}

void adt_receive(RecordSink& sink, Observer& observer, Accounting& accounting, const ReceiveSettings& receive,
                 const AdtSettings& settings, std::stop_token stop) {
  if (!receive.directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(receive.directory, error);
    if (error) {
      throw write_error(receive.directory, error.value());
    }
  }
  Receiver receiver(sink, observer, accounting, receive, settings);
  mllp::ListenerSettings listening;
  listening.bind = receive.bind;
  listening.tls = receive.tls ? net::TlsContext::server(receive.tls_settings) : nullptr;
  const auto listener = mllp::Listener::start(listening, receiver);
  Json record = make_record("listener", k_adt_tool, "ready", true);
  record["host"] = receive.bind.host;
  record["port"] = listener->port();
  record["security"] = receive.tls ? "tls" : "plain";
  sink.emit(record);
  receiver.wait(std::move(stop));
  listener->stop(k_stop_limit);
  receiver.rethrow();
}

bool holds_dicom(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return true;
  }
  std::ifstream file(path, std::ios::binary);
  std::string head(132, '\0');
  return file.read(head.data(), static_cast<std::streamsize>(head.size())) && head.ends_with("DICM");
}

std::optional<Row> DicomRows::next() {
  while (const auto item = m_input.next()) {
    if (item->record) {
      throw Error(kind("hl7.row"), "a record came in, and this reads DICOM files");
    }
    Row row;
    row.source = item->path;
    dicom::InstanceAttributes patient;
    try {
      patient = dicom::read_header(item->path).attributes;
    } catch (const Error& error) {
      row.defect = error;
      return row;
    }
    row.values = {{"id", patient.patient_id},
                  {"authority", patient.issuer_of_patient_id},
                  {"name", patient.patient_name},
                  {"birthDate", patient.patient_birth_date},
                  {"sex", patient.patient_sex}};
    const std::string key = patient.patient_id + '\n' + patient.issuer_of_patient_id;
    const std::string said = patient.patient_name + '\n' + patient.patient_birth_date + '\n' + patient.patient_sex;
    const auto [known, is_new] = m_seen.emplace(key, said);
    if (is_new) {
      return row;
    }
    if (known->second != said) {
      row.defect =
          Error(kind("hl7.row"), "name, birth date or sex differ from those in another file of the same patient");
      return row;
    }
  }
  return std::nullopt;
}

}  // namespace kuva::workflow
