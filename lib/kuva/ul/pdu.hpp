#pragma once

#include <kuva/core/error_catalogue.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::ul {

// The parameters of association negotiation, PS3.8 9.3 and PS3.7 annex D. Strings are without padding.

struct PresentationContext {  // A-ASSOCIATE-RQ, PS3.8 9.3.2.2
  std::uint8_t id = 1;        // odd, 1-255
  std::string abstract_syntax;
  std::vector<std::string> transfer_syntaxes;
};

enum class ContextResult : std::uint8_t {  // PS3.8 9.3.3.2
  accepted = 0,
  user_rejection = 1,
  no_reason = 2,
  abstract_syntax_not_supported = 3,
  transfer_syntaxes_not_supported = 4
};
std::string_view to_string(ContextResult result);

struct PresentationContextReply {
  std::uint8_t id = 1;
  ContextResult result = ContextResult::no_reason;
  std::string transfer_syntax;  // only where accepted
};

struct RoleSelection {  // PS3.7 D.3.3.4
  std::string sop_class_uid;
  bool scu = false;
  bool scp = false;
};

struct AsynchronousOperations {  // PS3.7 D.3.3.3; 0 is unlimited
  std::uint16_t invoked = 1;
  std::uint16_t performed = 1;
};

struct ExtendedNegotiation {  // PS3.7 D.3.3.5, passed through
  std::string sop_class_uid;
  std::string application_information;
};

struct CommonExtendedNegotiation {  // PS3.7 D.3.3.6
  std::string sop_class_uid;
  std::string service_class_uid;
  std::vector<std::string> related_general_sop_classes;
};

struct UserIdentity {  // PS3.7 D.3.3.7
  enum class Type : std::uint8_t { username = 1, username_passcode = 2, kerberos = 3, saml = 4, jwt = 5 };
  Type type = Type::username;
  bool response_requested = false;
  std::string primary;
  std::string secondary;
};

struct AssociateRequest {
  std::uint16_t protocol_version = 1;
  std::string called_ae;
  std::string calling_ae;
  std::string application_context;
  std::vector<PresentationContext> contexts;
  std::uint32_t max_pdu_length = 0;  // 0: no limit
  std::string implementation_class_uid;
  std::string implementation_version_name;
  std::optional<AsynchronousOperations> asynchronous_operations;
  std::vector<RoleSelection> roles;
  std::vector<ExtendedNegotiation> extended_negotiations;
  std::vector<CommonExtendedNegotiation> common_extended_negotiations;
  std::optional<UserIdentity> user_identity;
};

struct AssociateAccept {
  std::uint16_t protocol_version = 1;
  std::string called_ae;  // echoed, never tested
  std::string calling_ae;
  std::string application_context;
  std::vector<PresentationContextReply> contexts;
  std::uint32_t max_pdu_length = 0;
  std::string implementation_class_uid;
  std::string implementation_version_name;
  std::optional<AsynchronousOperations> asynchronous_operations;
  std::vector<RoleSelection> roles;
  std::vector<ExtendedNegotiation> extended_negotiations;
  std::optional<std::string> user_identity_response;
};

struct AssociateReject {    // PS3.8 9.3.4
  std::uint8_t result = 1;  // 1 permanent, 2 transient
  std::uint8_t source = 1;  // 1 service-user, 2 ACSE, 3 presentation
  std::uint8_t reason = 1;
};
// "called AE title not recognised (permanent, service-user: 1/1/7)".
std::string to_string(const AssociateReject& reject);
// associate.rejected.*
const ErrorKind& kind_of(const AssociateReject& reject);

struct Abort {              // PS3.8 9.3.8
  std::uint8_t source = 0;  // 0 service-user, 2 service-provider
  std::uint8_t reason = 0;
};
std::string to_string(const Abort& abort);

enum class PduType : std::uint8_t {
  associate_rq = 1,
  associate_ac = 2,
  associate_rj = 3,
  data = 4,
  release_rq = 5,
  release_rp = 6,
  abort = 7
};

// Encoders give the whole PDU, header included.
std::string encode(const AssociateRequest& request);
std::string encode(const AssociateAccept& accept);
std::string encode(const AssociateReject& reject);
std::string encode(const Abort& abort);
std::string encode_release_rq();
std::string encode_release_rp();

// Decoders take the body (what follows the 6 bytes of header). Every length is checked against what is left; unknown
// items are skipped. Errors: Error associate.protocol with what is wrong and where.
AssociateRequest decode_associate_rq(std::span<const std::byte> body);
AssociateAccept decode_associate_ac(std::span<const std::byte> body);
AssociateReject decode_associate_rj(std::span<const std::byte> body);
Abort decode_abort(std::span<const std::byte> body);

}  // namespace kuva::ul
