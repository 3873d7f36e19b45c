#include <kuva/dicom/query_tags.hpp>
#include <kuva/dimse/availability.hpp>

#include <array>

namespace kuva::dimse {

namespace {

constexpr std::uint16_t k_invalid_value = 0x0106;
constexpr std::uint16_t k_missing_attribute = 0x0120;
constexpr std::uint16_t k_missing_value = 0x0121;

// Values of a data set's elements, and what is wrong with the first that is not as it must be.
class Mandatory {
 public:
  std::string text(const dicom::DataSet& data, dicom::Tag tag) {
    std::string value = data.string(tag);
    if (value.empty()) {
      note(data, tag);
    }
    return value;
  }

  const std::vector<dicom::DataSet>& items(const dicom::DataSet& data, dicom::Tag tag) {
    static const std::vector<dicom::DataSet> k_none;
    const std::vector<dicom::DataSet>* const found = data.items(tag);
    if (found == nullptr || found->empty()) {
      note(data, tag);
      return k_none;
    }
    return *found;
  }

  void note(AvailabilityDefect defect) {
    if (!m_defect) {
      m_defect = defect;
    }
  }
  const std::optional<AvailabilityDefect>& defect() const { return m_defect; }

 private:
  void note(const dicom::DataSet& data, dicom::Tag tag) {
    note({data.has(tag) ? k_missing_value : k_missing_attribute, tag});
  }

  std::optional<AvailabilityDefect> m_defect;
};

bool is_availability(std::string_view value) {
  constexpr auto k_terms = std::to_array<std::string_view>({"ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"});
  return std::find(k_terms.begin(), k_terms.end(), value) != k_terms.end();
}

}  // namespace

dicom::DataSet to_data_set(const AvailabilityNotification& notification) {
  dicom::DataSet data;
  data.set_empty_sequence(dicom::tags::referenced_performed_procedure_step_sequence);
  data.set_string(dicom::tags::study_instance_uid, notification.study_instance_uid);
  data.set_empty_sequence(dicom::tags::referenced_series_sequence);
  for (const AvailabilityNotification::Series& series : notification.series) {
    dicom::DataSet& item = data.add_item(dicom::tags::referenced_series_sequence);
    item.set_string(dicom::tags::series_instance_uid, series.series_instance_uid);
    item.set_empty_sequence(dicom::tags::referenced_sop_sequence);
    for (const InstanceAvailability& instance : series.instances) {
      dicom::DataSet& reference = item.add_item(dicom::tags::referenced_sop_sequence);
      reference.set_string(dicom::tags::referenced_sop_class_uid, instance.reference.sop_class_uid);
      reference.set_string(dicom::tags::referenced_sop_instance_uid, instance.reference.sop_instance_uid);
      reference.set_string(dicom::tags::instance_availability, instance.availability);
      reference.set_string(dicom::tags::retrieve_ae_title, instance.retrieve_ae_title);
    }
  }
  return data;
}

std::variant<AvailabilityNotification, AvailabilityDefect> read_availability(const dicom::DataSet& data) {
  Mandatory mandatory;
  AvailabilityNotification notification;
  notification.study_instance_uid = mandatory.text(data, dicom::tags::study_instance_uid);
  for (const dicom::DataSet& series_item : mandatory.items(data, dicom::tags::referenced_series_sequence)) {
    AvailabilityNotification::Series series;
    series.series_instance_uid = mandatory.text(series_item, dicom::tags::series_instance_uid);
    for (const dicom::DataSet& item : mandatory.items(series_item, dicom::tags::referenced_sop_sequence)) {
      InstanceAvailability instance;
      instance.reference.sop_class_uid = mandatory.text(item, dicom::tags::referenced_sop_class_uid);
      instance.reference.sop_instance_uid = mandatory.text(item, dicom::tags::referenced_sop_instance_uid);
      instance.availability = mandatory.text(item, dicom::tags::instance_availability);
      instance.retrieve_ae_title = mandatory.text(item, dicom::tags::retrieve_ae_title);
      if (!instance.availability.empty() && !is_availability(instance.availability)) {
        mandatory.note({k_invalid_value, dicom::tags::instance_availability});
      }
      series.instances.push_back(std::move(instance));
    }
    notification.series.push_back(std::move(series));
  }
  if (mandatory.defect()) {
    return *mandatory.defect();
  }
  return notification;
}

Command make_availability_command(std::uint16_t message_id, const std::string& sop_instance_uid) {
  Command command;
  command.field = CommandField::n_create_rq;
  command.message_id = message_id;
  command.affected_sop_class_uid = k_availability_sop_class;
  command.affected_sop_instance_uid = sop_instance_uid;
  command.has_data_set = true;
  return command;
}

}  // namespace kuva::dimse
