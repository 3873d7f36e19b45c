#include "support/associations.hpp"
#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/workflow/send.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <map>

using namespace kuva;
using namespace kuva::workflow;
namespace tags = kuva::dicom::tags;
using namespace std::chrono_literals;

namespace {

const std::string k_ct = "1.2.840.10008.5.1.4.1.1.2";
const std::string k_syntax(dicom::k_explicit_vr_little_endian);

// An archive whose answers are a script: one entry a C-STORE, in the order of their coming; then success.
class ScriptedArchive {
 public:
  struct Answer {
    std::uint16_t status = 0;
    enum class Then { answer, abort, abort_and_keep } then = Then::answer;  // keep: the object is in the archive
    std::vector<dicom::Tag> elements{};
  };

  explicit ScriptedArchive(std::deque<Answer> script, bool finds = true)
      : m_script(std::move(script)), m_finds(finds), m_listener(net::Listener::open({.host = "127.0.0.1", .port = 0})) {
    m_thread = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  ~ScriptedArchive() {
    m_thread.request_stop();
    m_listener->close();
  }

  std::uint16_t port() const { return m_listener->port(); }
  std::map<std::string, int> kept;  // UID to how often; look at it when the sender is done
  std::vector<int> stores;          // the number of the association of each C-STORE that came whole
  std::atomic<int> queries{0};

 private:
  class Reception final : public dimse::StoreReception {
   public:
    Reception(ScriptedArchive& archive, ul::Association& association, std::string uid)
        : m_archive(archive), m_association(association), m_uid(std::move(uid)) {}
    void write(std::span<const std::byte>) override {}
    dimse::Command finish(const dimse::Command& response) override {
      m_archive.stores.push_back(m_archive.m_associations);
      Answer answer;
      if (!m_archive.m_script.empty()) {
        answer = m_archive.m_script.front();
        m_archive.m_script.pop_front();
      }
      if (answer.then == Answer::Then::abort_and_keep || (answer.then == Answer::Then::answer && answer.status == 0)) {
        ++m_archive.kept[m_uid];
      }
      if (answer.then != Answer::Then::answer) {
        m_association.abort();
      }
      dimse::Command changed = response;
      changed.status = answer.status;
      changed.offending_elements = answer.elements;
      return changed;
    }

   private:
    ScriptedArchive& m_archive;
    ul::Association& m_association;
    std::string m_uid;
  };

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto incoming = m_listener->accept(Deadline::after(100ms));
      if (!incoming) {
        continue;
      }
      try {
        serve(*incoming);
      } catch (const Error&) {
        // An association that the script broke.
      }
    }
  }

  void serve(net::Incoming& incoming) {
    ++m_associations;
    auto association = ul::Association::accept(
        incoming.open(nullptr, Deadline::after(5s)),
        [this](const ul::AssociateRequest& request, const net::Stream&) {
          ul::Association::Decision decision = test::accept_all(request);
          for (std::size_t i = 0; !m_finds && i < request.contexts.size(); ++i) {
            if (request.contexts[i].abstract_syntax == dimse::find_sop_class(dimse::QueryRoot::study)) {
              std::get<ul::AssociateAccept>(decision).contexts[i].result =
                  ul::ContextResult::abstract_syntax_not_supported;
            }
          }
          return decision;
        },
        test::short_timeouts());
    dimse::Messenger messenger(*association);
    dimse::Services services;
    services.store = [&](const dimse::Messenger::Message& message, const ul::AcceptedContext&) {
      return std::make_unique<Reception>(*this, *association, message.command.affected_sop_instance_uid.value_or(""));
    };
    services.query = [this](dimse::Operation& operation, const dicom::DataSet& identifier) {
      ++queries;
      if (kept.contains(identifier.string(tags::sop_instance_uid))) {
        operation.respond(dimse::make_response(operation.request(), 0xFF00), identifier);
      }
      operation.respond(dimse::make_response(operation.request(), 0x0000));
    };
    dimse::serve(messenger, services, 5s, 5s);
  }

  std::deque<Answer> m_script;
  bool m_finds;
  int m_associations = 0;
  std::unique_ptr<net::Listener> m_listener;
  std::jthread m_thread;
};

using Answer = ScriptedArchive::Answer;
using Then = Answer::Then;

struct Files final : InputSource {
  std::deque<std::string> paths;
  std::optional<Input> next() override {
    if (paths.empty()) {
      return std::nullopt;
    }
    Input input{paths.front(), std::nullopt};
    paths.pop_front();
    return input;
  }
};

struct Kept final : Observer, RecordSink {
  void message(Level, std::string_view) override {}
  void progress(const Progress&) override {}
  void emit(const Json& record) override {
    const std::lock_guard lock(mutex);
    records.push_back(record);
  }
  std::mutex mutex;
  std::vector<Json> records;
};

struct Run {
  test::TemporaryDirectory directory;
  Files files;
  Kept kept;
  Target target;
  SendSettings settings;
  Accounting accounting;
  Json summary;

  explicit Run(std::size_t objects) {
    settings.retry_delay = 5ms;
    settings.retry_delay_limit = 20ms;
    target.name = "archive";
    target.called_ae = "ARCHIVE";
    target.calling_ae = "KUVA";
    target.tls = false;
    for (std::size_t i = 0; i < objects; ++i) {
      add(i, k_ct);
    }
  }

  void add(std::size_t number, const std::string& sop_class) {
    dicom::DataSet data;
    data.set_string(tags::sop_class_uid, sop_class);
    data.set_string(tags::sop_instance_uid, fmt::format("1.2.3.{}", number));
    data.set_string(tags::modality, "CT");
    data.set_string(tags::patient_id, "010181-900C");
    data.set_string(tags::study_instance_uid, "1.2.9");
    data.set_string(tags::series_instance_uid, "1.2.9.1");
    const auto path = directory.path() / fmt::format("{}.dcm", number);
    std::ofstream(path, std::ios::binary)
        << dicom::encode_file_meta(sop_class, fmt::format("1.2.3.{}", number), k_syntax)
        << data.encode(dicom::transfer_syntax(k_syntax));
    files.paths.push_back(path.string());
  }

  void to(const ScriptedArchive& archive) {
    target.endpoint = {"127.0.0.1", archive.port()};
    send(files, kept, kept, accounting, target, settings, {});
    for (const Json& left : kept.records) {
      accounting.left(left);
    }
    summary = accounting.summary("kuva-send", 0ms, false);
  }

  const Json& record(std::string_view uid) const {
    for (const Json& candidate : kept.records) {
      if (string_at(candidate, "SOPInstanceUID") == uid) {
        return candidate;
      }
    }
    throw std::runtime_error("no record of " + std::string(uid));
  }
  std::string outcome(std::string_view uid) const { return string_at(record(uid), "outcome"); }
};

}  // namespace

TEST_CASE("lost after the last byte, and the archive has it: found by C-FIND, never sent again") {
  ScriptedArchive archive({{.then = Then::abort_and_keep}});
  Run run(3);
  run.to(archive);
  CHECK(run.outcome("1.2.3.0") == "stored-with-warning");
  const Json& settled = run.record("1.2.3.0")["store"]["settled"];
  CHECK(settled["by"] == "C-FIND");
  CHECK(settled["cause"] == "association.aborted");
  CHECK_FALSE(run.record("1.2.3.0").contains("error"));
  CHECK(run.outcome("1.2.3.1") == "stored");
  CHECK(archive.kept == std::map<std::string, int>{{"1.2.3.0", 1}, {"1.2.3.1", 1}, {"1.2.3.2", 1}});
  CHECK(archive.queries == 1);
  CHECK(run.accounting.exit_code() == ExitCode::done);
}

TEST_CASE("lost after the last byte, and the archive does not have it: sent once more, on another association") {
  ScriptedArchive archive({{.then = Then::abort}});
  Run run(1);
  run.to(archive);
  CHECK(run.outcome("1.2.3.0") == "stored");
  CHECK(run.record("1.2.3.0")["store"]["attempts"] == 2);
  CHECK(archive.stores == std::vector<int>{1, 2});
  CHECK(archive.queries == 1);
}

TEST_CASE("lost twice: asked twice, not sent a third time") {
  ScriptedArchive archive({{.then = Then::abort}, {.then = Then::abort}});
  Run run(1);
  run.to(archive);
  CHECK(run.outcome("1.2.3.0") == "indeterminate");
  CHECK(archive.stores.size() == 2);
  CHECK(archive.queries == 2);
  const Json& error = run.record("1.2.3.0")["error"];
  CHECK(error["code"] == "store.no-response");
  CHECK(error["next"] == "settle");
  CHECK(error["settling"] == "the archive does not list it");
  CHECK(run.accounting.exit_code() == ExitCode::temporary);
}

TEST_CASE("an archive without C-FIND, or a target that wants commitment: left in doubt, sent once") {
  for (const bool wants_commitment : {false, true}) {
    CAPTURE(wants_commitment);
    ScriptedArchive archive({{.then = Then::abort_and_keep}}, wants_commitment);
    Run run(2);
    run.target.settle = wants_commitment ? Target::Settle::commit : Target::Settle::query;
    run.to(archive);
    CHECK(run.outcome("1.2.3.0") == "indeterminate");
    CHECK(run.outcome("1.2.3.1") == "stored");
    CHECK(archive.stores.size() == 2);
    CHECK(archive.queries == 0);
    CHECK(run.record("1.2.3.0")["error"].contains("settling") == !wants_commitment);
  }
}

TEST_CASE("the record of an answer that was lost has what support asks for") {
  ScriptedArchive archive({{.then = Then::abort}}, false);
  Run run(1);
  run.to(archive);
  const Json& error = run.record("1.2.3.0")["error"];
  CHECK(error["cause"] == "association.aborted");
  CHECK(error["abortBy"] == "peer");
  CHECK(error["abortSource"] == 0);
  CHECK(error["association"]["id"] == 1);
  CHECK(error["dimse"]["messageId"] == 1);
  CHECK(error["dimse"]["bytes"].get<int>() > 100);
  CHECK(error["proposed"][0]["result"] == "accepted");
  CHECK(error["object"]["sopClassName"] == "CT Image Storage");
  CHECK(error["tries"]["made"] == 1);
  CHECK(error["run"] == run.summary["run"]);
}

TEST_CASE("offending elements come with what our file has, masked") {
  ScriptedArchive archive({{.status = 0xA900, .elements = {tags::patient_id, tags::accession_number}}});
  Run run(1);
  run.to(archive);
  const Json& error = run.record("1.2.3.0")["error"];
  CHECK(error["code"] == "store.data-set-mismatch");
  CHECK(error["statusClass"] == "failure");
  CHECK(error["offendingValues"][0]["value"] == "999999-999x");
  CHECK(error["offendingValues"][1]["absent"] == true);
  CHECK(error["next"] == "none");
  CHECK(error["dimse"]["affectedSOPInstanceUID"] == "1.2.3.0");
}

TEST_CASE("0110 is tried once more, on a new association") {
  ScriptedArchive archive({{.status = 0x0110}, {.status = 0x0110}});
  Run run(1);
  run.to(archive);
  CHECK(run.outcome("1.2.3.0") == "failed");
  CHECK(archive.stores == std::vector<int>{1, 2});
  CHECK(run.record("1.2.3.0")["error"]["tries"]["first"]["code"] == "dimse.processing-failure");
}

TEST_CASE("A700 is tried again and is stored in the end; Cxxx once more where the class worked, and 0111 never") {
  ScriptedArchive archive(
      {{.status = 0xA700}, {.status = 0xA700}, {.status = 0}, {.status = 0xC001}, {.status = 0}, {.status = 0x0111}});
  Run run(1);
  run.to(archive);
  CHECK(run.outcome("1.2.3.0") == "stored");
  CHECK(archive.stores.size() == 3);

  ScriptedArchive sporadic({{.status = 0}, {.status = 0xC001}, {.status = 0}, {.status = 0x0111}});
  Run second(3);
  second.settings.retry_delay = 1ms;
  second.to(sporadic);
  CHECK(sporadic.stores.size() == 4);
  CHECK(second.outcome("1.2.3.0") == "stored");
  const auto one_of = [&second](std::string_view state) {
    return second.outcome("1.2.3.1") == state || second.outcome("1.2.3.2") == state;
  };
  CHECK(one_of("indeterminate"));
  CHECK(second.summary["errors"]["dimse.duplicate-instance"] == 1);

  ScriptedArchive never(std::deque<Answer>(1, Answer{0xC001, Then::answer, {}}));
  Run third(1);
  third.to(never);
  CHECK(third.outcome("1.2.3.0") == "failed");
  CHECK(never.stores.size() == 1);
}

TEST_CASE("a SOP class that the archive does not support is asked about once") {
  ScriptedArchive archive(std::deque<Answer>(1, Answer{0x0122, Then::answer, {}}));
  Run run(5);
  run.to(archive);
  CHECK(archive.stores.size() == 1);
  CHECK(run.summary["outcomes"] == Json{{"failed", 5}});
  CHECK(run.summary["errors"] == Json{{"dimse.sop-class-not-supported", 5}});
}

TEST_CASE("associations that break without an answer: one is tried at a time, then what is left stays unsent") {
  std::deque<Answer> always(50, Answer{0, Then::abort, {}});
  ScriptedArchive archive(std::move(always), false);
  Run run(20);
  run.target.failures_in_a_row = 3;
  run.settings.retries = 2;
  run.to(archive);
  CHECK(archive.stores.size() == 5);
  CHECK(run.summary["outcomes"] == Json{{"indeterminate", 5}, {"unsent", 15}});
  CHECK(run.summary["associations"]["broken"] == 5);
  CHECK(run.accounting.exit_code() == ExitCode::temporary);
}

TEST_CASE("300 kinds of objects over few associations") {
  ScriptedArchive archive(std::deque<Answer>{});
  Run run(0);
  for (std::size_t i = 0; i < 300; ++i) {
    run.add(i, fmt::format("1.2.840.10008.5.1.4.1.1.9999.{}", i));
  }
  run.to(archive);
  CHECK(run.summary["outcomes"] == Json{{"stored", 300}});
  CHECK(run.summary["associations"]["opened"].get<int>() <= 6);
}
