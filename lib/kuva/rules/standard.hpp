#pragma once

#include <kuva/rules/expression.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kuva::rules {

// How many values an attribute may have (PS3.6): from `least` to `most` (0: any number) in steps.
struct Multiplicity {
  unsigned least = 1;
  unsigned most = 1;
  unsigned step = 1;

  bool allows(std::size_t count) const;
};
std::string to_string(const Multiplicity& multiplicity);

// What PS3.3 says of IODs, modules and attributes, and PS3.6 of multiplicities: share/profiles/standard-tables.txt.
class StandardTables {
 public:
  enum class Type : std::uint8_t { one, one_conditional, two, two_conditional, three };

  struct Row {
    dicom::Tag tag;
    Type type = Type::three;
    bool closed = false;          // `values` are all that there are (enumerated); else defined terms
    std::int32_t condition = -1;  // of conditions(); -1: none, or one that cannot be evaluated
    std::int32_t values = -1;     // of value_lists()
    std::int32_t items = -1;      // of templates(): the items of the sequence
  };
  using Template = std::vector<Row>;  // ascending by tag

  struct Module {
    std::string name;
    std::string table;  // of PS3.3, "C.7-1"
    std::int32_t rows = -1;
  };
  enum class Usage : std::uint8_t { mandatory, conditional, user };
  struct ModuleUse {
    Usage usage = Usage::user;
    std::int32_t condition = -1;
    std::uint32_t module = 0;
    // Attributes that only this module of the IOD has: one of them says that the module is there.
    std::vector<dicom::Tag> telling;
  };
  // A functional group macro of the IOD, by its sequence (PS3.3 A.36.1.4 and the like).
  struct GroupUse {
    Usage usage = Usage::user;
    std::int32_t condition = -1;
    dicom::Tag sequence;
  };
  struct Iod {
    std::string name;
    std::vector<ModuleUse> modules;
    std::vector<GroupUse> groups;
  };

  // Made once, when first asked for; the text is part of the library.
  static const StandardTables& get();
  // Errors: Error internal with the line.
  explicit StandardTables(std::string_view text);

  std::string_view edition() const { return m_edition; }
  // nullptr for a SOP class without an IOD in the tables: private, retired or newer.
  const Iod* iod_of(std::string_view sop_class_uid) const;
  const Module& module(std::uint32_t number) const { return m_modules[number]; }
  std::span<const Row> rows(std::int32_t number) const { return m_templates[static_cast<std::size_t>(number)]; }
  const Expression& condition(std::int32_t number) const { return m_conditions[static_cast<std::size_t>(number)]; }
  const std::vector<std::string>& values(std::int32_t number) const {
    return m_values[static_cast<std::size_t>(number)];
  }
  Multiplicity multiplicity(dicom::Tag tag) const;

  // What cannot be checked, "module attribute type" a line, and how many conditions can.
  struct Coverage {
    std::size_t evaluated = 0;
    std::vector<std::string> not_checked;
  };
  Coverage coverage() const;

 private:
  void read_line(std::string_view line);
  void read_row(std::string_view line);
  void read_iod(std::string_view line);
  void read_groups(std::string_view line);
  void find_telling(Iod& iod) const;
  std::int32_t template_number(std::string_view name);

  std::string m_edition;
  std::vector<Module> m_modules;
  std::unordered_map<std::string, std::uint32_t> m_module_numbers;
  std::vector<Template> m_templates;
  std::unordered_map<std::string, std::int32_t> m_template_numbers;
  std::int32_t m_open_template = -1;
  std::vector<Expression> m_conditions;  // by number - 1
  std::vector<std::vector<std::string>> m_values;
  std::unordered_map<std::string, std::int32_t> m_value_numbers;
  std::unordered_map<std::string, std::string> m_sop_classes;
  std::vector<std::string> m_groups_not_checked;
  mutable std::mutex m_mutex;  // of the IODs' telling attributes, found when first needed
  mutable std::unordered_map<std::string, std::unique_ptr<Iod>> m_iods;
  mutable std::unordered_map<std::string, bool> m_prepared;
  std::vector<std::pair<dicom::Tag, Multiplicity>> m_multiplicities;
};

}  // namespace kuva::rules
