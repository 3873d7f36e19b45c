#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/response.hpp>
#include <kuva/dimse/retrieve.hpp>
#include <kuva/dimse/status.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dimse {

namespace {

constexpr std::size_t k_largest_list = 64U << 20U;

const ul::AcceptedContext& context_of(Messenger& messenger, std::string_view sop_class_uid, std::string_view name) {
  ul::Association& association = messenger.association();
  const auto& contexts = association.contexts();
  const auto context =
      std::find_if(contexts.begin(), contexts.end(), [sop_class_uid](const ul::AcceptedContext& candidate) {
        return candidate.abstract_syntax == sop_class_uid && candidate.scu;
      });
  if (context == contexts.end()) {
    Error error(kind("negotiate.sop-class"), fmt::format("the peer did not accept {} of this information model", name));
    error.with_peer(association.peer());
    throw error;
  }
  return *context;
}

std::vector<std::string> split_uids(std::string_view list) {
  std::vector<std::string> uids;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find('\\'), list.size());
    if (end != 0) {
      uids.emplace_back(list.substr(0, end));
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return uids;
}

constexpr std::chrono::milliseconds k_data_set_patience{60'000};

// The answer to a pending response that tells a caller's progress function of it.
RetrieveWatch watch_of(const RetrieveProgress& progress) {
  return [&progress](const SubOperations* pending) {
    return pending == nullptr || !progress || progress(*pending) ? Patience::wait : Patience::cancel;
  };
}

// With `patience` that is for the time between two responses, else the watch is asked meanwhile too.
RetrieveResult retrieve(Messenger& messenger, const ul::AcceptedContext& context, Service service,
                        const Command& request, const dicom::DataSet& identifier, const RetrieveWatch& watch,
                        std::optional<std::chrono::milliseconds> patience, const OnRequest& on_request) {
  const std::uint8_t context_id = context.id;
  messenger.send(context_id, request, identifier);
  bool is_cancelling = false;
  const auto goes_on = [&](const SubOperations* pending) {
    const Patience verdict = watch(pending);
    if (verdict == Patience::cancel && !is_cancelling) {
      is_cancelling = true;
      messenger.send(context_id, make_cancel(request));
    }
    return verdict != Patience::give_up;
  };
  const OnQuiet on_quiet = patience ? OnQuiet() : OnQuiet([&goes_on] { return goes_on(nullptr); });
  const std::chrono::milliseconds stall_limit = patience.value_or(k_data_set_patience);
  for (;;) {
    const Messenger::Message response = await_response(messenger, request, stall_limit, on_request, on_quiet);
    const Command& command = response.command;
    const dicom::DataSet data = messenger.receive_data_set(stall_limit, k_largest_list);
    RetrieveResult result;
    result.status = *command.status;
    result.counts = read_suboperations(command);
    const StatusClass outcome = status_class(result.status);
    if (outcome == StatusClass::pending) {
      if (!goes_on(&result.counts)) {
        Error error(kind("connection.timeout"), "the peer sends pending responses and comes to no end");
        error.in_phase(Phase::wait).with_peer(messenger.association().peer());
        messenger.association().abort();
        throw error;
      }
      continue;
    }
    result.failed_instances = split_uids(data.string(dicom::tags::failed_sop_instance_uid_list));
    result.cancelled = outcome == StatusClass::cancel;
    if (outcome == StatusClass::failure) {
      Error failure = status_error(service, command);
      failure.with_peer(messenger.association().peer());
      result.failure = std::move(failure);
    }
    return result;
  }
}

RetrieveResult request_move(Messenger& messenger, QueryRoot root, const std::string& destination,
                            const dicom::DataSet& identifier, const RetrieveWatch& watch,
                            std::optional<std::chrono::milliseconds> patience) {
  const ul::AcceptedContext& context = context_of(messenger, move_sop_class(root), "C-MOVE");
  Command request;
  request.field = CommandField::c_move_rq;
  request.message_id = messenger.next_message_id();
  request.affected_sop_class_uid = move_sop_class(root);
  request.priority = 0;
  request.move_destination = destination;
  return retrieve(messenger, context, Service::move, request, identifier, watch, patience, {});
}

}  // namespace

SubOperations read_suboperations(const Command& response) {
  return {response.remaining_suboperations.value_or(0), response.completed_suboperations.value_or(0),
          response.failed_suboperations.value_or(0), response.warning_suboperations.value_or(0)};
}

void put_suboperations(Command& response, const SubOperations& counts) {
  const StatusClass outcome = status_class(response.status.value_or(0));
  if (outcome == StatusClass::pending || outcome == StatusClass::cancel) {
    response.remaining_suboperations = counts.remaining;
  }
  response.completed_suboperations = counts.completed;
  response.failed_suboperations = counts.failed;
  response.warning_suboperations = counts.warning;
}

RetrieveResult move(Messenger& messenger, QueryRoot root, const std::string& destination,
                    const dicom::DataSet& identifier, const RetrieveProgress& progress,
                    std::chrono::milliseconds patience) {
  return request_move(messenger, root, destination, identifier, watch_of(progress), patience);
}

RetrieveResult move(Messenger& messenger, QueryRoot root, const std::string& destination,
                    const dicom::DataSet& identifier, const RetrieveWatch& watch) {
  return request_move(messenger, root, destination, identifier, watch, std::nullopt);
}

RetrieveResult get(Messenger& messenger, QueryRoot root, const dicom::DataSet& identifier, const Services& services,
                   const RetrieveProgress& progress, std::chrono::milliseconds patience) {
  const ul::AcceptedContext& context = context_of(messenger, get_sop_class(root), "C-GET");
  Command request;
  request.field = CommandField::c_get_rq;
  request.message_id = messenger.next_message_id();
  request.affected_sop_class_uid = get_sop_class(root);
  request.priority = 0;
  return retrieve(messenger, context, Service::get, request, identifier, watch_of(progress), patience,
                  [&](const Messenger::Message& message) { answer(messenger, message, services, patience); });
}

std::vector<ul::RoleSelection> get_roles(const std::vector<std::string>& storage_sop_classes) {
  std::vector<ul::RoleSelection> roles;
  for (const std::string& sop_class : storage_sop_classes) {
    roles.push_back({sop_class, false, true});
  }
  return roles;
}

}  // namespace kuva::dimse
