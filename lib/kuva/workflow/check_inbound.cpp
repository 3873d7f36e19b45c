#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/net/socket.hpp>
#include <kuva/net/tls_report.hpp>
#include <kuva/workflow/certificate_json.hpp>
#include <kuva/workflow/check_inbound.hpp>
#include <kuva/workflow/custody.hpp>
#include <kuva/workflow/report_listener.hpp>
#include <kuva/workflow/transaction_store.hpp>

#include <fmt/format.h>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

namespace kuva::workflow {

namespace {

// How long a peer may be quiet on an association that has been made.
constexpr std::chrono::milliseconds k_longest_silence{10'000};
constexpr std::chrono::milliseconds k_inbound_glance{200};

// The addresses that others can reach this machine by; all of them where it listens at every one.
Json own_addresses(const std::string& bind_host) {
  Json list = Json::array();
  const bool every = bind_host.empty() || bind_host == "0.0.0.0" || bind_host == "::";
  ifaddrs* found = nullptr;
  if (!every || ::getifaddrs(&found) != 0) {
    list.push_back(bind_host);
    return list;
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(found, &::freeifaddrs);
  for (const ifaddrs* one = found; one != nullptr; one = one->ifa_next) {
    const int family = one->ifa_addr == nullptr ? AF_UNSPEC : one->ifa_addr->sa_family;
    if ((family != AF_INET && family != AF_INET6) || (one->ifa_flags & IFF_LOOPBACK) != 0) {
      continue;
    }
    sockaddr_storage storage{};
    std::memcpy(&storage, one->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    list.push_back(net::numeric_address(storage));
  }
  return list;
}

// One connection that came in.
struct Attempt {
  std::string reached = "tcp";
  Peer peer;
  std::vector<net::CertificateFacts> peer_chain;
  bool commitment_accepted = false;
  bool role_selected = false;
  std::vector<std::string> warnings;
  std::string transaction_uid;
  std::optional<Error> failure;
};

class InboundCheck {
 public:
  InboundCheck(RecordSink& sink, Observer& observer, const Target& target, const std::filesystem::path& state,
               std::stop_token stop)
      : m_sink(sink),
        m_observer(observer),
        m_target(target),
        m_store(state),
        m_custody(sink, observer, m_store),
        m_stop(std::move(stop)) {
    if (!target.listener) {
      throw Error(kind("usage.target"),
                  fmt::format("target '{}' has no listener: give it one in kuva.toml, or say --listen", target.name));
    }
    m_tls = target.listener->tls ? net::TlsContext::server(target.listener->tls_settings) : nullptr;
    m_listener = net::Listener::open(target.listener->bind);
  }

  void run(std::chrono::milliseconds wait) {
    tell_what_the_archive_needs();
    const Deadline deadline = Deadline::after(wait);
    std::optional<Attempt> last;
    while (!deadline.expired() && !m_stop.stop_requested()) {
      const std::unique_ptr<net::Incoming> incoming =
          m_listener->accept(earlier(deadline, Deadline::after(k_inbound_glance)));
      if (!incoming) {
        continue;
      }
      last = take(*incoming, deadline);
      if (!last->failure) {
        break;
      }
    }
    conclude(last, wait);
  }

 private:
  void tell_what_the_archive_needs() {
    const ListenerSettings& settings = *m_target.listener;
    Json record = make_record("check", k_commit_tool, "passed", true);
    record["step"] = "listening";
    record["target"] = m_target.name;
    record["aeTitle"] = m_target.calling_ae;
    record["host"] = settings.bind.host;
    record["port"] = m_listener->port();
    record["addresses"] = own_addresses(settings.bind.host);
    record["security"] = settings.tls ? "tls" : "plain";
    if (m_tls) {
      record["trusts"] = settings.tls_settings.ca_file;
      record["clientCertificateRequired"] = settings.tls_settings.require_client_certificate;
      record["ownChain"] = to_json(net::own_chain(*m_tls));
    }
    record["message"] = fmt::format(
        "The archive must have for AE title {}: an address of this machine that it can reach, port {}, {}.",
        m_target.calling_ae, m_listener->port(),
        settings.tls ? "TLS with a certificate that it trusts (ownChain), and one of its own that we trust (trusts)"
                     : "plain text");
    m_sink.emit(record);
  }

  Attempt take(net::Incoming& incoming, Deadline deadline) {
    const auto begun = std::chrono::steady_clock::now();
    Attempt attempt;
    attempt.peer = incoming.peer();
    try {
      attend(incoming, attempt, deadline);
    } catch (const Error& error) {
      // What comes after a good association (a reset instead of a release) takes nothing away from it.
      if (attempt.reached == "tcp" || attempt.reached == "tls") {
        attempt.failure = error;
      } else {
        attempt.warnings.push_back(fmt::format("it ended with {}: {}", error.kind().code, error.message()));
      }
    }
    Json record = make_record("check", k_commit_tool,
                              attempt.failure            ? outcome::failed
                              : attempt.warnings.empty() ? "passed"
                                                         : "warning",
                              !attempt.failure);
    record["step"] = "attempt";
    record["reached"] = attempt.reached;
    record["peer"] = attempt.peer.to_json();
    if (!attempt.peer_chain.empty()) {
      record["peerChain"] = to_json(attempt.peer_chain);
    }
    if (attempt.reached != "tcp" && attempt.reached != "tls") {
      record["roleSelection"] = attempt.role_selected;
    }
    if (!attempt.transaction_uid.empty()) {
      record["transactionUID"] = attempt.transaction_uid;
    }
    if (!attempt.warnings.empty()) {
      record["warnings"] = attempt.warnings;
    }
    record["elapsed"] =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
    if (attempt.failure) {
      set_error(record, *attempt.failure);
    }
    m_sink.emit(record);
    return attempt;
  }

  void attend(net::Incoming& incoming, Attempt& attempt, Deadline deadline) {
    std::unique_ptr<net::Stream> stream;
    try {
      stream = incoming.open(m_tls, Deadline::after(m_target.tls_timeout));
    } catch (const Error& error) {
      if (m_target.trace) {
        m_target.trace->failed(error, TraceDirectory::Direction::in);
      }
      throw;
    }
    if (const auto report = net::tls_report(*stream)) {
      attempt.reached = "tls";
      attempt.peer_chain = report->peer_chain;
    }
    attempt.peer = stream->peer();
    if (m_target.trace) {
      stream = m_target.trace->wrap(std::move(stream), TraceDirectory::Direction::in);
    }
    ul::AssociateRequest asked;
    ul::Timeouts timeouts = m_target.association_timeouts;
    timeouts.associate = std::min(timeouts.associate, std::max(k_inbound_glance, deadline.remaining()));
    const auto association = ul::Association::accept(
        std::move(stream),
        [&](const ul::AssociateRequest& request, const net::Stream&) {
          asked = request;
          return decide_report_association(request, m_target.calling_ae, m_target.max_pdu);
        },
        timeouts);
    attempt.peer.called_ae = asked.called_ae;
    attempt.peer.calling_ae = asked.calling_ae;
    attempt.peer.implementation_class_uid = asked.implementation_class_uid;
    attempt.peer.implementation_version_name = asked.implementation_version_name;
    if (!association) {
      throw Error(kind("commit.no-report"), asked.called_ae == m_target.calling_ae
                                                ? std::string("rejected: the application context is not DICOM's")
                                                : fmt::format("rejected: it calls AE title \"{}\", ours is \"{}\"",
                                                              asked.called_ae, m_target.calling_ae));
    }
    attempt.reached = "association";
    look_at_contexts(*association, asked, attempt);
    serve(*association, attempt);
  }

  static void look_at_contexts(const ul::Association& association, const ul::AssociateRequest& asked,
                               Attempt& attempt) {
    const auto& contexts = association.contexts();
    attempt.commitment_accepted = std::any_of(contexts.begin(), contexts.end(), [](const ul::AcceptedContext& one) {
      return one.abstract_syntax == dicom::uids::storage_commitment_push_model;
    });
    attempt.role_selected = std::any_of(asked.roles.begin(), asked.roles.end(), [](const ul::RoleSelection& role) {
      return role.sop_class_uid == dicom::uids::storage_commitment_push_model && role.scp;
    });
    if (!attempt.commitment_accepted) {
      attempt.warnings.emplace_back("storage commitment was not proposed, or in no transfer syntax that we take");
    } else if (!attempt.role_selected) {
      attempt.warnings.emplace_back(
          "the archive did not ask for the role of SCP (role selection); it is taken as such");
    }
  }

  void serve(ul::Association& association, Attempt& attempt) {
    dimse::Messenger messenger(association);
    dimse::Services services = report_services(m_custody, m_observer);
    const auto take_report = services.event_report;
    services.event_report = [&attempt, take_report](const dimse::Messenger::Message& message,
                                                    const dicom::DataSet& data) {
      const dimse::Command response = take_report(message, data);
      attempt.reached = "report";
      try {
        attempt.transaction_uid = dimse::read_commitment_report(data).transaction_uid;
      } catch (const Error& error) {
        attempt.warnings.push_back(error.message());
      }
      return response;
    };
    services.trace = [&attempt](const dimse::Messenger::Message& message, bool received) {
      if (received && message.command.field == dimse::CommandField::c_echo_rq && attempt.reached == "association") {
        attempt.reached = "echo";
      }
    };
    services.stop = m_stop;
    if (dimse::serve(messenger, services, k_longest_silence, m_target.association_timeouts.stall) !=
        dimse::Ending::released) {
      attempt.warnings.emplace_back("the association was not released");
    }
  }

  void conclude(const std::optional<Attempt>& last, std::chrono::milliseconds wait) {
    const bool passed = last && !last->failure;
    const std::string_view state = !passed ? outcome::failed : last->warnings.empty() ? "passed" : "warning";
    Json record = make_record("check", k_commit_tool, state, passed);
    record["step"] = "conclusion";
    if (passed) {
      std::string but;
      for (const std::string& warning : last->warnings) {
        but += "; but " + warning;
      }
      record["message"] = fmt::format("{} at {} reaches us: it came as far as {}{}.", last->peer.calling_ae,
                                      last->peer.address, last->reached, but);
      m_sink.emit(record);
      return;
    }
    Error error = last ? *last->failure
                       : Error(kind("commit.no-report"), fmt::format("nothing came to port {} within {}",
                                                                     m_listener->port(), format_duration(wait)));
    if (!last && m_stop.stop_requested()) {
      error = Error(kind("interrupted"), "stopped before anything came");
    }
    record["message"] =
        fmt::format("The archive does not reach us: {}. What to do: {}", error.message(), error.kind().hint);
    set_error(record, error);
    m_sink.emit(record);
  }

  RecordSink& m_sink;
  Observer& m_observer;
  const Target& m_target;
  TransactionStore m_store;
  Custody m_custody;
  std::stop_token m_stop;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::unique_ptr<net::Listener> m_listener;
};

}  // namespace

void check_inbound(RecordSink& sink, Observer& observer, const Target& target, const std::filesystem::path& state,
                   std::chrono::milliseconds wait, std::stop_token stop) {
  InboundCheck(sink, observer, target, state, std::move(stop)).run(wait);
}

}  // namespace kuva::workflow
