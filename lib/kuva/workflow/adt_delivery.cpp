#include <kuva/core/patient_id.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/adt_delivery.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

namespace kuva::workflow {

namespace {

mllp::ClientSettings client_settings(const Hl7Target& target) {
  mllp::ClientSettings settings;
  settings.connect.endpoint = target.endpoint;
  settings.connect.tls = target.tls ? net::TlsContext::client(target.tls_settings) : nullptr;
  settings.connect.connect_timeout = target.connect_timeout;
  settings.connect.tls_timeout = target.tls_timeout;
  settings.acknowledgement_timeout = target.acknowledgement_timeout;
  settings.stall_limit = target.stall_timeout;
  return settings;
}

// "204 Unknown key identifier at PID-3.4: what the peer says".
std::string sentence(const hl7::AckError& error) {
  std::string text = error.code;
  const std::string name =
      error.code_text.empty() ? std::string(hl7::error_condition_name(error.code)) : error.code_text;
  const auto add = [&text](std::string_view before, const std::string& more) {
    if (!more.empty()) {
      text += (text.empty() ? "" : std::string(before)) + more;
    }
  };
  add(" ", name);
  add(" at ", error.location);
  add(": ", error.user_message);
  if (error.diagnostic != error.user_message) {
    add(": ", error.diagnostic);
  }
  return text;
}

const ErrorKind& kind_of(const hl7::Acknowledgement& acknowledgement) {
  const bool rejected = acknowledgement.code == hl7::AckCode::AR || acknowledgement.code == hl7::AckCode::CR;
  const ErrorKind& otherwise = rejected ? kind("adt.rejected") : kind("adt.error");
  if (acknowledgement.errors.empty()) {
    return otherwise;
  }
  const hl7::AckError& first = acknowledgement.errors.front();
  const std::string words =
      first.user_message + " " + first.diagnostic + " " + first.code_text + " " + acknowledgement.text;
  const auto says = [&](std::string_view what) { return words.find(what) != std::string::npos; };
  const std::string& code = first.code;
  if (code == "100" || code == "101" || code == "102") {
    return kind("adt.missing-field");
  }
  if (code == "103") {
    return kind("adt.unknown-application");
  }
  if (code == "200" || code == "201" || code == "202" || code == "203") {
    return kind("adt.not-supported");
  }
  if (code == "204") {
    return says("merged with") ? kind("adt.merged-patient") : kind("adt.unknown-patient");
  }
  if (code == "205") {
    if (says("matches")) {
      return kind("adt.same-patient");
    }
    return says("Multiple") || says("multiple") ? kind("adt.ambiguous-patient") : kind("adt.patient-exists");
  }
  if (code == "206") {
    return kind("adt.locked");
  }
  return code == "207" ? kind("adt.internal") : otherwise;
}

Json acknowledgement_json(const hl7::Acknowledgement& acknowledgement, const std::vector<std::string>& secrets) {
  Json json = {{"code", hl7::to_string(acknowledgement.code)}, {"controlId", acknowledgement.own_control_id}};
  const auto add = [&](Json& object, const char* key, const std::string& value) {
    if (!value.empty()) {
      object[key] = masked(value, secrets);
    }
  };
  add(json, "text", acknowledgement.text);
  if (!acknowledgement.errors.empty()) {
    json["errors"] = Json::array();
    for (const hl7::AckError& error : acknowledgement.errors) {
      Json row = Json::object();
      add(row, "location", error.location);
      add(row, "code", error.code);
      add(row, "codeText", error.code_text);
      add(row, "severity", error.severity);
      add(row, "diagnostic", error.diagnostic);
      add(row, "userMessage", error.user_message);
      json["errors"].push_back(std::move(row));
    }
  }
  return json;
}

// Nothing of the message went out: once something has, the client says that the outcome is in doubt.
bool is_before_sending(const Error& error) { return error.kind().error_class != ErrorClass::indeterminate; }

}  // namespace

Courier::Courier(const Hl7Target& target, const DeliverySettings& settings, std::stop_token stop)
    : m_target(target), m_settings(settings), m_stop(std::move(stop)), m_client(client_settings(target)) {}

bool Courier::pause(std::chrono::milliseconds delay) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any woken;
  woken.wait_for(lock, m_stop, delay, [] { return false; });
  return !m_stop.stop_requested();
}

Delivery Courier::deliver(const hl7::Message& message, const std::vector<std::string>& secrets) {
  Delivery delivery;
  const std::string bytes = message.wire_bytes();
  const std::string control_id = message.control_id();
  const bool repeat = message.find("MRG") == nullptr ? m_settings.repeat_unanswered : m_settings.repeat_merges;
  std::chrono::milliseconds delay = m_settings.retry_delay;
  std::optional<Error> doubt;  // an attempt went out and was not answered
  bool is_of_peer = true;      // the error, rather than of the message
  for (;;) {
    const auto next = m_last + m_target.min_interval;
    const auto now = std::chrono::steady_clock::now();
    if (m_target.min_interval.count() > 0 && now < next &&
        !pause(std::chrono::ceil<std::chrono::milliseconds>(next - now))) {
      delivery.error = Error(kind("interrupted"), "the run was stopped before the message was sent");
      is_of_peer = false;
      break;
    }
    m_last = std::chrono::steady_clock::now();
    ++delivery.attempts;
    delivery.answer.reset();
    delivery.error.reset();
    bool again = false;
    try {
      delivery.answer = m_client.exchange(bytes, control_id);
      delivery.error = error_of(delivery.answer->acknowledgement, secrets);
      again = delivery.error && delivery.error->kind().error_class == ErrorClass::temporary && repeat;
    } catch (const Error& error) {
      delivery.error = error;
      if (is_before_sending(error)) {
        is_of_peer = error.kind().code != kind("hl7.malformed").code;
        again = error.kind().error_class == ErrorClass::temporary;
      } else {
        again = repeat;
        doubt = doubt ? doubt : error;
      }
    }
    if (!delivery.error || !again || delivery.attempts > m_settings.retries || !pause(delay)) {
      break;
    }
    delay *= 2;
  }
  if (delivery.error && !delivery.answer && is_of_peer && is_before_sending(*delivery.error)) {
    m_unreachable = delivery.error;
  }
  delivery.in_doubt = doubt.has_value();
  if (doubt && !delivery.answer) {
    delivery.error = doubt;  // what failed after it does not take the doubt away
  }
  return delivery;
}

std::optional<Error> error_of(const hl7::Acknowledgement& acknowledgement, const std::vector<std::string>& secrets) {
  if (acknowledgement.code == hl7::AckCode::AA || acknowledgement.code == hl7::AckCode::CA) {
    return std::nullopt;
  }
  std::string text;
  for (const hl7::AckError& error : acknowledgement.errors) {
    text += (text.empty() ? "" : "; ") + sentence(error);
  }
  if (!acknowledgement.text.empty() && text.find(acknowledgement.text) == std::string::npos) {
    text += (text.empty() ? "" : "; ") + acknowledgement.text;
  }
  return Error(kind_of(acknowledgement),
               fmt::format("the archive answered {}{}{}", hl7::to_string(acknowledgement.code),
                           text.empty() ? " without a reason" : ": ", masked(text, secrets)));
}

Error in_doubt(const Error& later) {
  if (later.kind().error_class == ErrorClass::indeterminate) {
    return later;
  }
  Error error(
      kind("mllp.no-acknowledgement"),
      fmt::format("an earlier attempt was not answered and may have been applied; the last one: {}", later.message()));
  error.with("cause", std::string(later.kind().code));
  if (later.peer()) {
    error.with_peer(*later.peer());
  }
  return error;
}

std::vector<std::string> secrets_of(const hl7::Message& message) {
  std::vector<std::string> secrets;
  const auto set = hl7::CharacterSet::find(message.character_set_term()).value_or(hl7::CharacterSet::utf8());
  const auto add = [&secrets](const std::string& text) {
    constexpr std::size_t k_shortest = 2;  // less would mask letters of ordinary words
    if (text.size() >= k_shortest) {
      secrets.push_back(text);
    }
  };
  // The components that say who somebody is; the others (types, authorities) are ordinary words.
  const auto add_field = [&](const hl7::Segment& segment, std::size_t field, std::size_t components) {
    const hl7::Delimiters& delimiters = message.delimiters();
    for (const std::string_view repetition : hl7::split(segment.field(field), delimiters.repetition)) {
      for (std::size_t component = 1; component <= components; ++component) {
        for (const std::string_view part :
             hl7::split(hl7::piece(repetition, delimiters.component, component), delimiters.subcomponent)) {
          add(hl7::decode(part, delimiters, set).text);
        }
      }
    }
  };
  constexpr std::array<std::pair<std::size_t, std::size_t>, 15> k_patient{{{2, 1},
                                                                           {3, 1},
                                                                           {4, 1},
                                                                           {5, 3},
                                                                           {6, 3},
                                                                           {7, 1},
                                                                           {9, 3},
                                                                           {11, 3},
                                                                           {12, 1},
                                                                           {13, 12},
                                                                           {14, 12},
                                                                           {18, 1},
                                                                           {19, 1},
                                                                           {20, 1},
                                                                           {21, 1}}};
  constexpr std::array<std::pair<std::size_t, std::size_t>, 7> k_prior{
      {{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 3}}};
  for (const hl7::Segment& segment : message.segments()) {
    if (segment.name() == "PID") {
      for (const auto& field : k_patient) {
        add_field(segment, field.first, field.second);
      }
    } else if (segment.name() == "MRG") {
      for (const auto& field : k_prior) {
        add_field(segment, field.first, field.second);
      }
    }
  }
  // The longest first: what is part of another is masked with it.
  std::sort(secrets.begin(), secrets.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return secrets;
}

namespace {

constexpr std::string_view k_masked_word = "***";

bool ends_word(char c) { return std::string_view(" \t\r\n=[]()<>\"',;:^~&|").find(c) != std::string_view::npos; }

// Archives name patients that the message did not: the one that somebody was merged into. Whatever stands where a CX
// has its id, behind "id=", or is a personal identity code.
std::string without_identifiers(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto length = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), ends_word) - text.begin());
    const std::string_view word = text.substr(0, length);
    const bool is_cx = text.substr(length).starts_with("^^^");
    if (!word.empty() && (is_cx || result.ends_with("id=") || !hetu_defect(word))) {
      result += k_masked_word;
    } else {
      result += word;
    }
    text.remove_prefix(length);
    if (!text.empty()) {
      result += text.front();
      text.remove_prefix(1);
    }
  }
  return result;
}

}  // namespace

std::string masked(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + k_masked_word.size())) {
      text.replace(at, secret.size(), k_masked_word);
    }
  }
  return without_identifiers(text);
}

void describe(Json& record, const hl7::Message& message) {
  record["messageControlId"] = message.control_id();
  record["messageType"] = message.type();
  record["version"] = message.version();
}

void conclude(Json& record, std::string_view tool, const Delivery& delivery, const std::vector<std::string>& secrets) {
  if (delivery.answer) {
    record["acknowledgement"] = acknowledgement_json(delivery.answer->acknowledgement, secrets);
    if (const mllp::FramingFaults& faults = delivery.answer->faults; faults.any()) {
      record["framingFaults"] = {{"bytesBetween", faults.bytes_between},
                                 {"missingReturns", faults.missing_returns},
                                 {"blocksCut", faults.blocks_cut}};
    }
  }
  if (delivery.attempts > 0) {
    record["attempts"] = delivery.attempts;
  }
  if (!delivery.error) {
    set_outcome(record, tool, k_applied, true);
    return;
  }
  const Error error = delivery.in_doubt ? in_doubt(*delivery.error) : *delivery.error;
  const bool doubtful = error.kind().error_class == ErrorClass::indeterminate;
  set_outcome(record, tool,
              doubtful                 ? outcome::indeterminate
              : delivery.attempts == 0 ? outcome::unsent
                                       : outcome::failed,
              false);
  set_error(record, error);
}

Json to_json(const std::vector<hl7::Finding>& findings) {
  Json all = Json::array();
  for (const hl7::Finding& finding : findings) {
    Json row = {{"severity", hl7::to_string(finding.severity)}, {"rule", finding.rule}};
    if (!finding.position.empty()) {
      row["position"] = finding.position;
    }
    row["message"] = finding.message;
    row["source"] = finding.source;
    all.push_back(std::move(row));
  }
  return all;
}

}  // namespace kuva::workflow
