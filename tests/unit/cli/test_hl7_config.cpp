#include "cli/temp_directory.hpp"

#include <kuva/cli/config.hpp>
#include <kuva/cli/hl7_config.hpp>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using kuva::Error;
using kuva::cli::Hl7Options;
using kuva::cli::resolve_hl7_target;

namespace {

constexpr const char* k_usual = R"([target.a]
host = "dicom.example"
port = 104
called_ae = "A"
calling_ae = "B"
[target.a.tls]
ca_file = "ca.pem"
[target.a.hl7]
host = "hl7.example"
port = 2575
)";

kuva::workflow::Hl7Target target_of(const std::string& more, Hl7Options options = {}) {
  const TempDirectory directory;
  options.target = "a";
  return resolve_hl7_target(options, directory.write("kuva.toml", k_usual + more));
}

std::string failure(const std::string& more) {
  try {
    target_of(more);
  } catch (const Error& error) {
    const std::string message = error.message();
    return std::string(error.kind().code) + message.substr(message.find(": "));
  }
  return {};
}

}  // namespace

TEST_CASE("what a target does not say is as IHE and dcm4chee-arc have it, and TLS is that of the target") {
  const auto target = target_of("");
  CHECK(target.name == "a");
  CHECK(target.endpoint.host == "hl7.example");
  CHECK(target.endpoint.port == 2575);
  CHECK(target.tls);
  CHECK(target.tls_settings.ca_file.ends_with("/ca.pem"));
  CHECK(target.sending_application == "KUVA");
  CHECK(target.version == "2.5.1");
  CHECK(target.character_set == "UNICODE UTF-8");
  CHECK(target.profile.national_authority == "1.2.246.21");
  CHECK(target.acknowledgement_timeout == 60s);
}

TEST_CASE("a target with everything, and a profile") {
  const auto target = target_of(R"(security = "plain"
sending_application = "RIS"
sending_facility = "HOSPITAL"
receiving_application = "ARCHIVE"
receiving_facility = "NATIONAL"
version = "2.3.1"
processing_id = "T"
character_set = "8859/1"
authority = "HUS&1.2.3&ISO"
min_interval = "50ms"
[target.a.hl7.timeouts]
acknowledgement = "5s"
[target.a.hl7.profile]
name = "annex"
required = ["PID-11.3"]
events = ["A31", "A40"]
values = { "PV1-2" = "O" }
)");
  CHECK(!target.tls);
  CHECK(target.sending_facility == "HOSPITAL");
  CHECK(target.version == "2.3.1");
  CHECK(target.processing_id == "T");
  CHECK(target.character_set == "8859/1");
  CHECK(target.authority == kuva::hl7::AssigningAuthority{"HUS", "1.2.3", "ISO"});
  CHECK(target.min_interval == 50ms);
  CHECK(target.acknowledgement_timeout == 5s);
  REQUIRE(target.profile.required.size() == 1);
  CHECK(target.profile.required.front().position.to_string() == "PID-11.3");
  CHECK(target.profile.required.front().source == "annex");
  CHECK(target.profile.events == std::vector<std::string>{"A31", "A40"});
  REQUIRE(target.values.size() == 1);
  CHECK(target.values.front().second == "O");
}

TEST_CASE("options go before the file") {
  Hl7Options options;
  options.host = "other.example";
  options.port = 4000;
  options.tls.tls = false;
  options.receiving = "X|Y";
  options.charset = "8859/15";
  options.acknowledgement_timeout = 7s;
  const auto target = target_of("receiving_application = \"A\"\n", options);
  CHECK(target.endpoint.host == "other.example");
  CHECK(target.endpoint.port == 4000);
  CHECK(!target.tls);
  CHECK(target.receiving_application == "X");
  CHECK(target.receiving_facility == "Y");
  CHECK(target.character_set == "8859/15");
  CHECK(target.acknowledgement_timeout == 7s);
}

TEST_CASE("what cannot be meant is refused with its place") {
  CHECK(failure("version = \"2.9\"\n").starts_with("usage.config"));
  CHECK(failure("character_set = \"UTF-8\"\n").find("table 0211") != std::string::npos);
  CHECK(failure("sending_application = \"A|B\"\n").find("delimiter") != std::string::npos);
  CHECK(failure("authority = \"A^B\"\n").find("neither an OID") != std::string::npos);
  CHECK(failure("colour = \"red\"\n").starts_with("usage.config"));
  CHECK(failure("national_authority = \"urn:oid:1.2.246.21\"\n").find("no OID") != std::string::npos);
  for (const std::string place : {"MSH-1", "MSH-10", "MSH-18", "PID-3", "PID-3.4", "MRG-1", "BHS-3"}) {
    CAPTURE(place);
    CHECK(failure("[target.a.hl7.profile]\nvalues = { \"" + place + "\" = \"X\" }\n").find("by kuva alone") !=
          std::string::npos);
  }
  CHECK(target_of("[target.a.hl7.profile]\nvalues = { \"PID-3[2]\" = \"X\", \"MSH-11\" = \"T\" }\n").values.size() ==
        2);
  CHECK(failure("[target.a.hl7.profile]\nrequired = [\"somewhere\"]\n").find("no place") != std::string::npos);
}

TEST_CASE("a target without HL7, or none at all") {
  const TempDirectory directory;
  Hl7Options options;
  CHECK_THROWS_AS(resolve_hl7_target(options, ""), Error);
  options.target = "b";
  CHECK_THROWS_AS(resolve_hl7_target(options, directory.write("kuva.toml", k_usual)), Error);
}
