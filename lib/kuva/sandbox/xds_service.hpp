#pragma once

#include <kuva/core/error.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/document_directory.hpp>
#include <kuva/sandbox/document_store.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/registry.hpp>
#include <kuva/sandbox/web_server.hpp>
#include <kuva/sandbox/xds_settings.hpp>

#include <functional>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

// Where the SOAP services are.
inline constexpr std::string_view k_registry_path = "/xds/registry";      // ITI-18, ITI-38
inline constexpr std::string_view k_repository_path = "/xds/repository";  // ITI-43, ITI-39
inline constexpr std::string_view k_imaging_path = "/xds/imaging";        // RAD-69, RAD-75
inline constexpr std::string_view k_gateway_path = "/xds/gateway";        // all of them

// The document registry, the document repository and the imaging document source, as one would meet them behind a
// gateway: ITI-18, ITI-38, ITI-43, ITI-39, RAD-69, RAD-75. Thread-safe.
class XdsService {
 public:
  XdsService(const XdsSettings& settings, const AssertionRules& assertions, Archive& archive, Registry& registry,
             DocumentStore& documents, DocumentDirectory& directory);

  // The rules that fire at a point, each a line of the transcript.
  using FireFaults = std::function<std::vector<FaultRule>(FaultPoint)>;
  // Answers a request to one of the paths. `facts` gets what the transcript says of it, no identifier of a patient.
  WebResponse respond(const WebRequest& request, const FireFaults& fire, Json& facts);

  static bool serves(std::string_view path);

 private:
  class Exchange;

  const XdsSettings& m_settings;
  const AssertionRules& m_assertions;
  Archive& m_archive;
  Registry& m_registry;
  DocumentStore& m_documents;
  DocumentDirectory& m_directory;
};

}  // namespace kuva::sandbox
