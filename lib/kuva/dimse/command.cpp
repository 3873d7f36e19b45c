#include <kuva/core/error.hpp>
#include <kuva/dimse/command.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::dimse {

namespace {

// Elements of group 0000 (PS3.7 annex E).
enum Element : std::uint16_t {
  k_group_length = 0x0000,
  k_affected_sop_class = 0x0002,
  k_requested_sop_class = 0x0003,
  k_command_field = 0x0100,
  k_message_id = 0x0110,
  k_responded_to = 0x0120,
  k_move_destination = 0x0600,
  k_priority = 0x0700,
  k_data_set_type = 0x0800,
  k_status = 0x0900,
  k_offending_element = 0x0901,
  k_error_comment = 0x0902,
  k_error_id = 0x0903,
  k_affected_sop_instance = 0x1000,
  k_requested_sop_instance = 0x1001,
  k_event_type = 0x1002,
  k_action_type = 0x1008,
  k_remaining = 0x1020,
  k_completed = 0x1021,
  k_failed = 0x1022,
  k_warning = 0x1023,
  k_originator_ae = 0x1030,
  k_originator_id = 0x1031
};

constexpr std::uint16_t k_no_data_set = 0x0101;
constexpr std::size_t k_longest_comment = 64;  // LO

void put_u16(std::string& out, unsigned value) {
  out.push_back(static_cast<char>(value & 0xFFU));
  out.push_back(static_cast<char>((value >> 8U) & 0xFFU));
}

void put_u32(std::string& out, std::size_t value) {
  put_u16(out, static_cast<unsigned>(value & 0xFFFFU));
  put_u16(out, static_cast<unsigned>((value >> 16U) & 0xFFFFU));
}

void put_header(std::string& out, Element element, std::size_t length) {
  put_u16(out, 0);
  put_u16(out, element);
  put_u32(out, length);
}

void put(std::string& out, Element element, const std::optional<std::uint16_t>& value) {
  if (value) {
    put_header(out, element, 2);
    put_u16(out, *value);
  }
}

void put(std::string& out, Element element, const std::optional<std::string>& value, char padding) {
  if (value) {
    const std::size_t length = value->size() + value->size() % 2;
    put_header(out, element, length);
    out += *value;
    if (length != value->size()) {
      out.push_back(padding);
    }
  }
}

// The default repertoire, without control characters.
std::string default_repertoire(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) {
      c = '?';
    }
  }
  return clean;
}

std::uint16_t get_u16(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) |
                                    (std::to_integer<unsigned>(bytes[at + 1]) << 8U));
}

std::uint32_t get_u32(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(get_u16(bytes, at)) | (static_cast<std::uint32_t>(get_u16(bytes, at + 2)) << 16U);
}

Error malformed(std::string what) {
  return Error(kind("association.protocol"), fmt::format("the peer's command set is malformed: {}", what));
}

std::uint16_t read_u16(Element element, std::span<const std::byte> value) {
  if (value.size() != 2) {
    throw malformed(
        fmt::format("element (0000,{:04X}) has {} bytes instead of 2", static_cast<unsigned>(element), value.size()));
  }
  return get_u16(value, 0);
}

// Text without the padding of its end: NUL and space, whatever the VR, since peers mix them up.
std::string read_text(std::span<const std::byte> value) {
  std::string text;
  text.reserve(value.size());
  for (const std::byte byte : value) {
    text.push_back(static_cast<char>(byte));
  }
  const auto end = text.find_last_not_of(std::string_view("\0 ", 2));
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

std::string read_ae(std::span<const std::byte> value) {
  const std::string text = read_text(value);
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? std::string() : text.substr(begin);
}

}  // namespace

std::string_view to_string(CommandField field) {
  switch (field) {
    case CommandField::c_store_rq:
      return "C-STORE-RQ";
    case CommandField::c_store_rsp:
      return "C-STORE-RSP";
    case CommandField::c_get_rq:
      return "C-GET-RQ";
    case CommandField::c_get_rsp:
      return "C-GET-RSP";
    case CommandField::c_find_rq:
      return "C-FIND-RQ";
    case CommandField::c_find_rsp:
      return "C-FIND-RSP";
    case CommandField::c_move_rq:
      return "C-MOVE-RQ";
    case CommandField::c_move_rsp:
      return "C-MOVE-RSP";
    case CommandField::c_echo_rq:
      return "C-ECHO-RQ";
    case CommandField::c_echo_rsp:
      return "C-ECHO-RSP";
    case CommandField::n_event_report_rq:
      return "N-EVENT-REPORT-RQ";
    case CommandField::n_event_report_rsp:
      return "N-EVENT-REPORT-RSP";
    case CommandField::n_get_rq:
      return "N-GET-RQ";
    case CommandField::n_get_rsp:
      return "N-GET-RSP";
    case CommandField::n_set_rq:
      return "N-SET-RQ";
    case CommandField::n_set_rsp:
      return "N-SET-RSP";
    case CommandField::n_action_rq:
      return "N-ACTION-RQ";
    case CommandField::n_action_rsp:
      return "N-ACTION-RSP";
    case CommandField::n_create_rq:
      return "N-CREATE-RQ";
    case CommandField::n_create_rsp:
      return "N-CREATE-RSP";
    case CommandField::n_delete_rq:
      return "N-DELETE-RQ";
    case CommandField::n_delete_rsp:
      return "N-DELETE-RSP";
    case CommandField::c_cancel_rq:
      return "C-CANCEL-RQ";
  }
  return "unknown command";
}

std::string encode(const Command& command) {
  std::string body;
  body.reserve(256);
  put(body, k_affected_sop_class, command.affected_sop_class_uid, '\0');
  put(body, k_requested_sop_class, command.requested_sop_class_uid, '\0');
  put(body, k_command_field, static_cast<std::uint16_t>(command.field));
  put(body, k_message_id, command.message_id);
  put(body, k_responded_to, command.message_id_responded_to);
  put(body, k_move_destination, command.move_destination, ' ');
  put(body, k_priority, command.priority);
  put(body, k_data_set_type, command.has_data_set ? std::uint16_t{0} : k_no_data_set);
  put(body, k_status, command.status);
  if (!command.offending_elements.empty()) {
    put_header(body, k_offending_element, command.offending_elements.size() * 4);
    for (const dicom::Tag tag : command.offending_elements) {
      put_u16(body, tag.group);
      put_u16(body, tag.element);
    }
  }
  if (command.error_comment) {
    put(body, k_error_comment, default_repertoire(command.error_comment->substr(0, k_longest_comment)), ' ');
  }
  put(body, k_error_id, command.error_id);
  put(body, k_affected_sop_instance, command.affected_sop_instance_uid, '\0');
  put(body, k_requested_sop_instance, command.requested_sop_instance_uid, '\0');
  put(body, k_event_type, command.event_type_id);
  put(body, k_action_type, command.action_type_id);
  put(body, k_remaining, command.remaining_suboperations);
  put(body, k_completed, command.completed_suboperations);
  put(body, k_failed, command.failed_suboperations);
  put(body, k_warning, command.warning_suboperations);
  put(body, k_originator_ae, command.move_originator_ae, ' ');
  put(body, k_originator_id, command.move_originator_message_id);

  std::string bytes;
  bytes.reserve(body.size() + 12);
  put_header(bytes, k_group_length, 4);
  put_u32(bytes, body.size());
  bytes += body;
  return bytes;
}

Command decode(std::span<const std::byte> bytes) {
  Command command;
  bool has_field = false;
  bool has_data_set_type = false;
  while (!bytes.empty()) {
    if (bytes.size() < 8) {
      throw malformed(fmt::format("{} bytes are left where an element begins", bytes.size()));
    }
    const std::uint16_t group = get_u16(bytes, 0);
    const auto element = static_cast<Element>(get_u16(bytes, 2));
    const std::uint32_t length = get_u32(bytes, 4);
    if (length > bytes.size() - 8) {
      throw malformed(fmt::format("element ({:04X},{:04X}) has a length of {} bytes and {} are left", group,
                                  static_cast<unsigned>(element), length, bytes.size() - 8));
    }
    const auto value = bytes.subspan(8, length);
    bytes = bytes.subspan(8 + static_cast<std::size_t>(length));
    // What is empty says no more than what is not there; a group length is not needed to read.
    if (group != 0 || value.empty()) {
      continue;
    }
    switch (element) {
      case k_affected_sop_class:
        command.affected_sop_class_uid = read_text(value);
        break;
      case k_requested_sop_class:
        command.requested_sop_class_uid = read_text(value);
        break;
      case k_command_field:
        command.field = static_cast<CommandField>(read_u16(element, value));
        has_field = true;
        break;
      case k_message_id:
        command.message_id = read_u16(element, value);
        break;
      case k_responded_to:
        command.message_id_responded_to = read_u16(element, value);
        break;
      case k_move_destination:
        command.move_destination = read_ae(value);
        break;
      case k_priority:
        command.priority = read_u16(element, value);
        break;
      case k_data_set_type:
        command.has_data_set = read_u16(element, value) != k_no_data_set;
        has_data_set_type = true;
        break;
      case k_status:
        command.status = read_u16(element, value);
        break;
      case k_offending_element:
        if (value.size() % 4 != 0) {
          throw malformed(fmt::format("Offending Element (0000,0901) has {} bytes", value.size()));
        }
        for (std::size_t at = 0; at < value.size(); at += 4) {
          command.offending_elements.push_back(dicom::Tag{get_u16(value, at), get_u16(value, at + 2)});
        }
        break;
      case k_error_comment:
        command.error_comment = default_repertoire(read_text(value));
        break;
      case k_error_id:
        command.error_id = read_u16(element, value);
        break;
      case k_affected_sop_instance:
        command.affected_sop_instance_uid = read_text(value);
        break;
      case k_requested_sop_instance:
        command.requested_sop_instance_uid = read_text(value);
        break;
      case k_event_type:
        command.event_type_id = read_u16(element, value);
        break;
      case k_action_type:
        command.action_type_id = read_u16(element, value);
        break;
      case k_remaining:
        command.remaining_suboperations = read_u16(element, value);
        break;
      case k_completed:
        command.completed_suboperations = read_u16(element, value);
        break;
      case k_failed:
        command.failed_suboperations = read_u16(element, value);
        break;
      case k_warning:
        command.warning_suboperations = read_u16(element, value);
        break;
      case k_originator_ae:
        command.move_originator_ae = read_ae(value);
        break;
      case k_originator_id:
        command.move_originator_message_id = read_u16(element, value);
        break;
      case k_group_length:
      default:
        break;
    }
  }
  if (!has_field) {
    throw malformed("Command Field (0000,0100) is missing");
  }
  // Whether data follow cannot be guessed in a request; a response that does not say so has none.
  if (!has_data_set_type && !is_response(command.field)) {
    throw malformed("Command Data Set Type (0000,0800) is missing");
  }
  return command;
}

Command make_response(const Command& request, std::uint16_t status) {
  Command response;
  response.field = static_cast<CommandField>(static_cast<std::uint16_t>(request.field) | 0x8000U);
  response.message_id_responded_to = request.message_id.value_or(0);
  response.status = status;
  response.affected_sop_class_uid =
      request.affected_sop_class_uid ? request.affected_sop_class_uid : request.requested_sop_class_uid;
  switch (request.field) {
    case CommandField::c_store_rq:
    case CommandField::n_event_report_rq:
    case CommandField::n_create_rq:
      response.affected_sop_instance_uid = request.affected_sop_instance_uid;
      break;
    case CommandField::n_action_rq:
    case CommandField::n_get_rq:
    case CommandField::n_set_rq:
    case CommandField::n_delete_rq:
      response.affected_sop_instance_uid = request.requested_sop_instance_uid;
      break;
    default:
      break;
  }
  response.event_type_id = request.event_type_id;
  response.action_type_id = request.action_type_id;
  return response;
}

}  // namespace kuva::dimse
