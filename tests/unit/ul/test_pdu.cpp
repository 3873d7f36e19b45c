#include "support/associations.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace kuva;
using namespace kuva::test;

namespace {

std::span<const std::byte> body_of(const std::string& pdu) { return std::as_bytes(std::span(pdu)).subspan(6); }

ul::AssociateRequest full_request() {
  auto request = sample_request();
  request.asynchronous_operations = ul::AsynchronousOperations{.invoked = 5, .performed = 7};
  request.roles = {{"1.2.840.10008.1.20.1", false, true}};
  request.extended_negotiations = {{"1.2.840.10008.5.1.4.1.1.2", std::string("\x02\x00\x03\x00\x01\x00", 6)}};
  request.common_extended_negotiations = {{"1.2.3", "1.2.840.10008.4.2", {"1.2.4", "1.2.5"}}};
  request.user_identity = ul::UserIdentity{.type = ul::UserIdentity::Type::username_passcode,
                                           .response_requested = true,
                                           .primary = "user",
                                           .secondary = "pass"};
  return request;
}

ul::AssociateAccept full_accept() {
  ul::AssociateAccept accept;
  accept.called_ae = "ARCHIVE";
  accept.calling_ae = "KUVA";
  accept.contexts = {{1, ul::ContextResult::accepted, "1.2.840.10008.1.2"},
                     {3, ul::ContextResult::transfer_syntaxes_not_supported, {}}};
  accept.max_pdu_length = 16384;
  accept.implementation_class_uid = "1.2.276.0.7230010.3.0.3.6.7";
  accept.implementation_version_name = "OFFIS_DCMTK_367";
  accept.asynchronous_operations = ul::AsynchronousOperations{.invoked = 1, .performed = 1};
  accept.roles = {{"1.2.840.10008.1.20.1", false, true}};
  accept.extended_negotiations = {{"1.2.840.10008.5.1.4.1.1.2", "\x02"}};
  accept.user_identity_response = "ticket";
  return accept;
}

}  // namespace

TEST_CASE("what is encoded is decoded again") {
  const std::string request = ul::encode(full_request());
  CHECK(request[0] == 1);
  CHECK(static_cast<std::size_t>(static_cast<std::uint8_t>(request[4]) * 256 + static_cast<std::uint8_t>(request[5])) +
            6 ==
        request.size());
  const auto decoded = ul::decode_associate_rq(body_of(request));
  CHECK(ul::encode(decoded) == request);
  CHECK(decoded.called_ae == "ARCHIVE");
  CHECK(decoded.application_context == "1.2.840.10008.3.1.1.1");
  CHECK(decoded.contexts[1].transfer_syntaxes.size() == 2);
  CHECK(decoded.common_extended_negotiations[0].related_general_sop_classes[1] == "1.2.5");
  CHECK(decoded.user_identity->secondary == "pass");
  CHECK(decoded.asynchronous_operations->performed == 7);

  const std::string accept = ul::encode(full_accept());
  const auto decoded_accept = ul::decode_associate_ac(body_of(accept));
  CHECK(ul::encode(decoded_accept) == accept);
  CHECK(decoded_accept.contexts[1].result == ul::ContextResult::transfer_syntaxes_not_supported);
  CHECK(decoded_accept.user_identity_response == "ticket");

  const auto reject = ul::decode_associate_rj(body_of(ul::encode(ul::AssociateReject{2, 3, 1})));
  CHECK(ul::to_string(reject) == "temporary congestion (transient, service-provider (presentation): 2/3/1)");
  CHECK(ul::to_string(ul::AssociateReject{1, 1, 7}) ==
        "called AE title not recognised (permanent, service-user: 1/1/7)");
  CHECK(ul::to_string(ul::decode_abort(body_of(ul::encode(ul::Abort{2, 2})))).find("unexpected PDU") !=
        std::string::npos);
}

TEST_CASE("what cannot be encoded is refused") {
  auto request = sample_request();
  request.called_ae = "SEVENTEEN_LETTERS";
  CHECK(code_of(error_of([&] { ul::encode(request); })) == "usage.config");
  request = sample_request();
  request.contexts.resize(129, request.contexts[0]);
  CHECK(code_of(error_of([&] { ul::encode(request); })) == "usage.config");
  request = sample_request();
  request.user_identity = ul::UserIdentity{.type = ul::UserIdentity::Type::saml,
                                           .response_requested = false,
                                           .primary = std::string(70000, 'x'),
                                           .secondary = {}};
  CHECK(code_of(error_of([&] { ul::encode(request); })) == "usage.config");
}

TEST_CASE("a PDU cut anywhere is an error or a shorter PDU, never a crash") {
  const std::string request = ul::encode(full_request());
  const std::string accept = ul::encode(full_accept());
  std::size_t errors = 0;
  for (std::size_t size = 0; size < request.size() - 6; ++size) {
    const auto error = error_of([&] { ul::decode_associate_rq(body_of(request).first(size)); });
    CHECK((code_of(error) == "associate.protocol" || code_of(error) == "none"));
    errors += error ? 1 : 0;
  }
  for (std::size_t size = 0; size < accept.size() - 6; ++size) {
    const auto error = error_of([&] { ul::decode_associate_ac(body_of(accept).first(size)); });
    CHECK((code_of(error) == "associate.protocol" || code_of(error) == "none"));
    errors += error ? 1 : 0;
  }
  CHECK(errors > request.size() + accept.size() - 40);
}

TEST_CASE("a PDU with any byte changed is decoded or refused") {
  const std::string request = ul::encode(full_request());
  const std::string accept = ul::encode(full_accept());
  std::mt19937 random(1);
  for (std::size_t i = 6; i < request.size(); ++i) {
    for (const int value : {0, 1, 0x7f, 0xff, static_cast<int>(random() % 256)}) {
      std::string changed = request;
      changed[i] = static_cast<char>(value);
      const auto error = error_of([&] { ul::decode_associate_rq(body_of(changed)); });
      CHECK((code_of(error) == "associate.protocol" || code_of(error) == "none"));
      if (i < accept.size()) {
        changed = accept;
        changed[i] = static_cast<char>(value);
        const auto error_of_accept = error_of([&] { ul::decode_associate_ac(body_of(changed)); });
        CHECK((code_of(error_of_accept) == "associate.protocol" || code_of(error_of_accept) == "none"));
      }
    }
  }
}

TEST_CASE("sloppy peers are understood") {
  using namespace std::string_literals;
  const auto item = [](char type, const std::string& content) {
    return std::string{type, 0, static_cast<char>(content.size() >> 8U), static_cast<char>(content.size())} + content;
  };
  const std::string fixed = "\0\x01\0\0"s + " ARCHIVE\0       "s + "KUVA            "s + std::string(32, '\x5a');
  REQUIRE(fixed.size() == 68);
  // UIDs padded, an item that nobody knows, contexts rejected without or with an empty transfer syntax, result 9.
  const std::string body = fixed + item(0x10, "1.2.840.10008.3.1.1.1\0"s) + item(0x77, "???") +
                           item(0x21, "\x01\0\0\0"s + item(0x40, "1.2.840.10008.1.2 ")) + item(0x21, "\x03\0\x03\0"s) +
                           item(0x21, "\x05\0\x09\0"s + item(0x40, "")) +
                           item(0x50, item(0x51, "\0\0\x40\0"s) + item(0x7e, "x") + item(0x52, "1.2.3\0"s));
  const auto accept = ul::decode_associate_ac(std::as_bytes(std::span(body)));
  CHECK(accept.called_ae == "ARCHIVE");
  CHECK(accept.application_context == "1.2.840.10008.3.1.1.1");
  CHECK(accept.contexts.size() == 3);
  CHECK(accept.contexts[0].transfer_syntax == "1.2.840.10008.1.2");
  CHECK(accept.contexts[1].result == ul::ContextResult::abstract_syntax_not_supported);
  CHECK(accept.contexts[2].result == ul::ContextResult::no_reason);
  CHECK(accept.max_pdu_length == 16384);
  CHECK(accept.implementation_class_uid == "1.2.3");
}
