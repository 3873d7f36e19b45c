#pragma once

#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/reader.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace kuva::dicom {

// Where a data set stops making sense.
struct StructureDamage {
  bool truncated = false;  // it ends in the middle of an element; else it cannot be parsed
  Tag tag;                 // the element at which reading stopped, or the last before it
  std::string message;     // a sentence
};

// Goes through the whole structure of a data set, values and fragments by their lengths, as far as it can. Nothing when
// it is sound to its end. `on_element` is shown the reader at each value element. Errors: as open_part10, and those of
// the source.
std::optional<StructureDamage> find_structure_damage(const std::filesystem::path& path,
                                                     const std::function<void(DataSetReader&)>& on_element = {});

}  // namespace kuva::dicom
