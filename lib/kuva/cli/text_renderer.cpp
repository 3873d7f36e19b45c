#include <kuva/cli/text_renderer.hpp>
#include <kuva/core/byte_count.hpp>
#include <kuva/core/record.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kuva::cli {

namespace {

constexpr std::size_t k_outcome_width = 20;  // "stored-with-warning "

std::string text_of(const Json& object, const char* key) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) {
    return {};
  }
  return printable(value->is_string() ? value->get_ref<const std::string&>() : to_line(*value));
}

std::uint64_t number_of(const Json& object, const char* key) {
  const auto value = object.find(key);
  return value != object.end() && value->is_number_integer() && value->get<std::int64_t>() > 0
             ? value->get<std::uint64_t>()
             : 0;
}

const Json& object_at(const Json& object, const char* key) {
  static const Json k_empty = Json::object();
  const auto value = object.find(key);
  return value != object.end() && value->is_object() ? *value : k_empty;
}

bool is_ok(const Json& record) {
  const auto ok = record.find("ok");
  return ok != record.end() && ok->is_boolean() && ok->get<bool>();
}

std::string painted(const Json& record, std::string_view word, std::size_t width, bool color) {
  const std::string padded = fmt::format("{:<{}}", word, width);
  if (!color) {
    return padded;
  }
  const bool doubtful = word == outcome::skipped || word == outcome::duplicate ||
                        word == outcome::stored_with_warning || word == outcome::pending || word == outcome::unsent ||
                        word == outcome::indeterminate;
  const char* code = doubtful ? "33" : is_ok(record) ? "32" : "31";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, padded);
}

void add(std::string& line, const std::string& text) {
  if (!text.empty()) {
    line += (line.empty() || line.back() == ' ' ? "" : "  ") + text;
  }
}

// Where to find it in the peer's log, and what else support asks for first.
std::string fact_lines(const Json& error) {
  std::string lines;
  const auto say = [&lines](const std::string& line) { lines += line.empty() ? "" : "    " + line + "\n"; };
  const Json& peer = object_at(error, "peer");
  std::string text;
  if (!peer.empty()) {
    text = fmt::format("peer {}:{}", text_of(peer, "host"), text_of(peer, "port"));
    for (const char* key : {"address", "calledAE", "callingAE", "implementationVersionName", "tls"}) {
      add(text, text_of(peer, key));
    }
    say(text);
  }
  const Json& association = object_at(error, "association");
  const Json& message = object_at(error, "dimse");
  if (!association.empty()) {
    text = fmt::format("association {} from {}, opened {}", text_of(association, "id"),
                       text_of(association, "localAddress"), text_of(association, "openedAt"));
    if (!message.empty()) {
      add(text, fmt::format("message {} on context {}: {} bytes in {} ms, waited {} ms", text_of(message, "messageId"),
                            text_of(message, "contextId"), text_of(message, "bytes"), text_of(message, "sendMs"),
                            text_of(message, "waitMs")));
    }
    say(text);
  }
  if (const auto values = error.find("offendingValues"); values != error.end() && values->is_array()) {
    for (const Json& value : *values) {
      const bool absent = value.contains("absent");
      say(fmt::format("{} ({}) in the file: {}", text_of(value, "keyword"), text_of(value, "tag"),
                      absent ? "absent" : text_of(value, "vr") + " " + text_of(value, "value")));
    }
  }
  const Json& tries = object_at(error, "tries");
  if (const Json& first = object_at(tries, "first"); !first.empty()) {
    say(fmt::format("sent {} times, first ended {}: {}", text_of(tries, "made"), text_of(first, "time"),
                    text_of(first, "code")));
  }
  if (const std::string command = text_of(error, "reproduce"); !command.empty()) {
    say("this one alone: " + command);
  }
  return lines;
}

std::string error_lines(const Json& record) {
  const Json& error = object_at(record, "error");
  if (error.empty()) {
    return {};
  }
  std::string lines = fmt::format("    {}: {}\n", text_of(error, "code"), text_of(error, "message"));
  if (const std::string hint = text_of(error, "hint"); !hint.empty()) {
    lines += fmt::format("    {}\n", hint);
  }
  return lines + fact_lines(error);
}

std::string finding_lines(const Json& record) {
  std::string lines;
  const auto findings = record.find("findings");
  if (findings == record.end() || !findings->is_array()) {
    return lines;
  }
  for (const Json& finding : *findings) {
    if (!finding.is_object()) {
      continue;
    }
    std::string line = fmt::format("    {} {}", text_of(finding, "severity"), text_of(finding, "rule"));
    if (const std::string tag = text_of(finding, "tagPath"); !tag.empty()) {
      line += " " + tag;
    }
    lines += line + ": " + text_of(finding, "message") + "\n";
  }
  return lines;
}

std::string listed(const Json& record, const char* key) {
  std::string text;
  if (const auto list = record.find(key); list != record.end() && list->is_array()) {
    for (const Json& value : *list) {
      text += (text.empty() ? "" : ", ") + printable(value.is_string() ? value.get<std::string>() : to_line(value));
    }
  }
  return text;
}

std::string document_text(const Json& kos) {
  const Json& title = object_at(kos, "title");
  std::string text =
      fmt::format("{} ({}, {}): {} instances in {} series", text_of(title, "meaning"), text_of(title, "code"),
                  text_of(title, "scheme"), number_of(kos, "instances"), number_of(kos, "series"));
  if (number_of(kos, "studies") > 1) {
    text += fmt::format(" of {} studies", number_of(kos, "studies"));
  }
  for (const auto& [key, word] : {std::pair("retrieveAETitles", "from"), std::pair("retrieveLocationUIDs", "at")}) {
    if (const std::string values = listed(kos, key); !values.empty()) {
      text += fmt::format(" {} {}", word, values);
    }
  }
  return text;
}

// Of an instance that a document refers to.
std::string reference_text(const Json& record) {
  const std::string name(dicom::uid_name(text_of(record, "SOPClassUID")));
  std::string text = name.empty() ? text_of(record, "SOPClassUID") : name;
  const Json& from = object_at(record, "retrieveFrom");
  add(text, text_of(from, "aeTitle"));
  add(text, text_of(from, "locationUID"));
  add(text, text_of(from, "url"));
  return text;
}

std::string instance_line(const Json& record) {
  const auto path = record.find("path");
  std::string line = path == record.end() ? text_of(record, "SOPInstanceUID") : printable(path_from_json(*path));
  const Json& store = object_at(record, "store");
  add(line, text_of(store, "status"));
  add(line, text_of(store, "statusName"));
  if (const std::uint64_t bytes = number_of(store, "bytes"); bytes != 0) {
    add(line, format_bytes(bytes));
  }
  add(line, text_of(record, "reason"));
  if (const Json& kos = object_at(record, "kos"); !kos.empty()) {
    add(line, document_text(kos));
  } else if (text_of(record, "outcome") == "referenced") {
    add(line, reference_text(record));
  }
  return line;
}

std::string found_study_line(const Json& record) {
  const auto count = [&](const char* key) {
    const auto list = record.find(key);
    return list == record.end() ? std::size_t{0} : list->size();
  };
  std::string line = fmt::format("study {}", text_of(record, "StudyInstanceUID"));
  add(line, fmt::format("{} manifests, {} reports", count("manifests"), count("reports")));
  add(line, text_of(record, "title"));
  return line;
}

std::string document_line(const Json& record) {
  std::string line = text_of(record, "kind");
  add(line, text_of(object_at(record, "serviceStartTime"), "local"));
  add(line, text_of(record, "title"));
  add(line, text_of(record, "uniqueId"));
  return line;
}

// Of kuva-kos diff: the sign stands first, so that a reader can pick lines by it.
std::string comparison_text(const Json& record) {
  const bool document = record.contains("document");
  std::string text = fmt::format("{} {}", text_of(record, "sign"),
                                 document ? "title, patient and study" : text_of(record, "SOPInstanceUID"));
  if (!document) {
    const std::string name(dicom::uid_name(text_of(record, "SOPClassUID")));
    add(text, name.empty() ? text_of(record, "SOPClassUID") : name);
    add(text, "series " + text_of(record, "SeriesInstanceUID"));
  }
  text += "\n";
  if (const auto changes = record.find("changes"); changes != record.end() && changes->is_array()) {
    for (const Json& change : *changes) {
      text += fmt::format("    {}: {} | {}\n", text_of(change, "attribute"), text_of(change, "left"),
                          text_of(change, "right"));
    }
  }
  return text;
}

// Of kuva-ledger reconcile: a line a study, the sign first; an instance that differs stands below its study.
std::string reconciliation_text(const Json& record) {
  const auto number = [&](const char* key) { return record.contains(key) ? text_of(record, key) : std::string("?"); };
  std::string text = fmt::format("{} {:>7} {:>7}  {}", text_of(record, "sign"), number("source"), number("archive"),
                                 text_of(record, "StudyInstanceUID"));
  std::string what;
  for (const auto& [name, count] : object_at(record, "differences").items()) {
    what += fmt::format("{}{} {}", what.empty() ? "" : ", ", to_line(count), printable(name));
  }
  add(text, what);
  if (const std::uint64_t compared = number_of(object_at(record, "content"), "compared"); compared != 0) {
    add(text, fmt::format("content of {}", compared));
  }
  text += "\n";
  if (const auto attributes = record.find("attributes"); attributes != record.end() && attributes->is_array()) {
    for (const Json& attribute : *attributes) {
      text += fmt::format("    {}: {} | {}\n", text_of(attribute, "attribute"), text_of(attribute, "source"),
                          text_of(attribute, "archive"));
    }
  }
  return text_of(record, "sign") == "?" ? text + error_lines(record) : text;
}

std::string reconciled_instance_text(const Json& record) {
  const Json& facts = object_at(record, "reconcile");
  const auto path = record.find("path");
  std::string text = fmt::format("    {} {:<15} {}", text_of(facts, "sign"), text_of(facts, "difference"),
                                 text_of(record, "SOPInstanceUID"));
  add(text, path == record.end() ? std::string() : printable(path_from_json(*path)));
  text += "\n";
  if (const auto elements = facts.find("elements"); elements != facts.end() && elements->is_array()) {
    for (const Json& element : *elements) {
      std::string line = fmt::format("        {} {} {}", text_of(element, "tagPath"), text_of(element, "vr"),
                                     text_of(element, "kind"));
      if (element.contains("sourceValue") || element.contains("archiveValue")) {
        add(line, fmt::format("{} | {}", text_of(element, "sourceValue"), text_of(element, "archiveValue")));
      }
      text += line + "\n";
    }
  }
  return text;
}

std::string study_line(const Json& record) {
  if (record.contains("manifests")) {
    return found_study_line(record);
  }
  std::string modalities;
  if (const auto list = record.find("modalities"); list != record.end() && list->is_array()) {
    for (const Json& modality : *list) {
      if (modality.is_string()) {
        modalities += (modalities.empty() ? "" : "/") + printable(modality.get_ref<const std::string&>());
      }
    }
  }
  std::string line = fmt::format("study {}", text_of(record, "StudyInstanceUID"));
  add(line, fmt::format("{} instances in {} series", number_of(record, "instances"), number_of(record, "series")));
  add(line, modalities);
  if (const std::uint64_t bytes = number_of(record, "bytes"); bytes != 0) {
    add(line, format_bytes(bytes));
  }
  return line;
}

std::string summary_line(const Json& record) {
  std::string counts;
  for (const auto& [name, count] : object_at(record, "outcomes").items()) {
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", to_line(count), printable(name));
  }
  std::string line = fmt::format("{} seen{}{}", number_of(record, "seen"), counts.empty() ? "" : ": ", counts);
  if (const std::uint64_t bytes = number_of(record, "bytes"); bytes != 0) {
    add(line, format_bytes(bytes));
  }
  add(line, fmt::format("{:.1f} s", static_cast<double>(number_of(record, "elapsed")) / 1000.0));
  add(line, fmt::format("exit {}", text_of(record, "exitCode")));
  const auto interrupted = record.find("interrupted");
  if (interrupted != record.end() && interrupted->is_boolean() && interrupted->get<bool>()) {
    add(line, "interrupted");
  }
  return line;
}

std::string syntax_names(const Json& record, const char* key) {
  std::string text;
  if (const auto list = record.find(key); list != record.end() && list->is_array()) {
    for (const Json& value : *list) {
      const std::string uid = value.is_string() ? value.get<std::string>() : std::string();
      const dicom::TransferSyntax syntax = dicom::transfer_syntax(uid);
      text += (text.empty() ? "" : ", ") + (syntax.known ? std::string(syntax.name) : printable(uid));
    }
  }
  return text;
}

std::string certificate_lines(const Json& record, const char* key, std::string_view whose) {
  std::string lines;
  if (const auto chain = record.find(key); chain != record.end() && chain->is_array()) {
    for (const Json& certificate : *chain) {
      lines += fmt::format("\n    {} {}, issued by {}, {} days left", whose, text_of(certificate, "subject"),
                           text_of(certificate, "issuer"), text_of(certificate, "daysLeft"));
      if (const std::string names = listed(certificate, "names"); !names.empty()) {
        lines += ", for " + names;
      }
    }
  }
  return lines;
}

// Of --check and --check-inbound.
std::string check_line(const Json& record) {
  const std::string step = text_of(record, "step");
  if (step == "conclusion") {
    return text_of(record, "message");
  }
  if (step == "sop-class") {
    std::string line = text_of(record, "sopClassName") + ": ";
    const std::string accepted = syntax_names(record, "acceptedTransferSyntaxUIDs");
    const std::string refused = syntax_names(record, "refusedTransferSyntaxUIDs");
    if (accepted.empty()) {
      return line + text_of(record, "reason");
    }
    return line + (refused.empty() ? "every transfer syntax that was proposed" : accepted + "; not " + refused);
  }
  std::string line = step;
  const auto add_known = [&](std::string_view word, const std::string& text) {
    if (!text.empty()) {
      add(line, fmt::format("{}{}{}", word, word.empty() ? "" : " ", text));
    }
  };
  const Json& peer = object_at(record, "peer");
  add_known("", listed(record, "addresses"));
  add_known("listens at", step == "listening" ? text_of(record, "host") + ":" + text_of(record, "port") : "");
  add_known("our AE title", text_of(record, "aeTitle"));
  add_known("", text_of(record, "security"));
  add_known("trusting", text_of(record, "trusts"));
  add_known("peer", text_of(peer, "address"));
  add_known("called", text_of(peer, "calledAE"));
  add_known("calling", text_of(peer, "callingAE"));
  add_known("", text_of(peer, "implementationVersionName"));
  add_known("", text_of(record, "version"));
  add_known("", text_of(record, "cipherSuite"));
  add_known("max PDU", text_of(record, "maxPduLength"));
  if (record.contains("sopClasses")) {
    add_known("takes", text_of(record, "sopClassesAccepted") + " of " + text_of(record, "sopClasses"));
  }
  add_known("", text_of(record, "contextResult"));
  add_known("reached", text_of(record, "reached"));
  add_known("", record.contains("elapsed") ? text_of(record, "elapsed") + " ms" : "");
  line += certificate_lines(record, "ownChain", "ours:") + certificate_lines(record, "peerChain", "theirs:");
  if (const std::string warnings = listed(record, "warnings"); !warnings.empty()) {
    line += "\n    " + warnings;
  }
  return line;
}

std::string acknowledgement_text(const Json& record) {
  const Json& answer = object_at(record, "acknowledgement");
  std::string text = text_of(answer, "code");
  add(text, text_of(answer, "text"));
  return text;
}

// Of kuva-adt and kuva-merge; with the fields of kuva-adt show below it, a line each.
std::string message_line(const Json& record) {
  std::string line = text_of(record, "messageType");
  add(line, text_of(record, "messageControlId"));
  add(line, text_of(record, "path"));
  if (record.contains("line")) {
    add(line, "line " + text_of(record, "line"));
  }
  if (record.contains("index")) {
    add(line, "message " + text_of(record, "index"));
  }
  add(line, acknowledgement_text(record));
  if (record.contains("already")) {
    add(line, "applied before, says the " + text_of(record, "already"));
  }
  if (record.contains("sentence")) {
    line += "\n    " + text_of(record, "sentence");
    std::string message = string_at(record, "message");
    std::replace(message.begin(), message.end(), '\r', '\n');
    for (std::size_t at = 0; at < message.size();) {
      const std::size_t end = std::min(message.find('\n', at), message.size());
      line += "\n    " + printable(message.substr(at, end - at));
      at = end + 1;
    }
  }
  if (const auto segments = record.find("segments"); segments != record.end() && segments->is_array()) {
    for (const Json& segment : *segments) {
      const std::string name = text_of(segment, "name");
      line += fmt::format("\n  {}{}{}", text_of(segment, "segment"), name.empty() ? "" : "  ", name);
      for (const Json& field : segment.value("fields", Json::array())) {
        line += fmt::format("\n    {:<11} {:<47} {}", text_of(field, "position"), text_of(field, "name"),
                            field.contains("text") ? text_of(field, "text") : text_of(field, "value"));
      }
    }
  }
  return line;
}

std::string count_list(const Json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", to_line(count), printable(name));
  }
  return text;
}

// "3 d 4 h", "5 h 10 min", "7 min".
std::string span_text(std::uint64_t milliseconds) {
  const std::uint64_t minutes = (milliseconds + 59'999) / 60'000;
  if (minutes >= 24 * 60) {
    return fmt::format("{} d {} h", minutes / (24 * 60), minutes / 60 % 24);
  }
  return minutes >= 60 ? fmt::format("{} h {} min", minutes / 60, minutes % 60) : fmt::format("{} min", minutes);
}

// Of kuva-ledger: a line, and what status adds below it.
std::string ledger_text(const Json& record) {
  std::string line = text_of(record, "ledger");
  if (record.contains("from")) {
    add(line, "from " + text_of(record, "from"));
    add(line, fmt::format("{} added, {} advanced, {} unchanged, {} clashes", number_of(record, "added"),
                          number_of(record, "advanced"), number_of(record, "unchanged"), number_of(record, "clashes")));
  }
  add(line, text_of(record, "csv"));
  add(line, text_of(record, "html"));
  if (record.contains("instances")) {
    add(line, fmt::format("{} instances", number_of(record, "instances")));
    add(line, format_bytes(number_of(record, "bytes")));
  }
  if (!record.contains("progress")) {
    for (const Json& fault : record.value("faults", Json::array())) {
      line += "\n    " + printable(fault.is_string() ? fault.get<std::string>() : to_line(fault));
    }
    return line;
  }
  const auto below = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) {
      line += fmt::format("\n    {:<10} {}", name, text);
    }
  };
  below("target", text_of(record, "target"));
  below("progress", count_list(object_at(record, "progress")));
  below("states", count_list(object_at(record, "states")));
  below("studies", count_list(object_at(record, "studies")));
  for (const Json& retrieval : record.value("retrievals", Json::array())) {
    below("retrieved",
          fmt::format("{} of {} from {}; {} studies: {} complete, {} in part, {} incomplete",
                      number_of(retrieval, "retrieved"), number_of(retrieval, "expected"), text_of(retrieval, "source"),
                      number_of(retrieval, "studies"), number_of(retrieval, "complete"), number_of(retrieval, "inPart"),
                      number_of(retrieval, "incomplete")));
  }
  for (const Json& day : record.value("days", Json::array())) {
    below(text_of(day, "day"),
          fmt::format("{} attempts, {}: {}", number_of(day, "attempts"), format_bytes(number_of(day, "bytes")),
                      count_list(object_at(day, "outcomes"))));
  }
  const Json& rate = object_at(record, "rate");
  if (!rate.empty()) {
    below("rate", fmt::format("{} instances an hour, {}/s", number_of(rate, "instancesPerHour"),
                              format_bytes(number_of(rate, "bytesPerSecond"))));
  }
  below("remaining", fmt::format("{}{}", number_of(record, "remaining"),
                                 record.contains("eta") ? ", done in " + span_text(number_of(record, "eta")) : ""));
  const Json& run = object_at(record, "lastRun");
  if (!run.empty()) {
    below("last run", fmt::format("{}, from {}{}{}", text_of(run, "tool"), text_of(run, "started"),
                                  run.contains("ended") ? " to " + text_of(run, "ended") : ", not ended",
                                  run.contains("exitCode") ? ", exit " + text_of(run, "exitCode") : ""));
  }
  return line;
}

std::string failure_text(const Json& record) {
  std::string line = fmt::format("{} x {}", number_of(record, "instances"), text_of(record, "code"));
  add(line, fmt::format("{} studies", number_of(record, "studies")));
  const Json& example = object_at(record, "example");
  for (const std::string& below : {text_of(record, "meaning"), text_of(record, "hint"),
                                   fmt::format("e.g. {}: {}", text_of(example, "path"), text_of(example, "message"))}) {
    if (!below.empty()) {
      line += "\n    " + below;
    }
  }
  return line;
}

// A type without a form of its own: what it holds, flat.
std::string other_line(const Json& record) {
  static constexpr std::array<std::string_view, 7> k_said{"type", "tool", "time", "outcome", "ok", "error", "findings"};
  std::string line = text_of(record, "type");
  for (const auto& [key, value] : record.items()) {
    if (std::find(k_said.begin(), k_said.end(), key) == k_said.end()) {
      add(line, fmt::format("{}={}", printable(key), text_of(record, key.c_str())));
    }
  }
  return line;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  if (is_utf8(shown)) {
    // C1 controls (U+0080-U+009F) steer some terminals too.
    for (std::size_t at = shown.find('\xC2'); at != std::string::npos; at = shown.find('\xC2', at + 1)) {
      if (static_cast<unsigned char>(shown[at + 1]) < 0xA0) {
        shown.replace(at, 2, fmt::format("\\u{:04x}", static_cast<unsigned char>(shown[at + 1])));
      }
    }
    return shown;
  }
  const std::string quoted = to_line(Json(shown));
  return Json::parse(quoted).get<std::string>();
}

std::string render_text(const Json& record, bool color) {
  const std::string type = text_of(record, "type");
  std::string line;
  if (type == "instance" && record.contains("reconcile")) {
    return reconciled_instance_text(record);
  }
  if (type == "reconciliation") {
    return reconciliation_text(record);
  }
  if (type == "instance") {
    line = instance_line(record);
  } else if (type == "study") {
    line = study_line(record);
  } else if (type == "document") {
    line = document_line(record);
  } else if (type == "request") {
    return text_of(record, "body") + "\n";
  } else if (type == "summary") {
    line = summary_line(record);
  } else if (type == "check") {
    line = check_line(record);
    if (text_of(record, "step") == "conclusion") {
      return painted(record, text_of(record, "outcome"), k_outcome_width, color) + line + "\n";
    }
  } else if (type == "comparison") {
    return comparison_text(record);
  } else if (type == "message") {
    line = message_line(record);
  } else if (type == "ledger") {
    line = ledger_text(record);
  } else if (type == "failure") {
    line = failure_text(record);
  } else if (type == "error") {
    line = "the run";
  } else {
    line = other_line(record);
  }
  return painted(record, text_of(record, "outcome"), k_outcome_width, color) + line + "\n" + error_lines(record) +
         finding_lines(record);
}

}  // namespace kuva::cli
