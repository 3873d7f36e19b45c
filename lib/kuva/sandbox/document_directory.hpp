#pragma once

#include <kuva/core/time_zone.hpp>
#include <kuva/sandbox/document_store.hpp>
#include <kuva/sandbox/registry.hpp>
#include <kuva/sandbox/transcript.hpp>
#include <kuva/sandbox/xds_settings.hpp>

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace kuva::sandbox {

// Imaging documents that somebody put into a directory: each file is registered once, with the metadata of its CDA
// header, and of FILE.json beside it (kuva-sandbox(1)), whose values come first. A file that has been registered may be
// removed: the repository has its own copy.
class DocumentDirectory {
 public:
  DocumentDirectory(const XdsSettings& settings, Registry& registry, DocumentStore& documents, TimeZone zone,
                    Transcript& transcript);

  // Looks what is new; a file that cannot be registered is a line of the transcript, once.
  void scan();

 private:
  void add(const std::filesystem::path& file);

  const XdsSettings& m_settings;
  Registry& m_registry;
  DocumentStore& m_documents;
  TimeZone m_zone;
  Transcript& m_transcript;
  std::mutex m_mutex;
  // By name: what the file was like when it was looked at.
  std::map<std::string, std::filesystem::file_time_type> m_seen;
};

// The metadata that the header of a CDA document has (HL7 CDA R2): ids, patient, author, codes, times in UTC,
// references to orders, accession number and study (PS3.20). `replaces` gets the unique id of the document that it
// replaces. Errors: xml.*; file.not-dicom is never given: a document that is no ClinicalDocument gives nothing.
xds::DocumentEntry read_cda_header(std::string_view bytes, const XdsSettings& settings, const TimeZone& zone,
                                   std::string& replaces);

// A time of HL7 (TS), with or without a zone, as DTM in UTC; empty where it is none.
std::string hl7_time_to_dtm(std::string_view time, const TimeZone& zone);

}  // namespace kuva::sandbox
