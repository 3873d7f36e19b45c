#include <kuva/core/version.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/sandbox/adt_service.hpp>
#include <kuva/sandbox/commitment_reports.hpp>
#include <kuva/sandbox/connection_faults.hpp>
#include <kuva/sandbox/hl7_session.hpp>
#include <kuva/sandbox/negotiation.hpp>
#include <kuva/sandbox/notification.hpp>
#include <kuva/sandbox/sandbox.hpp>
#include <kuva/sandbox/session.hpp>
#include <kuva/sandbox/tls_faults.hpp>
#include <kuva/sandbox/wado_service.hpp>
#include <kuva/sandbox/web_services.hpp>

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace kuva::sandbox {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds k_accept_slice{500};
constexpr milliseconds k_report_connect{5'000};
constexpr milliseconds k_report_response{60'000};
constexpr std::size_t k_reporters = 4;
// Connections that wait to be rejected; beyond these they are closed unheard.
constexpr std::size_t k_surplus = 32;
constexpr const char* k_patients_file = ".patients.db";

// What can be shut down from another thread at any time: an Incoming or a Stream while it lives.
class Handle {
 public:
  void hold(std::function<void()> shutdown) {
    const std::lock_guard lock(m_mutex);
    m_shutdown = std::move(shutdown);
    if (m_is_shut) {
      m_shutdown();
    }
  }
  void drop() {
    const std::lock_guard lock(m_mutex);
    m_shutdown = nullptr;
  }
  void shutdown() {
    const std::lock_guard lock(m_mutex);
    m_is_shut = true;
    if (m_shutdown) {
      m_shutdown();
    }
  }

 private:
  std::mutex m_mutex;
  std::function<void()> m_shutdown;
  bool m_is_shut = false;
};

// A stream that its handle can end until it is destroyed, wherever an association takes it.
class HeldStream : public net::Stream {
 public:
  HeldStream(std::unique_ptr<net::Stream> stream, Handle& handle) : m_stream(std::move(stream)), m_handle(handle) {
    m_handle.hold([raw = m_stream.get()] { raw->shutdown(); });
  }
  HeldStream(const HeldStream&) = delete;
  HeldStream& operator=(const HeldStream&) = delete;
  ~HeldStream() override { m_handle.drop(); }

  std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline deadline) override {
    return m_stream->try_read(buffer, deadline);
  }
  void write_all(std::span<const std::span<const std::byte>> pieces, milliseconds stall_limit) override {
    m_stream->write_all(pieces, stall_limit);
  }
  bool wait_readable(Deadline deadline) override { return m_stream->wait_readable(deadline); }
  void close(Deadline deadline) noexcept override {
    if (m_ends_abruptly) {
      m_stream->shutdown();
    }
    m_stream->close(deadline);
  }
  void reset() noexcept override { m_stream->reset(); }
  void shutdown() noexcept override { m_stream->shutdown(); }
  const Peer& peer() const override { return m_stream->peer(); }
  std::string local_address() const override { return m_stream->local_address(); }

  // From now on it ends without the good order of TLS (close_notify).
  void end_abruptly() { m_ends_abruptly = true; }

 private:
  std::unique_ptr<net::Stream> m_stream;
  Handle& m_handle;
  bool m_ends_abruptly = false;
};

// A thread and what ends it.
struct Worker {
  Handle handle;
  std::atomic<bool> is_done = false;
  std::jthread thread;
};

class Server : public Sandbox {
 public:
  explicit Server(const Settings& settings);
  ~Server() override { stop_all(milliseconds(0)); }

  std::optional<std::uint16_t> plain_port() const override { return port_of(m_plain); }
  std::optional<std::uint16_t> tls_port() const override { return port_of(m_tls); }
  std::optional<std::uint16_t> web_port() const override { return port_of(m_web_listener); }
  std::optional<std::uint16_t> hl7_port() const override { return port_of(m_hl7_plain); }
  std::optional<std::uint16_t> hl7_tls_port() const override { return port_of(m_hl7_tls); }
  void reopen_transcript() override { m_transcript.reopen(); }
  void stop(milliseconds limit) override { stop_all(limit); }

 private:
  static std::optional<std::uint16_t> port_of(const std::unique_ptr<net::Listener>& listener) {
    return listener ? std::optional(listener->port()) : std::nullopt;
  }
  void stop_all(milliseconds limit);
  // What serves a connection.
  using Serve = void (Server::*)(Worker&, net::Incoming&, const std::shared_ptr<const net::TlsContext>&);
  void listen(net::Listener& listener, std::shared_ptr<const net::TlsContext> tls, Serve serve);
  void admit(std::unique_ptr<net::Incoming> incoming, std::shared_ptr<const net::TlsContext> tls, Serve serve);
  std::unique_ptr<net::Stream> open(Worker& worker, net::Incoming& incoming,
                                    const std::shared_ptr<const net::TlsContext>& tls, std::uint64_t number,
                                    ConnectionFaults& faults, FaultPoint point);
  void serve_dicom(Worker& worker, net::Incoming& incoming, const std::shared_ptr<const net::TlsContext>& tls);
  void serve_web(Worker& worker, net::Incoming& incoming, const std::shared_ptr<const net::TlsContext>& tls);
  void serve_messages(Worker& worker, net::Incoming& incoming, const std::shared_ptr<const net::TlsContext>& tls);
  void identify_all();
  void deliver_reports(Worker& worker);
  void deliver(Worker& worker, DueReport report);
  std::uint16_t exchange(dimse::Messenger& messenger, std::uint64_t number, const DueReport& report,
                         const dimse::CommitmentReport& content);
  void reap();

  const Settings m_settings;
  std::set<std::string> m_study_codes;
  Transcript m_transcript;
  Archive m_archive;
  Patients m_patients;
  ReportQueue m_reports;
  FaultPlan m_faults;
  TlsFaults m_tls_faults;
  std::unique_ptr<WebServices> m_web;
  AdtService m_adt;
  Repository m_repository;
  std::shared_ptr<const net::TlsContext> m_server_tls;
  std::shared_ptr<const net::TlsContext> m_client_tls;
  std::unique_ptr<net::Listener> m_plain;
  std::unique_ptr<net::Listener> m_tls;
  std::unique_ptr<net::Listener> m_web_listener;
  std::unique_ptr<net::Listener> m_hl7_plain;
  std::unique_ptr<net::Listener> m_hl7_tls;

  std::stop_source m_stop;
  std::atomic<std::uint64_t> m_last_association = 0;
  std::atomic<unsigned> m_associations = 0;
  std::mutex m_workers_mutex;
  std::list<std::unique_ptr<Worker>> m_workers;
  std::array<Worker, k_reporters> m_reporters;
  std::vector<std::jthread> m_listeners;
  bool m_is_stopped = false;
};

Server::Server(const Settings& settings)
    : m_settings(settings),
      m_study_codes(settings.study_codes.empty() ? std::set<std::string>() : read_study_codes(settings.study_codes)),
      m_transcript(settings.transcript),
      m_archive(settings.storage, settings.durable),
      m_patients(settings.storage / k_patients_file, settings.durable),
      m_reports(settings.storage / ".reports", settings.durable),
      m_faults(settings.faults),
      m_tls_faults(settings.tls),
      m_web(settings.web.port ? std::make_unique<WebServices>(m_settings, m_archive, m_patients, m_transcript, m_faults)
                              : nullptr),
      m_adt(m_settings, m_patients, m_archive, m_web),
      m_repository{m_settings, m_study_codes, m_archive, m_reports, m_transcript, m_client_tls, m_faults, m_web} {
  identify_all();
  bool reports_over_tls = false;
  for (const KnownAe& known : m_settings.known_aes) {
    reports_over_tls = reports_over_tls || (known.endpoint && known.tls);
  }
  for (const FaultRule& rule : m_settings.faults.rules) {
    if (rule.action == FaultAction::tls) {
      static_cast<void>(m_tls_faults.context(rule.tls));  // what cannot be done is said now
    }
  }
  if (m_settings.tls_port || (m_settings.web.port && m_settings.web.tls) || m_settings.hl7.tls_port) {
    m_server_tls = net::TlsContext::server(m_settings.tls);
  }
  if (reports_over_tls) {
    m_client_tls = net::TlsContext::client(m_settings.tls);
  }
  if (m_settings.plain_port) {
    m_plain = net::Listener::open({m_settings.bind_host, *m_settings.plain_port});
  }
  if (m_settings.tls_port) {
    m_tls = net::Listener::open({m_settings.bind_host, *m_settings.tls_port});
  }
  if (m_settings.web.port) {
    m_web_listener = net::Listener::open({m_settings.bind_host, *m_settings.web.port});
    m_web->set_base_url(fmt::format("{}://{}{}", m_settings.web.tls ? "https" : "http",
                                    net::to_string({m_settings.bind_host, m_web_listener->port()}), k_wado_path));
  }
  if (m_settings.hl7.plain_port) {
    m_hl7_plain = net::Listener::open({m_settings.bind_host, *m_settings.hl7.plain_port});
  }
  if (m_settings.hl7.tls_port) {
    m_hl7_tls = net::Listener::open({m_settings.bind_host, *m_settings.hl7.tls_port});
  }
  Json facts;
  facts["version"] = version();
  facts["aeTitle"] = m_settings.ae_title;
  if (m_plain) {
    facts["plainPort"] = m_plain->port();
  }
  if (m_tls) {
    facts["tlsPort"] = m_tls->port();
  }
  if (m_web_listener) {
    facts["webPort"] = m_web_listener->port();
  }
  if (m_hl7_plain) {
    facts["hl7Port"] = m_hl7_plain->port();
  }
  if (m_hl7_tls) {
    facts["hl7TlsPort"] = m_hl7_tls->port();
  }
  facts["instances"] = m_archive.instances();
  facts["reportsPending"] = m_reports.pending();
  m_transcript.write("sandbox-started", 0, facts);

  try {
    for (Worker& reporter : m_reporters) {
      reporter.thread = std::jthread([this, &reporter] { deliver_reports(reporter); });
    }
    if (m_plain) {
      m_listeners.emplace_back([this] { listen(*m_plain, nullptr, &Server::serve_dicom); });
    }
    if (m_tls) {
      m_listeners.emplace_back([this] { listen(*m_tls, m_server_tls, &Server::serve_dicom); });
    }
    if (m_web_listener) {
      m_listeners.emplace_back(
          [this] { listen(*m_web_listener, m_settings.web.tls ? m_server_tls : nullptr, &Server::serve_web); });
    }
    if (m_hl7_plain) {
      m_listeners.emplace_back([this] { listen(*m_hl7_plain, nullptr, &Server::serve_messages); });
    }
    if (m_hl7_tls) {
      m_listeners.emplace_back([this] { listen(*m_hl7_tls, m_server_tls, &Server::serve_messages); });
    }
  } catch (const std::system_error&) {
    stop_all(milliseconds(0));
    throw Error(kind("local.resource"), "no threads for the sandbox");
  }
}

void Server::stop_all(milliseconds limit) {
  if (m_is_stopped) {
    return;
  }
  m_is_stopped = true;
  for (const auto& listener : {m_plain.get(), m_tls.get(), m_web_listener.get(), m_hl7_plain.get(), m_hl7_tls.get()}) {
    if (listener != nullptr) {
      listener->close();
    }
  }
  m_stop.request_stop();
  m_reports.stop();
  m_listeners.clear();  // joins: no worker is added any more
  const Deadline deadline = Deadline::after(limit);
  const auto are_done = [this] {
    for (const auto& worker : m_workers) {
      if (!worker->is_done) {
        return false;
      }
    }
    for (const Worker& reporter : m_reporters) {
      if (reporter.thread.joinable() && !reporter.is_done) {
        return false;
      }
    }
    return true;
  };
  while (!are_done() && !deadline.expired()) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  for (const auto& worker : m_workers) {
    worker->handle.shutdown();
  }
  for (Worker& reporter : m_reporters) {
    reporter.handle.shutdown();
  }
  m_workers.clear();
  for (Worker& reporter : m_reporters) {
    if (reporter.thread.joinable()) {
      reporter.thread.join();
    }
  }
  Json facts;
  facts["instances"] = m_archive.instances();
  facts["reportsPending"] = m_reports.pending();
  m_transcript.write("sandbox-stopped", 0, facts);
}

void Server::listen(net::Listener& listener, std::shared_ptr<const net::TlsContext> tls, Serve serve) {
  while (!m_stop.stop_requested()) {
    try {
      if (auto incoming = listener.accept(Deadline::after(k_accept_slice))) {
        admit(std::move(incoming), tls, serve);
      }
    } catch (const Error& error) {
      // Out of descriptors, or a connection that was gone before it was taken.
      m_transcript.write("connection-failed", 0, Json{{"error", error.to_json()}});
      std::this_thread::sleep_for(milliseconds(50));
    }
    reap();
  }
}

void Server::reap() {
  const std::lock_guard lock(m_workers_mutex);
  std::erase_if(m_workers, [](const std::unique_ptr<Worker>& worker) { return worker->is_done.load(); });
}

void Server::admit(std::unique_ptr<net::Incoming> incoming, std::shared_ptr<const net::TlsContext> tls, Serve serve) {
  const std::lock_guard lock(m_workers_mutex);
  if (m_workers.size() >= m_settings.max_associations + k_surplus) {
    return;
  }
  m_workers.push_back(std::make_unique<Worker>());
  Worker& worker = *m_workers.back();
  try {
    worker.thread = std::jthread([this, &worker, serve, tls = std::move(tls), connection = std::move(incoming)] {
      worker.handle.hold([raw = connection.get()] { raw->shutdown(); });
      (this->*serve)(worker, *connection, tls);
      worker.handle.drop();
      worker.is_done = true;
    });
  } catch (const std::system_error&) {
    m_workers.pop_back();
    throw Error(kind("local.resource"), "no thread for another association");
  }
}

// TLS, if any, with its faults. Null: the connection has ended, and the transcript says how.
std::unique_ptr<net::Stream> Server::open(Worker& worker, net::Incoming& incoming,
                                          const std::shared_ptr<const net::TlsContext>& tls, std::uint64_t number,
                                          ConnectionFaults& faults, FaultPoint point) {
  try {
    auto context = tls;
    bool ends_abruptly = false;
    for (const FaultRule& rule : m_faults.is_empty() ? std::vector<FaultRule>() : faults.at_connect(point)) {
      if (rule.action == FaultAction::tls) {
        context = m_tls_faults.context(rule.tls);
        ends_abruptly = rule.tls == TlsFault::no_close_notify;
      }
    }
    auto held = std::make_unique<HeldStream>(incoming.open(context, Deadline::after(m_settings.timeouts.associate)),
                                             worker.handle);
    if (ends_abruptly) {
      held->end_abruptly();
    }
    return held;
  } catch (const Error& error) {
    m_transcript.write(tls ? "tls-failed" : "connection-failed", number,
                       Json{{"peer", incoming.peer().to_json()}, {"error", error.to_json()}});
  } catch (const FaultEnded&) {
    // It is in the transcript.
  }
  return nullptr;
}

void Server::serve_web(Worker& worker, net::Incoming& incoming, const std::shared_ptr<const net::TlsContext>& tls) {
  const std::uint64_t number = ++m_last_association;
  ConnectionFaults faults(m_faults, m_transcript,
                          {number, tls != nullptr, m_settings.idle_timeout, m_stop.get_token()});
  const auto stream = open(worker, incoming, tls, number, faults, FaultPoint::web_connect);
  if (!stream) {
    return;
  }
  try {
    m_web->serve(*stream, number, tls != nullptr, m_stop.get_token());
  } catch (const Error& error) {
    m_transcript.write("connection-failed", number,
                       Json{{"peer", stream->peer().to_json()}, {"error", error.to_json()}});
  } catch (const std::exception& error) {
    m_transcript.write(
        "connection-failed", number,
        Json{{"peer", stream->peer().to_json()}, {"error", Error(kind("internal"), error.what()).to_json()}});
  }
  stream->close(Deadline::after(m_settings.timeouts.abort));
}

// What objects show of their patients: what messages have said of them, before the last stop too.
void Server::identify_all() {
  m_archive.set_identities([this](const std::string& patient_id, const std::string& issuer) {
    const auto record = m_patients.current({patient_id, authority_of_issuer(m_settings.xds, issuer), "", false});
    return record ? std::optional(identity_of(*record)) : std::nullopt;
  });
  for (auto patient = m_patients.next(0); patient; patient = m_patients.next(patient->key)) {
    m_archive.identify(patient->identifier.id);
  }
}

void Server::serve_messages(Worker& worker, net::Incoming& incoming,
                            const std::shared_ptr<const net::TlsContext>& tls) {
  const std::uint64_t number = ++m_last_association;
  const Peer peer = incoming.peer();
  ConnectionFaults faults(m_faults, m_transcript,
                          {number, tls != nullptr, m_settings.idle_timeout, m_stop.get_token()});
  auto stream = open(worker, incoming, tls, number, faults, FaultPoint::hl7_connect);
  if (!stream) {
    return;
  }
  try {
    serve_hl7(std::move(stream), number, tls != nullptr, m_settings, m_adt, m_faults, m_transcript, m_stop.get_token());
  } catch (const Error& error) {
    m_transcript.write("connection-failed", number, Json{{"peer", peer.to_json()}, {"error", error.to_json()}});
  } catch (const std::exception& error) {
    m_transcript.write("connection-failed", number,
                       Json{{"peer", peer.to_json()}, {"error", Error(kind("internal"), error.what()).to_json()}});
  }
}

void Server::serve_dicom(Worker& worker, net::Incoming& incoming, const std::shared_ptr<const net::TlsContext>& tls) {
  const std::uint64_t number = ++m_last_association;
  Json peer_facts{{"peer", incoming.peer().to_json()}};
  ConnectionFaults faults(m_faults, m_transcript,
                          {number, tls != nullptr, m_settings.idle_timeout, m_stop.get_token()});
  auto stream = open(worker, incoming, tls, number, faults, FaultPoint::connect);
  if (!stream) {
    return;
  }
  if (!m_faults.is_empty()) {
    stream = faults.wrap(std::move(stream));
  }
  bool is_counted = false;
  const auto decide = [&](const ul::AssociateRequest& request, const net::Stream& connection) {
    is_counted = true;
    const bool is_full = m_associations.fetch_add(1) >= m_settings.max_associations;
    ul::Association::Decision decision = negotiate(m_settings, request, is_full);
    if (!m_faults.is_empty()) {
      faults.at_associate(request, decision);
    }
    Json facts;
    facts["peer"] = connection.peer().to_json();
    facts.update(describe(request));
    if (const auto* const reject = std::get_if<ul::AssociateReject>(&decision)) {
      facts.update(describe(*reject));
      m_transcript.write("association-rejected", number, facts);
    } else {
      facts.update(describe(std::get<ul::AssociateAccept>(decision), request));
      m_transcript.write("association-accepted", number, facts);
    }
    return decision;
  };
  try {
    auto association = ul::Association::accept(std::move(stream), decide, m_settings.timeouts);
    if (association) {
      if (!m_faults.is_empty()) {
        association = faults.wrap(std::move(association));
      }
      const KnownAe* const known = find_ae(m_settings, association->requested().calling_ae);
      Session(m_repository, number, *known, *association, m_faults.is_empty() ? nullptr : &faults)
          .run(m_stop.get_token());
    } else if (!is_counted) {
      // The upper layer does not ask about these.
      peer_facts["text"] = "protocol version or application context not supported";
      m_transcript.write("association-rejected", number, peer_facts);
    }
  } catch (const Error& error) {
    peer_facts["error"] = error.to_json();
    m_transcript.write("connection-failed", number, peer_facts);
  } catch (const FaultEnded& end) {
    m_transcript.write("association-aborted", number, Json{{"by", "sandbox"}, {"why", "fault " + end.fault}});
  } catch (const std::exception& error) {
    // A fault of the sandbox ends one association, not the sandbox.
    m_transcript.write("association-aborted", number, Json{{"error", Error(kind("internal"), error.what()).to_json()}});
  }
  if (is_counted) {
    --m_associations;
  }
}

void Server::deliver_reports(Worker& worker) {
  const auto fits = [this](const DueReport& report) {
    const KnownAe* const known = find_ae(m_settings, report.ae_title);
    return report.association == 0 && known != nullptr && known->endpoint.has_value();
  };
  while (auto report = m_reports.wait(fits)) {
    deliver(worker, std::move(*report));
  }
  worker.is_done = true;
}

// One N-EVENT-REPORT on an association of ours; the status of its response.
std::uint16_t Server::exchange(dimse::Messenger& messenger, std::uint64_t number, const DueReport& report,
                               const dimse::CommitmentReport& content) {
  ul::Association& association = messenger.association();
  const std::uint16_t id = messenger.next_message_id();
  const dimse::Command command = dimse::make_commitment_report_command(id, content);
  const std::uint8_t context_id = association.contexts().front().id;
  messenger.send(context_id, command, dimse::to_data_set(content));
  m_transcript.write("message-sent", number, describe(dimse::Messenger::Message{context_id, command}));
  const bool is_first = report.attempts == 1;
  if (is_first && find_fault(report.faults, FaultAction::abort) != nullptr) {
    association.abort();
    throw Error(kind("association.aborted"), "a fault: the association was aborted before the response");
  }
  if (is_first && find_fault(report.faults, FaultAction::close) != nullptr) {
    association.shutdown();
    throw Error(kind("connection.lost"), "a fault: the connection was closed before the response");
  }
  dimse::Messenger::Message response;
  if (messenger.receive(Deadline::after(k_report_response), response) != dimse::Messenger::Event::message ||
      response.command.field != dimse::CommandField::n_event_report_rsp ||
      response.command.message_id_responded_to != id) {
    association.abort();
    throw Error(kind("dimse.unexpected-response"), "the peer did not answer the report");
  }
  m_transcript.write("message-received", number, describe(response));
  messenger.receive_data([](std::span<const std::byte>) {}, m_settings.timeouts.stall);
  return response.command.status.value_or(0);
}

void Server::deliver(Worker& worker, DueReport report) {
  const KnownAe& known = *find_ae(m_settings, report.ae_title);
  if (report.is_notification()) {
    notify(m_repository, known, std::move(report), ++m_last_association, m_stop.get_token());
    return;
  }
  const std::uint64_t number = ++m_last_association;
  Json facts;
  facts["calledAE"] = report.ae_title;
  facts["TransactionUID"] = report.request.transaction_uid;
  facts["attempt"] = ++report.attempts;
  bool is_delivered = false;
  const auto again = [&](const Error& error) {
    facts["error"] = error.to_json();
    if (const auto delay = retry_delay(m_settings, report.attempts)) {
      facts["nextAttemptMs"] = delay->count();
      m_reports.retry(std::move(report), *delay);
    }
    m_transcript.write("report-failed", number, facts);
  };
  try {
    const auto contents = make_reports(m_archive, report, m_settings.ae_title);
    register_committed(m_repository, contents);
    facts["committed"] = contents.back().committed.size();
    facts["failed"] = contents.back().failed.size();

    net::ConnectSettings connect;
    connect.endpoint = *known.endpoint;
    connect.tls = known.tls ? m_client_tls : nullptr;
    connect.connect_timeout = k_report_connect;
    ul::AssociateRequest request;
    request.called_ae = known.ae_title;
    request.calling_ae = m_settings.ae_title;
    request.application_context = dicom::uids::application_context;
    std::vector<std::string> syntaxes{std::string(dicom::k_implicit_vr_little_endian)};
    if (find_fault(report.faults, FaultAction::contexts) == nullptr) {
      syntaxes.emplace_back(dicom::k_explicit_vr_little_endian);
    }
    request.contexts.push_back({1, std::string(dicom::uids::storage_commitment_push_model), std::move(syntaxes)});
    request.max_pdu_length = m_settings.max_pdu;
    request.implementation_class_uid = dicom::implementation_class_uid();
    request.implementation_version_name = dicom::implementation_version_name();
    if (find_fault(report.faults, FaultAction::no_role) == nullptr) {
      request.roles.push_back({std::string(dicom::uids::storage_commitment_push_model), false, true});
    }
    const auto association = ul::Association::request(
        std::make_unique<HeldStream>(net::connect(connect), worker.handle), request, m_settings.timeouts);
    Json opened;
    opened["peer"] = association->peer().to_json();
    m_transcript.write("association-requested", number, opened);
    if (association->contexts().empty()) {
      throw Error(kind("negotiate.sop-class"), "the peer does not take storage commitment reports");
    }
    dimse::Messenger messenger(*association);
    for (const dimse::CommitmentReport& content : contents) {
      facts["status"] = dimse::hex(exchange(messenger, number, report, content));
    }
    // Whatever the status: the SCU has it (dcm4chee-arc does not send it again either).
    m_reports.done(report);
    is_delivered = true;
    m_transcript.write("report-delivered", number, facts);
    association->release();
    m_transcript.write("association-released", number, Json::object());
  } catch (const Error& error) {
    if (!is_delivered) {
      again(error);
    }
  } catch (const std::exception& error) {
    again(Error(kind("internal"), error.what()));
  }
}

}  // namespace

std::unique_ptr<Sandbox> Sandbox::start(const Settings& settings) { return std::make_unique<Server>(settings); }

}  // namespace kuva::sandbox
