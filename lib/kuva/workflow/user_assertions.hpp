#pragma once

#include <kuva/soap/assertion.hpp>
#include <kuva/soap/client.hpp>
#include <kuva/workflow/items.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace kuva::workflow {

// Whose assertions a tool sends, and what goes into all of them.
struct UserAssertionSettings {
  soap::AssertionSettings assertion;  // of the target; where a file or a command gives it, that is in there
  soap::AssertionUser user;
  // Of every call, unless the call says otherwise.
  soap::CallFacts facts;
  std::string purpose;  // a word of assertion.purposes; empty: what the user's file says, else none
};

// Makes the security header of each call, from any thread: a fresh assertion each time; one of a command is used again
// for the same facts until it is about to expire; one of a file as long as it is valid.
class UserAssertions {
 public:
  // Loads the key and warns of the end of its certificate. Errors: xua.user, xua.key, xua.certificate-expired.
  UserAssertions(UserAssertionSettings settings, Observer& observer);
  ~UserAssertions();

  // The content of wsse:Security for a call with this soap:Body, which sender-vouches signs. Errors: xua.*.
  std::string header(const soap::CallFacts& call = {}, std::string_view body = {});
  // The same for a soap::Call: the facts are kept, the assertions live as long as it does.
  static soap::Security provider(std::shared_ptr<UserAssertions> assertions, soap::CallFacts call);

 private:
  soap::CallFacts complete(const soap::CallFacts& call) const;
  std::string assertion(const soap::CallFacts& facts, soap::TimePoint now);
  std::string from_file(soap::TimePoint now);
  std::string from_command(const soap::CallFacts& facts, soap::TimePoint now);

  UserAssertionSettings m_settings;
  std::shared_ptr<const soap::SigningKey> m_key;
  std::mutex m_mutex;
  std::string m_kept;  // of the command
  soap::CallFacts m_kept_facts;
  soap::TimePoint m_kept_until;
};

}  // namespace kuva::workflow
