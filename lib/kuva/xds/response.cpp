#include <kuva/xds/elements.hpp>
#include <kuva/xds/response.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::xds {

namespace {

constexpr auto k_notes = std::to_array<RegistryErrorNote>({
    {"XDSRegistryError", "The registry failed within.", "xds.responder", "IHE"},
    {"XDSRepositoryError", "The repository failed within.", "xds.responder", "IHE"},
    {"XDSRegistryBusy", "The registry is busy.", "xds.busy", "IHE"},
    {"XDSRepositoryBusy", "The repository is busy.", "xds.busy", "IHE"},
    {"XDSRegistryOutOfResources", "The registry is out of resources.", "xds.busy", "IHE"},
    {"XDSRepositoryOutOfResources", "The repository is out of resources.", "xds.busy", "IHE"},
    {"XDSRegistryNotAvailable", "The repository could not reach its registry.", "xds.unavailable", "IHE"},
    {"XDSUnavailableCommunity", "The gateway could not reach a community.", "xds.unavailable", "IHE"},
    {"XDSUnknownStoredQuery", "The registry does not know the stored query.", "xds.query-refused", "IHE"},
    {"XDSStoredQueryMissingParam", "A required parameter is missing.", "xds.query-refused", "IHE"},
    {"XDSStoredQueryParamNumber", "A parameter has more values than it may, or both of a pair are given.",
     "xds.query-refused", "IHE"},
    {"XDSUnknownPatientId", "The patient identifier is not known.", "xds.unknown-patient", "IHE"},
    {"XDSResultNotSinglePatient", "The answer would mix patients.", "xds.not-single-patient", "IHE"},
    {"XDSTooManyResults", "There is more than the responder gives at once.", "xds.too-many-results", "IHE"},
    {"XDSMissingHomeCommunityId", "homeCommunityId is needed and missing.", "xds.unknown-community", "IHE"},
    {"XDSUnknownCommunity", "The homeCommunityId is not known.", "xds.unknown-community", "IHE"},
    {"XDSUnknownRepositoryId", "The repositoryUniqueId is not known.", "xds.unknown-repository", "IHE"},
    {"XDSDocumentUniqueIdError", "The document is not available, not allowed, or gone.", "xds.document-unavailable",
     "IHE"},
    {"XDSMissingDocument", "The document is not found.", "xds.document-unavailable", "IHE; seen in RAD-69"},
    {"XDSIRequestError", "The request lacks a study or series instance UID.", "xds.query-refused",
     "seen in the NIST imaging source"},
    {"urn:dicom:wado:0002", "The request was refused.", "xds.refused", "dcm4chee"},
    {"urn:dicom:wado:0006", "The transfer syntax or format is not supported.", "xds.transfer-syntax", "dcm4chee"},
    {"urn:dicom:wado:0007", "The instance cannot be given in a transfer syntax that was asked for.",
     "xds.transfer-syntax", "dcm4chee"},
    {"urn:dicom:wado:0008", "The request was refused.", "xds.refused", "dcm4chee"},
    {"urn:dicom:wado:0012", "A parameter is wrong.", "xds.query-refused", "dcm4chee"},
    {"urn:dicom:wado:0013", "The request was refused.", "xds.refused", "dcm4chee"},
    {"urn:dicom:wado:0014", "The source failed to process the instance.", "xds.document-unavailable", "dcm4chee"},
    {"urn:dicom:wado:0018", "The request was refused.", "xds.refused", "dcm4chee"},
    {"XDSDuplicateUniqueIdInRegistry", "A uniqueId is registered already.", "xds.refused", "IHE"},
    {"XDSNonIdenticalHash", "A document with the same uniqueId has another hash.", "xds.refused", "IHE"},
    {"XDSNonIdenticalSize", "A document with the same uniqueId has another size.", "xds.refused", "IHE"},
    {"XDSPatientIdDoesNotMatch", "Objects of one submission have different patients.", "xds.refused", "IHE"},
    {"XDSRegistryMetadataError", "The registry does not accept the metadata.", "xds.refused", "IHE"},
    {"XDSRepositoryMetadataError", "The repository does not accept the metadata.", "xds.refused", "IHE"},
    {"XDSRegistryDeprecatedDocumentError", "An association names a deprecated document.", "xds.refused", "IHE"},
    {"XDSRegistryDuplicateUniqueIdInMessage", "A uniqueId stands twice in the message.", "xds.refused", "IHE"},
    {"XDSRepositoryDuplicateUniqueIdInMessage", "A uniqueId stands twice in the message.", "xds.refused", "IHE"},
    {"XDSMissingDocumentMetadata", "A document came without metadata.", "xds.refused", "IHE"},
    {"InvalidDocumentContent", "The document's content does not fit its metadata.", "xds.refused", "IHE"},
    {"UnresolvedReferenceException", "A reference leads to nothing.", "xds.refused", "IHE"},
    {"XDSReplaceFailed", "The replacement failed.", "xds.refused", "IHE, deprecated"},
    {"XDSExtraMetadataNotSaved", "Metadata beyond the profile was not kept.", "xds.refused", "IHE"},
    {"DocumentQueued", "The document waits to be processed.", "xds.busy", "IHE"},
    {"PartialFolderContentNotProcessed", "Part of a folder was not processed.", "xds.refused", "IHE"},
    {"PartialAppendContentNotProcessed", "An addendum was not processed.", "xds.refused", "IHE"},
    {"PartialReplaceContentNotProcessed", "A replacement was not processed.", "xds.refused", "IHE"},
    {"PartialTransformNotProcessed", "A transformation was not processed.", "xds.refused", "IHE"},
    {"PartialTransformReplaceNotProcessed", "A transformation was not processed.", "xds.refused", "IHE"},
    {"PartialRelationshipContentNotProcessed", "A relationship was not processed.", "xds.refused", "IHE"},
});

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

Status parse_status(std::string_view urn, Deviations& deviations) {
  const auto is = [&](std::string_view exact, std::string_view name) {
    if (urn != exact && ends_with(urn, name)) {
      note(deviations, fmt::format("status is {}, not {}", urn, exact));
      return true;
    }
    return urn == exact;
  };
  if (is(response_status::partial_success, "PartialSuccess")) {
    return Status::partial_success;
  }
  if (is(response_status::success, "Success")) {
    return Status::success;
  }
  if (is(response_status::failure, "Failure") || is(response_status::failure, "Unavailable")) {
    return Status::failure;
  }
  throw Error(kind("xds.response"), urn.empty()
                                        ? "the response has no status"
                                        : "the status of the response is none of Success, PartialSuccess, Failure");
}

RegistryError read_error(const xml::Element& element, Deviations& deviations) {
  RegistryError error;
  error.code = attribute_of(element, "errorCode");
  error.context = attribute_of(element, "codeContext");
  error.location = attribute_of(element, "location");
  const std::string severity_urn = attribute_of(element, "severity");
  error.severity = ends_with(severity_urn, "Warning") ? Severity::warning : Severity::error;
  if (!severity_urn.empty() && severity_urn != severity::error && severity_urn != severity::warning) {
    note(deviations, "the severity of a RegistryError is none of the two");
  }
  if (error.code.empty()) {
    note(deviations, "a RegistryError has no errorCode");
  }
  if (const std::string text = element.trimmed_text(); !text.empty()) {
    note(deviations, "a RegistryError has text in it");
    error.context += (error.context.empty() ? "" : "; ") + text;
  }
  return error;
}

std::string first_component(std::string_view cx) { return std::string(trimmed(cx.substr(0, cx.find('^')))); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// DDMMYY, a sign of the century, three digits and a check character: eleven characters with nothing of a word around.
bool is_hetu_at(std::string_view text, std::size_t at) {
  constexpr std::size_t k_length = 11;
  if (at + k_length > text.size() || (at > 0 && (is_digit(text[at - 1]) || is_letter(text[at - 1]))) ||
      (at + k_length < text.size() && (is_digit(text[at + k_length]) || is_letter(text[at + k_length])))) {
    return false;
  }
  const auto digits = [&](std::size_t from, std::size_t count) {
    return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at + from),
                       text.begin() + static_cast<std::ptrdiff_t>(at + from + count), is_digit);
  };
  const char century = text[at + 6];
  const char check = text[at + 10];
  return digits(0, 6) && (century == '+' || century == '-' || is_letter(century)) && digits(7, 3) &&
         (is_digit(check) || is_letter(check));
}

}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::success:
      return "Success";
    case Status::partial_success:
      return "PartialSuccess";
    case Status::failure:
      break;
  }
  return "Failure";
}

std::string_view status_urn(Status status) {
  switch (status) {
    case Status::success:
      return response_status::success;
    case Status::partial_success:
      return response_status::partial_success;
    case Status::failure:
      break;
  }
  return response_status::failure;
}

bool RegistryResponse::has_error() const {
  return std::any_of(errors.begin(), errors.end(),
                     [](const RegistryError& one) { return one.severity == Severity::error; });
}

Status RegistryResponse::effective_status() const {
  return status == Status::success && has_error() ? Status::partial_success : status;
}

void read_response_type(const xml::Element& element, RegistryResponse& response) {
  response.status = parse_status(attribute_of(element, "status"), response.deviations);
  response.request_id = attribute_of(element, "requestId");
  for (const xml::Element& list : children_named(element, xml::ns::rs, "ResponseSlotList", response.deviations)) {
    auto slots = read_slots(list, response.deviations);
    std::move(slots.begin(), slots.end(), std::back_inserter(response.slots));
  }
  for (const xml::Element& list : children_named(element, xml::ns::rs, "RegistryErrorList", response.deviations)) {
    for (const xml::Element& error : children_named(list, xml::ns::rs, "RegistryError", response.deviations)) {
      response.errors.push_back(read_error(error, response.deviations));
    }
  }
  if (response.status == Status::success && response.has_error()) {
    note(response.deviations, "the status is Success, and there are errors of severity Error");
  } else if (response.status != Status::success && !response.has_error()) {
    note(response.deviations,
         fmt::format("the status is {}, and there is no error of severity Error", to_string(response.status)));
  }
}

RegistryResponse read_registry_response(const xml::Element& element) {
  RegistryResponse response;
  if (!is_named(element, xml::ns::rs, "RegistryResponse", response.deviations)) {
    throw Error(kind("xds.response"), fmt::format("the answer is {}, not RegistryResponse", element.name()));
  }
  read_response_type(element, response);
  return response;
}

void write_response_type(xml::Writer& writer, const RegistryResponse& response) {
  writer.attribute("status", status_urn(response.status));
  if (!response.request_id.empty()) {
    writer.attribute("requestId", response.request_id);
  }
  if (!response.slots.empty()) {
    writer.open("rs:ResponseSlotList");
    for (const Slot& slot : response.slots) {
      write_slot(writer, slot);
    }
    writer.close();
  }
  if (!response.errors.empty()) {
    writer.open("rs:RegistryErrorList");
    writer.attribute("highestSeverity", response.has_error() ? severity::error : severity::warning);
    for (const RegistryError& error : response.errors) {
      writer.open("rs:RegistryError");
      writer.attribute("codeContext", error.context);
      writer.attribute("errorCode", error.code);
      writer.attribute("severity", error.severity == Severity::error ? severity::error : severity::warning);
      if (!error.location.empty()) {
        writer.attribute("location", error.location);
      }
      writer.close();
    }
    writer.close();
  }
}

std::string write_registry_response(const RegistryResponse& response) {
  xml::Writer writer;
  writer.open("rs:RegistryResponse").declare("rs", xml::ns::rs).declare("rim", xml::ns::rim);
  write_response_type(writer, response);
  writer.close();
  return writer.take();
}

std::span<const RegistryErrorNote> registry_error_notes() { return k_notes; }

const RegistryErrorNote* find_registry_error(std::string_view code) {
  const auto found =
      std::find_if(k_notes.begin(), k_notes.end(), [&](const RegistryErrorNote& one) { return one.code == code; });
  return found == k_notes.end() ? nullptr : &*found;
}

std::string mask_identifiers(std::string_view text, std::string_view patient) {
  constexpr std::string_view k_mask = "[masked]";
  const std::string id = first_component(patient);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (!id.empty() && text.substr(at, id.size()) == id) {
      out += k_mask;
      at += id.size();
    } else if (is_hetu_at(text, at)) {
      out += k_mask;
      at += 11;
    } else if (text.substr(at, 4) == "^^^&") {
      // What stands before it, up to a blank or a quote, is the identifier.
      if (!ends_with(out, k_mask)) {
        const auto from = out.find_last_of(" \t\r\n'\"([{<:=,;");
        out.resize(from == std::string::npos ? 0 : from + 1);
        out += k_mask;
      }
      out += "^^^&";
      at += 4;
    } else {
      out += text[at++];
    }
  }
  return out;
}

Error to_error(const RegistryError& error, std::string_view patient) {
  const RegistryErrorNote* known = find_registry_error(error.code);
  const ErrorKind* found = known ? find_kind(known->kind) : nullptr;
  std::string message =
      error.code.empty() ? std::string("an error without a code") : mask_identifiers(error.code, patient);
  if (error.code == "XDSUnknownPatientId") {
    message += ": the words of the registry are left out, they name the patient";
  } else if (!error.context.empty()) {
    message += ": " + mask_identifiers(error.context, patient);
  } else if (known) {
    message += fmt::format(": {}", known->meaning);
  }
  return Error(found ? *found : kind("xds.refused"), std::move(message));
}

Json to_json(const std::vector<RegistryError>& errors, std::string_view patient) {
  Json list = Json::array();
  for (const RegistryError& error : errors) {
    Json one = Json::object();
    one["errorCode"] = error.code;
    if (error.code != "XDSUnknownPatientId" && !error.context.empty()) {
      one["codeContext"] = mask_identifiers(error.context, patient);
    }
    one["severity"] = error.severity == Severity::error ? "Error" : "Warning";
    if (!error.location.empty()) {
      one["location"] = mask_identifiers(error.location, patient);
    }
    list.push_back(std::move(one));
  }
  return list;
}

std::optional<Error> to_error(const RegistryResponse& response, std::string_view patient) {
  if (response.effective_status() == Status::success) {
    return std::nullopt;
  }
  const auto first = std::find_if(response.errors.begin(), response.errors.end(),
                                  [](const RegistryError& one) { return one.severity == Severity::error; });
  Error error =
      first != response.errors.end()
          ? to_error(*first, patient)
          : Error(kind("xds.refused"), fmt::format("the answer is {} and names no error", to_string(response.status)));
  error.with("responseStatus", std::string(to_string(response.status)));
  if (!response.errors.empty()) {
    error.with("registryErrors", to_json(response.errors, patient));
  }
  return error;
}

}  // namespace kuva::xds
