#pragma once

#include <kuva/dicom/part10.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kuva::dicom {

// What a tool needs to know of an instance. Values without padding, text in UTF-8; patient values are for comparing and
// never leave in a record or message unmasked.
struct InstanceAttributes {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string transfer_syntax_uid;
  std::string modality;
  std::string specific_character_set;
  std::string patient_id;
  std::string issuer_of_patient_id;  // (0010,0021), or the Universal Entity ID of (0010,0024)
  std::string patient_name;
  std::string patient_birth_date;
  std::string patient_sex;
  std::string accession_number;
  std::string study_date;
  std::string study_description;
  std::string instance_number;
};

struct Header {
  std::uint64_t size = 0;  // of the file
  std::uint64_t data_set_offset = 0;
  InstanceAttributes attributes;
  FileMeta meta;
};

// Reads only as far as the identifiers (up to and including group 0020): the quick scan of inventory and sending.
// Errors: those of open_part10; file.truncated, file.malformed; file.incomplete when SOP Class, SOP Instance, Study or
// Series Instance UID are absent from the data set or empty (naming which).
Header read_header(const std::filesystem::path& path);
Header read_header(Part10File file);

struct Inspection {
  Header header;
  // Of preamble and meta, then those that have a place, in the order of the file, then those of the object as a whole.
  std::vector<Defect> defects;
  std::uint64_t elements = 0;
  bool complete = false;  // the data set was read to its end

  bool has_errors() const;
};

// Sees the data set as inspect() reads it, element by element, after the event was taken. It may look at values
// (DataSetReader::value), and must not take or skip anything.
class InspectionObserver {
 public:
  virtual ~InspectionObserver() = default;
  virtual void event(DataSetReader& reader, DataSetReader::Event event) = 0;
};

// Reads the whole structure, pixel data by length and fragments only, and checks (PS3.5, PS3.10):
// - preamble, DICM, file meta: presence, group length, version, required elements, agreement of (0002,0002) with
//   (0008,0016) and (0002,0003) with (0008,0018), transfer syntax known and matching the encoding;
// - structure: what DataSetReader finds, group 0000/0002 elements in the data set, private elements without creator;
// - UID syntax of every UI value; SOP, series and study instance UIDs there, distinct, not below 1.2.840.10008;
// - character set: value known, every text value decodes, non-ASCII text without (0008,0005);
// - native pixel data: its length against Rows x Columns x Samples x Bits x Frames; encapsulated: offset table item,
//   that points at fragments, at least as many fragments as frames, sequence delimiter, encapsulated exactly when the
//   syntax says so.
// Errors: as open_part10 (a file that is not DICOM is not a defect); everything else is a defect.
Inspection inspect(const std::filesystem::path& path, InspectionObserver* observer = nullptr);
Inspection inspect(Part10File file, InspectionObserver* observer = nullptr);

// SHA-256 (hex) of the data set's bytes as they are in the file, without the file meta: the same object written by
// two programs has the same digest. Errors: local.read, as open_part10.
std::string data_set_digest(const std::filesystem::path& path);
// The bytes of two files' data sets, without the file meta, are the same; read as far as they are. Errors: local.read,
// as open_part10.
bool has_same_data_set(const std::filesystem::path& path, const std::filesystem::path& other_path);

}  // namespace kuva::dicom
