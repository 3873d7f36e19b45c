#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/outgoing.hpp>

namespace kuva::sandbox {

std::unique_ptr<ul::Association> open_association(const Settings& settings, const KnownAe& known,
                                                  const std::shared_ptr<const net::TlsContext>& tls,
                                                  std::vector<ul::PresentationContext> contexts) {
  constexpr std::chrono::milliseconds k_connect_timeout{5'000};
  net::ConnectSettings connect;
  connect.endpoint = *known.endpoint;
  connect.tls = known.tls ? tls : nullptr;
  connect.connect_timeout = k_connect_timeout;
  ul::AssociateRequest request;
  request.called_ae = known.ae_title;
  request.calling_ae = settings.ae_title;
  request.application_context = dicom::uids::application_context;
  request.contexts = std::move(contexts);
  request.max_pdu_length = settings.max_pdu;
  request.implementation_class_uid = dicom::implementation_class_uid();
  request.implementation_version_name = dicom::implementation_version_name();
  return ul::Association::request(net::connect(connect), request, settings.timeouts);
}

}  // namespace kuva::sandbox
