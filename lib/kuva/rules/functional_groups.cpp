#include <kuva/dicom/dictionary.hpp>
#include <kuva/rules/functional_groups.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>

namespace kuva::rules {

namespace {

using GroupUsage = StandardTables::Usage;

constexpr dicom::Tag k_shared_groups{0x5200, 0x9229};
constexpr dicom::Tag k_frame_groups{0x5200, 0x9230};
constexpr dicom::Tag k_frame_content{0x0020, 0x9111};
constexpr dicom::Tag k_dimension_index_values{0x0020, 0x9157};
constexpr dicom::Tag k_organization_uid{0x0020, 0x9164};
constexpr dicom::Tag k_index_pointer{0x0020, 0x9165};
constexpr dicom::Tag k_group_pointer{0x0020, 0x9167};
constexpr dicom::Tag k_organizations{0x0020, 0x9221};
constexpr dicom::Tag k_dimension_indices{0x0020, 0x9222};

class FunctionalGroups {
 public:
  FunctionalGroups(const StandardTables& tables, const Object& object, std::vector<Finding>& findings)
      : m_tables(tables), m_object(object), m_findings(findings) {
    m_shared = items_of(object.root(), k_shared_groups);
    m_frames = items_of(object.root(), k_frame_groups);
  }

  void run(const StandardTables::Iod& iod) {
    if (m_shared.empty() && m_frames.empty()) {
      return;
    }
    check_frame_count();
    for (const StandardTables::GroupUse& use : iod.groups) {
      check_group(use);
    }
    check_dimensions();
  }

 private:
  std::span<const Object::Item> items_of(const Object::Item& item, dicom::Tag tag) const {
    const Object::Element* element = m_object.find(item, tag);
    return element != nullptr && element->sequence ? m_object.items(*element) : std::span<const Object::Item>();
  }

  std::optional<double> number_of(const Object::Item& item, dicom::Tag tag) const {
    const Object::Element* element = m_object.find(item, tag);
    const std::vector<double> numbers = element == nullptr ? std::vector<double>() : m_object.numbers(*element);
    return numbers.size() == 1 ? std::optional(numbers.front()) : std::nullopt;
  }

  std::string_view text_of(const Object::Item& item, dicom::Tag tag) const {
    const Object::Element* element = m_object.find(item, tag);
    return element == nullptr ? std::string_view() : m_object.bytes(*element);
  }

  bool is_shared(dicom::Tag tag) const {
    return std::ranges::any_of(m_shared, [&](const Object::Item& item) { return m_object.find(item, tag) != nullptr; });
  }

  // The number of the first frame, from 1, whose groups have it, or have it not; nothing where there is none.
  std::optional<std::size_t> first_frame(dicom::Tag tag, bool has_it) const {
    const auto found = std::ranges::find_if(
        m_frames, [&](const Object::Item& item) { return (m_object.find(item, tag) != nullptr) == has_it; });
    return found == m_frames.end() ? std::nullopt
                                   : std::optional<std::size_t>(static_cast<std::size_t>(found - m_frames.begin()) + 1);
  }

  void check_frame_count() {
    const auto frames = number_of(m_object.root(), dicom::tags::number_of_frames);
    if (!m_frames.empty() && frames && *frames != static_cast<double>(m_frames.size())) {
      add("fg.frame-count", Severity::error,
          fmt::format("{} frames, and functional groups of {}", *frames, m_frames.size()), k_frame_groups, {}, nullptr);
    }
  }

  void check_group(const StandardTables::GroupUse& use) {
    const std::string name = dicom::name_of(use.sequence);
    const bool shared = is_shared(use.sequence);
    const auto with = first_frame(use.sequence, true);
    const auto without = first_frame(use.sequence, false);
    if (shared && with) {
      add("fg.in-both", Severity::error,
          fmt::format("{} is among the shared functional groups and among those of frame {}", name, *with),
          use.sequence, frame_path(*with), &frame(*with));
      return;
    }
    if (shared && use.sequence == k_frame_content) {
      add("fg.frame-content-shared", Severity::error, fmt::format("{} is among the shared functional groups", name),
          use.sequence, shared_path(), &m_shared.front());
      return;
    }
    if (shared || (with && !without)) {
      return;
    }
    const bool mandatory = use.usage == GroupUsage::mandatory;
    const bool required = mandatory || (use.usage == GroupUsage::conditional && use.condition >= 0 &&
                                        m_tables.condition(use.condition).evaluate(m_object, m_object.root()));
    if (with) {
      // What a condition asks of some frames others need not have: its sentence is about the object.
      add("fg.not-in-every-frame", mandatory ? Severity::error : Severity::info,
          fmt::format("{} is among the functional groups of frame {} and not of frame {}", name, *with, *without),
          use.sequence, frame_path(*without), &frame(*without));
    } else if (required) {
      const bool in_shared = !m_shared.empty();
      add("fg.absent", Severity::error, fmt::format("no functional groups have {}", name), use.sequence,
          in_shared ? shared_path() : frame_path(1), in_shared ? &m_shared.front() : &frame(1));
    }
  }

  void check_dimensions() {
    const std::span<const Object::Item> indices = items_of(m_object.root(), k_dimension_indices);
    const std::span<const Object::Item> organizations = items_of(m_object.root(), k_organizations);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::string path = fmt::format("{}[{}]/", dicom::to_string(k_dimension_indices), i + 1);
      const std::string_view uid = text_of(indices[i], k_organization_uid);
      const bool is_declared = uid.empty() || std::ranges::any_of(organizations, [&](const Object::Item& item) {
                                 return text_of(item, k_organization_uid) == uid;
                               });
      if (!is_declared) {
        add("fg.dimension-organization", Severity::error,
            "a dimension index is of an organization that Dimension Organization Sequence does not declare",
            k_organization_uid, path, &indices[i]);
      }
      check_pointer(indices[i], path);
    }
    check_index_values(indices.size());
  }

  // A dimension that is an attribute of a functional group needs that group, and the attribute in each of its items.
  void check_pointer(const Object::Item& index, const std::string& path) {
    const auto group = number_of(index, k_group_pointer);
    // Without groups of frames the dimensions are implied (TILED_FULL).
    if (m_frames.empty() || !group || number_of(index, k_index_pointer).value_or(0) == *group) {
      return;
    }
    const auto packed = static_cast<std::uint32_t>(*group);
    const dicom::Tag tag{static_cast<std::uint16_t>(packed >> 16), static_cast<std::uint16_t>(packed & 0xFFFFU)};
    if (!tag.is_private() && !is_shared(tag) && !first_frame(tag, true)) {
      add("fg.dimension-pointer", Severity::error,
          fmt::format("a dimension index points at {}, and no functional groups have it", dicom::name_of(tag)),
          k_group_pointer, path, &index);
    }
  }

  void check_index_values(std::size_t dimensions) {
    for (std::size_t i = 0; i < m_frames.size(); ++i) {
      for (const Object::Item& content : items_of(m_frames[i], k_frame_content)) {
        const Object::Element* values = m_object.find(content, k_dimension_index_values);
        if (values != nullptr && m_object.count(*values) != dimensions) {
          add("fg.dimension-count", Severity::error,
              fmt::format("frame {} has {} dimension index values, Dimension Index Sequence {} dimensions", i + 1,
                          m_object.count(*values).value_or(0), dimensions),
              k_dimension_index_values, frame_path(i + 1) + dicom::to_string(k_frame_content) + "[1]/", &content);
          return;
        }
      }
    }
  }

  const Object::Item& frame(std::size_t number) const { return m_frames[number - 1]; }
  static std::string frame_path(std::size_t number) {
    return fmt::format("{}[{}]/", dicom::to_string(k_frame_groups), number);
  }
  static std::string shared_path() { return dicom::to_string(k_shared_groups) + "[1]/"; }

  void add(std::string_view rule, Severity severity, std::string message, dicom::Tag tag, const std::string& path,
           const Object::Item* item) {
    Finding finding;
    finding.rule = rule;
    finding.severity = severity;
    finding.message = std::move(message);
    finding.tag = tag;
    finding.tag_path = path + dicom::to_string(tag);
    const Object::Element* element = m_object.find(item == nullptr ? m_object.root() : *item, tag);
    if (element != nullptr || item != nullptr) {
      finding.offset = element != nullptr ? element->offset : item->offset;
      finding.has_offset = true;
    }
    m_findings.push_back(std::move(finding));
  }

  const StandardTables& m_tables;
  const Object& m_object;
  std::vector<Finding>& m_findings;
  std::span<const Object::Item> m_shared;
  std::span<const Object::Item> m_frames;
};

}  // namespace

void check_functional_groups(const StandardTables& tables, const StandardTables::Iod& iod, const Object& object,
                             std::vector<Finding>& findings) {
  FunctionalGroups(tables, object, findings).run(iod);
}

}  // namespace kuva::rules
