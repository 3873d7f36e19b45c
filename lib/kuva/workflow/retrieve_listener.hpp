#pragma once

#include <kuva/dimse/provider.hpp>
#include <kuva/workflow/association_listener.hpp>
#include <kuva/workflow/retrieve_study.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kuva::workflow {

// The storage SCP that takes what an archive sends after C-MOVE (PS3.4 annex B and C.4.2). What it takes belongs to one
// of the retrievals that were added, by its UIDs: Move Originator (0000,1030) is not looked at, since not every archive
// gives it. Anything else is refused (0124).
class RetrieveListener {
 public:
  // Errors: usage.target without a listener, listen.failed, tls.config.
  RetrieveListener(RetrieveRun& run, std::string ae_title);

  void add(const std::shared_ptr<StudyRetrieval>& retrieval);
  void remove(const std::shared_ptr<StudyRetrieval>& retrieval);
  void stop() { m_listener.stop(); }

  std::uint64_t associations() const { return m_listener.associations(); }
  std::size_t open() const { return m_listener.open(); }
  // What has come to the listener so far, in words for an error: "no connection has come to port 11112 (TLS), ...".
  std::string words() const;

 private:
  class Reception;
  ul::Association::Decision decide(const ul::AssociateRequest& request) const;
  void serve(ul::Association& association);
  std::vector<std::shared_ptr<StudyRetrieval>> takers(const Landing::Identity& identity) const;
  std::string choose_syntax(const ul::PresentationContext& context) const;

  RetrieveRun& m_run;
  std::string m_ae_title;
  mutable std::mutex m_mutex;
  std::vector<std::shared_ptr<StudyRetrieval>> m_retrievals;
  AssociationListener m_listener;  // last: its threads end first
};

}  // namespace kuva::workflow
