#include <kuva/rules/checker.hpp>
#include <kuva/rules/content_checks.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <unordered_set>

namespace kuva::rules {

namespace {

constexpr dicom::Tag k_value_type{0x0040, 0xA040};
constexpr dicom::Tag k_relationship_type{0x0040, 0xA010};
constexpr dicom::Tag k_content_sequence{0x0040, 0xA730};
constexpr dicom::Tag k_referenced_content_item{0x0040, 0xDB73};
constexpr dicom::Tag k_referenced_sop_sequence{0x0008, 0x1199};
constexpr dicom::Tag k_referenced_sop_instance{0x0008, 0x1155};
constexpr dicom::Tag k_evidence{0x0040, 0xA375};
constexpr dicom::Tag k_evidence_series{0x0008, 0x1115};

using Words = std::string_view;  // value types parted by blanks

bool has_word(Words words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word) {
      return true;
    }
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

// A row of the tables of relationships (PS3.3 A.35.1.3.1.2 and the like): what may be the source, and what the target.
struct Relationship {
  std::string_view type;
  Words sources;
  Words targets;
};

constexpr Words k_any =
    "CONTAINER TEXT CODE NUM UIDREF PNAME COMPOSITE IMAGE WAVEFORM DATETIME DATE TIME SCOORD TCOORD "
    "SCOORD3D TABLE";

// A.35.4.3.1.2
constexpr Relationship k_key_object[] = {
    {"CONTAINS", "CONTAINER", "TEXT IMAGE WAVEFORM COMPOSITE"},
    {"HAS OBS CONTEXT", "CONTAINER", "TEXT CODE UIDREF PNAME"},
    {"HAS CONCEPT MOD", "CONTAINER", "CODE"},
};
// A.35.1.3.1.2
constexpr Relationship k_basic_text[] = {
    {"CONTAINS", "CONTAINER", "CONTAINER TEXT CODE DATETIME DATE TIME UIDREF PNAME COMPOSITE IMAGE WAVEFORM"},
    {"HAS OBS CONTEXT", k_any, "TEXT CODE DATETIME DATE TIME UIDREF PNAME COMPOSITE"},
    {"HAS ACQ CONTEXT", k_any, "TEXT CODE DATETIME DATE TIME UIDREF PNAME CONTAINER"},
    {"HAS CONCEPT MOD", k_any, "TEXT CODE"},
    {"HAS PROPERTIES", "TEXT CODE PNAME",
     "TEXT CODE DATETIME DATE TIME UIDREF PNAME COMPOSITE IMAGE WAVEFORM CONTAINER"},
    {"INFERRED FROM", "TEXT CODE", "TEXT CODE DATETIME DATE TIME UIDREF PNAME COMPOSITE IMAGE WAVEFORM CONTAINER"},
};
// What A.35.2.3.1.2, A.35.3.3.1.2, A.35.13.3.1.2 and A.35.15.3.1.2 have in common: the widest of each row.
constexpr Relationship k_measuring[] = {
    {"CONTAINS", "CONTAINER", k_any},
    {"HAS OBS CONTEXT", k_any, "TEXT CODE NUM DATETIME DATE TIME UIDREF PNAME COMPOSITE CONTAINER"},
    {"HAS ACQ CONTEXT", k_any, "TEXT CODE NUM DATETIME DATE TIME UIDREF PNAME CONTAINER"},
    {"HAS CONCEPT MOD", k_any, "TEXT CODE"},
    {"HAS PROPERTIES", k_any, k_any},
    {"INFERRED FROM", k_any, k_any},
    {"SELECTED FROM", "SCOORD TCOORD SCOORD3D TABLE", "IMAGE WAVEFORM SCOORD SCOORD3D TCOORD COMPOSITE"},
};

// A SOP class of reports: its value types (PS3.3 A.35.x.3.1.1), its relationships, and whether items refer to others.
struct ReportClass {
  std::string_view sop_class;
  Words value_types;
  std::span<const Relationship> relationships;
  bool refers_to_items;
};

constexpr ReportClass k_report_classes[] = {
    {"1.2.840.10008.5.1.4.1.1.88.59", "CONTAINER TEXT CODE UIDREF PNAME COMPOSITE IMAGE WAVEFORM", k_key_object, false},
    {"1.2.840.10008.5.1.4.1.1.88.11", "CONTAINER TEXT CODE UIDREF PNAME COMPOSITE IMAGE WAVEFORM DATETIME DATE TIME",
     k_basic_text, false},
    {"1.2.840.10008.5.1.4.1.1.88.22",
     "CONTAINER TEXT CODE UIDREF PNAME COMPOSITE IMAGE WAVEFORM DATETIME DATE TIME NUM SCOORD TCOORD", k_measuring,
     false},
    {"1.2.840.10008.5.1.4.1.1.88.33",
     "CONTAINER TEXT CODE UIDREF PNAME COMPOSITE IMAGE WAVEFORM DATETIME DATE TIME NUM SCOORD TCOORD", k_measuring,
     true},
    {"1.2.840.10008.5.1.4.1.1.88.34", k_any, k_measuring, true},
};

class ContentChecks {
 public:
  ContentChecks(const ReportClass& report_class, const Object& object, std::vector<Finding>& findings)
      : m_class(report_class), m_object(object), m_findings(findings) {}

  // `item` and what is below it; nesting is bounded by the reader.
  void check(const Object::Item& item, const std::string& path) {
    const std::string_view type = text_of(item, k_value_type);
    if (!type.empty() && !has_word(m_class.value_types, type)) {
      add("sr.value-type", "a content item has a value type that the SOP class does not allow", k_value_type, item,
          path);
    }
    const Object::Element* content = m_object.find(item, k_content_sequence);
    if (content == nullptr || !content->sequence) {
      return;
    }
    std::size_t number = 0;
    for (const Object::Item& inner : m_object.items(*content)) {
      const std::string inner_path = fmt::format("{}{}[{}]/", path, dicom::to_string(k_content_sequence), ++number);
      check_relationship(type, inner, inner_path);
      check(inner, inner_path);
    }
  }

 private:
  std::string_view text_of(const Object::Item& item, dicom::Tag tag) const {
    const Object::Element* element = m_object.find(item, tag);
    const std::vector<std::string_view> texts =
        element == nullptr ? std::vector<std::string_view>() : m_object.texts(*element);
    return texts.size() == 1 ? texts.front() : std::string_view();
  }

  void check_relationship(std::string_view source, const Object::Item& target, const std::string& path) {
    if (m_object.find(target, k_referenced_content_item) != nullptr) {
      if (!m_class.refers_to_items) {
        add("sr.by-reference", "a content item refers to another, which the SOP class does not allow",
            k_referenced_content_item, target, path);
      }
      return;
    }
    const std::string_view relationship = text_of(target, k_relationship_type);
    const std::string_view type = text_of(target, k_value_type);
    // Types that are none of the class, or not there, are another check's matter.
    if (relationship.empty() || !has_word(m_class.value_types, source) || !has_word(m_class.value_types, type)) {
      return;
    }
    const bool allowed = std::ranges::any_of(m_class.relationships, [&](const Relationship& row) {
      return row.type == relationship && has_word(row.sources, source) && has_word(row.targets, type);
    });
    if (!allowed) {
      add("sr.relationship",
          fmt::format("the SOP class does not allow that {} {} {}", source, shown_relationship(relationship), type),
          k_relationship_type, target, path);
    }
  }

  // A word of the standard may be shown; anything else may be anything.
  static std::string_view shown_relationship(std::string_view relationship) {
    const auto known = std::ranges::find(k_measuring, relationship, &Relationship::type);
    return known == std::end(k_measuring) ? std::string_view("has an unknown relationship to") : known->type;
  }

  void add(std::string_view rule, std::string message, dicom::Tag tag, const Object::Item& item,
           const std::string& path) {
    if (++m_found > Checker::k_most_findings) {
      return;
    }
    Finding finding;
    finding.rule = rule;
    finding.message = std::move(message);
    finding.tag = tag;
    finding.tag_path = path + dicom::to_string(tag);
    const Object::Element* element = m_object.find(item, tag);
    finding.offset = element->offset;
    finding.has_offset = true;
    finding.vr = element->vr;
    finding.value = element->sequence ? std::string() : std::string(m_object.bytes(*element).substr(0, 64));
    m_findings.push_back(std::move(finding));
  }

  const ReportClass& m_class;
  const Object& m_object;
  std::vector<Finding>& m_findings;
  std::size_t m_found = 0;
};

// What a Key Object Selection refers to, and what it says to have referred to.
class KeyObjectChecks {
 public:
  KeyObjectChecks(const Object& object, std::vector<Finding>& findings) : m_object(object), m_findings(findings) {}

  void run() {
    const Object::Item& root = m_object.root();
    collect_evidence(root);
    const Object::Element* content = m_object.find(root, k_content_sequence);
    std::size_t number = 0;
    for (const Object::Item& item : items_of(root, k_content_sequence)) {
      ++number;
      for (const Object::Item& reference : items_of(item, k_referenced_sop_sequence)) {
        check_reference(reference, number);
      }
    }
    if (m_referenced.empty()) {
      add("kos.no-content", Severity::error, "the Key Object Selection refers to no object", k_content_sequence,
          dicom::to_string(k_content_sequence), content);
    }
    if (m_not_in_evidence != 0) {
      add("kos.content-without-evidence", Severity::error,
          fmt::format("{} objects that it refers to are not in Current Requested Procedure Evidence Sequence",
                      m_not_in_evidence),
          k_referenced_sop_instance, m_first_path, m_first);
    }
    const auto unused = static_cast<std::size_t>(
        std::ranges::count_if(m_evidence, [this](std::string_view uid) { return !m_referenced.contains(uid); }));
    if (unused != 0 && !m_referenced.empty()) {
      add("kos.evidence-without-content", Severity::warning,
          fmt::format("{} objects of Current Requested Procedure Evidence Sequence are not referred to", unused),
          k_evidence, dicom::to_string(k_evidence), m_object.find(root, k_evidence));
    }
  }

 private:
  std::span<const Object::Item> items_of(const Object::Item& item, dicom::Tag tag) const {
    const Object::Element* element = m_object.find(item, tag);
    return element != nullptr && element->sequence ? m_object.items(*element) : std::span<const Object::Item>();
  }

  void collect_evidence(const Object::Item& root) {
    for (const Object::Item& study : items_of(root, k_evidence)) {
      for (const Object::Item& series : items_of(study, k_evidence_series)) {
        for (const Object::Item& reference : items_of(series, k_referenced_sop_sequence)) {
          if (const Object::Element* uid = m_object.find(reference, k_referenced_sop_instance)) {
            m_evidence.insert(m_object.bytes(*uid));
          }
        }
      }
    }
  }

  void check_reference(const Object::Item& reference, std::size_t item) {
    const Object::Element* uid = m_object.find(reference, k_referenced_sop_instance);
    if (uid == nullptr || m_object.bytes(*uid).empty()) {
      return;
    }
    m_referenced.insert(m_object.bytes(*uid));
    if (!m_evidence.contains(m_object.bytes(*uid)) && m_not_in_evidence++ == 0) {
      m_first = uid;
      m_first_path =
          fmt::format("{}[{}]/{}[1]/{}", dicom::to_string(k_content_sequence), item,
                      dicom::to_string(k_referenced_sop_sequence), dicom::to_string(k_referenced_sop_instance));
    }
  }

  void add(std::string_view rule, Severity severity, std::string message, dicom::Tag tag, std::string path,
           const Object::Element* element) {
    Finding finding;
    finding.rule = rule;
    finding.severity = severity;
    finding.message = std::move(message);
    finding.tag = tag;
    finding.tag_path = std::move(path);
    if (element != nullptr) {
      finding.offset = element->offset;
      finding.has_offset = true;
    }
    m_findings.push_back(std::move(finding));
  }

  const Object& m_object;
  std::vector<Finding>& m_findings;
  std::unordered_set<std::string_view> m_evidence;
  std::unordered_set<std::string_view> m_referenced;
  std::size_t m_not_in_evidence = 0;
  const Object::Element* m_first = nullptr;
  std::string m_first_path;
};

}  // namespace

void check_content(std::string_view sop_class, const Object& object, std::vector<Finding>& findings) {
  const auto found = std::ranges::find(k_report_classes, sop_class, &ReportClass::sop_class);
  if (found == std::end(k_report_classes)) {
    return;
  }
  ContentChecks(*found, object, findings).check(object.root(), {});
  if (sop_class == k_report_classes[0].sop_class) {
    KeyObjectChecks(object, findings).run();
  }
}

}  // namespace kuva::rules
