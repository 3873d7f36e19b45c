#include "engines.hpp"

#include <kuva/core/error.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace kuva::test {

PostgresServer* postgres() {
  static std::string reason;
  static std::optional<PostgresServer> server = PostgresServer::start(reason);
  if (!server) {
    MESSAGE("skipped with PostgreSQL: " << reason);
    return nullptr;
  }
  return &*server;
}

void with_each_engine(const std::function<void(const std::string& where)>& test) {
  {
    INFO("SQLite");
    const TemporaryDirectory directory;
    test((directory.path() / "ledger.sqlite").string());
  }
  if (PostgresServer* const server = postgres()) {
    INFO("PostgreSQL");
    test(server->new_database());
  }
}

ledger::Instance instance_of_study(int study, int number) {
  ledger::Instance instance;
  instance.file = {fmt::format("/archive/{}/{}.dcm", study, number), 1000U + static_cast<unsigned>(number),
                   1'700'000'000'000'000'000};
  instance.sop_instance_uid = fmt::format("1.2.3.{}.1.{}", study, number);
  instance.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
  instance.transfer_syntax_uid = "1.2.840.10008.1.2.1";
  instance.series_instance_uid = fmt::format("1.2.3.{}.1", study);
  instance.study_instance_uid = fmt::format("1.2.3.{}", study);
  instance.study_date = fmt::format("202601{:02}", study);
  instance.patient_key = fmt::format("P{}", study);
  instance.accession_number = fmt::format("A{}", study);
  instance.modality = "CT";
  return instance;
}

std::string error_code_of(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const Error& error) {
    return std::string(error.kind().code);
  }
}

}  // namespace kuva::test
