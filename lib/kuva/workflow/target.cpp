#include <kuva/dicom/uid.hpp>
#include <kuva/net/tls_report.hpp>
#include <kuva/workflow/target.hpp>

#include <fmt/format.h>

namespace kuva::workflow {

namespace {

constexpr std::chrono::hours k_expiry_notice{30 * 24};

void warn_of_expiry(Observer& observer, std::string_view whose,
                    std::optional<std::chrono::system_clock::time_point> expiry) {
  const auto now = std::chrono::system_clock::now();
  if (!expiry || *expiry - now > k_expiry_notice) {
    return;
  }
  const auto days = std::chrono::duration_cast<std::chrono::hours>(*expiry - now).count() / 24;
  observer.message(Observer::Level::warning,
                   fmt::format("{} certificate ends in {} days ({})", whose, days, to_rfc3339(*expiry)));
}

std::unique_ptr<net::Stream> connect(const Target& target, const net::ConnectSettings& settings) {
  try {
    return net::connect(settings);
  } catch (const Error& error) {
    if (target.trace) {
      target.trace->failed(error, TraceDirectory::Direction::out);
    }
    throw;
  }
}

// What an operator compares with the certificate that should be there. Empty in plain text.
Json certificate_shown(const net::Stream& stream) {
  Json facts = Json::object();
  if (const std::optional<net::TlsReport> report = net::tls_report(stream); report && !report->peer_chain.empty()) {
    const net::CertificateFacts& own = report->peer_chain.front();
    facts["sha256"] = own.sha256;
    if (own.valid_to) {
      facts["validTo"] = to_rfc3339(*own.valid_to);
    }
  }
  return facts;
}

}  // namespace

Peer Target::to_peer() const {
  Peer peer;
  peer.host = endpoint.host;
  peer.port = endpoint.port;
  peer.called_ae = called_ae;
  peer.calling_ae = calling_ae;
  return peer;
}

ul::AssociateRequest complete_request(const Target& target, ul::AssociateRequest request) {
  request.called_ae = target.called_ae;
  request.calling_ae = target.calling_ae;
  request.application_context = dicom::uids::application_context;
  request.max_pdu_length = target.max_pdu;
  request.implementation_class_uid = dicom::implementation_class_uid();
  request.implementation_version_name = dicom::implementation_version_name();
  request.user_identity = target.user_identity;
  request.extended_negotiations.insert(request.extended_negotiations.end(), target.extended_negotiations.begin(),
                                       target.extended_negotiations.end());
  return request;
}

std::unique_ptr<ul::Association> associate(const Target& target, const std::shared_ptr<const net::TlsContext>& tls,
                                           ul::AssociateRequest request, Observer& observer, Json* certificate) {
  request = complete_request(target, std::move(request));
  net::ConnectSettings settings;
  settings.endpoint = target.endpoint;
  settings.tls = tls;
  settings.connect_timeout = target.connect_timeout;
  settings.tls_timeout = target.tls_timeout;
  std::unique_ptr<net::Stream> stream = connect(target, settings);
  warn_of_expiry(observer, "the peer's", net::peer_certificate_expiry(*stream));
  if (tls) {
    warn_of_expiry(observer, "our own", tls->certificate_expiry());
  }
  const Json shown = certificate_shown(*stream);
  if (certificate != nullptr) {
    *certificate = shown;
  }
  if (target.trace) {
    stream = target.trace->wrap(std::move(stream), TraceDirectory::Direction::out);
  }
  try {
    return ul::Association::request(std::move(stream), request, target.association_timeouts);
  } catch (Error& error) {
    if (!shown.empty()) {
      error.with("certificate", shown);
    }
    throw;
  }
}

std::shared_ptr<const net::TlsContext> client_tls(const Target& target) {
  return target.tls ? net::TlsContext::client(target.tls_settings) : nullptr;
}

}  // namespace kuva::workflow
