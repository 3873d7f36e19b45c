#pragma once

#include <kuva/soap/client.hpp>
#include <kuva/workflow/retrieve_study.hpp>
#include <kuva/workflow/retrieve_transport.hpp>
#include <kuva/xds/retrieve.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kuva::workflow {

// A document to fetch from a repository (ITI-43, ITI-39).
struct DocumentOrder {
  Json record;  // of an earlier stage, or null
  xds::DocumentRequest request;
  std::string mime_type;  // by its metadata; empty: not known
  std::string hash;       // SHA-1, hexadecimal
  std::optional<std::uint64_t> size;
};

// Retrieval through the XDS side of a target: documents by ITI-43 or ITI-39, the instances of a manifest by RAD-69 or
// RAD-75 (ITI TF-2 3.43, 3.39; RAD TF-3 4.69, 4.75). Thread-safe: one study or document a thread.
class XdsTransport final : public RetrieveTransport {
 public:
  // Errors: usage.target without [target.NAME.xds], tls.config.
  explicit XdsTransport(RetrieveRun& run);

  // Instances of a manifest: an order without a list ends as retrieve.no-source.
  void retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) override;

  struct Document {
    PartFile file;
    std::string mime_type;  // as the repository says
    bool is_dicom = false;  // by its bytes
    bool digest_differs = false;
  };
  // A document as it came, complete. Errors: retrieve.no-source, retrieve.not-answered, retrieve.ambiguous,
  // retrieve.wrong-digest (with strict), xds.*, soap.*, http.*, local.write.
  Document fetch(const DocumentOrder& order);

  // The transfer syntaxes in which instances are taken: all that can be kept as they are. JPIP is none of them, since a
  // source would strip the pixels.
  static std::vector<std::string> transfer_syntaxes();

 private:
  class Parts;
  struct Request {
    std::string url;
    xds::ImagingRequest body;
    std::vector<WantedInstance> instances;
  };
  std::vector<Request> requests(StudyRetrieval& retrieval);
  std::optional<Error> run(StudyRetrieval& retrieval, const Request& request);
  void take(StudyRetrieval& retrieval, const WantedInstance& wanted, PartFile& file);
  soap::Client client(const std::string& url) const;

  RetrieveRun& m_run;
  const XdsSettings& m_xds;
  soap::HttpSettings m_http;
};

}  // namespace kuva::workflow
