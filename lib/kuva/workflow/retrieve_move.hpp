#pragma once

#include <kuva/dimse/retrieve.hpp>
#include <kuva/workflow/retrieve_listener.hpp>
#include <kuva/workflow/retrieve_transport.hpp>

#include <memory>
#include <optional>

namespace kuva::workflow {

// Retrieval by C-MOVE to a listener of our own (PS3.4 C.4.2). Before, the archive is asked what it has of the study
// (C-FIND), so that what is expected, what the archive claims and what came can be compared. Thread-safe: one study a
// thread.
class MoveTransport final : public RetrieveTransport {
 public:
  // Errors: usage.target, listen.failed, tls.config.
  explicit MoveTransport(RetrieveRun& run);

  void retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) override;

 private:
  struct Round;  // one association with the archive
  std::optional<Error> go_round(StudyRetrieval& retrieval, bool first);
  void list(Round& round);
  void announce(const StudyRetrieval& retrieval);
  void request(Round& round, const dicom::DataSet& identifier);
  void settle(Round& round, const dimse::RetrieveResult& result);
  std::optional<Error> verdict(Round& round);

  RetrieveRun& m_run;
  std::string m_destination;
  std::shared_ptr<const net::TlsContext> m_tls;
  RetrieveListener m_listener;
};

}  // namespace kuva::workflow
