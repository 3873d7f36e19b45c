#include <kuva/core/digest.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/configuration_digest.hpp>

namespace kuva::workflow {

namespace {

Json settings_of(const net::TlsSettings& tls) {
  return Json{{"caFile", tls.ca_file},
              {"certificateFile", tls.certificate_file},
              {"keyFile", tls.key_file},
              {"pkcs12File", tls.pkcs12_file},
              {"verifyHost", tls.verify_host},
              {"serverName", tls.server_name},
              {"requireClientCertificate", tls.require_client_certificate},
              {"minimumVersion", tls.minimum_version},
              {"maximumVersion", tls.maximum_version},
              {"cipherSuites", tls.cipher_suites}};
}

Json settings_of(const ListenerSettings& listener) {
  return Json{{"host", listener.bind.host},
              {"port", listener.bind.port},
              {"tls", listener.tls ? settings_of(listener.tls_settings) : Json()}};
}

}  // namespace

std::string configuration_digest(const Target& target) {
  Json extended = Json::array();
  for (const ul::ExtendedNegotiation& each : target.extended_negotiations) {
    extended.push_back(
        Json{{"SOPClassUID", each.sop_class_uid}, {"information", to_hex(each.application_information)}});
  }
  const Json settings{
      {"name", target.name},
      {"host", target.endpoint.host},
      {"port", target.endpoint.port},
      {"calledAE", target.called_ae},
      {"callingAE", target.calling_ae},
      {"tls", target.tls ? settings_of(target.tls_settings) : Json()},
      {"listener", target.listener ? settings_of(*target.listener) : Json()},
      {"userIdentity", target.user_identity ? Json(static_cast<int>(target.user_identity->type)) : Json()},
      {"extendedNegotiations", std::move(extended)},
      {"timeouts",
       {{"connect", target.connect_timeout.count()},
        {"tls", target.tls_timeout.count()},
        {"associate", target.association_timeouts.associate.count()},
        {"stall", target.association_timeouts.stall.count()},
        {"release", target.association_timeouts.release.count()},
        {"abort", target.association_timeouts.abort.count()},
        {"response", target.response_timeout.count()},
        {"idle", target.idle_timeout.count()}}},
      {"associations", target.associations},
      {"asyncWindow", target.async_window},
      {"maxPdu", target.max_pdu},
      {"instancesPerAssociation", target.instances_per_association},
      {"commitChunk", target.commit_chunk},
      {"settle", target.settle == Target::Settle::query ? "query" : "commit"},
      {"failuresInARow", target.failures_in_a_row},
      {"recovery", target.recovery.count()}};
  return to_hex(digest_of(to_line(settings), DigestAlgorithm::sha256));
}

}  // namespace kuva::workflow
