#include "cli/temp_directory.hpp"

#include <kuva/cli/user_file.hpp>

#include <doctest/doctest.h>

using kuva::Error;
using kuva::cli::load_user;

TEST_CASE("a user file") {
  const TempDirectory directory;
  const auto user = load_user(directory.write("user.toml", R"(id = "1.2.246.537.26.12345"
name = "Testi Testaaja"
organization = "Testisairaala"
organization_id = "urn:oid:1.2.246.10.1234567.10.0"
purpose = "treatment"
registry_specifier = "10"
acting_for = "1.2.246.10.7654321.10.0"
[[role]]
code = "lk"
code_system = "1.2.246.537.6.1"
display_name = "Lääkäri"
[provider]
root = "1.2.246.537.26"
extension = "12345"
[attributes]
unit = "Röntgen"
)"));
  CHECK(user.id == "1.2.246.537.26.12345");
  CHECK(user.organization_id == "1.2.246.10.1234567.10.0");
  REQUIRE(user.roles.size() == 1);
  CHECK(user.roles[0].display_name == "Lääkäri");
  REQUIRE(user.provider);
  CHECK(user.provider->extension == "12345");
  CHECK(user.attributes.at("unit") == "Röntgen");
  CHECK(user.acting_for == "1.2.246.10.7654321.10.0");
}

TEST_CASE("a user file with what it does not know") {
  const TempDirectory directory;
  const auto failure = [&](const char* text) -> std::string {
    try {
      load_user(directory.write("user.toml", text));
    } catch (const Error& error) {
      CHECK(error.kind().code == "usage.config");
      return error.message().substr(error.message().find("user.toml"));
    }
    return {};
  };
  CHECK(failure("nmae = \"x\"\n") == "user.toml:1: unknown key 'nmae'; did you mean 'name'?");
  CHECK(failure("[[role]]\ncode_system = \"1.2\"\n") == "user.toml:1: role.code: is missing");
  CHECK(failure("[attributes]\nunit = 1\n") == "user.toml:2: attributes.unit: must be a string");
}
