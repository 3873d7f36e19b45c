#pragma once

#include <kuva/core/error.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// Writes the findings of a run into files beside its records: JUnit for build servers, CSV for spreadsheets, text
// grouped by rule with one example each for people. Bodies grow on disk, and memory with the number of rules alone. In
// the hands of one thread.
class ValidationReport {
 public:
  // `reports`: FORMAT:FILE each, with junit, csv or text. Errors: usage.argument.
  ValidationReport(const std::vector<std::string>& reports, std::string profile);
  ~ValidationReport();
  ValidationReport(const ValidationReport&) = delete;
  ValidationReport& operator=(const ValidationReport&) = delete;

  // An instance or study record as it leaves. Errors: local.write.
  void take(const Json& record);
  // The files appear, whole. Errors: local.write.
  void finish();

  // One format and one file.
  class Writer {
   public:
    virtual ~Writer() = default;
    virtual void take(const Json& record) = 0;
    virtual void finish() = 0;
  };

 private:
  std::vector<std::unique_ptr<Writer>> m_writers;
};

}  // namespace kuva::workflow
