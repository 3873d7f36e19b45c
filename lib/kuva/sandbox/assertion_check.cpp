#include <kuva/sandbox/assertion_check.hpp>
#include <kuva/sandbox/registry_query.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::sandbox {

namespace {

[[noreturn]] void refuse(std::string_view subcode, const std::string& reason) {
  throw soap::RequestRefused(soap::security_fault(subcode, reason), reason);
}

// Whether an attribute is there, and one of its values is taken.
void demand(const soap::VerifiedAssertion& assertion, const std::string& name, const std::vector<std::string>& taken) {
  if (name.empty()) {
    return;
  }
  const soap::VerifiedAttribute* const attribute = assertion.attribute(name);
  if (attribute == nullptr) {
    refuse("FailedAuthentication", fmt::format("The assertion lacks the attribute {}.", name));
  }
  std::vector<std::string> values = attribute->texts;
  for (const soap::CodedValue& code : attribute->codes) {
    values.push_back(code.code);
  }
  const bool is_taken = std::any_of(values.begin(), values.end(), [&](const std::string& value) {
    return taken.empty() ? !value.empty() : std::find(taken.begin(), taken.end(), value) != taken.end();
  });
  if (!is_taken) {
    refuse("FailedAuthentication", fmt::format("The attribute {} has a value that is not taken here.", name));
  }
}

// An assertion says of whom the search is: one that names a patient is no key to others.
void demand_patient(const soap::VerifiedAssertion& assertion, const std::string& name, const xds::StoredQuery& query) {
  const soap::VerifiedAttribute* const attribute = name.empty() ? nullptr : assertion.attribute(name);
  if (attribute == nullptr || attribute->texts.empty()) {
    return;
  }
  for (const std::string& patient : patients_of(query)) {
    if (std::find(attribute->texts.begin(), attribute->texts.end(), patient) == attribute->texts.end()) {
      refuse("FailedAuthentication", "The query is for another patient than the assertion.");
    }
  }
}

}  // namespace

void check_assertion(const AssertionRules& rules, const soap::Message& request, const xds::StoredQuery* query,
                     std::chrono::system_clock::time_point now) {
  if (!rules.demanded) {
    return;
  }
  try {
    const soap::VerifiedAssertion assertion = soap::verify_assertion(request.envelope, rules.trust, now);
    demand(assertion, rules.purpose_attribute, rules.purposes);
    if (query != nullptr) {
      demand_patient(assertion, rules.patient_attribute, *query);
      demand(assertion, rules.registry_specifier_attribute, rules.registry_specifiers);
    }
  } catch (const soap::RequestRefused&) {
    throw;
  } catch (const Error& error) {
    if (!error.kind().code.starts_with("soap.assertion.")) {
      throw;
    }
    refuse(soap::fault_subcode(error), error.what());
  }
}

}  // namespace kuva::sandbox
