#pragma once

#include <memory>

namespace kuva::workflow {

class StudyRetrieval;

// A way to bring a study here. Thread-safe: one study a thread.
class RetrieveTransport {
 public:
  virtual ~RetrieveTransport() = default;
  // From request to conclusion (StudyRetrieval::conclude). Errors: local.write of the records.
  virtual void retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) = 0;
};

}  // namespace kuva::workflow
