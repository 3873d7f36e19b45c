#pragma once

#include <kuva/kos/document.hpp>

#include <string>
#include <vector>

namespace kuva::kos {

// A value that is not the same on both sides; texts in UTF-8.
struct Change {
  std::string what;  // keyword, e.g. RetrieveLocationUID
  std::string left;
  std::string right;
  bool identifies_patient = false;  // the values must not leave unmasked
};

struct Difference {
  enum class Kind { same, added, removed, changed };
  Kind kind = Kind::same;
  Reference reference;  // of the left side; of the right side where it was added
  std::vector<Change> changes;
};

struct Comparison {
  std::vector<Change> document;         // title, patient and study attributes
  std::vector<Difference> differences;  // every instance of either side: those of the left in their order, then added

  bool equal() const;
};

// What `right` refers to beside what `left` refers to, by SOP Instance UID: study, series, SOP class, retrieve AE
// title, location and URL, frames of the content tree. Order, the documents' own UIDs, numbers and times do not count.
Comparison compare(const Document& left, const Document& right);

}  // namespace kuva::kos
