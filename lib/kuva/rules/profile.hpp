#pragma once

#include <kuva/rules/checks.hpp>
#include <kuva/rules/expression.hpp>

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace kuva::rules {

// One rule of a profile (kuva-profiles(5)).
struct Rule {
  enum class Kind { present, filled, absent, values, matches, uid, hetu, hetu_birth_date, expression, consistent };
  enum class Scope { series, study, patient, batch };

  std::string id;
  Kind kind = Kind::present;
  Severity severity = Severity::error;
  std::string attribute;  // as written
  AttributePath path;
  std::optional<Expression> when;  // the rule is for objects where it holds
  std::optional<Expression> test;  // of Kind::expression: must hold
  std::vector<std::string> values;
  std::string list;                      // the code list that `values` are of
  std::size_t prefix = 0;                // so many characters of the value are compared; 0: all
  std::string pattern;                   // POSIX extended regular expression for the whole value
  std::shared_ptr<const void> compiled;  // of `pattern`
  std::string root;                      // of a UID
  Scope scope = Scope::study;
  std::string message;
  std::string section;
  std::string source;
  std::string hint;

  bool matches(std::string_view value) const;  // `pattern`
};

// What a profile knows to be there and cannot fill: a published fact without its content, e.g. a table of an annex.
struct Slot {
  std::string id;
  std::string title;
  std::string source;
};

struct Period {
  std::string from;  // YYYY-MM-DD, empty: open
  std::string to;
};

// A profile with all that it inherits.
struct Profile {
  std::string name;
  std::string title;
  std::string version;
  std::string source;
  Period certification;
  Period production;
  bool checks_values = false;
  bool checks_iods = false;
  std::vector<Rule> rules;
  std::vector<Slot> slots;
  std::map<std::string, std::vector<std::string>, std::less<>> lists;
  std::map<std::string, std::string, std::less<>> codes;  // rule id to the repository's own error code
  // Of checks and rules, in place of their own; nothing: switched off.
  std::map<std::string, std::optional<Severity>, std::less<>> severities;
  // Of checks: never worse than this (inherited with at_most).
  std::map<std::string, Severity, std::less<>> at_most;

  // What becomes of a finding of this severity; nothing where the rule is switched off.
  std::optional<Severity> severity_of(std::string_view rule, Severity usual) const;
  const Rule* find(std::string_view id) const;
};

// The names of the profiles that are part of kuva.
std::vector<std::string> profile_names();
// A profile by its name, or by a file name (one with a slash, or that ends in .toml). Errors: Error usage.profile.
Profile load_profile(std::string_view name_or_file);
// A profile's text; code lists in files are read beside `file`. Errors: Error usage.profile with line and key.
Profile parse_profile(std::string_view text, const std::filesystem::path& file);

// Why the profile is not one to go by today (its dates, YYYY-MM-DD), or nothing.
std::optional<std::string> validity_warning(const Profile& profile, std::string_view today);
// The text of --list-rules, and of --explain for a rule id (nothing where there is no such rule).
std::string list_rules(const Profile& profile);
std::optional<std::string> explain_rule(const Profile& profile, std::string_view id);

// A finding that somebody has accepted until a day.
struct Waiver {
  std::string rule;
  std::string reason;
  std::string expires;    // YYYY-MM-DD, required: a waiver without an end is a rule that nobody reads
  std::string tag_path;   // empty: anywhere
  std::string sop_class;  // empty: any
  std::string study;      // StudyInstanceUID; empty: any
};
// Errors: Error usage.profile.
std::vector<Waiver> load_waivers(const std::filesystem::path& file);

}  // namespace kuva::rules
