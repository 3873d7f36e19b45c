#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/commitment.hpp>
#include <kuva/dimse/echo.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/dimse/store.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kuva::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

inline constexpr milliseconds k_patience{10'000};
inline const std::string k_ct = "1.2.840.10008.5.1.4.1.1.2";
inline const std::string k_mr = "1.2.840.10008.5.1.4.1.1.4";
inline const std::string k_implicit = "1.2.840.10008.1.2";
inline const std::string k_explicit = "1.2.840.10008.1.2.1";
inline const std::string k_commitment = "1.2.840.10008.1.20.1";

class FixtureDirectory {
 public:
  FixtureDirectory() {
    std::string pattern = (fs::temp_directory_path() / "kuva-sandbox-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("mkdtemp");
    }
    path = pattern;
  }
  FixtureDirectory(const FixtureDirectory&) = delete;
  FixtureDirectory& operator=(const FixtureDirectory&) = delete;
  ~FixtureDirectory() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

inline std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A small object; what a test wants otherwise, it changes in `data`.
struct Object {
  dicom::DataSet data;
  std::string sop_class = k_ct;
  std::string uid;

  static Object make(const std::string& number, const std::string& study = "1.2.246.1") {
    Object object;
    object.uid = "1.2.246.9." + number;
    object.data.set_string(dicom::tags::sop_class_uid, object.sop_class);
    object.data.set_string(dicom::tags::sop_instance_uid, object.uid);
    object.data.set_string(dicom::tags::study_description, "NK1AA Thorax");
    object.data.set_string(dicom::tags::patient_id, "010181-900C");
    object.data.set_string(dicom::tags::issuer_of_patient_id, "1.2.246.21");
    object.data.set_string(dicom::tags::study_instance_uid, study);
    object.data.set_string(dicom::tags::series_instance_uid, study + ".1");
    object.data.set_bytes(dicom::tags::pixel_data, dicom::Vr::OW, std::string(20'000, 'p'));
    return object;
  }
  std::string bytes(const std::string& syntax = k_implicit) const {
    return data.encode(dicom::transfer_syntax(syntax));
  }
  fs::path path_in(const fs::path& storage) const {
    return storage / data.string(dicom::tags::study_instance_uid) / data.string(dicom::tags::series_instance_uid) /
           (uid + ".dcm");
  }
};

inline ul::DataProducer producer(const std::string& bytes) {
  return [&bytes, at = std::size_t{0}](std::span<std::byte> buffer) mutable {
    const std::size_t count = std::min(buffer.size(), bytes.size() - at);
    std::memcpy(buffer.data(), bytes.data() + at, count);
    at += count;
    return count;
  };
}

// An association of ours with the sandbox.
class Client {
 public:
  static ul::AssociateRequest request(std::string calling = "KUVA") {
    ul::AssociateRequest request;
    request.called_ae = "KUVASANDBOX";
    request.calling_ae = std::move(calling);
    request.application_context = dicom::uids::application_context;
    request.contexts = {{1, k_ct, {k_implicit}},
                        {3, k_mr, {k_implicit}},
                        {5, std::string(dicom::uids::verification), {k_implicit}},
                        {7, k_commitment, {k_implicit, k_explicit}}};
    request.max_pdu_length = 65536;
    request.implementation_class_uid = dicom::implementation_class_uid();
    return request;
  }
  explicit Client(std::uint16_t port, const ul::AssociateRequest& asked = request(),
                  const net::TlsSettings* tls = nullptr)
      : association(open(port, asked, tls)), messenger(*association) {}

  // Sends the bytes under the object's UIDs and waits for the response.
  dimse::Command store(const Object& object, const std::string& bytes) {
    dimse::StoreUser user(messenger, k_patience);
    const std::uint8_t context_id = object.sop_class == k_mr ? 3 : 1;
    user.send({context_id, object.sop_class, object.uid, producer(bytes), 0});
    return user.receive().command;
  }
  dimse::Command store(const Object& object) { return store(object, object.bytes()); }

  dimse::Command ask(const dimse::CommitmentRequest& request) {
    const dimse::Command command = dimse::make_commitment_request_command(messenger.next_message_id());
    return ask(command, dimse::to_data_set(request));
  }
  dimse::Command ask(const dimse::Command& command, const dicom::DataSet& data) {
    messenger.send(7, command, data);
    dimse::Messenger::Message message;
    if (messenger.receive(Deadline::after(k_patience), message) != dimse::Messenger::Event::message) {
      throw std::runtime_error("no N-ACTION response");
    }
    return message.command;
  }

  std::unique_ptr<ul::Association> association;
  dimse::Messenger messenger;

 private:
  static std::unique_ptr<ul::Association> open(std::uint16_t port, const ul::AssociateRequest& asked,
                                               const net::TlsSettings* tls) {
    net::ConnectSettings connect;
    connect.endpoint = {"127.0.0.1", port};
    connect.tls = tls == nullptr ? nullptr : net::TlsContext::client(*tls);
    return ul::Association::request(net::connect(connect), asked, ul::Timeouts());
  }
};

// Stores the object, and compares what is on disk with what was sent.
inline void store_and_compare(Client& client, const fs::path& storage, const Object& object,
                              const std::string& syntax) {
  const std::string bytes = object.bytes(syntax);
  const dimse::Command response = client.store(object, bytes);
  CHECK(response.status == 0x0000);
  CHECK(response.affected_sop_instance_uid == object.uid);
  const fs::path path = object.path_in(storage);
  const std::string file = slurp(path);
  REQUIRE(file.size() > bytes.size() + 132);
  CHECK(file.substr(128, 4) == "DICM");
  CHECK(file.substr(file.size() - bytes.size()) == bytes);
  const dicom::FileMeta meta = dicom::open_part10(path).meta;
  CHECK(meta.transfer_syntax_uid == syntax);
  CHECK(meta.media_storage_sop_instance_uid == object.uid);
  CHECK(meta.source_application_entity_title == "KUVA");
}

// Listens for storage commitment reports in a thread of its own.
class ReportListener {
 public:
  explicit ReportListener(const net::TlsSettings* tls = nullptr, std::uint16_t port = 0)
      : m_tls(tls == nullptr ? nullptr : net::TlsContext::server(*tls)),
        m_listener(net::Listener::open({"127.0.0.1", port})),
        m_thread([this](const std::stop_token& stop) { run(stop); }) {}
  ~ReportListener() {
    m_thread.request_stop();
    m_listener->close();
  }
  std::uint16_t port() const { return m_listener->port(); }

  // The report of this transaction, or nothing after a while.
  std::optional<dimse::CommitmentReport> wait(const std::string& transaction_uid) {
    std::unique_lock lock(m_mutex);
    const auto find = [&]() -> const dimse::CommitmentReport* {
      for (const auto& report : m_reports) {
        if (report.transaction_uid == transaction_uid) {
          return &report;
        }
      }
      return nullptr;
    };
    m_changed.wait_for(lock, k_patience, [&find] { return find() != nullptr; });
    const auto* const found = find();
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  std::size_t count() {
    const std::lock_guard lock(m_mutex);
    return m_reports.size();
  }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      auto incoming = m_listener->accept(Deadline::after(milliseconds(200)));
      if (!incoming) {
        continue;
      }
      try {
        serve(incoming->open(m_tls, Deadline::after(k_patience)));
      } catch (const Error&) {
        continue;
      }
    }
  }
  void serve(std::unique_ptr<net::Stream> stream) {
    const auto decide = [](const ul::AssociateRequest& request, const net::Stream&) -> ul::Association::Decision {
      ul::AssociateAccept accept;
      accept.called_ae = request.called_ae;
      accept.calling_ae = request.calling_ae;
      accept.application_context = request.application_context;
      accept.implementation_class_uid = dicom::implementation_class_uid();
      accept.max_pdu_length = 16384;
      for (const auto& context : request.contexts) {
        accept.contexts.push_back({context.id, ul::ContextResult::accepted, context.transfer_syntaxes.back()});
      }
      accept.roles = request.roles;
      return accept;
    };
    const auto association = ul::Association::accept(std::move(stream), decide, ul::Timeouts());
    dimse::Messenger messenger(*association);
    dimse::Services services;
    services.event_report = [this](const dimse::Messenger::Message& message, const dicom::DataSet& data) {
      const std::lock_guard lock(m_mutex);
      m_reports.push_back(dimse::read_commitment_report(data));
      m_changed.notify_all();
      return dimse::make_response(message.command, 0);
    };
    dimse::serve(messenger, services, k_patience, k_patience);
  }

  std::shared_ptr<const net::TlsContext> m_tls;
  std::unique_ptr<net::Listener> m_listener;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::vector<dimse::CommitmentReport> m_reports;
  std::jthread m_thread;
};

// A sandbox on free ports with an archive of its own.
class Bench {
 public:
  Bench() {
    settings.plain_port = 0;
    settings.storage = directory.path / "storage";
    settings.transcript = directory.path / "transcript.ndjson";
    settings.known_aes.push_back({"KUVA", std::nullopt, false, true, true});
    settings.durable = false;
    settings.report_retry_delay = milliseconds(50);
    settings.report_retries = 3;
  }
  void with_tls() {
    sandbox::make_certificates(directory.path);
    settings.tls_port = 0;
    settings.tls = tls("server");
  }
  net::TlsSettings tls(const std::string& who) const {
    net::TlsSettings tls;
    tls.ca_file = (directory.path / "tls" / "ca.pem").string();
    tls.certificate_file = (directory.path / "tls" / (who + ".pem")).string();
    tls.key_file = (directory.path / "tls" / (who + ".key")).string();
    return tls;
  }
  void start() { server = sandbox::Sandbox::start(settings); }
  void stop() {
    server->stop(milliseconds(2000));
    server.reset();
  }
  std::uint16_t port() const { return *server->plain_port(); }
  std::vector<Json> transcript() const {
    std::ifstream in(settings.transcript);
    std::vector<Json> lines;
    for (std::string line; std::getline(in, line);) {
      lines.push_back(Json::parse(line));
    }
    return lines;
  }
  // True when an event with this name has come within a while.
  bool saw(std::string_view event) const {
    const Deadline deadline = Deadline::after(k_patience);
    do {
      for (const Json& line : transcript()) {
        if (line["event"] == event) {
          return true;
        }
      }
      std::this_thread::sleep_for(milliseconds(10));
    } while (!deadline.expired());
    return false;
  }
  std::size_t stored_files() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(settings.storage)) {
      count += entry.path().extension() == ".dcm" || entry.path().extension() == ".part" ? 1U : 0U;
    }
    return count;
  }

  FixtureDirectory directory;
  sandbox::Settings settings;
  std::unique_ptr<sandbox::Sandbox> server;
};

}  // namespace kuva::test
