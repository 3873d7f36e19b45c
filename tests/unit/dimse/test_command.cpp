#include <kuva/core/error.hpp>
#include <kuva/dimse/command.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace kuva;
using namespace kuva::dimse;

namespace {

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

std::string element(std::uint16_t number, const std::string& value, std::uint32_t length) {
  std::string out;
  out += std::string("\0\0", 2);
  out.push_back(static_cast<char>(number & 0xFF));
  out.push_back(static_cast<char>(number >> 8));
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<char>((length >> shift) & 0xFF));
  }
  return out + value;
}
std::string element(std::uint16_t number, const std::string& value) {
  return element(number, value, static_cast<std::uint32_t>(value.size()));
}

}  // namespace

TEST_CASE("a C-STORE request has the bytes of PS3.7 annex E") {
  Command command;
  command.field = CommandField::c_store_rq;
  command.message_id = 7;
  command.affected_sop_class_uid = "1.2.3";
  command.affected_sop_instance_uid = "1.2.3.45";
  command.priority = 0;
  command.has_data_set = true;
  const std::string expected = element(0x0000, std::string("\x4A\0\0\0", 4)) +
                               element(0x0002, std::string("1.2.3\0", 6)) + element(0x0100, std::string("\1\0", 2)) +
                               element(0x0110, std::string("\7\0", 2)) + element(0x0700, std::string("\0\0", 2)) +
                               element(0x0800, std::string("\0\0", 2)) + element(0x1000, "1.2.3.45");
  std::string fixed = expected;
  fixed[8] = static_cast<char>(expected.size() - 12);  // group length: what follows it
  CHECK(encode(command) == fixed);
}

TEST_CASE("what is encoded is decoded") {
  Command command;
  command.field = CommandField::c_store_rsp;
  command.message_id_responded_to = 65535;
  command.status = 0xA778;
  command.error_comment = "Patient differs.";
  command.offending_elements = {{0x0010, 0x0020}, {0x0008, 0x1030}};
  command.error_id = 3;
  command.affected_sop_class_uid = "1.2";
  command.affected_sop_instance_uid = "1.2.3";
  const Command decoded = decode(bytes(encode(command)));
  CHECK(decoded.field == command.field);
  CHECK(decoded.message_id_responded_to == command.message_id_responded_to);
  CHECK(decoded.status == command.status);
  CHECK(decoded.error_comment == command.error_comment);
  CHECK(decoded.offending_elements == command.offending_elements);
  CHECK(decoded.error_id == command.error_id);
  CHECK(decoded.affected_sop_class_uid == command.affected_sop_class_uid);
  CHECK(decoded.affected_sop_instance_uid == command.affected_sop_instance_uid);
  CHECK_FALSE(decoded.has_data_set);
  CHECK_FALSE(decoded.message_id.has_value());
}

TEST_CASE("the Error Comment is cut at 64 when sent, read at any length, and has no bytes of other repertoires") {
  Command command;
  command.field = CommandField::c_echo_rsp;
  command.error_comment = std::string(80, 'a') + "\xE4";
  CHECK(decode(bytes(encode(command))).error_comment == std::string(64, 'a'));
  const std::string longer =
      element(0x0100, std::string("\x30\x80", 2)) + element(0x0902, std::string(99, 'b') + "\xE4");
  CHECK(decode(bytes(longer)).error_comment == std::string(99, 'b') + "?");
}

TEST_CASE("sloppy command sets are read") {
  SUBCASE("padding with spaces, unknown elements, wrong group length, data set type 0102") {
    const std::string text = element(0x0000, std::string("\1\0\0\0", 4)) + element(0x0002, "1.2.840.10008.1.1 ") +
                             element(0x0001, "??") + element(0x0100, std::string("\x20\0", 2)) +
                             element(0x0800, std::string("\2\1", 2)) + element(0x5000, "ab");
    const Command command = decode(bytes(text));
    CHECK(command.field == CommandField::c_find_rq);
    CHECK(command.affected_sop_class_uid == "1.2.840.10008.1.1");
    CHECK(command.has_data_set);
    CHECK_FALSE(command.message_id.has_value());
  }
  SUBCASE("empty values are absent ones") {
    const std::string text = element(0x0100, std::string("\x30\x80", 2)) + element(0x0900, "") + element(0x0902, "");
    const Command command = decode(bytes(text));
    CHECK_FALSE(command.status.has_value());
    CHECK_FALSE(command.error_comment.has_value());
  }
}

TEST_CASE("broken lengths are refused") {
  const std::string field = element(0x0100, std::string("\x30\x80", 2));
  for (const std::string& text : {
           field + element(0x0900, "ab", 4000000000U),  // more than is left
           field + std::string("\0\0\0", 3),            // no room for a header
           field + element(0x0900, "abcd"),             // a US of four bytes
           field + element(0x0901, "abcdef"),           // an AT of six
           element(0x0900, "ab"),                       // no Command Field
           element(0x0100, std::string("\1\0", 2)),     // a request that does not say whether data follow
           std::string(),
       }) {
    CHECK_THROWS_AS(decode(bytes(text)), Error);
  }
}

TEST_CASE("responses repeat what PS3.7 wants") {
  Command store;
  store.field = CommandField::c_store_rq;
  store.message_id = 9;
  store.affected_sop_class_uid = "1.2";
  store.affected_sop_instance_uid = "1.2.3";
  store.has_data_set = true;
  const Command stored = make_response(store, 0xB000);
  CHECK(stored.field == CommandField::c_store_rsp);
  CHECK(stored.message_id_responded_to == 9);
  CHECK(stored.status == 0xB000);
  CHECK(stored.affected_sop_instance_uid == "1.2.3");
  CHECK_FALSE(stored.has_data_set);
  CHECK_FALSE(stored.message_id.has_value());

  Command action;
  action.field = CommandField::n_action_rq;
  action.message_id = 1;
  action.requested_sop_class_uid = "1.2";
  action.requested_sop_instance_uid = "1.2.9";
  action.action_type_id = 1;
  const Command acted = make_response(action, 0);
  CHECK(acted.field == CommandField::n_action_rsp);
  CHECK(acted.affected_sop_class_uid == "1.2");
  CHECK(acted.affected_sop_instance_uid == "1.2.9");
  CHECK_FALSE(acted.requested_sop_class_uid.has_value());
}

TEST_CASE("commands have names") {
  CHECK(to_string(CommandField::n_event_report_rsp) == "N-EVENT-REPORT-RSP");
  CHECK(to_string(static_cast<CommandField>(0x7777)) == "unknown command");
}
