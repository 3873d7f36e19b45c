#pragma once

#include <kuva/kos/build.hpp>
#include <kuva/kos/check.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/target.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

struct KosBuildSettings {
  std::optional<kos::Code> rejection;  // a rejection note of this title; a manifest where there is none
  kos::BuildSettings document;
  std::filesystem::path directory = ".";  // documents are written to it as <SOP Instance UID>.dcm
  std::vector<std::string> series;        // only these; all where there are none
  std::vector<std::string> instances;
  std::vector<std::filesystem::path> manifests;  // documents whose references are objects too
  std::vector<std::filesystem::path> rejected;   // rejection notes: what they refer to is left out
  std::filesystem::path attributes;              // an object to copy patient and study attributes from
  unsigned jobs = 0;                             // files read at once; 0: one a processor
  bool phi_plain = false;
  bool dry_run = false;
};

// The title of a rejection note, or a quality modifier (PS3.16 CID 7011), by code value or by its word.
// Errors: usage.argument.
kos::Code rejection_reason(std::string_view text);
kos::Code quality_modifier(std::string_view text);

// Fills in what is not set by what a target says: its AE title, its imaging document source where it has exactly one,
// its DICOMweb service.
void retrieve_from(kos::Retrieval& retrieval, const Target& target);

// kuva-kos manifest and reject: a document for each study of the input. Each object leaves as a record with the outcome
// referenced, skipped (not selected, rejected, itself a manifest or rejection note) or failed; then each document as a
// record `written` with its path. An object that does not fit its study fails, and so does every object of that study:
// no document is made of it. Memory goes with the identifiers of the objects.
// Errors: local.write, local.read and file.… for the files of the settings; kos.not-kos; kos.empty when nothing is left
// to refer to.
void build_documents(InputSource& source, RecordSink& sink, Observer& observer, Accounting& accounting,
                     const KosBuildSettings& settings, std::stop_token stop);

// kuva-kos show: each document as a record, then a record for each instance that it refers to. With `resource`, FHIR
// resources go there instead of records.
void show_documents(InputSource& source, RecordSink& sink, Accounting& accounting, bool phi_plain,
                    const std::function<void(const Json&)>& resource, std::stop_token stop);

// kuva-kos check: each document as a record, valid or invalid, with its findings.
struct KosCheckSettings {
  kos::CheckSettings check;
  bool fail_on_warning = false;
  bool phi_plain = false;
};
void check_documents(InputSource& source, RecordSink& sink, Accounting& accounting, const KosCheckSettings& settings,
                     std::stop_token stop);

// kuva-kos diff: a record for the documents and one for each instance of either. `right` is a document, or a directory
// whose objects are compared as their manifest would be; retrieval is then not compared.
// Errors: as kos::read; kos.empty when the directory has no object of the study.
void compare_documents(const std::filesystem::path& left, const std::filesystem::path& right, RecordSink& sink,
                       Accounting& accounting, bool phi_plain, std::stop_token stop);

}  // namespace kuva::workflow
