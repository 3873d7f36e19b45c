#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/availability.hpp>

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::dimse;

namespace {

AvailabilityNotification notification() {
  return {"1.2",
          {{"1.2.1", {{{"1.9", "1.2.1.1"}, "ONLINE", "ARCHIVE"}, {{"1.9", "1.2.1.2"}, "UNAVAILABLE", "ARCHIVE"}}},
           {"1.2.2", {{{"1.9", "1.2.2.1"}, "NEARLINE", "ARCHIVE"}}}}};
}

std::uint16_t status_of(const dicom::DataSet& data) {
  const auto read = read_availability(data);
  const auto* const defect = std::get_if<AvailabilityDefect>(&read);
  return defect == nullptr ? std::uint16_t{0} : defect->status;
}

// The first item of the first series, to break it.
dicom::DataSet with_first_item(dicom::Tag tag, std::string_view value) {
  AvailabilityNotification content = notification();
  InstanceAvailability& instance = content.series.front().instances.front();
  if (tag == dicom::tags::instance_availability) {
    instance.availability = value;
  } else if (tag == dicom::tags::retrieve_ae_title) {
    instance.retrieve_ae_title = value;
  } else {
    instance.reference.sop_instance_uid = value;
  }
  return to_data_set(content);
}

}  // namespace

TEST_CASE("a notification survives its encoding") {
  const auto syntax = dicom::transfer_syntax(dicom::k_implicit_vr_little_endian);
  const std::string bytes = to_data_set(notification()).encode(syntax);
  const auto read =
      read_availability(dicom::DataSet::decode(std::as_bytes(std::span(bytes.data(), bytes.size())), syntax));
  REQUIRE(std::holds_alternative<AvailabilityNotification>(read));
  const auto& content = std::get<AvailabilityNotification>(read);
  CHECK(content.study_instance_uid == "1.2");
  REQUIRE(content.series.size() == 2);
  CHECK(content.series[0].instances[1].availability == "UNAVAILABLE");
  CHECK(content.series[1].instances[0].reference.sop_instance_uid == "1.2.2.1");
  CHECK(content.series[1].instances[0].retrieve_ae_title == "ARCHIVE");
}

TEST_CASE("what is missing is told by status and element") {
  CHECK(status_of(to_data_set(notification())) == 0x0000);
  CHECK(status_of({}) == 0x0120);
  dicom::DataSet no_series = to_data_set(notification());
  no_series.set_empty_sequence(dicom::tags::referenced_series_sequence);
  CHECK(status_of(no_series) == 0x0121);
  dicom::DataSet no_study = to_data_set(notification());
  no_study.set_empty(dicom::tags::study_instance_uid);
  CHECK(status_of(no_study) == 0x0121);
  CHECK(status_of(with_first_item(dicom::tags::instance_availability, "")) == 0x0121);
  CHECK(status_of(with_first_item(dicom::tags::instance_availability, "THERE")) == 0x0106);
  CHECK(status_of(with_first_item(dicom::tags::retrieve_ae_title, "")) == 0x0121);
  CHECK(status_of(with_first_item(dicom::tags::sop_instance_uid, "")) == 0x0121);
  dicom::DataSet no_steps = to_data_set(notification());
  no_steps.erase(dicom::tags::referenced_performed_procedure_step_sequence);
  CHECK(status_of(no_steps) == 0x0000);
}
