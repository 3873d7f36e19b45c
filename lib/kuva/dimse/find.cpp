#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/find.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dimse {

namespace {

constexpr std::size_t k_largest_match = 16U << 20U;
constexpr std::uint16_t k_response_limit_reached = 0xB001;
constexpr std::uint16_t k_keys_unsupported = 0xFF01;

}  // namespace

dicom::DataSet make_query(QueryLevel level, const std::vector<dicom::Tag>& return_keys) {
  dicom::DataSet identifier;
  identifier.set_string(dicom::tags::query_retrieve_level, to_string(level));
  for (const dicom::Tag tag : return_keys) {
    identifier.set_empty(tag);
  }
  return identifier;
}

dicom::DataSet make_instance_query(std::string_view study_instance_uid, std::string_view series_instance_uid,
                                   const std::vector<std::string>& sop_instance_uids) {
  dicom::DataSet identifier =
      make_query(QueryLevel::image, {dicom::tags::sop_class_uid, dicom::tags::instance_availability});
  identifier.set_string(dicom::tags::study_instance_uid, study_instance_uid);
  identifier.set_string(dicom::tags::series_instance_uid, series_instance_uid);
  identifier.set_string(dicom::tags::sop_instance_uid, fmt::format("{}", fmt::join(sop_instance_uids, "\\")));
  return identifier;
}

FindResult find(Messenger& messenger, QueryRoot root, const dicom::DataSet& identifier, const MatchSink& sink,
                std::chrono::milliseconds response_timeout, const OnQuiet& on_quiet) {
  ul::Association& association = messenger.association();
  const auto& contexts = association.contexts();
  const auto context = std::find_if(contexts.begin(), contexts.end(), [root](const ul::AcceptedContext& candidate) {
    return candidate.abstract_syntax == find_sop_class(root) && candidate.scu;
  });
  if (context == contexts.end()) {
    Error error(kind("negotiate.sop-class"), "the peer did not accept C-FIND of this information model");
    error.with_peer(association.peer());
    throw error;
  }
  Command request;
  request.field = CommandField::c_find_rq;
  request.message_id = messenger.next_message_id();
  request.affected_sop_class_uid = find_sop_class(root);
  request.priority = 0;
  const std::uint8_t context_id = context->id;
  messenger.send(context_id, request, identifier);

  FindResult result;
  bool has_enough = false;
  for (;;) {
    const Messenger::Message response = await_response(messenger, request, response_timeout, {}, on_quiet);
    const Command& command = response.command;
    if (status_class(*command.status) == StatusClass::pending) {
      const dicom::DataSet match = messenger.receive_data_set(response_timeout, k_largest_match);
      result.keys_unsupported = result.keys_unsupported || *command.status == k_keys_unsupported;
      if (has_enough) {
        continue;
      }
      ++result.matches;
      if (!sink(match)) {
        has_enough = true;
        messenger.send(context_id, make_cancel(request));
      }
      continue;
    }
    messenger.receive_data([](std::span<const std::byte>) {}, response_timeout);
    switch (status_class(*command.status)) {
      case StatusClass::success:
      case StatusClass::warning:
        result.limited = *command.status == k_response_limit_reached;
        return result;
      case StatusClass::cancel:
        result.cancelled = true;
        return result;
      case StatusClass::failure:
      case StatusClass::pending:
        break;
    }
    Error error = status_error(Service::find, command);
    error.with_peer(association.peer());
    throw error;
  }
}

}  // namespace kuva::dimse
