#include <kuva/xds/model.hpp>

#include <algorithm>

namespace kuva::xds {

InternationalString::InternationalString(std::string text) {
  if (!text.empty()) {
    all.push_back({std::move(text), {}, {}});
  }
}

std::string InternationalString::text() const {
  const auto found =
      std::find_if(all.begin(), all.end(), [](const LocalizedString& one) { return !one.value.empty(); });
  return found == all.end() ? std::string() : found->value;
}

bool DocumentEntry::is_manifest() const { return format_code && format_code->code == k_manifest_format; }

bool DocumentEntry::is_delayed() const {
  return size == 0U && std::equal(hash.begin(), hash.end(), k_hash_of_nothing.begin(), k_hash_of_nothing.end(),
                                  [](char a, char b) { return (a >= 'A' && a <= 'F' ? a - 'A' + 'a' : a) == b; });
}

std::vector<std::string> DocumentEntry::references(std::string_view kind) const {
  std::vector<std::string> out;
  std::copy_if(reference_ids.begin(), reference_ids.end(), std::back_inserter(out),
               [&](const std::string& reference) { return parse_cx(reference).kind == kind; });
  return out;
}

std::vector<std::string> DocumentEntry::study_instance_uids() const {
  std::vector<std::string> out;
  for (const std::string& reference : references(reference_type::study_instance_uid)) {
    out.push_back(parse_cx(reference).id);
  }
  return out;
}

}  // namespace kuva::xds
