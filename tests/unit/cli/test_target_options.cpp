#include "cli/temp_directory.hpp"

#include <kuva/cli/options.hpp>
#include <kuva/cli/target_options.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

using kuva::Error;
using kuva::cli::resolve_target;
using kuva::cli::TargetOptions;

namespace {

TargetOptions parse(std::vector<std::string> arguments) {
  TargetOptions options;
  CLI::App app;
  kuva::cli::add_target_options(app, options);
  kuva::cli::add_listen_option(app, options);
  kuva::cli::add_environment(app);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(std::move(arguments));
  return options;
}

std::string code_of(const TargetOptions& options, const std::string& config) {
  try {
    resolve_target(options, config);
  } catch (const Error& error) {
    return std::string(error.kind().code);
  }
  return {};
}

}  // namespace

TEST_CASE("flags win over the environment, the environment over the file") {
  const TempDirectory directory;
  const std::string file =
      directory.write("kuva.toml", "[target.a]\nhost='file'\nport=1\ncalled_ae='FILE'\ncalling_ae='FILE'\n");
  ::setenv("KUVA_HOST", "environment", 1);
  ::setenv("KUVA_CALLED", "ENVIRONMENT", 1);
  const TargetOptions options = parse({"-t", "a", "--called", "FLAG"});
  ::unsetenv("KUVA_HOST");
  ::unsetenv("KUVA_CALLED");
  const auto target = resolve_target(options, file).target;
  CHECK(target.endpoint.host == "environment");
  CHECK(target.called_ae == "FLAG");
  CHECK(target.calling_ae == "FILE");
  CHECK(target.endpoint.port == 1);
}

TEST_CASE("an address instead of a name is TLS unless plain is said") {
  const TempDirectory directory;
  const std::string file = directory.write("kuva.toml", "");
  auto target = resolve_target(parse({"-t", "ARCHIVE@[::1]:104"}), file).target;
  CHECK(target.called_ae == "ARCHIVE");
  CHECK(target.calling_ae == "KUVA");
  CHECK(target.endpoint.host == "::1");
  CHECK(target.endpoint.port == 104);
  CHECK(target.tls);
  CHECK_FALSE(target.listener);
  target = resolve_target(parse({"-t", "ARCHIVE@pacs:104", "--security", "plain", "--listen", "127.0.0.1:11112"}), file)
               .target;
  CHECK_FALSE(target.tls);
  REQUIRE(target.listener);
  CHECK(target.listener->bind.host == "127.0.0.1");
  CHECK(target.listener->bind.port == 11112);
  CHECK_FALSE(target.listener->tls);
}

TEST_CASE("targets that cannot be") {
  const TempDirectory directory;
  const std::string file = directory.write("kuva.toml", "[target.a]\nhost='x'\nport=1\n");
  CHECK(code_of(parse({"-t", "a"}), file) == "usage.target");  // no called AE title
  CHECK(code_of(parse({"-t", "b"}), file) == "usage.target");
  CHECK(code_of(parse({"-t", "A@x"}), file) == "usage.target");
  CHECK(code_of(parse({"-t", "A@x:0"}), file) == "usage.target");
  CHECK(code_of(parse({"-t", "TOO LONG FOR A TITLE@x:104"}), file) == "usage.target");
  CHECK(code_of(parse({}), file) == "usage.argument");
  CHECK(code_of(parse({"-t", "a", "--called", "A", "--listen", "port"}), file) == "usage.argument");
  CHECK(code_of(parse({"-t", "a"}), "/nonexistent/kuva.toml") == "usage.config");
  CHECK_THROWS_AS(parse({"--port", "0"}), CLI::ValidationError);
  CHECK_THROWS_AS(parse({"--port", "65536"}), CLI::ValidationError);
  CHECK_THROWS_AS(parse({"--connect-timeout", "-1s"}), CLI::ValidationError);
  CHECK_THROWS_AS(parse({"--security", "ssl"}), CLI::ValidationError);
}
