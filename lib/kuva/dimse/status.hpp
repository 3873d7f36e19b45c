#pragma once

#include <kuva/core/error.hpp>
#include <kuva/dimse/command.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace kuva::dimse {

enum class StatusClass { success, warning, failure, cancel, pending };
// By the ranges of PS3.7 annex C; an unknown code is a failure, never a success.
StatusClass status_class(std::uint16_t status);

// The name of a status in a service, e.g. ("A700") "refused: out of resources".
enum class Service { general, store, commit_request, event_report, echo, create, find, move, get };
std::string_view status_name(Service service, std::uint16_t status);
std::string hex(std::uint16_t status);  // "A700"

// An Error Comment without the patient identifiers that archives put into it (dcm4chee-arc: A778, A779, ...): what
// stands after "Patient ID" or "Patient with", and anything that looks like a Finnish identity code.
std::string masked_comment(std::string_view comment);

// The error of a response with a failure status: kind by PS3.7 annex C, PS3.4 B.2.3 and (A77x) dcm4chee-arc, message
// with status, name, Error Comment (masked) and Offending Elements (keyword and tag), details status, statusName,
// errorComment, offendingElements, errorId.
Error status_error(Service service, const Command& response);

// Failure Reason (0008,1197) of storage commitment, PS3.3 C.14.1.1.
Error commitment_failure(std::uint16_t failure_reason);

}  // namespace kuva::dimse
