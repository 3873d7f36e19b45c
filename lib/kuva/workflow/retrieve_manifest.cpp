#include <kuva/kos/codes.hpp>
#include <kuva/workflow/retrieve_manifest.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

std::vector<StudyOrder> orders_of(const kos::Document& manifest, const std::vector<std::string>& series) {
  if (kos::is_rejection_title(manifest.title)) {
    throw Error(kind("retrieve.manifest"),
                fmt::format("it is a rejection note ({}): what it refers to is not to be had", manifest.title.meaning));
  }
  std::vector<StudyOrder> orders;
  bool has_references = false;
  for (const kos::Reference& reference : kos::references(manifest, true)) {
    has_references = true;
    if (!series.empty() && std::find(series.begin(), series.end(), reference.series_instance_uid) == series.end()) {
      continue;
    }
    auto order = std::find_if(orders.begin(), orders.end(), [&reference](const StudyOrder& one) {
      return one.study == reference.study_instance_uid;
    });
    if (order == orders.end()) {
      order = orders.emplace(orders.end());
      order->study = reference.study_instance_uid;
      order->closed = true;
    }
    WantedInstance instance;
    instance.sop_instance_uid = reference.sop_instance_uid;
    instance.series = reference.series_instance_uid;
    instance.sop_class_uid = reference.sop_class_uid;
    instance.location = reference.retrieve_location_uid;
    instance.url = reference.retrieve_url;
    order->instances.push_back(std::move(instance));
  }
  if (!has_references) {
    throw Error(kind("retrieve.manifest"), "it refers to nothing");
  }
  return orders;
}

}  // namespace kuva::workflow
