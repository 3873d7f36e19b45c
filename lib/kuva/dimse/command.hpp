#pragma once

#include <kuva/dicom/tag.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::dimse {

// Command Field values (PS3.7 annex E).
enum class CommandField : std::uint16_t {
  c_store_rq = 0x0001,
  c_store_rsp = 0x8001,
  c_get_rq = 0x0010,
  c_get_rsp = 0x8010,
  c_find_rq = 0x0020,
  c_find_rsp = 0x8020,
  c_move_rq = 0x0021,
  c_move_rsp = 0x8021,
  c_echo_rq = 0x0030,
  c_echo_rsp = 0x8030,
  n_event_report_rq = 0x0100,
  n_event_report_rsp = 0x8100,
  n_get_rq = 0x0110,
  n_get_rsp = 0x8110,
  n_set_rq = 0x0120,
  n_set_rsp = 0x8120,
  n_action_rq = 0x0130,
  n_action_rsp = 0x8130,
  n_create_rq = 0x0140,
  n_create_rsp = 0x8140,
  n_delete_rq = 0x0150,
  n_delete_rsp = 0x8150,
  c_cancel_rq = 0x0FFF
};
std::string_view to_string(CommandField field);  // "C-STORE-RSP"
constexpr bool is_response(CommandField field) { return (static_cast<std::uint16_t>(field) & 0x8000U) != 0; }

// A command set (PS3.7 6.3, annex E). Absent elements are empty optionals; strings are without padding.
struct Command {
  CommandField field{};
  std::optional<std::uint16_t> message_id;
  std::optional<std::uint16_t> message_id_responded_to;
  bool has_data_set = false;
  std::optional<std::string> affected_sop_class_uid;
  std::optional<std::string> affected_sop_instance_uid;
  std::optional<std::string> requested_sop_class_uid;
  std::optional<std::string> requested_sop_instance_uid;
  std::optional<std::uint16_t> priority;
  std::optional<std::uint16_t> status;
  std::vector<dicom::Tag> offending_elements;
  std::optional<std::string> error_comment;  // default repertoire; other bytes are replaced by '?'
  std::optional<std::uint16_t> error_id;
  std::optional<std::uint16_t> event_type_id;
  std::optional<std::uint16_t> action_type_id;
  std::optional<std::string> move_destination;
  std::optional<std::string> move_originator_ae;
  std::optional<std::uint16_t> move_originator_message_id;
  std::optional<std::uint16_t> remaining_suboperations;
  std::optional<std::uint16_t> completed_suboperations;
  std::optional<std::uint16_t> failed_suboperations;
  std::optional<std::uint16_t> warning_suboperations;
};

// Implicit VR Little Endian, group length first, ascending.
std::string encode(const Command& command);
// Errors: Error association.protocol. Unknown elements and a wrong group length are tolerated.
Command decode(std::span<const std::byte> bytes);

// The response to a request: field, message id responded to, classes and instances as PS3.7 wants them.
Command make_response(const Command& request, std::uint16_t status);

}  // namespace kuva::dimse
