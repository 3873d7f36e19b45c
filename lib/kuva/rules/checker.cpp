#include <kuva/core/patient_id.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/rules/checker.hpp>
#include <kuva/rules/content_checks.hpp>
#include <kuva/rules/functional_groups.hpp>
#include <kuva/rules/standard.hpp>
#include <kuva/rules/values.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <tuple>

namespace kuva::rules {

namespace {

using Type = StandardTables::Type;
using Usage = StandardTables::Usage;

// The last tag of "0040,A730[2]/0008,0100".
dicom::Tag last_tag(std::string_view path) {
  path = path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
  unsigned group = 0;
  unsigned element = 0;
  if (path.size() < 9) {
    return {};
  }
  std::from_chars(path.data(), path.data() + 4, group, 16);
  std::from_chars(path.data() + 5, path.data() + 9, element, 16);
  return {static_cast<std::uint16_t>(group), static_cast<std::uint16_t>(element)};
}

Finding more_findings() {
  Finding more;
  more.severity = Severity::info;
  more.rule = "inspection.more";
  more.message = "more findings about attributes are not listed";
  return more;
}

// The modules of the object's IOD (PS3.3 A), attribute by attribute.
class IodChecks {
 public:
  IodChecks(const StandardTables& tables, const Object& object, std::vector<Finding>& findings)
      : m_tables(tables), m_object(object), m_findings(findings) {}

  void run(const StandardTables::Iod& iod) {
    for (const StandardTables::ModuleUse& use : iod.modules) {
      const StandardTables::Module& module = m_tables.module(use.module);
      if (module.rows < 0) {
        continue;
      }
      bool required = use.usage == Usage::mandatory;
      if (use.usage == Usage::conditional && use.condition >= 0) {
        required = m_tables.condition(use.condition).evaluate(m_object, m_object.root());
      }
      if (required || is_there(use)) {
        m_module = &module;
        m_required = required;
        check(module.rows, m_object.root(), {});
      }
    }
    // A stricter module may have spoken after a milder one: each attribute is reported once.
    std::vector<Finding> found;
    found.reserve(m_found.size());
    for (auto& [key, finding] : m_found) {
      found.push_back(std::move(finding));
    }
    std::ranges::stable_sort(found, {}, [](const Finding& f) { return std::pair(f.offset, f.tag); });
    if (found.size() > Checker::k_most_findings) {
      found.resize(Checker::k_most_findings);
      found.push_back(more_findings());
    }
    std::ranges::move(found, std::back_inserter(m_findings));
  }

 private:
  bool is_there(const StandardTables::ModuleUse& use) const {
    return std::ranges::any_of(use.telling,
                               [this](dicom::Tag tag) { return m_object.find(m_object.root(), tag) != nullptr; });
  }

  void check(std::int32_t rows, const Object::Item& item, const std::string& path) {
    for (const StandardTables::Row& row : m_tables.rows(rows)) {
      const Object::Element* element = m_object.find(item, row.tag);
      check_type(row, element, item, path);
      if (element == nullptr) {
        continue;
      }
      if (row.values >= 0) {
        check_values(row, *element, item, path);
      }
      if (row.items >= 0 && element->sequence) {
        std::size_t number = 0;
        for (const Object::Item& inner : m_object.items(*element)) {
          check(row.items, inner, fmt::format("{}{}[{}]/", path, dicom::to_string(row.tag), ++number));
        }
      }
    }
  }

  void check_type(const StandardTables::Row& row, const Object::Element* element, const Object::Item& item,
                  const std::string& path) {
    if (row.type == Type::three) {
      return;
    }
    const bool conditional = row.type == Type::one_conditional || row.type == Type::two_conditional;
    const bool may_be_empty = row.type == Type::two || row.type == Type::two_conditional;
    if (element != nullptr) {
      if (!may_be_empty && !m_object.filled(*element)) {
        add(conditional ? "iod.type1c-empty" : "iod.type1-empty", "has no value", row.tag, element, item, path);
      }
      return;
    }
    if (conditional && (row.condition < 0 || !m_tables.condition(row.condition).evaluate(m_object, item))) {
      return;
    }
    static constexpr std::string_view k_rules[] = {"iod.type1-absent", "iod.type1c-absent", "iod.type2-absent",
                                                   "iod.type2c-absent"};
    add(k_rules[static_cast<std::size_t>(row.type)], "is absent", row.tag, nullptr, item, path);
  }

  void check_values(const StandardTables::Row& row, const Object::Element& element, const Object::Item& item,
                    const std::string& path) {
    const std::vector<std::string>& allowed = m_tables.values(row.values);
    const auto is_allowed = [&](std::string_view value) { return std::ranges::find(allowed, value) != allowed.end(); };
    const auto is_allowed_number = [&](double value) {
      return std::ranges::any_of(allowed, [value](const std::string& text) { return number_of(text) == value; });
    };
    bool good = true;
    // Several values of an attribute of one are the matter of vm.count.
    if (const std::vector<double> numbers = m_object.numbers(element); !numbers.empty()) {
      good = numbers.size() != 1 || is_allowed_number(numbers.front());
    } else if (dicom::is_string(element.vr)) {
      const std::vector<std::string_view> values = m_object.texts(element);
      good = values.size() != 1 || values.front().empty() || is_allowed(values.front());
    }
    if (!good) {
      add(row.closed ? "iod.enumerated" : "iod.defined-term",
          row.closed ? "has a value that is not one of those enumerated" : "has a value that is not a defined term",
          row.tag, &element, item, path);
    }
  }

  void add(std::string_view rule, std::string_view what, dicom::Tag tag, const Object::Element* element,
           const Object::Item& item, const std::string& path) {
    if (m_found.size() > k_most_collected) {
      return;
    }
    const Check* check = find_check(rule);
    Finding finding;
    finding.rule = rule;
    finding.severity = check->severity;
    if (!m_required && finding.severity == Severity::error) {
      finding.severity = Severity::warning;  // that the module is meant is a guess
    }
    finding.message = fmt::format("{} of the module {} {}", dicom::name_of(tag), m_module->name, what);
    finding.tag = tag;
    finding.tag_path = path + dicom::to_string(tag);
    finding.offset = element != nullptr ? element->offset : item.offset;
    finding.has_offset = element != nullptr || item.offset != 0;
    finding.section = m_module->table == "-" ? "PS3.3" : fmt::format("PS3.3 Table {}", m_module->table);
    if (element != nullptr) {
      finding.vr = element->vr;
      finding.value = m_object.bytes(*element).substr(0, 64);
    }
    const bool about_presence = rule.starts_with("iod.type");
    const auto key = std::tuple(finding.tag_path, about_presence ? 0 : rule == "iod.enumerated" ? 1 : 2);
    const auto [entry, added] = m_found.try_emplace(key, finding);
    if (!added && (finding.severity < entry->second.severity ||
                   (finding.severity == entry->second.severity && finding.rule < entry->second.rule))) {
      entry->second = std::move(finding);
    }
  }

  // So many wait to be put in order; an object that breaks more is not worth the memory.
  static constexpr std::size_t k_most_collected = 10 * Checker::k_most_findings;

  const StandardTables& m_tables;
  const Object& m_object;
  std::vector<Finding>& m_findings;
  const StandardTables::Module* m_module = nullptr;
  bool m_required = false;
  std::map<std::tuple<std::string, int>, Finding> m_found;
};

// Six digits, something, three digits, something: meant as a personal identity code, whatever is wrong with it.
bool looks_like_hetu(std::string_view text) {
  const auto are_digits = [text](std::size_t at, std::size_t count) {
    return std::ranges::all_of(text.substr(at, count), [](char c) { return c >= '0' && c <= '9'; });
  };
  return text.size() == 11 && are_digits(0, 6) && !are_digits(6, 1) && are_digits(7, 3);
}

// Native pixel data of more than eight bits is in words (PS3.5 A.2).
std::optional<Finding> pixel_vr_defect(const Object& object) {
  const Object::Element* pixels = object.find(object.root(), dicom::tags::pixel_data);
  const Object::Element* bits = object.find(object.root(), {0x0028, 0x0100});
  if (pixels == nullptr || bits == nullptr || pixels->vr != dicom::Vr::OB || pixels->sequence ||
      pixels->length == 0xFFFFFFFF) {
    return std::nullopt;
  }
  const std::vector<double> allocated = object.numbers(*bits);
  if (allocated.size() != 1 || allocated.front() <= 8) {
    return std::nullopt;
  }
  Finding finding;
  finding.rule = "vr.mismatch";
  finding.message = "native pixel data of more than 8 bits is in OB";
  finding.tag = dicom::tags::pixel_data;
  finding.tag_path = dicom::to_string(finding.tag);
  finding.offset = pixels->offset;
  finding.has_offset = true;
  finding.vr = pixels->vr;
  finding.section = "PS3.5 A.2";
  return finding;
}

// The rules of the profile's own, each against the object.
class RuleChecks {
 public:
  RuleChecks(const Profile& profile, const Object& object, std::vector<Finding>& findings, std::vector<Fact>& facts)
      : m_profile(profile), m_object(object), m_findings(findings), m_facts(facts) {}

  void run() {
    for (const Rule& rule : m_profile.rules) {
      if (!rule.when || rule.when->evaluate(m_object, m_object.root())) {
        apply(rule);
      }
    }
  }

 private:
  void apply(const Rule& rule) {
    switch (rule.kind) {
      case Rule::Kind::present:
      case Rule::Kind::filled:
        check_presence(rule);
        break;
      case Rule::Kind::absent:
        each(rule, [&](const Object::Element& element) { add(rule, &element); });
        break;
      case Rule::Kind::values:
        if (!rule.values.empty()) {
          each_text(rule, [&](std::string_view text) {
            return std::ranges::any_of(rule.values, [&](const std::string& value) {
              return rule.prefix == 0 ? text == value : text.substr(0, rule.prefix) == value;
            });
          });
        }
        break;
      case Rule::Kind::matches:
        each_text(rule, [&](std::string_view text) { return rule.matches(text); });
        break;
      case Rule::Kind::uid:
        each_text(rule, [&](std::string_view text) {
          return !dicom::uid_defect(dicom::trim_uid(text)) && text.starts_with(rule.root);
        });
        break;
      case Rule::Kind::hetu:
        each_text(rule, [](std::string_view text) { return !looks_like_hetu(text) || !hetu_defect(text); });
        break;
      case Rule::Kind::hetu_birth_date:
        check_birth_date(rule);
        break;
      case Rule::Kind::expression:
        if (rule.test->truth(m_object, m_object.root()) == Expression::Truth::no) {
          const Object::Element* element =
              rule.path.tags.size() == 1 ? m_object.find(m_object.root(), rule.path.tags.front()) : nullptr;
          add(rule, element);
        }
        break;
      case Rule::Kind::consistent: {
        Fact fact{&rule, {}};
        each(rule, [&](const Object::Element& element) { fact.value = m_object.bytes(element); });
        m_facts.push_back(std::move(fact));
        break;
      }
    }
  }

  // The date in a personal identity code is what its separator and six digits say, the wrong century with a wrong
  // separator. Identity codes that are none are the matter of Kind::hetu.
  void check_birth_date(const Rule& rule) {
    const Object::Element* id = m_object.find(m_object.root(), dicom::tags::patient_id);
    const auto hetu = id == nullptr ? std::nullopt : read_hetu(m_object.bytes(*id));
    if (!hetu) {
      return;
    }
    const std::string expected =
        fmt::format("{:04}{:02}{:02}", static_cast<int>(hetu->birth_date.year()),
                    static_cast<unsigned>(hetu->birth_date.month()), static_cast<unsigned>(hetu->birth_date.day()));
    each_text(rule, [&](std::string_view text) { return text == expected; });
  }

  template <typename Visit>
  void each(const Rule& rule, const Visit& visit) const {
    rule.path.for_each(m_object, m_object.root(), [&](const Object::Element& element, const Object::Item&) {
      visit(element);
      return true;
    });
  }

  template <typename Good>
  void each_text(const Rule& rule, const Good& good) {
    each(rule, [&](const Object::Element& element) {
      const auto bad = [&](std::string_view text) { return !text.empty() && !good(text); };
      bool broken = false;
      if (dicom::is_string(element.vr)) {
        broken = std::ranges::any_of(m_object.texts(element), bad);
      } else {
        broken = std::ranges::any_of(m_object.numbers(element), [&](double n) { return bad(fmt::format("{}", n)); });
      }
      if (broken) {
        add(rule, &element);
      }
    });
  }

  // Every item on the way must have it; a sequence on the way that is not there is another rule's matter.
  void check_presence(const Rule& rule) {
    const AttributePath& path = rule.path;
    const bool wants_value = rule.kind == Rule::Kind::filled;
    const auto check = [&](const Object::Item& item) {
      const Object::Element* element = m_object.find(item, path.tags.back());
      if (element == nullptr || (wants_value && !m_object.filled(*element))) {
        add(rule, element);
      }
    };
    if (path.tags.size() == 1) {
      check(m_object.root());
      return;
    }
    AttributePath sequence = path;
    sequence.tags.pop_back();
    sequence.for_each(m_object, m_object.root(), [&](const Object::Element& element, const Object::Item&) {
      for (const Object::Item& item : m_object.items(element)) {
        check(item);
      }
      return true;
    });
  }

  void add(const Rule& rule, const Object::Element* element) {
    if (++m_found > Checker::k_most_findings) {
      if (m_found == Checker::k_most_findings + 1) {
        m_findings.push_back(more_findings());
      }
      return;
    }
    Finding finding;
    finding.severity = rule.severity;
    finding.rule = rule.id;
    finding.message = rule.message;
    if (!rule.path.tags.empty()) {
      for (const dicom::Tag tag : rule.path.tags) {
        finding.tag_path += (finding.tag_path.empty() ? "" : "/") + dicom::to_string(tag);
      }
      finding.tag = rule.path.tags.back();
    }
    if (element != nullptr) {
      finding.offset = element->offset;
      finding.has_offset = finding.tag != dicom::tags::transfer_syntax_uid;
      finding.vr = element->vr;
      finding.value = m_object.bytes(*element).substr(0, 64);
    }
    m_findings.push_back(std::move(finding));
  }

  const Profile& m_profile;
  const Object& m_object;
  std::vector<Finding>& m_findings;
  std::vector<Fact>& m_facts;
  std::size_t m_found = 0;
};

// What a rejection note names: a Key Object Selection with one of the titles of IOCM (RAD TF-3 4.66.4.1.3).
std::vector<std::string> rejected_by(const Object& object) {
  static const Expression k_is_rejection = Expression::parse(
      "SOPClassUID = \"1.2.840.10008.5.1.4.1.1.88.59\" and ConceptNameCodeSequence.CodingSchemeDesignator = \"DCM\" "
      "and "
      "ConceptNameCodeSequence.CodeValue in [\"113001\", \"113037\", \"113038\", \"113039\"]");
  static const AttributePath k_instances = AttributePath::parse(
      "CurrentRequestedProcedureEvidenceSequence.ReferencedSeriesSequence.ReferencedSOPSequence."
      "ReferencedSOPInstanceUID");
  std::vector<std::string> rejected;
  if (k_is_rejection.evaluate(object, object.root())) {
    k_instances.for_each(object, object.root(), [&](const Object::Element& element, const Object::Item&) {
      rejected.emplace_back(object.bytes(element));
      return true;
    });
  }
  return rejected;
}

// An identifier or pixel data that is missing is said by the checks of the file; the IOD says no more of it.
void drop_repeated(std::vector<Finding>& findings) {
  std::vector<dicom::Tag> said;
  for (const Finding& finding : findings) {
    if (finding.rule == "uid.missing" || finding.rule == "pixel.missing") {
      said.push_back(finding.tag);
    }
  }
  std::erase_if(findings, [&said](const Finding& finding) {
    return finding.rule.starts_with("iod.type") && finding.tag_path.size() == 9 &&
           std::ranges::find(said, finding.tag) != said.end();
  });
}

}  // namespace

Checker::Checker(const Profile& profile) : m_profile(profile) {
  if (profile.checks_values) {
    m_values.emplace(StandardTables::get(), m_findings);
  }
}

void Checker::event(dicom::DataSetReader& reader, dicom::DataSetReader::Event event) {
  m_builder.event(reader, event);
  if (m_values) {
    m_values->event(reader, event);
  }
}

Finding to_finding(const dicom::Defect& defect) {
  Finding finding;
  finding.severity = defect.severity;
  finding.rule = defect.rule;
  finding.message = defect.message;
  finding.tag_path = defect.tag_path;
  finding.tag = last_tag(defect.tag_path);
  finding.offset = defect.offset;
  finding.has_offset = !defect.tag_path.empty();
  return finding;
}

bool complete(Finding& finding, const Profile& profile) {
  const std::optional<Severity> severity = profile.severity_of(finding.rule, finding.severity);
  if (!severity) {
    return false;
  }
  finding.severity = *severity;
  if (const Check* check = find_check(finding.rule)) {
    if (finding.section.empty()) {
      finding.section = check->section;
    }
    finding.hint = check->hint;
  } else if (const Rule* rule = profile.find(finding.rule)) {
    finding.section = rule->section.empty() ? rule->source : rule->section;
    finding.hint = rule->hint;
  }
  if (const auto code = profile.codes.find(finding.rule); code != profile.codes.end()) {
    finding.code = code->second;
  }
  return true;
}

Checker::Result Checker::finish(const dicom::Inspection& inspection) {
  Result result;
  for (const dicom::Defect& defect : inspection.defects) {
    result.findings.push_back(to_finding(defect));
  }
  const bool whole = inspection.complete;
  const Object object = m_builder.finish(inspection.header.attributes.transfer_syntax_uid, whole);
  std::ranges::move(m_findings, std::back_inserter(result.findings));
  if (object.complete()) {
    if (m_profile.checks_values) {
      if (auto finding = pixel_vr_defect(object)) {
        result.findings.push_back(std::move(*finding));
      }
    }
    if (m_profile.checks_iods) {
      const StandardTables& tables = StandardTables::get();
      const std::string& sop_class = inspection.header.attributes.sop_class_uid;
      check_content(sop_class, object, result.findings);
      if (const StandardTables::Iod* iod = tables.iod_of(sop_class)) {
        IodChecks(tables, object, result.findings).run(*iod);
        check_functional_groups(tables, *iod, object, result.findings);
      } else if (!sop_class.empty()) {
        Finding finding;
        finding.severity = Severity::info;
        finding.rule = "iod.unknown";
        finding.message = "the tables have no IOD for this SOP class";
        result.findings.push_back(std::move(finding));
      }
    }
    RuleChecks(m_profile, object, result.findings, result.facts).run();
    result.rejected = rejected_by(object);
  } else {
    Finding finding;
    finding.severity = Severity::info;
    finding.rule = "rules.partial";
    finding.message = "rules about attributes were not applied: the object was not read whole";
    result.findings.push_back(std::move(finding));
  }
  drop_repeated(result.findings);
  std::erase_if(result.findings, [this](Finding& finding) { return !complete(finding, m_profile); });
  return result;
}

}  // namespace kuva::rules
