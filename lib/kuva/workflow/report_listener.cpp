#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/dimse/availability.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/workflow/report_listener.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_commitment = dicom::uids::storage_commitment_push_model;

std::string event_failure_text(const Error& error) {
  return fmt::format("a report could not be taken: {}: {}", error.kind().code, error.message());
}

}  // namespace

dimse::Services report_services(Custody& custody, Observer& observer) {
  dimse::Services services;
  services.event_report = [&custody, &observer](const dimse::Messenger::Message& message, const dicom::DataSet& data) {
    if (message.command.affected_sop_class_uid.value_or("") != k_commitment) {
      return dimse::make_response(message.command, 0x0118);
    }
    try {
      custody.report(dimse::read_commitment_report(data));
      return dimse::make_response(message.command, 0x0000);
    } catch (const Error& error) {
      // The archive sends it again after a failure, so it must not be told success.
      observer.message(Observer::Level::error, event_failure_text(error));
      const bool ours = error.kind().side == Side::local;
      return dimse::make_response(message.command, ours ? 0x0110 : 0x0115);
    }
  };
  return services;
}

dimse::Services report_services(Custody& custody, Observer& observer, Registrations& registrations) {
  dimse::Services services = report_services(custody, observer);
  services.create = [&registrations, &observer](const dimse::Messenger::Message& message, const dicom::DataSet& data) {
    const dimse::Command& request = message.command;
    const auto answer = [&request](std::uint16_t status) {
      dimse::Command response = dimse::make_response(request, status);
      if (!response.affected_sop_instance_uid) {
        response.affected_sop_instance_uid = dicom::make_uid();  // the requestor left it to us (PS3.7 10.1.5.1.4)
      }
      return response;
    };
    if (request.affected_sop_class_uid.value_or("") != dimse::k_availability_sop_class) {
      return answer(0x0118);
    }
    const auto read = dimse::read_availability(data);
    if (const auto* const defect = std::get_if<dimse::AvailabilityDefect>(&read)) {
      observer.message(
          Observer::Level::warning,
          fmt::format("a notification of the archive is refused: {} {}, {}", dimse::hex(defect->status),
                      dimse::status_name(dimse::Service::create, defect->status), dicom::name_of(defect->element)));
      dimse::Command response = answer(defect->status);
      response.error_comment = dicom::name_of(defect->element);
      return response;
    }
    try {
      registrations.take(std::get<dimse::AvailabilityNotification>(read));
      return answer(0x0000);
    } catch (const Error& error) {
      // It comes again after a failure.
      observer.message(Observer::Level::error,
                       fmt::format("a notification could not be taken: {}: {}", error.kind().code, error.message()));
      return answer(0x0110);
    }
  };
  return services;
}

ul::Association::Decision decide_report_association(const ul::AssociateRequest& request, const std::string& ae_title,
                                                    std::uint32_t max_pdu, bool with_notifications) {
  if (request.application_context != dicom::uids::application_context) {
    return ul::AssociateReject{1, 1, 2};
  }
  if (request.called_ae != ae_title) {
    return ul::AssociateReject{1, 1, 7};
  }
  ul::AssociateAccept accept;
  accept.called_ae = request.called_ae;
  accept.calling_ae = request.calling_ae;
  accept.application_context = request.application_context;
  accept.max_pdu_length = max_pdu;
  accept.implementation_class_uid = dicom::implementation_class_uid();
  accept.implementation_version_name = dicom::implementation_version_name();
  for (const ul::PresentationContext& context : request.contexts) {
    ul::PresentationContextReply reply;
    reply.id = context.id;
    const bool known = context.abstract_syntax == k_commitment ||
                       context.abstract_syntax == dicom::uids::verification ||
                       (with_notifications && context.abstract_syntax == dimse::k_availability_sop_class);
    const auto syntax =
        std::find_if(context.transfer_syntaxes.begin(), context.transfer_syntaxes.end(), [](const std::string& uid) {
          return uid == dicom::k_explicit_vr_little_endian || uid == dicom::k_implicit_vr_little_endian;
        });
    if (!known) {
      reply.result = ul::ContextResult::abstract_syntax_not_supported;
    } else if (syntax == context.transfer_syntaxes.end()) {
      reply.result = ul::ContextResult::transfer_syntaxes_not_supported;
    } else {
      reply.result = ul::ContextResult::accepted;
      reply.transfer_syntax = *syntax;
    }
    accept.contexts.push_back(std::move(reply));
  }
  for (const ul::RoleSelection& role : request.roles) {
    if (role.sop_class_uid == k_commitment) {
      accept.roles.push_back({role.sop_class_uid, false, role.scp});
    }
  }
  return accept;
}

ReportListener::ReportListener(const Target& target, Custody& custody, Observer& observer, Registrations* registrations)
    : m_listener(target,
                 {[&target, registrations](const ul::AssociateRequest& request) {
                    return decide_report_association(request, target.calling_ae, target.max_pdu,
                                                     registrations != nullptr);
                  },
                  [&target, &custody, &observer, registrations](ul::Association& association) {
                    dimse::Messenger messenger(association);
                    const dimse::Services services = registrations == nullptr
                                                         ? report_services(custody, observer)
                                                         : report_services(custody, observer, *registrations);
                    dimse::serve(messenger, services, target.response_timeout, target.association_timeouts.stall);
                  }},
                 observer) {}

}  // namespace kuva::workflow
