#pragma once

#include <kuva/hl7/message.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace kuva::hl7 {

// MSA-1 (HL7 table 0008).
enum class AckCode { AA, AE, AR, CA, CE, CR };
std::optional<AckCode> parse_ack_code(std::string_view text);
std::string_view to_string(AckCode code);

// What an ERR segment says (ERR-2, -3, -4, -7, -8 of v2.5; ERR-1 of v2.3.1), or MSA-3 and MSA-6 where there is none.
struct AckError {
  std::string location;      // "PID-3.4", "MRG-1"; empty where it is not said
  std::string code;          // table 0357: "204"
  std::string code_text;     // "Unknown key identifier", as the peer put it
  std::string severity;      // E, W, I
  std::string diagnostic;    // ERR-7
  std::string user_message;  // ERR-8
};

struct Acknowledgement {
  AckCode code = AckCode::AA;
  std::string control_id;  // MSA-2: of the message that it answers
  std::string text;        // MSA-3
  std::vector<AckError> errors;
  std::string own_control_id;  // MSH-10 of the acknowledgement itself
};

// Reads leniently: any version, MSH-9 in any of its forms, with and without ERR. Text is decoded by MSH-18, where it is
// missing or unknown as UTF-8 or else ISO 8859-1. Errors: mllp.wrong-acknowledgement when it has no MSA or no code of
// the table.
Acknowledgement read_acknowledgement(const Message& message);

// An answer to `request`: sender and receiver swapped, its version and character set, an ERR in the form of the
// version. `own_control_id` is MSH-10 of the answer.
Message make_acknowledgement(const Message& request, const Acknowledgement& answer);

// The name of an error of table 0357; empty when it is not of the table.
std::string_view error_condition_name(std::string_view code);

}  // namespace kuva::hl7
