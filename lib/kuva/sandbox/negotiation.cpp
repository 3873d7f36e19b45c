#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/sandbox/negotiation.hpp>

#include <algorithm>

namespace kuva::sandbox {

namespace {

constexpr ul::AssociateReject k_protocol_version{1, 2, 2};
constexpr ul::AssociateReject k_application_context{1, 1, 2};
constexpr ul::AssociateReject k_calling_ae{1, 1, 3};
constexpr ul::AssociateReject k_called_ae{1, 1, 7};
constexpr ul::AssociateReject k_congestion{2, 3, 2};

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Storage, unless the UID is registered for something else: new and private SOP classes are taken.
bool is_storage(std::string_view abstract_syntax) {
  return dicom::is_storage_sop_class(abstract_syntax) || dicom::uid_name(abstract_syntax).empty();
}

ul::PresentationContextReply answer(const Settings& settings, const ul::PresentationContext& context) {
  ul::PresentationContextReply reply;
  reply.id = context.id;
  const bool is_service = context.abstract_syntax == dicom::uids::verification ||
                          context.abstract_syntax == dicom::uids::storage_commitment_push_model ||
                          dimse::query_model(context.abstract_syntax).has_value();
  if (!is_service &&
      (!is_storage(context.abstract_syntax) || contains(settings.refused_sop_classes, context.abstract_syntax))) {
    reply.result = ul::ContextResult::abstract_syntax_not_supported;
    return reply;
  }
  reply.result = ul::ContextResult::transfer_syntaxes_not_supported;
  for (const std::string& syntax : context.transfer_syntaxes) {
    // Identifiers are read in the two syntaxes that the standard asks for; objects are only kept.
    const bool is_taken =
        is_service
            ? syntax == dicom::k_implicit_vr_little_endian || syntax == dicom::k_explicit_vr_little_endian
            : settings.accepted_transfer_syntaxes.empty() || contains(settings.accepted_transfer_syntaxes, syntax);
    if (is_taken) {
      reply.result = ul::ContextResult::accepted;
      reply.transfer_syntax = syntax;
      break;
    }
  }
  return reply;
}

bool is_accepted(const ul::AssociateAccept& accept, const ul::AssociateRequest& request,
                 std::string_view abstract_syntax) {
  for (std::size_t i = 0; i < request.contexts.size(); ++i) {
    if (request.contexts[i].abstract_syntax == abstract_syntax &&
        accept.contexts[i].result == ul::ContextResult::accepted) {
      return true;
    }
  }
  return false;
}

}  // namespace

const KnownAe* find_ae(const Settings& settings, std::string_view ae_title) {
  for (const KnownAe& known : settings.known_aes) {
    if (known.ae_title == ae_title) {
      return &known;
    }
  }
  return nullptr;
}

ul::Association::Decision negotiate(const Settings& settings, const ul::AssociateRequest& request, bool is_full) {
  if ((request.protocol_version & 1U) == 0) {
    return k_protocol_version;
  }
  if (request.application_context != dicom::uids::application_context) {
    return k_application_context;
  }
  if (request.called_ae != settings.ae_title) {
    return k_called_ae;
  }
  if (find_ae(settings, request.calling_ae) == nullptr) {
    return k_calling_ae;
  }
  if (is_full) {
    return k_congestion;
  }
  ul::AssociateAccept accept;
  accept.called_ae = request.called_ae;
  accept.calling_ae = request.calling_ae;
  accept.application_context = request.application_context;
  accept.max_pdu_length = settings.max_pdu;
  accept.implementation_class_uid = dicom::implementation_class_uid();
  accept.implementation_version_name = dicom::implementation_version_name();
  for (const ul::PresentationContext& context : request.contexts) {
    accept.contexts.push_back(answer(settings, context));
  }
  // The sandbox is SCP of every service: the requestor may be SCU where it asked to be, and SCP of storage for C-GET.
  for (const ul::RoleSelection& role : request.roles) {
    if (is_accepted(accept, request, role.sop_class_uid)) {
      accept.roles.push_back({role.sop_class_uid, role.scu, role.scp && is_storage(role.sop_class_uid)});
    }
  }
  if (request.asynchronous_operations && settings.async_window > 0) {
    const std::uint16_t offered = request.asynchronous_operations->invoked;
    ul::AsynchronousOperations window;
    window.invoked = offered == 0 ? settings.async_window : std::min(offered, settings.async_window);
    window.performed = 1;
    accept.asynchronous_operations = window;
  }
  // Whoever the user is: known by the AE title.
  if (request.user_identity && request.user_identity->response_requested) {
    accept.user_identity_response = std::string();
  }
  return accept;
}

}  // namespace kuva::sandbox
