#include <kuva/dicom/dictionary.hpp>
#include <kuva/dimse/status.hpp>

#include <fmt/format.h>

#include <array>
#include <regex>

namespace kuva::dimse {

namespace {

struct Name {
  std::uint16_t status;
  std::string_view name;
};

// PS3.7 annex C.
constexpr auto k_general = std::to_array<Name>({
    {0x0000, "success"},
    {0x0001, "warning: requested optional attributes are not supported"},
    {0x0105, "no such attribute"},
    {0x0106, "invalid attribute value"},
    {0x0107, "warning: attribute list error"},
    {0x0110, "processing failure"},
    {0x0111, "duplicate SOP instance"},
    {0x0112, "no such SOP instance"},
    {0x0113, "no such event type"},
    {0x0114, "no such argument"},
    {0x0115, "invalid argument value"},
    {0x0116, "warning: attribute value out of range"},
    {0x0117, "invalid SOP instance"},
    {0x0118, "no such SOP class"},
    {0x0119, "class-instance conflict"},
    {0x0120, "missing attribute"},
    {0x0121, "missing attribute value"},
    {0x0122, "refused: SOP class not supported"},
    {0x0123, "no such action type"},
    {0x0124, "refused: not authorised"},
    {0x0131, "duplicate transaction UID"},
    {0x0210, "duplicate invocation"},
    {0x0211, "unrecognised operation"},
    {0x0212, "mistyped argument"},
    {0x0213, "resource limitation"},
    {0xFE00, "cancelled"},
    {0xFF00, "pending"},
    {0xFF01, "pending: optional keys not supported"},
});

// PS3.4 B.2.3, and A770-A77B as dcm4chee-arc uses them.
constexpr auto k_store = std::to_array<Name>({
    {0xA700, "refused: out of resources"},
    {0xA770, "refused: rejection note already received"},
    {0xA771, "refused: object was rejected earlier"},
    {0xA772, "refused: rejected object is not archived"},
    {0xA773, "refused: rejected object is archived with another SOP class"},
    {0xA774, "refused: object is already rejected"},
    {0xA775, "refused: rejection for expired retention is not allowed"},
    {0xA776, "refused: retention period has not expired"},
    {0xA777, "refused: no Patient ID from a trusted assigning authority"},
    {0xA778, "refused: Patient ID differs from that of the archived study"},
    {0xA779, "refused: patient differs from the archived one"},
    {0xA77A, "refused: study is being deleted"},
    {0xA77B, "refused: instance is archived under another study or series"},
    {0xA900, "error: data set does not match SOP class"},
    {0xB000, "warning: coercion of data elements"},
    {0xB006, "warning: elements discarded"},
    {0xB007, "warning: data set does not match SOP class"},
    {0xC000, "error: cannot understand"},
});

// PS3.4 C.4.1.1.4.
constexpr auto k_find = std::to_array<Name>({
    {0xA700, "refused: out of resources"},
    {0xA710, "refused: invalid prior record key"},
    {0xA900, "error: identifier does not match SOP class"},
    {0xB001, "warning: response limit reached"},
    {0xFE00, "matching terminated by the cancel request"},
    {0xFF00, "pending: matches are continuing"},
    {0xFF01, "pending: matches are continuing, optional keys not supported"},
});

// PS3.4 C.4.2.1.5, C.4.3.1.4; C801 as dcm4chee-arc uses it.
constexpr auto k_retrieve = std::to_array<Name>({
    {0xA701, "refused: out of resources, cannot count the matches"},
    {0xA702, "refused: out of resources, cannot perform sub-operations"},
    {0xA801, "refused: move destination unknown"},
    {0xA900, "error: identifier does not match SOP class"},
    {0xAA00, "error: none of the frames requested were found"},
    {0xAA01, "error: cannot create an object of this SOP class"},
    {0xAA02, "error: cannot extract the frames"},
    {0xAA03, "error: time-based request for an object without time"},
    {0xAA04, "error: invalid request"},
    {0xB000, "warning: sub-operations complete, one or more failures"},
    {0xC801, "refused: move destination not allowed"},
    {0xFE00, "sub-operations terminated by the cancel request"},
    {0xFF00, "pending: sub-operations are continuing"},
});

template <std::size_t Size>
std::string_view find(const std::array<Name, Size>& names, std::uint16_t status) {
  for (const Name& entry : names) {
    if (entry.status == status) {
      return entry.name;
    }
  }
  return {};
}

std::string_view store_range_name(std::uint16_t status) {
  switch (status >> 8U) {
    case 0xA7:
      return "refused: out of resources";
    case 0xA8:
    case 0xA9:
      return "error: data set does not match SOP class";
    default:
      break;
  }
  return (status >> 12U) == 0xC ? "error: cannot understand" : std::string_view();
}

const ErrorKind& general_kind(std::uint16_t status) {
  switch (status) {
    case 0x0110:
      return kind("dimse.processing-failure");
    case 0x0111:
      return kind("dimse.duplicate-instance");
    case 0x0112:
      return kind("dimse.no-such-instance");
    case 0x0117:
      return kind("dimse.invalid-instance-uid");
    case 0x0118:
    case 0x0122:
      return kind("dimse.sop-class-not-supported");
    case 0x0119:
      return kind("dimse.class-instance-conflict");
    case 0x0120:
    case 0x0121:
      return kind("dimse.missing-attribute");
    case 0x0124:
      return kind("dimse.not-authorised");
    case 0x0213:
      return kind("dimse.resource-limitation");
    default:
      return kind("dimse.refused");
  }
}

const ErrorKind& store_kind(std::uint16_t status) {
  switch (status) {
    case 0xA771:
      return kind("store.rejected-before");
    case 0xA777:
      return kind("store.patient-id-missing");
    case 0xA778:
    case 0xA779:
      return kind("store.patient-differs");
    case 0xA77A:
      return kind("store.study-being-deleted");
    case 0xA77B:
      return kind("store.study-differs");
    default:
      break;
  }
  if (status >= 0xA770 && status <= 0xA77F) {
    return kind("store.rule-violation");
  }
  if (status >> 8U == 0xA7) {
    return kind("store.out-of-resources");
  }
  if (status >> 8U == 0xA8 || status >> 8U == 0xA9) {
    return kind("store.data-set-mismatch");
  }
  if (status >> 12U == 0xC) {
    return kind("store.cannot-understand");
  }
  return general_kind(status);
}

const ErrorKind& query_kind(std::uint16_t status) {
  if (status == 0xA801) {
    return kind("retrieve.destination-unknown");
  }
  if (status == 0xA702) {
    return kind("retrieve.suboperations-failed");
  }
  if (status == 0xC801) {
    return kind("dimse.not-authorised");
  }
  if (status >> 8U == 0xA7) {
    return kind("query.out-of-resources");
  }
  if (status >> 8U == 0xA9 || status >> 8U == 0xAA) {
    return kind("query.identifier");
  }
  if (status >> 12U == 0xC) {
    return kind("query.unable-to-process");
  }
  return general_kind(status);
}

// A refused request for commitment most often means that the archive does not know whom to report to.
const ErrorKind& commit_kind(std::uint16_t status) {
  return status == 0x0124 || status == 0x0213 ? general_kind(status) : kind("commit.refused");
}

const ErrorKind& kind_of(Service service, std::uint16_t status) {
  switch (service) {
    case Service::store:
      return store_kind(status);
    case Service::commit_request:
      return commit_kind(status);
    case Service::find:
    case Service::move:
    case Service::get:
      return query_kind(status);
    case Service::general:
    case Service::event_report:
    case Service::echo:
    case Service::create:
      break;
  }
  return general_kind(status);
}

std::string_view operation(Service service) {
  switch (service) {
    case Service::store:
      return "C-STORE";
    case Service::commit_request:
      return "N-ACTION (storage commitment)";
    case Service::event_report:
      return "N-EVENT-REPORT";
    case Service::echo:
      return "C-ECHO";
    case Service::create:
      return "N-CREATE";
    case Service::find:
      return "C-FIND";
    case Service::move:
      return "C-MOVE";
    case Service::get:
      return "C-GET";
    case Service::general:
      break;
  }
  return "the request";
}

std::string describe(dicom::Tag tag) {
  const std::string number = dicom::to_string(tag);
  const std::string name = dicom::name_of(tag);
  return name == number || name.empty() ? fmt::format("({})", number) : fmt::format("{} ({})", name, number);
}

// The text between `introduction` and what follows an identifier in such sentences.
void mask_after(std::string& text, std::string_view introduction) {
  std::size_t at = 0;
  while ((at = text.find(introduction, at)) != std::string::npos) {
    at += introduction.size();
    std::size_t end = text.size();
    for (const std::string_view follows : {" differs", " in previous", " from ", " of Study"}) {
      end = std::min(end, text.find(follows, at));
    }
    // "No Patient ID (from trusted Assigning Authority) in object." has no identifier.
    if (end > at && text[at] != '(') {
      text.replace(at, end - at, "***");
      at += 3;
    }
  }
}

}  // namespace

StatusClass status_class(std::uint16_t status) {
  switch (status) {
    case 0x0000:
      return StatusClass::success;
    case 0x0001:
    case 0x0107:
    case 0x0116:
      return StatusClass::warning;
    case 0xFE00:
      return StatusClass::cancel;
    case 0xFF00:
    case 0xFF01:
      return StatusClass::pending;
    default:
      return (status >> 12U) == 0xB ? StatusClass::warning : StatusClass::failure;
  }
}

std::string_view status_name(Service service, std::uint16_t status) {
  if (service == Service::store) {
    if (const auto name = find(k_store, status); !name.empty()) {
      return name;
    }
    if (const auto name = store_range_name(status); !name.empty()) {
      return name;
    }
  }
  if (service == Service::find) {
    if (const auto name = find(k_find, status); !name.empty()) {
      return name;
    }
  }
  if (service == Service::move || service == Service::get) {
    if (const auto name = find(k_retrieve, status); !name.empty()) {
      return name;
    }
  }
  const bool queries = service == Service::find || service == Service::move || service == Service::get;
  if (queries && status >> 12U == 0xC) {
    return "error: unable to process";
  }
  if (const auto name = find(k_general, status); !name.empty()) {
    return name;
  }
  switch (status_class(status)) {
    case StatusClass::warning:
      return "warning of a kind that is not known";
    case StatusClass::success:
    case StatusClass::failure:
    case StatusClass::cancel:
    case StatusClass::pending:
      break;
  }
  return "failure of a kind that is not known";
}

std::string hex(std::uint16_t status) { return fmt::format("{:04X}", status); }

std::string masked_comment(std::string_view comment) {
  std::string text(comment);
  mask_after(text, "Patient ID ");
  mask_after(text, "Patient with ");
  static const std::regex k_identity_code("[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]");
  return std::regex_replace(text, k_identity_code, "***");
}

Error status_error(Service service, const Command& response) {
  const std::uint16_t status = response.status.value_or(0x0110);
  const std::string_view name = status_name(service, status);
  std::string message = fmt::format("{} failed: {} {}", operation(service), hex(status), name);
  const std::string comment = response.error_comment ? masked_comment(*response.error_comment) : std::string();
  if (!comment.empty()) {
    message += fmt::format("; \"{}\"", comment);
  }
  Json tags = Json::array();
  std::string elements;
  for (const dicom::Tag tag : response.offending_elements) {
    elements += (elements.empty() ? "" : ", ") + describe(tag);
    tags.push_back(dicom::to_string(tag));
  }
  if (!elements.empty()) {
    message += fmt::format("; offending element{} {}", tags.size() > 1 ? "s" : "", elements);
  }
  Error error(kind_of(service, status), std::move(message));
  error.with("status", hex(status)).with("statusName", name);
  if (!comment.empty()) {
    error.with("errorComment", comment);
  }
  if (!tags.empty()) {
    error.with("offendingElements", std::move(tags));
  }
  if (response.error_id) {
    error.with("errorId", *response.error_id);
  }
  return error;
}

Error commitment_failure(std::uint16_t failure_reason) {
  const auto make = [failure_reason](const ErrorKind& kind, std::string_view name) {
    Error error(kind, fmt::format("the archive did not commit the object: {} {}", hex(failure_reason), name));
    error.with("failureReason", hex(failure_reason)).with("failureReasonName", name);
    return error;
  };
  switch (failure_reason) {
    case 0x0110:
      return make(kind("commit.failed.processing"), "processing failure");
    case 0x0112:
      return make(kind("commit.failed.no-such-instance"), "no such object instance");
    case 0x0213:
      return make(kind("commit.failed.resources"), "resource limitation");
    case 0x0122:
      return make(kind("commit.failed.sop-class"), "referenced SOP class not supported");
    case 0x0119:
      return make(kind("commit.failed.class-conflict"), "class/instance conflict");
    case 0x0131:
      return make(kind("commit.failed.duplicate-transaction"), "duplicate transaction UID");
    case 0x0000:
      return make(kind("commit.failed.other"), "no reason given");
    default:
      return make(kind("commit.failed.other"), "reason that is not in the standard");
  }
}

}  // namespace kuva::dimse
