#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dimse/command.hpp>
#include <kuva/dimse/commitment.hpp>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace kuva::dimse {

// Instance Availability Notification (PS3.4 annex R): the archive, as SCU, says which instances can be retrieved.
inline constexpr std::string_view k_availability_sop_class = "1.2.840.10008.5.1.4.33";

struct InstanceAvailability {
  SopReference reference;
  std::string availability;  // ONLINE, NEARLINE, OFFLINE, UNAVAILABLE
  std::string retrieve_ae_title;
};

struct AvailabilityNotification {
  std::string study_instance_uid;
  struct Series {
    std::string series_instance_uid;
    std::vector<InstanceAvailability> instances;
  };
  std::vector<Series> series;
};

dicom::DataSet to_data_set(const AvailabilityNotification& notification);

// What a notification lacks: the status to answer with and the elements.
struct AvailabilityDefect {
  std::uint16_t status = 0x0120;  // missing attribute; 0121: missing value; 0106: a value that is none of the terms
  dicom::Tag element;
};
// By table R.3.2-1. A missing Referenced Performed Procedure Step Sequence (type 2, of no use here) is tolerated.
std::variant<AvailabilityNotification, AvailabilityDefect> read_availability(const dicom::DataSet& data);

// The N-CREATE-RQ of a notification, with a SOP Instance UID of its own.
Command make_availability_command(std::uint16_t message_id, const std::string& sop_instance_uid);

}  // namespace kuva::dimse
