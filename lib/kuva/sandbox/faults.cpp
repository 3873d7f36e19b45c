#include <kuva/sandbox/faults.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace kuva::sandbox {

namespace {

template <typename Enum>
struct Word {
  Enum value;
  std::string_view word;
};

constexpr auto k_points = std::to_array<Word<FaultPoint>>({
    {FaultPoint::connect, "connect"},
    {FaultPoint::associate, "associate"},
    {FaultPoint::store, "store"},
    {FaultPoint::commit, "commit"},
    {FaultPoint::echo, "echo"},
    {FaultPoint::release, "release"},
    {FaultPoint::report, "report"},
    {FaultPoint::web_connect, "web-connect"},
    {FaultPoint::query, "query"},
    {FaultPoint::documents, "documents"},
    {FaultPoint::images, "images"},
    {FaultPoint::wado, "wado"},
    {FaultPoint::hl7_connect, "hl7-connect"},
    {FaultPoint::hl7, "hl7"},
});

constexpr auto k_actions = std::to_array<Word<FaultAction>>({
    {FaultAction::silent, "silent"},
    {FaultAction::delay, "delay"},
    {FaultAction::close, "close"},
    {FaultAction::reset, "reset"},
    {FaultAction::abort, "abort"},
    {FaultAction::bad_pdu, "bad-pdu"},
    {FaultAction::tls, "tls"},
    {FaultAction::reject, "reject"},
    {FaultAction::contexts, "contexts"},
    {FaultAction::max_pdu, "max-pdu"},
    {FaultAction::async_window, "async-window"},
    {FaultAction::drip, "drip"},
    {FaultAction::two_pdvs, "two-pdvs"},
    {FaultAction::status, "status"},
    {FaultAction::twice, "twice"},
    {FaultAction::wrong_message_id, "wrong-message-id"},
    {FaultAction::other_instance, "other-instance"},
    {FaultAction::other_message, "other-message"},
    {FaultAction::no_status, "no-status"},
    {FaultAction::out_of_order, "out-of-order"},
    {FaultAction::early, "early"},
    {FaultAction::stop_reading, "stop-reading"},
    {FaultAction::disk_full, "disk-full"},
    {FaultAction::release, "release"},
    {FaultAction::collision, "collision"},
    {FaultAction::same_association, "same-association"},
    {FaultAction::other_association, "other-association"},
    {FaultAction::before_response, "before-response"},
    {FaultAction::partial, "partial"},
    {FaultAction::both_lists, "both-lists"},
    {FaultAction::stranger, "stranger"},
    {FaultAction::no_role, "no-role"},
    {FaultAction::soap_fault, "soap-fault"},
    {FaultAction::http_status, "http-status"},
    {FaultAction::registry_error, "registry-error"},
    {FaultAction::missing_part, "missing-part"},
    {FaultAction::wrong_cid, "wrong-cid"},
    {FaultAction::cut, "cut"},
    {FaultAction::wrong_digest, "wrong-digest"},
    {FaultAction::clock, "clock"},
    {FaultAction::bare_response, "bare-response"},
    {FaultAction::wrong_relates_to, "wrong-relates-to"},
    {FaultAction::wrong_action, "wrong-action"},
    {FaultAction::acknowledgement, "acknowledgement"},
    {FaultAction::wrong_control_id, "wrong-control-id"},
    {FaultAction::noise, "noise"},
});

template <typename Enum, std::size_t Size>
std::string_view word_of(const std::array<Word<Enum>, Size>& words, Enum value) {
  const auto found =
      std::find_if(words.begin(), words.end(), [value](const auto& word) { return word.value == value; });
  return found == words.end() ? std::string_view("?") : found->word;
}

template <typename Enum, std::size_t Size>
std::optional<Enum> value_of(const std::array<Word<Enum>, Size>& words, std::string_view text) {
  const auto found = std::find_if(words.begin(), words.end(), [text](const auto& word) { return word.word == text; });
  return found == words.end() ? std::nullopt : std::optional(found->value);
}

// What the sandbox can do, point by point.
struct Ability {
  FaultPoint point;
  FaultAction action;
};
constexpr auto k_abilities = std::to_array<Ability>({
    {FaultPoint::connect, FaultAction::tls},
    {FaultPoint::report, FaultAction::silent},
    {FaultPoint::report, FaultAction::delay},
    {FaultPoint::report, FaultAction::close},
    {FaultPoint::report, FaultAction::abort},
    {FaultPoint::report, FaultAction::contexts},
    {FaultPoint::report, FaultAction::status},
    {FaultPoint::report, FaultAction::twice},
    {FaultPoint::report, FaultAction::same_association},
    {FaultPoint::report, FaultAction::other_association},
    {FaultPoint::report, FaultAction::before_response},
    {FaultPoint::report, FaultAction::partial},
    {FaultPoint::report, FaultAction::both_lists},
    {FaultPoint::report, FaultAction::stranger},
    {FaultPoint::report, FaultAction::no_role},
    {FaultPoint::connect, FaultAction::silent},
    {FaultPoint::connect, FaultAction::delay},
    {FaultPoint::connect, FaultAction::close},
    {FaultPoint::associate, FaultAction::reject},
    {FaultPoint::associate, FaultAction::silent},
    {FaultPoint::associate, FaultAction::delay},
    {FaultPoint::associate, FaultAction::close},
    {FaultPoint::associate, FaultAction::reset},
    {FaultPoint::associate, FaultAction::abort},
    {FaultPoint::associate, FaultAction::bad_pdu},
    {FaultPoint::associate, FaultAction::contexts},
    {FaultPoint::associate, FaultAction::max_pdu},
    {FaultPoint::associate, FaultAction::async_window},
    {FaultPoint::associate, FaultAction::drip},
    {FaultPoint::associate, FaultAction::two_pdvs},
    {FaultPoint::store, FaultAction::early},
    {FaultPoint::store, FaultAction::stop_reading},
    {FaultPoint::store, FaultAction::disk_full},
    {FaultPoint::release, FaultAction::silent},
    {FaultPoint::release, FaultAction::delay},
    {FaultPoint::release, FaultAction::close},
    {FaultPoint::release, FaultAction::reset},
    {FaultPoint::release, FaultAction::abort},
    {FaultPoint::release, FaultAction::bad_pdu},
    {FaultPoint::release, FaultAction::collision},
    {FaultPoint::web_connect, FaultAction::tls},
    {FaultPoint::web_connect, FaultAction::silent},
    {FaultPoint::web_connect, FaultAction::delay},
    {FaultPoint::web_connect, FaultAction::close},
    {FaultPoint::query, FaultAction::bare_response},
    {FaultPoint::documents, FaultAction::bare_response},
    {FaultPoint::documents, FaultAction::partial},
    {FaultPoint::documents, FaultAction::missing_part},
    {FaultPoint::documents, FaultAction::wrong_cid},
    {FaultPoint::documents, FaultAction::wrong_digest},
    {FaultPoint::images, FaultAction::bare_response},
    {FaultPoint::images, FaultAction::partial},
    {FaultPoint::images, FaultAction::missing_part},
    {FaultPoint::images, FaultAction::wrong_cid},
    {FaultPoint::images, FaultAction::wrong_digest},
    {FaultPoint::wado, FaultAction::partial},
    {FaultPoint::wado, FaultAction::missing_part},
    {FaultPoint::wado, FaultAction::wrong_digest},
    {FaultPoint::query, FaultAction::partial},
    {FaultPoint::hl7_connect, FaultAction::tls},
    {FaultPoint::hl7_connect, FaultAction::silent},
    {FaultPoint::hl7_connect, FaultAction::delay},
    {FaultPoint::hl7_connect, FaultAction::close},
    {FaultPoint::hl7, FaultAction::silent},
    {FaultPoint::hl7, FaultAction::delay},
    {FaultPoint::hl7, FaultAction::close},
    {FaultPoint::hl7, FaultAction::reset},
    {FaultPoint::hl7, FaultAction::drip},
    {FaultPoint::hl7, FaultAction::twice},
    {FaultPoint::hl7, FaultAction::acknowledgement},
    {FaultPoint::hl7, FaultAction::wrong_control_id},
    {FaultPoint::hl7, FaultAction::noise},
});

// What can happen to any request.
constexpr auto k_request_actions = std::to_array<FaultAction>(
    {FaultAction::status, FaultAction::silent, FaultAction::delay, FaultAction::close, FaultAction::reset,
     FaultAction::abort, FaultAction::release, FaultAction::bad_pdu, FaultAction::twice, FaultAction::wrong_message_id,
     FaultAction::other_instance, FaultAction::other_message, FaultAction::no_status, FaultAction::out_of_order});

// What can happen to any answer over HTTP, and to those in SOAP.
constexpr auto k_web_actions =
    std::to_array<FaultAction>({FaultAction::silent, FaultAction::delay, FaultAction::close, FaultAction::http_status,
                                FaultAction::cut, FaultAction::drip, FaultAction::clock});
constexpr auto k_soap_actions = std::to_array<FaultAction>(
    {FaultAction::soap_fault, FaultAction::registry_error, FaultAction::wrong_relates_to, FaultAction::wrong_action});

template <std::size_t Size>
bool holds(const std::array<FaultAction, Size>& actions, FaultAction action) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

bool is_request(FaultPoint point) {
  return point == FaultPoint::store || point == FaultPoint::commit || point == FaultPoint::echo;
}

// A number from 0 to less than 1 that depends on nothing but its arguments (SplitMix64 by Steele, Lea and Flood).
double draw(std::uint64_t seed, std::uint64_t rule, std::uint64_t occasion) {
  constexpr std::uint64_t k_golden = 0x9E3779B97F4A7C15U;
  std::uint64_t value = seed * k_golden + (rule + 1) * 0xD1B54A32D192ED03U + occasion * k_golden;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  value ^= value >> 31U;
  return static_cast<double>(value >> 11U) * 0x1.0p-53;
}

bool is_for(const FaultMatch& match, const FaultScope& scope, const FaultOccasion& occasion) {
  return (match.calling_ae.empty() || match.calling_ae == occasion.calling_ae) &&
         (match.sop_class.empty() || occasion.sop_classes.contains(match.sop_class)) && match.study == occasion.study &&
         (!match.tls || match.tls == occasion.tls) &&
         (!match.association || match.association == (match.calling_ae.empty() ? scope.of_all : scope.of_calling_ae));
}

}  // namespace

std::string_view to_string(FaultPoint point) { return word_of(k_points, point); }
std::optional<FaultPoint> fault_point(std::string_view word) { return value_of(k_points, word); }
std::string_view to_string(FaultAction action) { return word_of(k_actions, action); }
std::optional<FaultAction> fault_action(std::string_view word) { return value_of(k_actions, word); }

bool is_implemented(FaultPoint point, FaultAction action) {
  if (is_request(point) &&
      std::find(k_request_actions.begin(), k_request_actions.end(), action) != k_request_actions.end()) {
    return true;
  }
  const bool is_soap = point == FaultPoint::query || point == FaultPoint::documents || point == FaultPoint::images;
  if (((is_soap || point == FaultPoint::wado) && holds(k_web_actions, action)) ||
      (is_soap && holds(k_soap_actions, action))) {
    return true;
  }
  return std::any_of(k_abilities.begin(), k_abilities.end(), [point, action](const Ability& ability) {
    return ability.point == point && ability.action == action;
  });
}

bool FaultPlan::has(FaultPoint point) const {
  return std::any_of(m_settings.rules.begin(), m_settings.rules.end(),
                     [point](const FaultRule& rule) { return rule.point == point; });
}

FaultScope FaultPlan::begin(FaultPoint point, std::string_view calling_ae) {
  const std::lock_guard lock(m_mutex);
  FaultScope scope;
  switch (point) {
    case FaultPoint::connect:
      scope.of_all = ++m_connections;
      return scope;
    case FaultPoint::web_connect:
      scope.of_all = ++m_web_connections;
      return scope;
    case FaultPoint::hl7_connect:
      scope.of_all = ++m_hl7_connections;
      return scope;
    default:
      break;
  }
  scope.of_all = ++m_associations;
  scope.of_calling_ae = ++m_associations_of[std::string(calling_ae)];
  return scope;
}

bool FaultPlan::is_chosen(std::size_t rule, std::uint64_t occasion) const {
  const FaultMatch& match = m_settings.rules[rule].match;
  if ((match.nth && occasion != *match.nth) || (match.first && occasion > *match.first) ||
      (match.every && occasion % *match.every != 0)) {
    return false;
  }
  return match.probability >= 1.0 || draw(m_settings.seed, rule, occasion) < match.probability;
}

std::vector<FaultRule> FaultPlan::fire(FaultPoint point, FaultScope& scope, const FaultOccasion& occasion) {
  std::vector<FaultRule> fired;
  const std::lock_guard lock(m_mutex);
  for (std::size_t i = 0; i < m_settings.rules.size(); ++i) {
    const FaultRule& rule = m_settings.rules[i];
    if (rule.point != point || !is_for(rule.match, scope, occasion)) {
      continue;
    }
    const std::uint64_t number = rule.match.nth_in_association ? ++scope.counts[i] : ++m_counts[i];
    if (!is_chosen(i, number) || (rule.match.times && m_fired[i] >= *rule.match.times)) {
      continue;
    }
    ++m_fired[i];
    fired.push_back(rule);
  }
  return fired;
}

}  // namespace kuva::sandbox
