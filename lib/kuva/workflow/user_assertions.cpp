#include <kuva/core/command.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/workflow/user_assertions.hpp>

#include <fmt/format.h>

namespace kuva::workflow {

namespace {

constexpr std::chrono::hours k_signing_expiry_notice{30 * 24};
constexpr std::size_t k_largest_assertion = 1U << 20U;
// An assertion is not used any more so long before it ends: the request takes time too.
constexpr std::chrono::seconds k_margin{30};

void replace(std::string& value, const std::string& otherwise) {
  if (value.empty()) {
    value = otherwise;
  }
}

void check_times(const soap::AssertionFacts& facts, std::string_view source, soap::TimePoint now) {
  if (facts.not_on_or_after && now >= *facts.not_on_or_after) {
    throw Error(kind("xua.assertion-expired"),
                fmt::format("the assertion of {} expired at {}", source, to_rfc3339(*facts.not_on_or_after)));
  }
  if (facts.not_before && now < *facts.not_before) {
    throw Error(kind("xua.assertion-expired"), fmt::format("the assertion of {} is valid from {} and not before",
                                                           source, to_rfc3339(*facts.not_before)));
  }
}

// What a security token service is told of the call.
std::string describe(const soap::CallFacts& facts) {
  Json json = Json::object();
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) {
      json[key] = value;
    }
  };
  add("patient", facts.patient);
  if (facts.purpose) {
    json["purpose"] = Json{{"code", facts.purpose->code}, {"codeSystem", facts.purpose->code_system}};
  }
  add("homeCommunityId", facts.home_community);
  add("registrySpecifier", facts.registry_specifier);
  add("serviceEvent", facts.service_event);
  add("actingFor", facts.acting_for);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string one_line(std::string text) {
  for (char& c : text) {
    c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

UserAssertions::UserAssertions(UserAssertionSettings settings, Observer& observer) : m_settings(std::move(settings)) {
  const soap::AssertionSettings& assertion = m_settings.assertion;
  const std::string& word = m_settings.purpose.empty() ? m_settings.user.purpose : m_settings.purpose;
  if (!word.empty()) {
    const auto found = assertion.purposes.find(word);
    if (found == assertion.purposes.end()) {
      std::string known;
      for (const auto& [name, code] : assertion.purposes) {
        known += (known.empty() ? "" : ", ") + name;
      }
      throw Error(kind("xua.user"), fmt::format("there is no purpose of use '{}'; the target has {}", word, known));
    }
    m_settings.facts.purpose = found->second;
  }
  const bool given = !assertion.assertion_file.empty() || !assertion.assertion_command.empty();
  if (given && assertion.confirmation == soap::Confirmation::bearer) {
    return;
  }
  m_key = soap::SigningKey::load(assertion.signing);
  const auto left = m_key->not_after() - std::chrono::system_clock::now();
  if (left < k_signing_expiry_notice) {
    observer.message(
        Observer::Level::warning,
        fmt::format("the certificate that signs assertions ends in {} days ({})",
                    std::chrono::duration_cast<std::chrono::hours>(left).count() / 24, to_rfc3339(m_key->not_after())));
  }
}

UserAssertions::~UserAssertions() = default;

soap::CallFacts UserAssertions::complete(const soap::CallFacts& call) const {
  soap::CallFacts facts = call;
  replace(facts.patient, m_settings.facts.patient);
  replace(facts.home_community, m_settings.facts.home_community);
  replace(facts.registry_specifier, m_settings.facts.registry_specifier);
  replace(facts.service_event, m_settings.facts.service_event);
  replace(facts.acting_for, m_settings.facts.acting_for);
  if (!facts.purpose) {
    facts.purpose = m_settings.facts.purpose;
  }
  return facts;
}

std::string UserAssertions::header(const soap::CallFacts& call, std::string_view body) {
  const auto now = std::chrono::system_clock::now();
  return soap::make_security_header(m_settings.assertion, m_key.get(), assertion(complete(call), now), now, body);
}

soap::Security UserAssertions::provider(std::shared_ptr<UserAssertions> assertions, soap::CallFacts call) {
  const bool signs_body = assertions->m_settings.assertion.confirmation == soap::Confirmation::sender_vouches;
  return {[assertions = std::move(assertions), call = std::move(call)](std::string_view body) {
            return assertions->header(call, body);
          },
          signs_body};
}

std::string UserAssertions::assertion(const soap::CallFacts& facts, soap::TimePoint now) {
  if (!m_settings.assertion.assertion_file.empty()) {
    return from_file(now);
  }
  if (!m_settings.assertion.assertion_command.empty()) {
    return from_command(facts, now);
  }
  return soap::make_assertion(m_settings.assertion, *m_key, m_settings.user, facts, now);
}

std::string UserAssertions::from_file(soap::TimePoint now) {
  const std::string& file = m_settings.assertion.assertion_file;
  std::string assertion;
  try {
    assertion = soap::extract_assertion(read_small_file(file, k_largest_assertion));
  } catch (const Error& error) {
    throw Error(kind("xua.assertion"), fmt::format("{}: {}", file, error.message()));
  }
  check_times(soap::read_assertion(assertion), file, now);
  return assertion;
}

std::string UserAssertions::from_command(const soap::CallFacts& facts, soap::TimePoint now) {
  const std::lock_guard lock(m_mutex);
  if (!m_kept.empty() && facts == m_kept_facts && now + k_margin < m_kept_until) {
    return m_kept;
  }
  const auto& command = m_settings.assertion.assertion_command;
  CommandResult result;
  try {
    result = run_command(command, describe(facts), {m_settings.assertion.command_timeout, k_largest_assertion});
  } catch (const Error& error) {
    throw Error(kind("xua.command"), error.message());
  }
  const std::string said = result.messages.empty() ? std::string() : ": " + one_line(result.messages);
  if (result.timed_out || result.too_large) {
    throw Error(
        kind("xua.command"),
        fmt::format("{} {}{}", command.front(),
                    result.timed_out ? "did not end within " + format_duration(m_settings.assertion.command_timeout)
                                     : "printed more than an assertion is long",
                    said));
  }
  if (result.exit_status != 0) {
    throw Error(kind("xua.command"),
                fmt::format("{} ended with exit status {}{}", command.front(), result.exit_status, said))
        .with("exitStatus", result.exit_status);
  }
  std::string assertion = soap::extract_assertion(result.output);
  const soap::AssertionFacts read = soap::read_assertion(assertion);
  check_times(read, command.front(), now);
  m_kept = read.not_on_or_after ? assertion : std::string();
  m_kept_facts = facts;
  m_kept_until = read.not_on_or_after.value_or(now);
  return assertion;
}

}  // namespace kuva::workflow
