#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/echo.hpp>
#include <kuva/net/connect.hpp>
#include <kuva/net/tls_report.hpp>
#include <kuva/workflow/accepted_contexts.hpp>
#include <kuva/workflow/certificate_json.hpp>
#include <kuva/workflow/check.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_check_tool = "kuva-send";

constexpr std::string_view k_passed = "passed";
constexpr std::string_view k_check_warning = "warning";

std::string side_in_words(Side side) {
  switch (side) {
    case Side::local:
      return "on our side";
    case Side::network:
      return "in the network between";
    case Side::peer:
      break;
  }
  return "on the archive's side";
}

class Check {
 public:
  Check(RecordSink& sink, Observer& observer, const Target& target, const CheckSettings& settings, std::stop_token stop)
      : m_sink(sink), m_observer(observer), m_target(target), m_settings(settings), m_stop(std::move(stop)) {}

  void run() {
    const bool passed = step("configuration", [this](Json& record) { load(record); }) &&
                        step("dns", [this](Json& record) { resolve(record); }) &&
                        step("tcp", [this](Json& record) { connect(record); }) &&
                        (!m_target.tls || step("tls", [this](Json& record) { secure(record); })) &&
                        step("associate", [this](Json& record) { associate(record); }) &&
                        step("echo", [this](Json& record) { echo(record); }) &&
                        step("sop-classes", [this](Json& record) { find_classes(record); }) &&
                        step("commitment", [this](Json& record) { judge_commitment(record); });
    conclude(passed);
  }

 private:
  // One record; false when the step failed.
  bool step(std::string_view name, const std::function<void(Json&)>& work) {
    Json record = make_record("check", k_check_tool, k_passed, true);
    record["step"] = name;
    const auto begun = std::chrono::steady_clock::now();
    m_step_warnings.clear();
    std::optional<Error> failure;
    try {
      if (m_stop.stop_requested()) {
        throw Error(kind("interrupted"), "the check was stopped before this step");
      }
      work(record);
    } catch (Error& error) {
      if (!error.peer()) {
        error.with_peer(m_target.to_peer());
      }
      failure = error;
    }
    record["elapsed"] =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
    if (!m_step_warnings.empty()) {
      record["outcome"] = k_check_warning;
      record["warnings"] = m_step_warnings;
    }
    if (failure) {
      record["outcome"] = outcome::failed;
      record["ok"] = false;
      set_error(record, *failure);
      m_failure = std::move(failure);
      m_failed_step = name;
    }
    m_sink.emit(record);
    for (const Json& one : m_class_records) {
      m_sink.emit(one);
    }
    m_class_records.clear();
    return !m_failure;
  }

  void warn(std::string text) {
    m_observer.message(Observer::Level::warning, text);
    m_warnings += (m_warnings.empty() ? "" : "; ") + text;
    m_step_warnings.push_back(std::move(text));
  }

  void warn_of_expiry(std::string_view whose, const std::vector<net::CertificateFacts>& chain) {
    for (const net::CertificateFacts& certificate : chain) {
      const std::optional<long> days = days_left(certificate);
      if (!days) {
        continue;
      }
      if (&certificate == &chain.front()) {
        m_fewest_days = std::min(m_fewest_days.value_or(*days), *days);
      }
      if (*days < static_cast<long>(m_settings.expiry_days)) {
        warn(fmt::format("the certificate \"{}\" of {} ends in {} days", certificate.subject, whose, *days));
      }
    }
  }

  void load(Json& record) {
    record["target"] = m_target.name;
    record["security"] = m_target.tls ? "tls" : "plain";
    record["peer"] = m_target.to_peer().to_json();
    m_tls = client_tls(m_target);
    if (m_tls) {
      const auto chain = net::own_chain(*m_tls);
      record["ownChain"] = to_json(chain);
      warn_of_expiry("this side", chain);
    }
  }

  void resolve(Json& record) {
    m_addresses =
        net::resolve(m_target.endpoint, net::ResolveFor::connecting, Deadline::after(m_target.connect_timeout));
    record["host"] = m_target.endpoint.host;
    record["addresses"] = Json::array();
    for (const net::Address& address : m_addresses) {
      record["addresses"].push_back(net::numeric_address(address.storage));
    }
  }

  void connect(Json& record) {
    m_socket = net::connect_tcp(m_target.endpoint, m_addresses, Deadline::after(m_target.connect_timeout));
    record["peer"] = m_socket->peer().to_json();
    record["localAddress"] = m_socket->local_address();
    if (!m_target.tls) {
      m_stream = net::open_stream(m_socket, nullptr, Deadline::never());
    }
  }

  void secure(Json& record) {
    m_stream = net::open_stream(m_socket, m_tls, Deadline::after(m_target.tls_timeout));
    const auto report = net::tls_report(*m_stream);
    if (report) {
      record["version"] = report->version;
      record["cipherSuite"] = report->cipher_suite;
      record["clientCertificateRequested"] = report->client_certificate_requested;
      record["peerChain"] = to_json(report->peer_chain);
      warn_of_expiry("the archive", report->peer_chain);
    }
  }

  void associate(Json& record) {
    const std::vector<std::string> syntaxes{std::string(dicom::k_explicit_vr_little_endian),
                                            std::string(dicom::k_implicit_vr_little_endian)};
    ul::AssociateRequest request;
    request.contexts.push_back({1, std::string(dicom::uids::verification), syntaxes});
    request.contexts.push_back({3, std::string(dicom::uids::storage_commitment_push_model), syntaxes});
    if (m_target.async_window != 0) {
      request.asynchronous_operations = ul::AsynchronousOperations{m_target.async_window, 1};
    }
    if (m_target.trace) {
      m_stream = m_target.trace->wrap(std::move(m_stream), TraceDirectory::Direction::out);
    }
    m_association = ul::Association::request(std::move(m_stream), complete_request(m_target, std::move(request)),
                                             m_target.association_timeouts);
    const ul::AssociateAccept& accepted = m_association->accepted();
    record["peer"] = m_association->peer().to_json();
    record["maxPduLength"] = accepted.max_pdu_length;
    record["operationsWindow"] = m_association->operations_window();
    if (m_association->find_context(3) != nullptr) {
      m_commitment_as_scu = m_association->find_context(3)->scu;
      m_commitment_syntax = m_association->find_context(3)->transfer_syntax;
    }
    m_commitment_result = m_association->context_result(3);
  }

  void echo(Json&) {
    if (m_association->find_context(1) == nullptr) {
      warn(fmt::format("the archive does not take C-ECHO ({})", ul::to_string(m_association->context_result(1))));
    } else {
      dimse::Messenger messenger(*m_association);
      dimse::echo(messenger, m_target.response_timeout);
    }
    m_association->release();
    m_association.reset();
  }

  void find_classes(Json& record) {
    const auto classes = find_accepted([this](std::vector<ul::PresentationContext> contexts) {
      if (m_stop.stop_requested()) {
        throw Error(kind("interrupted"), "the check was stopped");
      }
      ul::AssociateRequest request;
      request.contexts = std::move(contexts);
      ++m_associations;
      const auto association = workflow::associate(m_target, m_tls, std::move(request), m_silent);
      std::vector<ul::PresentationContextReply> replies;
      for (const ul::PresentationContext& context : association->requested().contexts) {
        replies.push_back({context.id, association->context_result(context.id), {}});
      }
      association->release();
      return replies;
    });
    m_classes = classes.size();
    m_classes_accepted = static_cast<std::size_t>(
        std::count_if(classes.begin(), classes.end(), [](const AcceptedClass& one) { return !one.accepted.empty(); }));
    record["sopClasses"] = m_classes;
    record["sopClassesAccepted"] = m_classes_accepted;
    record["associations"] = m_associations;
    if (m_classes_accepted == 0) {
      throw Error(kind("negotiate.sop-class"),
                  fmt::format("the archive takes none of {} storage SOP classes from {} ({})", m_classes,
                              m_target.calling_ae, ul::to_string(classes.front().refusal)));
    }
    for (const AcceptedClass& one : classes) {
      m_class_records.push_back(class_record(one));
    }
  }

  static Json class_record(const AcceptedClass& one) {
    Json record = make_record("check", k_check_tool, one.accepted.empty() ? "refused" : "accepted", true);
    record["step"] = "sop-class";
    record["SOPClassUID"] = one.sop_class_uid;
    record["sopClassName"] = dicom::uid_name(one.sop_class_uid);
    record["acceptedTransferSyntaxUIDs"] = one.accepted;
    record["refusedTransferSyntaxUIDs"] = one.refused;
    if (one.accepted.empty()) {
      record["reason"] = ul::to_string(one.refusal);
    }
    return record;
  }

  // Last, since a peer that stores and does not commit is of use to some.
  void judge_commitment(Json& record) {
    record["contextResult"] = ul::to_string(m_commitment_result);
    if (!m_commitment_syntax.empty() && m_commitment_as_scu) {
      record["role"] = "SCU";
      record["TransferSyntaxUID"] = m_commitment_syntax;
      return;
    }
    const std::string what = fmt::format("storage commitment is not to be had from {} for {} ({})", m_target.called_ae,
                                         m_target.calling_ae, ul::to_string(m_commitment_result));
    if (m_target.listener) {
      throw Error(kind("negotiate.role"), what);
    }
    warn(what);
  }

  void conclude(bool passed) {
    Json record = make_record("check", k_check_tool,
                              passed ? (m_warnings.empty() ? k_passed : k_check_warning) : outcome::failed, passed);
    record["step"] = "conclusion";
    if (!passed) {
      record["failedStep"] = m_failed_step;
      record["message"] =
          fmt::format("The check ends at the step {}, {}: {}. What to do: {}", m_failed_step,
                      side_in_words(m_failure->kind().side), m_failure->message(), m_failure->kind().hint);
      // The cause once more, so that the exit code is its alone.
      set_error(record, *m_failure);
    } else {
      record["message"] =
          fmt::format("{} at {} takes {} of {} storage SOP classes from {}{}{}{}.", m_target.called_ae,
                      net::to_string(m_target.endpoint), m_classes_accepted, m_classes, m_target.calling_ae,
                      m_commitment_syntax.empty() ? "" : ", and storage commitment",
                      m_fewest_days ? fmt::format("; the certificates are good for {} days", *m_fewest_days) : "",
                      m_warnings.empty() ? "" : "; but " + m_warnings);
    }
    m_sink.emit(record);
  }

  // Expiry is told once, by the steps themselves.
  class Silent : public Observer {
   public:
    void message(Level, std::string_view) override {}
    void progress(const Progress&) override {}
  };

  RecordSink& m_sink;
  Observer& m_observer;
  const Target& m_target;
  const CheckSettings& m_settings;
  std::stop_token m_stop;
  Silent m_silent;

  std::shared_ptr<const net::TlsContext> m_tls;
  std::vector<net::Address> m_addresses;
  std::shared_ptr<net::Socket> m_socket;
  std::unique_ptr<net::Stream> m_stream;
  std::unique_ptr<ul::Association> m_association;
  ul::ContextResult m_commitment_result = ul::ContextResult::no_reason;
  bool m_commitment_as_scu = false;
  std::string m_commitment_syntax;
  unsigned m_associations = 0;
  std::size_t m_classes = 0;
  std::size_t m_classes_accepted = 0;
  std::vector<Json> m_class_records;  // a record a SOP class, after that of the step

  std::optional<long> m_fewest_days;
  std::vector<std::string> m_step_warnings;
  std::string m_warnings;
  std::optional<Error> m_failure;
  std::string m_failed_step;
};

}  // namespace

void check(RecordSink& sink, Observer& observer, const Target& target, const CheckSettings& settings,
           std::stop_token stop) {
  Check(sink, observer, target, settings, std::move(stop)).run();
}

}  // namespace kuva::workflow
