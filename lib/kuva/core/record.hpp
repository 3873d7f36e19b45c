#pragma once

#include <kuva/core/error.hpp>

#include <string>
#include <string_view>

namespace kuva {

// The outcome of an item, as it stands in `outcome`. A stage replaces the outcome of the stage before it.
namespace outcome {
inline constexpr std::string_view valid = "valid";
inline constexpr std::string_view invalid = "invalid";
inline constexpr std::string_view skipped =
    "skipped";  // not an object to act on (not DICOM, DICOMDIR, ...), with a reason
inline constexpr std::string_view duplicate = "duplicate";  // same UID and same bytes as another item of the batch
inline constexpr std::string_view planned = "planned";      // --dry-run
inline constexpr std::string_view stored = "stored";
inline constexpr std::string_view stored_with_warning = "stored-with-warning";
inline constexpr std::string_view failed = "failed";
inline constexpr std::string_view indeterminate = "indeterminate";  // all sent, no answer
inline constexpr std::string_view unsent = "unsent";                // the run ended before its turn
inline constexpr std::string_view committed = "committed";
inline constexpr std::string_view registered = "registered";  // committed, and announced as available
inline constexpr std::string_view pending = "pending";
}  // namespace outcome

// A record is an ordered JSON object: type, tool, time, outcome, ok, then the keys of the item.

// A record of this type with its first five keys set; time is now.
Json make_record(std::string_view type, std::string_view tool, std::string_view outcome, bool ok);

// Puts this stage's verdict into a record that an earlier stage made (or make_record): tool, time, outcome and ok are
// replaced in place, an `error` of an earlier stage is removed.
void set_outcome(Json& record, std::string_view tool, std::string_view outcome, bool ok);
void set_error(Json& record, const Error& error);

// The string under a key; empty where there is none or it is something else.
std::string string_at(const Json& record, std::string_view key);

// One line without its newline: UTF-8, invalid bytes replaced by U+FFFD, never throws on content.
std::string to_line(const Json& record);

// A path as a JSON value: the string itself, or {"bytes": base64} where it is not UTF-8. And back;
// an empty string when the value is neither.
Json path_to_json(std::string_view path);
std::string path_from_json(const Json& value);

// True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view bytes);

}  // namespace kuva
