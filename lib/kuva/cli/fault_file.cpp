#include <kuva/cli/fault_file.hpp>
#include <kuva/cli/tls_config.hpp>
#include <kuva/cli/toml_reader.hpp>
#include <kuva/hl7/acknowledgement.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace kuva::cli {

namespace {

using sandbox::FaultAction;
using sandbox::FaultMoment;
using sandbox::FaultPoint;
using sandbox::FaultRule;

constexpr std::int64_t k_most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t k_word = 0xFFFF;

// "A7FF" and the like; `digits` of them.
std::optional<std::uint32_t> hexadecimal(std::string_view text, std::size_t digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != digits) {
    return std::nullopt;
  }
  return value;
}

// "1/2/3": as many numbers as `values` has.
template <std::size_t Size>
bool read_numbers(std::string_view text, std::array<std::uint8_t, Size>& values) {
  const char* at = text.data();
  const char* const last = at + text.size();
  for (std::size_t i = 0; i < Size; ++i) {
    const auto [end, error] = std::from_chars(at, last, values[i]);
    const bool is_ended = i + 1 == Size ? end == last : end != last && *end == '/';
    if (error != std::errc() || !is_ended) {
      return false;
    }
    at = end + (i + 1 == Size ? 0 : 1);
  }
  return true;
}

void read_match(TomlReader& reader, FaultRule& rule) {
  sandbox::FaultMatch& match = rule.match;
  const bool is_request =
      rule.point == FaultPoint::store || rule.point == FaultPoint::commit || rule.point == FaultPoint::echo;
  const bool is_web = rule.point == FaultPoint::web_connect || rule.point == FaultPoint::query ||
                      rule.point == FaultPoint::documents || rule.point == FaultPoint::images ||
                      rule.point == FaultPoint::wado || rule.point == FaultPoint::hl7_connect ||
                      rule.point == FaultPoint::hl7;
  if (rule.point != FaultPoint::connect && !is_web) {
    assign(match.calling_ae, reader.ae_title("calling_ae"));
  }
  if (rule.point == FaultPoint::store || rule.point == FaultPoint::associate) {
    assign(match.sop_class, reader.text("sop_class"));
  }
  if (rule.point == FaultPoint::store) {
    assign(match.study, reader.text("study"));
  }
  if (const auto security = reader.choice("security", {"plain", "tls"})) {
    match.tls = *security == 1;
  }
  if (rule.point != FaultPoint::report &&
      (!is_web || rule.point == FaultPoint::web_connect || rule.point == FaultPoint::hl7_connect)) {
    assign(match.association, reader.integer("association", 1, k_most));
  }
  assign(match.nth, reader.integer("nth", 1, k_most));
  assign(match.first, reader.integer("first", 1, k_most));
  assign(match.every, reader.integer("every", 1, k_most));
  assign(match.times, reader.integer("times", 1, k_most));
  if (is_request) {
    match.nth_in_association = reader.choice("per", {"sandbox", "association"}) == std::size_t{1};
  }
  if (const auto probability = reader.number("probability", 0.0, 1.0)) {
    match.probability = *probability;
  }
}

void read_status(TomlReader& reader, FaultRule& rule) {
  if (const auto text = reader.text("status")) {
    const auto value = hexadecimal(*text, 4);
    if (!value) {
      reader.fail("status", "must be a status in hexadecimal, e.g. \"A700\"");
    }
    rule.status = static_cast<std::uint16_t>(*value);
  } else if (rule.action == FaultAction::status) {
    reader.fail("status", "is missing");
  }
  assign(rule.error_comment, reader.text("error_comment"));
  if (rule.error_comment.size() > 64) {
    reader.fail("error_comment", "has more than 64 characters");
  }
  for (const std::string& text : reader.texts("offending_elements")) {
    const bool has_comma = text.size() == 9 && text[4] == ',';
    const auto tag = has_comma ? hexadecimal(text.substr(0, 4) + text.substr(5), 8) : std::nullopt;
    if (!tag) {
      reader.fail("offending_elements", "must be tags, e.g. \"0008,0018\"");
    }
    rule.offending_elements.push_back(
        {static_cast<std::uint16_t>(*tag >> 16U), static_cast<std::uint16_t>(*tag & 0xFFFFU)});
  }
  assign(rule.error_id, reader.integer("error_id", 0, k_word));
}

void read_moment(TomlReader& reader, FaultRule& rule) {
  if (const auto moment = reader.choice("after", {"request", "object", "response"})) {
    rule.moment = static_cast<FaultMoment>(*moment);
  }
  if (rule.point == FaultPoint::store) {
    assign(rule.after_pdvs, reader.integer("after_pdvs", 1, std::numeric_limits<std::uint32_t>::max()));
  }
}

// Whether the message that is not answered takes effect.
void read_applied(TomlReader& reader, FaultRule& rule) {
  if (!reader.boolean("applied").value_or(true)) {
    rule.moment = FaultMoment::request;
  }
}

void read_acknowledgement(TomlReader& reader, FaultRule& rule) {
  const auto code = reader.choice("code", {"AA", "AE", "AR", "CA", "CE", "CR"});
  if (!code) {
    reader.fail("code", "is missing: AA, AE, AR, CA, CE or CR");
  }
  rule.code = hl7::to_string(static_cast<hl7::AckCode>(*code));
  assign(rule.subcode, reader.text("error"));
  assign(rule.reason, reader.text("reason"));
}

void read_code(TomlReader& reader, FaultRule& rule) {
  const auto text = reader.text("code");
  if (rule.action == FaultAction::reject) {
    std::array<std::uint8_t, 3> numbers{1, 1, 1};
    if (text && !read_numbers(*text, numbers)) {
      reader.fail("code", "must be result/source/reason, e.g. \"2/3/1\"");
    }
    rule.reject = {numbers[0], numbers[1], numbers[2]};
    return;
  }
  std::array<std::uint8_t, 2> numbers{0, 0};
  if (text && !read_numbers(*text, numbers)) {
    reader.fail("code", "must be source/reason, e.g. \"2/6\"");
  }
  rule.abort = {numbers[0], numbers[1]};
}

void read_soap_fault(TomlReader& reader, FaultRule& rule) {
  if (const auto code = reader.choice("code", {"Sender", "Receiver"})) {
    rule.code = *code == 0 ? "Sender" : "Receiver";
  }
  assign(rule.subcode, reader.text("subcode"));
  rule.reason = reader.text("reason").value_or("The sandbox was told to say so.");
}

void read_registry_error(TomlReader& reader, FaultRule& rule) {
  rule.code = reader.text("code").value_or("XDSRegistryError");
  rule.reason = reader.text("reason").value_or("The sandbox was told to say so.");
  rule.is_warning = reader.choice("severity", {"error", "warning"}) == std::size_t{1};
}

void read_parameters(TomlReader& reader, FaultRule& rule) {
  const bool is_request =
      rule.point == FaultPoint::store || rule.point == FaultPoint::commit || rule.point == FaultPoint::echo;
  switch (rule.action) {
    case FaultAction::status:
    case FaultAction::early:
      read_status(reader, rule);
      break;
    case FaultAction::delay:
    case FaultAction::silent:
    case FaultAction::drip:
      assign(rule.duration, reader.duration("for"));
      if (rule.action == FaultAction::delay && !rule.duration) {
        reader.fail("for", "is missing: how late the answer is");
      }
      if (rule.action == FaultAction::silent && rule.point == FaultPoint::hl7) {
        read_applied(reader, rule);
      }
      break;
    case FaultAction::abort:
      read_code(reader, rule);
      [[fallthrough]];
    case FaultAction::close:
    case FaultAction::reset:
    case FaultAction::release:
      if (is_request) {
        read_moment(reader, rule);
      } else if (rule.point == FaultPoint::hl7) {
        read_applied(reader, rule);
      }
      break;
    case FaultAction::stop_reading:
      assign(rule.duration, reader.duration("for"));
      rule.moment = FaultMoment::request;
      assign(rule.after_pdvs, reader.integer("after_pdvs", 1, std::numeric_limits<std::uint32_t>::max()));
      break;
    case FaultAction::bad_pdu:
      if (const auto pdu = reader.choice("pdu", {"unrecognised", "too-long", "unexpected", "bad-pdv", "not-dicom"})) {
        rule.pdu = static_cast<sandbox::BadPdu>(*pdu);
      }
      break;
    case FaultAction::reject:
      read_code(reader, rule);
      break;
    case FaultAction::contexts:
      if (const auto contexts = reader.choice("contexts", {"first-only", "implicit-only", "none", "omitted", "reversed",
                                                           "last-syntax", "not-offered"})) {
        rule.contexts = static_cast<sandbox::ContextFault>(*contexts);
      } else {
        reader.fail("contexts", "is missing");
      }
      if (rule.point == FaultPoint::report && rule.contexts != sandbox::ContextFault::implicit_only) {
        reader.fail("contexts", "must be implicit-only where it is said of reports");
      }
      break;
    case FaultAction::max_pdu:
      assign(rule.max_pdu, reader.integer("max_pdu", 0, std::numeric_limits<std::uint32_t>::max()));
      break;
    case FaultAction::async_window:
      assign(rule.window, reader.integer("window", 0, k_word));
      break;
    case FaultAction::out_of_order:
      assign(rule.hold, reader.integer("hold", 2, k_word));
      break;
    case FaultAction::disk_full:
      assign(rule.after_bytes, reader.integer("after_bytes", 0, k_most));
      break;
    case FaultAction::tls:
      if (const auto fault =
              reader.choice("tls", {"expired", "not-yet-valid", "self-signed", "wrong-name", "missing-intermediate",
                                    "old-version", "weak-suites", "client-refused", "client-refused-late", "plain",
                                    "tls-on-plain", "no-close-notify"})) {
        rule.tls = static_cast<sandbox::TlsFault>(*fault);
      }
      // A fault of TLS is none of a port without it.
      rule.match.tls = rule.tls != sandbox::TlsFault::tls_on_plain;
      break;
    case FaultAction::soap_fault:
      read_soap_fault(reader, rule);
      break;
    case FaultAction::registry_error:
      read_registry_error(reader, rule);
      break;
    case FaultAction::http_status:
      assign(rule.http_status, reader.integer("http_status", 400, 599));
      break;
    case FaultAction::cut:
      assign(rule.after_bytes, reader.integer("after_bytes", 1, k_most));
      break;
    case FaultAction::clock:
      assign(rule.duration, reader.duration("for"));
      rule.is_behind = reader.choice("clock", {"ahead", "behind"}) == std::size_t{1};
      break;
    case FaultAction::acknowledgement:
      read_acknowledgement(reader, rule);
      break;
    case FaultAction::wrong_control_id:
    case FaultAction::noise:
    case FaultAction::missing_part:
    case FaultAction::wrong_cid:
    case FaultAction::wrong_digest:
    case FaultAction::bare_response:
    case FaultAction::wrong_relates_to:
    case FaultAction::wrong_action:
    case FaultAction::two_pdvs:
    case FaultAction::twice:
    case FaultAction::wrong_message_id:
    case FaultAction::other_instance:
    case FaultAction::other_message:
    case FaultAction::no_status:
    case FaultAction::collision:
    case FaultAction::same_association:
    case FaultAction::other_association:
    case FaultAction::before_response:
    case FaultAction::partial:
    case FaultAction::both_lists:
    case FaultAction::stranger:
    case FaultAction::no_role:
      break;
  }
}

FaultRule read_rule(TomlReader& reader) {
  FaultRule rule;
  const auto on = reader.text("on");
  const auto point = sandbox::fault_point(on.value_or(""));
  if (!point) {
    reader.fail("on", on ? "must be connect, associate, store, commit, echo, release, report, web-connect, query, "
                           "documents, images, wado, hl7-connect or hl7"
                         : "is missing");
  }
  rule.point = *point;
  const auto word = reader.text("action");
  const auto action = sandbox::fault_action(word.value_or(""));
  if (!action) {
    reader.fail("action",
                word ? fmt::format("there is no action '{}'; kuva-faults(5) lists them", *word) : "is missing");
  }
  rule.action = *action;
  if (!sandbox::is_implemented(rule.point, rule.action)) {
    reader.fail("action",
                fmt::format("the sandbox cannot do '{}' on '{}'; kuva-faults(5) lists what it can", *word, *on));
  }
  rule.name = reader.text("name").value_or(fmt::format("{}-{}", *on, *word));
  read_match(reader, rule);
  read_parameters(reader, rule);
  // Only once the object has come is its study known.
  const bool is_too_early = rule.after_pdvs || rule.moment == FaultMoment::request ||
                            rule.action == FaultAction::early || rule.action == FaultAction::disk_full ||
                            rule.action == FaultAction::stop_reading;
  if (!rule.match.study.empty() && is_too_early) {
    reader.fail("study", "is not known yet when this action comes");
  }
  reader.finish();
  return rule;
}

}  // namespace

sandbox::FaultSettings load_faults(const std::filesystem::path& file) {
  const toml::table table = TomlReader::parse_file(file);
  TomlReader reader(table, file, "");
  sandbox::FaultSettings settings;
  assign(settings.seed, reader.integer("seed", 0, k_most));
  for (TomlReader& rule : reader.tables("fault")) {
    settings.rules.push_back(read_rule(rule));
  }
  reader.finish();
  return settings;
}

}  // namespace kuva::cli
