#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/validate.hpp>
#include <kuva/workflow/validation_report.hpp>
#include <kuva/xml/writer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <tuple>

namespace kuva::workflow {

namespace {

std::string text_of(const Json& object, const char* key) {
  const auto value = object.find(key);
  if (value == object.end()) {
    return {};
  }
  return value->is_string() ? value->get<std::string>() : to_line(*value);
}

// Control characters and, where the text is not UTF-8, all bytes outside of ASCII as \xHH: for terminals, and for XML.
std::string printable(std::string_view text) {
  const bool utf8 = is_utf8(text);
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !utf8)) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  return shown;
}

bool is_study(const Json& record) { return text_of(record, "type") == "study"; }

// What a record is about: the file, or of a study its UID.
std::string path_of(const Json& record) {
  if (is_study(record)) {
    return "study " + text_of(record, "StudyInstanceUID");
  }
  const auto path = record.find("path");
  return path == record.end() ? text_of(record, "SOPInstanceUID") : printable(path_from_json(*path));
}

const Json& findings_of(const Json& record) {
  static const Json k_none = Json::array();
  const auto findings = record.find("findings");
  return findings == record.end() ? k_none : *findings;
}

// RFC 4180; what a spreadsheet would take as a formula gets a quote before it.
std::string field(std::string text) {
  if (!text.empty() && std::string_view("=+-@").find(text[0]) != std::string_view::npos) {
    text.insert(text.begin(), '\'');
  }
  if (text.find_first_of("\",\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

class CsvWriter : public ValidationReport::Writer {
 public:
  explicit CsvWriter(const std::string& file) : m_file(file) {
    m_file.write(
        std::string_view("path,outcome,severity,rule,tagPath,keyword,offset,value,message,section,code,waived\r\n"));
  }

  void take(const Json& record) override {
    const std::string path = path_of(record);
    const std::string outcome = text_of(record, "outcome");
    for (const Json& finding : findings_of(record)) {
      std::string line = field(path) + "," + field(outcome);
      for (const char* key :
           {"severity", "rule", "tagPath", "keyword", "offset", "value", "message", "section", "code", "waived"}) {
        line += "," + field(text_of(finding, key));
      }
      m_file.write(line + "\r\n");
    }
  }

  void finish() override { m_file.commit(); }

 private:
  AtomicFile m_file;
};

// The counts stand before the cases, so that the cases wait in an unnamed file.
class JunitWriter : public ValidationReport::Writer {
 public:
  JunitWriter(const std::string& file, std::string profile)
      : m_path(file), m_profile(profile.empty() ? "kuva-validate" : std::move(profile)), m_body(std::tmpfile()) {
    if (!m_body) {
      throw write_error("temporary file of the JUnit report", errno);
    }
  }

  void take(const Json& record) override {
    xml::Writer xml;
    xml.open("testcase").attribute("name", path_of(record));
    const std::string sop_class = text_of(record, "SOPClassUID");
    xml.attribute("classname", is_study(record) ? "study" : sop_class.empty() ? "file" : sop_class);
    ++m_tests;
    const std::string outcome = text_of(record, "outcome");
    std::string lines;
    std::string first;
    for (const Json& finding : findings_of(record)) {
      const std::string line = fmt::format("{} {} {}: {}", text_of(finding, "severity"), text_of(finding, "rule"),
                                           text_of(finding, "tagPath"), text_of(finding, "message"));
      if (first.empty() && text_of(finding, "severity") != "info" && !finding.contains("waived")) {
        first = text_of(finding, "rule");
      }
      lines += printable(line) + "\n";
    }
    if (const auto invalid = record.find("invalidInstances"); invalid != record.end() && *invalid != 0) {
      lines += fmt::format("{} of {} instances are invalid\n", to_line(*invalid), text_of(record, "instances"));
    }
    const auto ok = record.find("ok");
    if (ok != record.end() && *ok == false) {
      ++m_failures;
      const auto error = record.find("error");
      xml.open("failure").attribute("type", error != record.end() ? text_of(*error, "code") : first);
      xml.text(error != record.end() ? printable(text_of(*error, "message")) : lines).close();
    } else if (outcome == "skipped" || outcome == "duplicate") {
      ++m_skipped;
      xml.open("skipped").close();
    } else if (!lines.empty()) {
      xml.element("system-out", lines);
    }
    xml.close();
    write(xml.take() + "\n");
  }

  void finish() override {
    AtomicFile file(m_path);
    file.write(
        fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\" tests=\"{}\" "
                    "failures=\"{}\" errors=\"0\" skipped=\"{}\">\n",
                    xml::escape_attribute(printable(m_profile)), m_tests, m_failures, m_skipped));
    std::rewind(m_body.get());
    std::array<char, 65536> piece{};
    std::size_t count = 0;
    while ((count = std::fread(piece.data(), 1, piece.size(), m_body.get())) > 0) {
      file.write(std::string_view(piece.data(), count));
    }
    if (std::ferror(m_body.get()) != 0) {
      throw read_error("temporary file of the JUnit report", errno);
    }
    file.write(std::string_view("</testsuite>\n</testsuites>\n"));
    file.commit();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void write(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), m_body.get()) != text.size()) {
      throw write_error("temporary file of the JUnit report", errno);
    }
  }

  std::string m_path;
  std::string m_profile;
  std::unique_ptr<std::FILE, Close> m_body;
  std::uint64_t m_tests = 0;
  std::uint64_t m_failures = 0;
  std::uint64_t m_skipped = 0;
};

class TextWriter : public ValidationReport::Writer {
 public:
  TextWriter(std::string file, std::string profile) : m_path(std::move(file)), m_profile(std::move(profile)) {}

  void take(const Json& record) override {
    const bool study = is_study(record);
    m_instances += study ? 0 : 1;
    m_studies += study ? 1 : 0;
    std::vector<std::string> seen;
    for (const Json& finding : findings_of(record)) {
      const std::string rule = text_of(finding, "rule");
      const std::string severity = finding.contains("waived") ? "waived" : text_of(finding, "severity");
      Group& group = m_groups[{rank(severity), rule, study}];
      if (group.findings++ == 0) {
        group.severity = severity;
        group.example = path_of(record);
        group.tag_path = text_of(finding, "tagPath");
        group.message = text_of(finding, "message");
        group.hint = text_of(finding, "hint");
      }
      if (std::ranges::find(seen, severity + rule) == seen.end()) {
        seen.push_back(severity + rule);
        ++group.instances;
      }
    }
  }

  void finish() override {
    AtomicFile file(m_path);
    file.write(fmt::format("{} files, {} studies{}\n", m_instances, m_studies,
                           m_profile.empty() ? "" : ", profile " + m_profile));
    for (const auto& [key, group] : m_groups) {
      const auto& [unused, rule, of_studies] = key;
      file.write(fmt::format("\n{} {}: {} in {} {}\n  {}\n  e.g. {}{}\n", group.severity, rule, group.findings,
                             group.instances, of_studies ? "studies" : "files", group.message, group.example,
                             group.tag_path.empty() ? "" : " at " + group.tag_path));
      if (!group.hint.empty()) {
        file.write(fmt::format("  {}\n", group.hint));
      }
    }
    file.commit();
  }

 private:
  struct Group {
    std::string severity;
    std::uint64_t findings = 0;
    std::uint64_t instances = 0;
    std::string example;
    std::string tag_path;
    std::string message;
    std::string hint;
  };

  static int rank(const std::string& severity) {
    return severity == "error" ? 0 : severity == "warning" ? 1 : severity == "info" ? 2 : 3;
  }

  std::string m_path;
  std::string m_profile;
  std::uint64_t m_instances = 0;
  std::uint64_t m_studies = 0;
  std::map<std::tuple<int, std::string, bool>, Group> m_groups;  // severity, rule, of studies
};

struct Wanted {
  std::string_view format;
  std::string file;
};

Wanted parse(std::string_view report) {
  const std::size_t colon = report.find(':');
  const std::string_view format = report.substr(0, colon);
  const bool known = format == "junit" || format == "csv" || format == "text";
  if (colon == std::string_view::npos || !known || colon + 1 == report.size()) {
    throw Error(kind("usage.argument"), fmt::format("--report: '{}' is not junit:FILE, csv:FILE or text:FILE", report));
  }
  return {format, std::string(report.substr(colon + 1))};
}

}  // namespace

void check_report(std::string_view report) { parse(report); }

ValidationReport::ValidationReport(const std::vector<std::string>& reports, std::string profile) {
  for (const std::string& report : reports) {
    Wanted wanted = parse(report);
    if (wanted.format == "csv") {
      m_writers.push_back(std::make_unique<CsvWriter>(wanted.file));
    } else if (wanted.format == "junit") {
      m_writers.push_back(std::make_unique<JunitWriter>(wanted.file, profile));
    } else {
      m_writers.push_back(std::make_unique<TextWriter>(std::move(wanted.file), profile));
    }
  }
}

ValidationReport::~ValidationReport() = default;

void ValidationReport::take(const Json& record) {
  for (const std::unique_ptr<Writer>& writer : m_writers) {
    writer->take(record);
  }
}

void ValidationReport::finish() {
  for (const std::unique_ptr<Writer>& writer : m_writers) {
    writer->finish();
  }
}

}  // namespace kuva::workflow
