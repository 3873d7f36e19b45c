#include <kuva/cli/explain.hpp>
#include <kuva/core/explanation.hpp>
#include <kuva/core/record.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/dimse/status_notes.hpp>
#include <kuva/ul/pdu.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

namespace kuva::cli {

namespace {

using Of = dimse::StatusNote::Of;

std::string explain_kind(const ErrorKind& kind) {
  std::string text = fmt::format("{}\n  {}\n", kind.code, kind.meaning);
  const Explanation* explanation = find_explanation(kind.code);
  if (explanation != nullptr) {
    text += "  Usual causes, the likeliest first:\n";
    for (const std::string_view cause : explanation->given_causes()) {
      text += fmt::format("  - {}\n", cause);
    }
  }
  text += fmt::format("  What to do: {}\n", kind.hint);
  if (explanation != nullptr) {
    text += fmt::format("  {}\n", to_string(explanation->retry));
  }
  return text + fmt::format("  phase {}, side {}, class {}, exit status {}\n", to_string(kind.phase),
                            to_string(kind.side), to_string(kind.error_class), static_cast<int>(kind.exit_code));
}

std::string explain_with(std::string_view heading, const ErrorKind& kind) {
  return fmt::format("{}\n\n{}", heading, explain_kind(kind));
}

// Numbers of one digit: "1/1/7", "rj-1-1-7", "abort-2-6" without what stands before them.
template <std::size_t Count>
std::optional<std::array<std::uint8_t, Count>> parse_digits(std::string_view text, char separator) {
  if (text.size() != 2 * Count - 1) {
    return std::nullopt;
  }
  std::array<std::uint8_t, Count> numbers{};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (i % 2 == 0 ? !is_digit : text[i] != separator) {
      return std::nullopt;
    }
    if (i % 2 == 0) {
      numbers[i / 2] = static_cast<std::uint8_t>(text[i] - '0');
    }
  }
  return numbers;
}

std::optional<std::string> explain_reject(std::string_view text) {
  const auto numbers = text.starts_with("rj-") ? parse_digits<3>(text.substr(3), '-') : parse_digits<3>(text, '/');
  if (!numbers) {
    return std::nullopt;
  }
  const ul::AssociateReject reject{(*numbers)[0], (*numbers)[1], (*numbers)[2]};
  return explain_with(fmt::format("A-ASSOCIATE-RJ: {}", ul::to_string(reject)), ul::kind_of(reject));
}

std::optional<std::string> explain_abort(std::string_view text) {
  if (!text.starts_with("abort-")) {
    return std::nullopt;
  }
  const auto numbers = parse_digits<2>(text.substr(6), '-');
  if (!numbers) {
    return std::nullopt;
  }
  const ul::Abort abort{(*numbers)[0], (*numbers)[1]};
  return explain_with(fmt::format("A-ABORT: {}", ul::to_string(abort)), kind("association.aborted"));
}

std::optional<std::uint16_t> parse_status(std::string_view text) {
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
  }
  if (text.size() == 5 && text.back() == 'h') {
    text.remove_suffix(1);
  }
  std::uint16_t status = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status, 16);
  const bool whole = error == std::errc() && end == text.data() + text.size() && text.size() == 4;
  return whole ? std::optional(status) : std::nullopt;
}

// Where a status can stand, with the error that it becomes there.
struct Meaning {
  Of of;
  std::string name;
  const ErrorKind* kind;  // null where it is no failure
};

Meaning response_meaning(Of of, dimse::Service service, std::uint16_t status) {
  Meaning meaning{of, std::string(dimse::status_name(service, status)), nullptr};
  if (dimse::status_class(status) == dimse::StatusClass::failure) {
    dimse::Command response;
    response.status = status;
    meaning.kind = &dimse::status_error(service, response).kind();
  }
  return meaning;
}

std::vector<Meaning> meanings_of(std::uint16_t status) {
  std::vector<Meaning> meanings;
  meanings.push_back(response_meaning(Of::store, dimse::Service::store, status));
  if (dimse::status_class(status) != dimse::StatusClass::failure || status >= 0x1000) {
    return meanings;  // of C-STORE alone, or the same everywhere
  }
  meanings.push_back(response_meaning(Of::commitment_request, dimse::Service::commit_request, status));
  const Error failure = dimse::commitment_failure(status);
  if (&failure.kind() != &kind("commit.failed.other")) {
    meanings.push_back({Of::commitment_failure, string_at(failure.details(), "failureReasonName"), &failure.kind()});
  }
  return meanings;
}

std::string notes_of(Of of, std::uint16_t status) {
  std::string text;
  const auto add = [&](Of wanted) {
    for (const dimse::StatusNote& note : dimse::status_notes()) {
      if (note.status == status && note.of == wanted) {
        text += fmt::format("  {}\n", note.note);
      }
    }
  };
  add(of);
  if (text.empty() && of != Of::commitment_failure) {
    add(Of::all);
  }
  return text;
}

std::optional<std::string> explain_status(std::string_view text) {
  const auto status = parse_status(text);
  if (!status) {
    return std::nullopt;
  }
  std::string result;
  std::vector<const ErrorKind*> kinds;
  for (const Meaning& meaning : meanings_of(*status)) {
    result += fmt::format("{}, {}: {}{}\n{}", dimse::hex(*status), to_string(meaning.of), meaning.name,
                          meaning.kind == nullptr ? "" : fmt::format(" ({})", meaning.kind->code),
                          notes_of(meaning.of, *status));
    if (meaning.kind != nullptr && std::find(kinds.begin(), kinds.end(), meaning.kind) == kinds.end()) {
      kinds.push_back(meaning.kind);
    }
  }
  for (const ErrorKind* kind : kinds) {
    result += "\n" + explain_kind(*kind);
  }
  return result;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

}  // namespace

std::optional<std::string> explain(std::string_view what) {
  const std::string text = lower(what);
  if (const ErrorKind* kind = find_kind(text)) {
    return explain_kind(*kind);
  }
  for (const auto& attempt : {explain_reject, explain_abort, explain_status}) {
    if (auto found = attempt(text)) {
      return found;
    }
  }
  return std::nullopt;
}

}  // namespace kuva::cli
