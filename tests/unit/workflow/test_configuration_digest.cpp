#include <kuva/workflow/configuration_digest.hpp>

#include <doctest/doctest.h>

#include <set>

using kuva::workflow::configuration_digest;
using kuva::workflow::Target;

namespace {

Target archive_target() {
  Target target;
  target.name = "archive";
  target.endpoint = {"pacs.example", 11112};
  target.called_ae = "ARCHIVE";
  target.calling_ae = "KUVA";
  target.tls_settings.ca_file = "/etc/kuva/ca.pem";
  target.user_identity = kuva::ul::UserIdentity{kuva::ul::UserIdentity::Type::username_passcode, false, "ann", "one"};
  return target;
}

}  // namespace

TEST_CASE("the digest of a configuration is the same for the same settings, and another for each that differs") {
  const std::string digest = configuration_digest(archive_target());
  CHECK(digest.size() == 64);
  CHECK(digest == configuration_digest(archive_target()));
  std::set<std::string> digests{digest};
  const auto differs = [&digests](auto change) {
    Target target = archive_target();
    change(target);
    CHECK(digests.insert(configuration_digest(target)).second);
  };
  differs([](Target& target) { target.endpoint.port = 11113; });
  differs([](Target& target) { target.calling_ae = "OTHER"; });
  differs([](Target& target) { target.tls = false; });
  differs([](Target& target) { target.tls_settings.ca_file = "/etc/kuva/other.pem"; });
  differs([](Target& target) { target.tls_settings.minimum_version = "1.3"; });
  differs([](Target& target) { target.associations = 4; });
  differs([](Target& target) { target.settle = Target::Settle::commit; });
  differs([](Target& target) { target.response_timeout += std::chrono::seconds(1); });
  differs([](Target& target) { target.user_identity.reset(); });
  differs([](Target& target) { target.listener.emplace(); });
}

TEST_CASE("no secret goes into the digest of a configuration") {
  Target target = archive_target();
  target.user_identity->secondary = "two";
  target.tls_settings.passphrase_file = "/etc/kuva/passphrase";
  CHECK(configuration_digest(target) == configuration_digest(archive_target()));
}
