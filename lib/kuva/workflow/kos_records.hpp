#pragma once

#include <kuva/core/record.hpp>
#include <kuva/kos/compare.hpp>
#include <kuva/kos/document.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

inline constexpr std::string_view k_kos_tool = "kuva-kos";

// Outcomes of this tool alone.
inline constexpr std::string_view k_written = "written";        // a document that was made
inline constexpr std::string_view k_shown = "shown";            // a document that was read
inline constexpr std::string_view k_referenced = "referenced";  // a document refers to it: no stage acts on that record

// Puts a document into its record: the identifiers of an instance, and `kos` with title and what it refers to. Free
// text and patient values only when they may be plain.
void put_document(Json& record, const kos::Document& document, bool phi_plain);

// The record of an instance that a document refers to.
Json reference_record(const kos::Reference& reference, const kos::Document& document);

// The record of type `comparison` of a difference; of the documents as a whole where it has no instance. Values that
// identify a patient are masked unless they may be plain.
Json comparison_record(const kos::Difference& difference);
Json comparison_record(const std::vector<kos::Change>& document_changes, bool phi_plain);

// FHIR R4 ImagingStudy resources, one for each study of the evidence. The patient is named only when that may be plain.
std::vector<Json> imaging_studies(const kos::Document& document, bool phi_plain);

}  // namespace kuva::workflow
