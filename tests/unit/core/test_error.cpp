#include <kuva/core/error.hpp>

#include <doctest/doctest.h>

#include <cctype>
#include <set>
#include <string>

using namespace kuva;

TEST_CASE("the catalogue: codes are unique, well-formed, and each row speaks in sentences") {
  std::set<std::string_view> codes;
  for (const ErrorKind& entry : error_catalogue()) {
    CAPTURE(entry.code);
    CHECK(codes.insert(entry.code).second);
    for (const char c : entry.code) {
      const auto byte = static_cast<unsigned char>(c);
      CHECK((std::islower(byte) != 0 || std::isdigit(byte) != 0 || c == '.' || c == '-'));
    }
    CHECK(entry.meaning.ends_with('.'));
    CHECK(entry.hint.ends_with('.'));
    CHECK(entry.exit_code != ExitCode::done);
    CHECK((entry.error_class == ErrorClass::usage) <=
          (entry.exit_code == ExitCode::usage || entry.exit_code == ExitCode::security));
    CHECK(find_kind(entry.code) == &entry);
  }
  CHECK(codes.size() > 50);
  CHECK(find_kind("no.such-code") == nullptr);
}

TEST_CASE("an error as JSON has the keys of the contract, in order, then its details") {
  Error error(kind("store.out-of-resources"), "A700 refused: out of resources; \"disk full\"");
  Peer peer;
  peer.host = "archive";
  peer.port = 11112;
  peer.called_ae = "ARCHIVE";
  error.with("status", "A700").with_peer(peer);
  CHECK(
      error.to_json().dump() ==
      R"({"code":"store.out-of-resources","phase":"wait","side":"peer","class":"temporary",)"
      R"("message":"A700 refused: out of resources; \"disk full\"","hint":"Retried later; tell the archive if it stays.",)"
      R"("peer":{"host":"archive","port":11112,"calledAE":"ARCHIVE"},"status":"A700"})");
  error.in_phase(Phase::send);
  CHECK(error.to_json()["phase"] == "send");
}

TEST_CASE("the worse of two exit codes follows the precedence of the contract") {
  const ExitCode order[] = {ExitCode::done,      ExitCode::negative, ExitCode::item_failed, ExitCode::limit,
                            ExitCode::temporary, ExitCode::refused,  ExitCode::security,    ExitCode::local_io};
  for (const ExitCode& a : order) {
    for (const ExitCode& b : order) {
      CHECK(worse(a, b) == (&a > &b ? a : b));
    }
  }
  CHECK(worse(ExitCode::local_io, ExitCode::terminated) == ExitCode::terminated);
}
