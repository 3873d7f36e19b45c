#pragma once

#include <kuva/soap/http_client.hpp>
#include <kuva/workflow/retrieve_study.hpp>
#include <kuva/workflow/retrieve_transport.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kuva::workflow {

// The URL of an instance below what a manifest or metadata gives (PS3.18 10.4): a service, a study, a series or the
// instance itself.
std::string wado_url(std::string_view base, const std::string& study, const std::string& series,
                     const std::string& instance);

// Retrieval by WADO-RS (PS3.18 10.4): a study or its series as a whole while nothing of it is there and no list is
// known, else instance by instance. Transfer syntaxes as stored. Thread-safe: one study a thread.
class WadoTransport final : public RetrieveTransport {
 public:
  // Errors: usage.target without [target.NAME.wado], tls.config, local.read of the token.
  explicit WadoTransport(RetrieveRun& run);

  void retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) override;

 private:
  class Objects;
  std::optional<Error> go_round(StudyRetrieval& retrieval);
  // One GET; what it brings is taken. `one`: the instance that it is for.
  std::optional<Error> fetch(StudyRetrieval& retrieval, const std::string& url, const WantedInstance* one);
  std::unique_ptr<soap::HttpClient> borrow(bool trusted);
  void give_back(std::unique_ptr<soap::HttpClient> client, bool trusted);
  // The token is for the service of the target alone, whatever addresses metadata gives.
  bool is_trusted(const std::string& url) const;

  RetrieveRun& m_run;
  std::string m_base;
  soap::HttpSettings m_settings;
  std::mutex m_mutex;
  std::vector<std::unique_ptr<soap::HttpClient>> m_idle;
};

}  // namespace kuva::workflow
