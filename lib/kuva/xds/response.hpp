#pragma once

#include <kuva/core/error.hpp>
#include <kuva/xds/model.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::xml {
class Element;
class Writer;
}  // namespace kuva::xml

// What every answer of a registry or repository begins with (ebRS 3.0 2.1.3; ITI TF-3 4.2.4).
namespace kuva::xds {

enum class Status { success, partial_success, failure };
enum class Severity { error, warning };

std::string_view to_string(Status status);  // "Success", "PartialSuccess", "Failure"
std::string_view status_urn(Status status);

struct RegistryError {
  std::string code;     // an open list
  std::string context;  // what happened, in the responder's words
  std::string location;
  Severity severity = Severity::error;
  friend bool operator==(const RegistryError&, const RegistryError&) = default;
};

struct RegistryResponse {
  Status status = Status::success;
  std::vector<RegistryError> errors;  // warnings too
  std::vector<Slot> slots;            // ResponseSlotList
  std::string request_id;

  // Where the message departs from the standard and was understood all the same: contradictions of status and errors,
  // elements out of place. Without values of the message that may be a patient's. Not written.
  std::vector<std::string> deviations;

  // The worse of what status and errors say: Success with an error of severity Error is partial success.
  Status effective_status() const;
  bool has_error() const;
};

// rs:RegistryResponse, also as the whole body. Errors: xds.response.
RegistryResponse read_registry_response(const xml::Element& element);
// The part that all answers share, of an element derived from rs:RegistryResponseType. Errors: xds.response.
void read_response_type(const xml::Element& element, RegistryResponse& response);
void write_response_type(xml::Writer& writer, const RegistryResponse& response);
std::string write_registry_response(const RegistryResponse& response);

// ITI TF-3 table 4.2.4.1-2 and what is seen beside it.
struct RegistryErrorNote {
  std::string_view code;
  std::string_view meaning;
  std::string_view kind;    // the code of kuva's catalogue that it maps to, e.g. "xds.busy"
  std::string_view source;  // "IHE", or where else it is known from
};
std::span<const RegistryErrorNote> registry_error_notes();
// Nothing for a code that is not known: the list is open.
const RegistryErrorNote* find_registry_error(std::string_view code);

// As an error of kuva: kind by code, message with code, the responder's words and the location. Identifiers of a
// patient in them are masked; `patient` is the one that was asked for (CX or its first component).
Error to_error(const RegistryError& error, std::string_view patient = {});
// The first of severity Error decides, all stand in the details (`registryErrors`); nothing where the response is a
// plain success.
std::optional<Error> to_error(const RegistryResponse& response, std::string_view patient = {});
// All errors and warnings as records have them: errorCode, codeContext, severity, location, masked likewise.
Json to_json(const std::vector<RegistryError>& errors, std::string_view patient = {});

// The responder's words without what may be a patient's identifier (CX with authority, hetu, `patient`).
std::string mask_identifiers(std::string_view text, std::string_view patient = {});

}  // namespace kuva::xds
