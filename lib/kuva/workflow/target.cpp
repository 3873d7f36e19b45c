#include <kuva/workflow/target.hpp>

#include <kuva/dicom/uid.hpp>

namespace kuva::workflow {

Peer Target::to_peer() const {
  Peer peer;
  peer.host = endpoint.host;
  peer.port = endpoint.port;
  peer.called_ae = called_ae;
  peer.calling_ae = calling_ae;
  return peer;
}

std::unique_ptr<ul::Association> associate(const Target& target, const std::shared_ptr<const net::TlsContext>& tls,
                                           ul::AssociateRequest request) {
  request.called_ae = target.called_ae;
  request.calling_ae = target.calling_ae;
  request.application_context = dicom::uids::application_context;
  request.max_pdu_length = target.max_pdu;
  request.implementation_class_uid = dicom::implementation_class_uid();
  request.implementation_version_name = dicom::implementation_version_name();
  request.user_identity = target.user_identity;
  request.extended_negotiations.insert(request.extended_negotiations.end(), target.extended_negotiations.begin(),
                                       target.extended_negotiations.end());
  net::ConnectSettings settings;
  settings.endpoint = target.endpoint;
  settings.tls = tls;
  settings.connect_timeout = target.connect_timeout;
  settings.tls_timeout = target.tls_timeout;
  return ul::Association::request(net::connect(settings), request, target.association_timeouts);
}

std::shared_ptr<const net::TlsContext> client_tls(const Target& target) {
  return target.tls ? net::TlsContext::client(target.tls_settings) : nullptr;
}

}  // namespace kuva::workflow
