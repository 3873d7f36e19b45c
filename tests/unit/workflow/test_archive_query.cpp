#include "support/associations.hpp"

#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/dimse/response.hpp>
#include <kuva/workflow/archive_query.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <mutex>

namespace kuva::workflow::test {

namespace {

namespace query_tags = dicom::tags;

constexpr std::uint16_t k_identifier_refused = 0xA900;

class SilentObserver final : public Observer {
 public:
  void message(Level, std::string_view) override {}
  void progress(const Progress&) override {}
};

dicom::DataSet image_match(const std::string& uid, const std::string& series) {
  dicom::DataSet match;
  match.set_string(query_tags::sop_instance_uid, uid);
  match.set_string(query_tags::series_instance_uid, series);
  match.set_string(query_tags::study_instance_uid, "1.2");
  return match;
}

// An archive whose answer to each identifier is given: matches, or nothing where it refuses. It takes one association.
class QueriedArchive {
 public:
  using Answer = std::function<std::optional<std::vector<dicom::DataSet>>(const dicom::DataSet& identifier)>;

  explicit QueriedArchive(Answer answer)
      : m_server([answer = std::move(answer)](net::Incoming& incoming) {
          const auto association = ul::Association::accept(
              incoming.open(nullptr, Deadline::after(std::chrono::seconds(5))),
              [](const ul::AssociateRequest& request, const net::Stream&) { return kuva::test::accept_all(request); },
              kuva::test::short_timeouts());
          if (!association) {
            return;
          }
          dimse::Messenger messenger(*association);
          dimse::Services services;
          services.query = [&](dimse::Operation& operation, const dicom::DataSet& identifier) {
            const auto matches = answer(identifier);
            for (const dicom::DataSet& match : matches.value_or(std::vector<dicom::DataSet>())) {
              operation.respond(dimse::make_response(operation.request(), 0xFF00), match);
            }
            operation.respond(dimse::make_response(operation.request(), matches ? 0 : k_identifier_refused));
          };
          dimse::serve(messenger, services, std::chrono::seconds(5), std::chrono::seconds(5));
        }) {
    m_target.endpoint = m_server.endpoint();
    m_target.called_ae = "ARCHIVE";
    m_target.calling_ae = "KUVA";
    m_target.tls = false;
    m_target.response_timeout = std::chrono::seconds(5);
  }

  const Target& target() const { return m_target; }

 private:
  kuva::test::OneShotServer m_server;
  Target m_target;
};

struct Found {
  std::string uids;
  ArchiveQuery::Sink sink() {
    return [this](const ArchiveInstance& one) { uids += one.sop_instance_uid + "@" + one.series_instance_uid + " "; };
  }
};

}  // namespace

TEST_CASE("a study is listed series by series, and what a match does not say is as it was asked for") {
  QueriedArchive archive([](const dicom::DataSet& identifier) -> std::optional<std::vector<dicom::DataSet>> {
    const std::string level = identifier.string(query_tags::query_retrieve_level);
    std::vector<dicom::DataSet> matches;
    if (level == "STUDY") {
      dicom::DataSet match;
      match.set_string(query_tags::study_instance_uid, "1.2");
      match.set_string(query_tags::patient_id, "P1 ");
      matches.push_back(match);
    } else if (level == "SERIES") {
      for (const char* const series : {"1.2.1", "1.2.2"}) {
        dicom::DataSet match;
        match.set_string(query_tags::series_instance_uid, series);
        matches.push_back(match);
      }
    } else {
      dicom::DataSet match;
      match.set_string(query_tags::sop_instance_uid, identifier.string(query_tags::series_instance_uid) + ".9");
      matches.push_back(match);
    }
    return matches;
  });
  SilentObserver observer;
  FindQuery query(archive.target(), observer, {});
  const auto study = query.study("1.2");
  REQUIRE(study);
  CHECK(study->patient_id == "P1");
  CHECK_FALSE(study->accession_number);
  Found found;
  query.list("1.2", found.sink());
  CHECK(found.uids == "1.2.1.9@1.2.1 1.2.2.9@1.2.2 ");
}

TEST_CASE("what is not listed is asked for by study alone, by instance in its series, and by instance alone") {
  std::mutex mutex;
  std::string asked;
  QueriedArchive archive([&](const dicom::DataSet& identifier) -> std::optional<std::vector<dicom::DataSet>> {
    const std::string study = identifier.string(query_tags::study_instance_uid);
    const std::string series = identifier.string(query_tags::series_instance_uid);
    const std::string uids = identifier.string(query_tags::sop_instance_uid);
    {
      const std::scoped_lock lock(mutex);
      asked += "[" + study + " " + series + " " + uids + "]";
    }
    if (series.empty() && !study.empty()) {
      return std::vector<dicom::DataSet>{image_match("1.2.1.1", "1.2.9")};
    }
    if (study.empty()) {
      return std::nullopt;  // refused: asked once, and not again
    }
    return std::vector<dicom::DataSet>{image_match("1.2.1.2", series)};
  });
  SilentObserver observer;
  FindQuery query(archive.target(), observer, {});
  Found found;
  query.list_again("1.2", found.sink());
  CHECK(found.uids == "1.2.1.1@1.2.9 ");
  query.seek("1.2", {{"1.2.1.2", "1.2.1"}, {"1.2.1.3", "1.2.1"}, {"1.2.2.1", "1.2.2"}}, found.sink());
  CHECK(found.uids == "1.2.1.1@1.2.9 1.2.1.2@1.2.1 1.2.1.2@1.2.2 ");
  query.seek("1.2", {{"1.2.1.4", "1.2.1"}}, found.sink());
  query.close();
  const std::scoped_lock lock(mutex);
  CHECK(asked ==
        "[1.2  ][1.2 1.2.1 1.2.1.2\\1.2.1.3][1.2 1.2.2 1.2.2.1][  1.2.1.2\\1.2.1.3\\1.2.2.1][1.2 1.2.1 1.2.1.4]");
}

TEST_CASE("an archive that refuses the listing itself is an error, as is one that is not there") {
  QueriedArchive archive([](const dicom::DataSet&) { return std::nullopt; });
  SilentObserver observer;
  FindQuery query(archive.target(), observer, {});
  Found found;
  CHECK(kuva::test::error_of([&] { query.list("1.2", found.sink()); }).has_value());
  query.close();

  Target nobody = archive.target();
  nobody.endpoint.port = 1;
  FindQuery unanswered(nobody, observer, {});
  CHECK(kuva::test::code_of(kuva::test::error_of([&] { unanswered.study("1.2"); })) == "connect.refused");
}

TEST_CASE("a stop ends a query that is not answered") {
  std::stop_source stop;
  QueriedArchive archive([&](const dicom::DataSet&) -> std::optional<std::vector<dicom::DataSet>> {
    stop.request_stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    return std::nullopt;
  });
  SilentObserver observer;
  FindQuery query(archive.target(), observer, stop.get_token());
  CHECK(kuva::test::code_of(kuva::test::error_of([&] { query.study("1.2"); })) == "interrupted");
}

}  // namespace kuva::workflow::test
