#pragma once

#include <kuva/kos/document.hpp>
#include <kuva/workflow/retrieve_study.hpp>

#include <string>
#include <vector>

namespace kuva::workflow {

// What a manifest, or another key object selection, refers to: an order for each study, with every instance. `series`:
// these alone, where there are any. Errors: retrieve.manifest for a rejection note, and where nothing is referred to.
std::vector<StudyOrder> orders_of(const kos::Document& manifest, const std::vector<std::string>& series);

}  // namespace kuva::workflow
