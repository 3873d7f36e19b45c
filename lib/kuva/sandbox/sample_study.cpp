#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

namespace kuva::sandbox {

namespace {

using dicom::DataSet;
using dicom::Vr;

// Elements are named by keyword here: this file is read beside PS3.3.
dicom::Tag tag(std::string_view keyword) {
  const dicom::DictionaryEntry* const entry = dicom::find_entry(keyword);
  if (entry == nullptr) {
    throw Error(kuva::kind("internal"), fmt::format("the dictionary has no {}", keyword));
  }
  return entry->tag;
}

void put(DataSet& data, std::string_view keyword, std::string_view value) { data.set_string(tag(keyword), value); }
void put_us(DataSet& data, std::string_view keyword, std::uint16_t value) { data.set_us(tag(keyword), value); }
void put_empty(DataSet& data, std::string_view keyword) { data.set_empty(tag(keyword)); }

DataSet& put_item(DataSet& data, std::string_view keyword) { return data.add_item(tag(keyword)); }

void put_code(DataSet& data, std::string_view sequence, std::string_view value, std::string_view scheme,
              std::string_view meaning) {
  DataSet& item = put_item(data, sequence);
  put(item, "CodeValue", value);
  put(item, "CodingSchemeDesignator", scheme);
  put(item, "CodeMeaning", meaning);
}

void append_u16(std::string& bytes, unsigned value) {
  bytes += static_cast<char>(value & 0xFFU);
  bytes += static_cast<char>((value >> 8U) & 0xFFU);
}

std::uint16_t clamp_to(double value, double largest) {
  return static_cast<std::uint16_t>(std::lround(std::clamp(value, 0.0, largest)));
}

// 1 inside of an ellipse around (cx, cy), 0 outside.
bool in_ellipse(double x, double y, double cx, double cy, double rx, double ry) {
  return (x - cx) * (x - cx) / (rx * rx) + (y - cy) * (y - cy) / (ry * ry) <= 1.0;
}

// A grain that looks like noise and is the same every time.
double grain(unsigned x, unsigned y) {
  unsigned mixed = x * 374761393U + y * 668265263U;
  mixed = (mixed ^ (mixed >> 13U)) * 1274126177U;
  return static_cast<double>((mixed ^ (mixed >> 16U)) % 1000U) / 1000.0 - 0.5;
}

constexpr std::string_view k_sample_date = "20240115";
constexpr std::string_view k_sample_time = "101500";

// What all objects of the study have in common.
struct Study {
  std::string study_uid = dicom::make_uid();
  std::string frame_of_reference_uid = dicom::make_uid();
  unsigned objects = 0;
  SamplePatient patient;
};

// An object with its patient, study, series, equipment and SOP Common modules (PS3.3 C.7.1, C.7.2, C.7.3, C.7.5,
// C.12.1).
DataSet begin_object(Study& study, std::string_view sop_class, std::string_view modality,
                     std::string_view series_description) {
  ++study.objects;
  DataSet data;
  put(data, "SpecificCharacterSet", "ISO_IR 192");
  put(data, "SOPClassUID", sop_class);
  put(data, "SOPInstanceUID", dicom::make_uid());
  put(data, "InstanceCreationDate", k_sample_date);
  put(data, "InstanceCreationTime", k_sample_time);

  put(data, "PatientName", study.patient.name);
  put(data, "PatientID", study.patient.id);
  DataSet& issuer = put_item(data, "IssuerOfPatientIDQualifiersSequence");
  put(issuer, "UniversalEntityID", study.patient.authority);
  put(issuer, "UniversalEntityIDType", "ISO");
  for (const auto& [name, value] :
       {std::pair("PatientBirthDate", &study.patient.birth_date), std::pair("PatientSex", &study.patient.sex)}) {
    if (value->empty()) {
      put_empty(data, name);
    } else {
      put(data, name, *value);
    }
  }

  put(data, "StudyInstanceUID", study.study_uid);
  put(data, "StudyDate", k_sample_date);
  put(data, "StudyTime", k_sample_time);
  put(data, "StudyID", "1");
  put(data, "AccessionNumber", "KUVA0001");
  put(data, "StudyDescription", "XX0AA Näyteaineisto");
  put_empty(data, "ReferringPhysicianName");

  put(data, "Modality", modality);
  put(data, "SeriesInstanceUID", dicom::make_uid());
  put(data, "SeriesNumber", std::to_string(study.objects));
  put(data, "SeriesDescription", series_description);
  put(data, "InstanceNumber", "1");

  put(data, "Manufacturer", "kuva");
  put(data, "ManufacturerModelName", "kuva-sandbox");
  put(data, "DeviceSerialNumber", "1");
  put(data, "SoftwareVersions", dicom::implementation_version_name());
  put(data, "InstitutionName", "Näytesairaala");
  return data;
}

void put_content_time(DataSet& data) {
  put(data, "ContentDate", k_sample_date);
  put(data, "ContentTime", k_sample_time);
}

// The Image Pixel module (PS3.3 C.7.6.3) for grey-scale images.
void put_grey_pixels(DataSet& data, unsigned rows, unsigned columns, unsigned bits_allocated, unsigned bits_stored,
                     std::string pixels) {
  put_us(data, "SamplesPerPixel", 1);
  put(data, "PhotometricInterpretation", "MONOCHROME2");
  put_us(data, "Rows", static_cast<std::uint16_t>(rows));
  put_us(data, "Columns", static_cast<std::uint16_t>(columns));
  put_us(data, "BitsAllocated", static_cast<std::uint16_t>(bits_allocated));
  put_us(data, "BitsStored", static_cast<std::uint16_t>(bits_stored));
  put_us(data, "HighBit", static_cast<std::uint16_t>(bits_stored - 1));
  put_us(data, "PixelRepresentation", 0);
  data.set_bytes(dicom::tags::pixel_data, bits_allocated == 8 ? Vr::OB : Vr::OW, std::move(pixels));
}

// CT Image (PS3.3 A.3): a body with spine, lungs and a contrast-filled vessel, in Hounsfield units.
DataSet make_ct(Study& study) {
  constexpr unsigned k_size = 512;
  DataSet data = begin_object(study, "1.2.840.10008.5.1.4.1.1.2", "CT", "CT thorax phantom");
  put(data, "ImageType", "ORIGINAL\\PRIMARY\\AXIAL");
  put(data, "AcquisitionNumber", "1");
  put(data, "AcquisitionDate", k_sample_date);
  put(data, "AcquisitionTime", k_sample_time);
  put_content_time(data);
  put(data, "BodyPartExamined", "CHEST");
  put(data, "PatientPosition", "HFS");
  put(data, "FrameOfReferenceUID", study.frame_of_reference_uid);
  put_empty(data, "PositionReferenceIndicator");
  put(data, "PixelSpacing", "0.7\\0.7");
  put(data, "ImageOrientationPatient", "1\\0\\0\\0\\1\\0");
  put(data, "ImagePositionPatient", "-178.85\\-178.85\\0");
  put(data, "SliceThickness", "5");
  put(data, "SliceLocation", "0");
  put(data, "KVP", "120");
  put(data, "XRayTubeCurrent", "200");
  put(data, "ExposureTime", "500");
  put(data, "ConvolutionKernel", "STANDARD");
  put(data, "RescaleIntercept", "-1024");
  put(data, "RescaleSlope", "1");
  put(data, "RescaleType", "HU");
  put(data, "WindowCenter", "40");
  put(data, "WindowWidth", "400");

  std::string pixels;
  pixels.reserve(std::size_t{2} * k_size * k_size);
  for (unsigned row = 0; row < k_size; ++row) {
    for (unsigned column = 0; column < k_size; ++column) {
      const double x = column;
      const double y = row;
      double hounsfield = -1000;
      if (in_ellipse(x, y, 256, 256, 220, 160)) {
        hounsfield = -90;  // fat
      }
      if (in_ellipse(x, y, 256, 256, 205, 145)) {
        hounsfield = 45;  // muscle
      }
      if (in_ellipse(x, y, 165, 240, 75, 100) || in_ellipse(x, y, 347, 240, 75, 100)) {
        hounsfield = -820;  // lungs
      }
      if (in_ellipse(x, y, 256, 355, 30, 28)) {
        hounsfield = in_ellipse(x, y, 256, 355, 22, 20) ? 250 : 800;  // vertebra
      }
      if (in_ellipse(x, y, 275, 300, 15, 15)) {
        hounsfield = 320;  // aorta with contrast medium
      }
      append_u16(pixels, clamp_to(hounsfield + 24 * grain(column, row) + 1024, 4095));
    }
  }
  put_grey_pixels(data, k_size, k_size, 16, 12, std::move(pixels));
  return data;
}

// Digital X-Ray Image, for presentation (PS3.3 A.26).
DataSet make_dx(Study& study) {
  constexpr unsigned k_rows = 640;
  constexpr unsigned k_columns = 512;
  DataSet data = begin_object(study, "1.2.840.10008.5.1.4.1.1.1.1", "DX", "Thorax phantom PA");
  put(data, "PresentationIntentType", "FOR PRESENTATION");
  put(data, "ImageType", "ORIGINAL\\PRIMARY\\");
  put(data, "AcquisitionNumber", "1");
  put(data, "AcquisitionDate", k_sample_date);
  put(data, "AcquisitionTime", k_sample_time);
  put_content_time(data);
  put(data, "BodyPartExamined", "CHEST");
  put_code(data, "AnatomicRegionSequence", "43799004", "SCT", "Thorax");
  put(data, "ImageLaterality", "U");
  put(data, "PatientOrientation", "L\\F");
  put(data, "ViewPosition", "PA");
  put_code(data, "ViewCodeSequence", "399348003", "SCT", "postero-anterior");
  put(data, "PositionerType", "NONE");
  put(data, "DetectorType", "DIRECT");
  put(data, "ImagerPixelSpacing", "0.6\\0.6");
  put(data, "KVP", "125");
  put_empty(data, "AcquisitionContextSequence");
  put(data, "PixelIntensityRelationship", "LOG");
  put_us(data, "PixelIntensityRelationshipSign", 1);
  put(data, "RescaleIntercept", "0");
  put(data, "RescaleSlope", "1");
  put(data, "RescaleType", "US");
  put(data, "PresentationLUTShape", "IDENTITY");
  put(data, "LossyImageCompression", "00");
  put(data, "BurnedInAnnotation", "NO");
  put(data, "WindowCenter", "2048");
  put(data, "WindowWidth", "4096");

  std::string pixels;
  pixels.reserve(std::size_t{2} * k_rows * k_columns);
  for (unsigned row = 0; row < k_rows; ++row) {
    for (unsigned column = 0; column < k_columns; ++column) {
      const double x = column;
      const double y = row;
      double brightness = in_ellipse(x, y, 256, 360, 230, 330) ? 2600 : 300;
      if (in_ellipse(x, y, 155, 320, 80, 190) || in_ellipse(x, y, 357, 320, 80, 190)) {
        brightness = 1100 + 350 * std::max(0.0, std::cos(y / 14.0));  // lungs behind ribs
      }
      if (in_ellipse(x, y, 290, 420, 80, 95)) {
        brightness = 3000;  // heart
      }
      if (std::abs(x - 256) < 22) {
        brightness += 500;  // spine
      }
      append_u16(pixels, clamp_to(brightness + 60 * grain(column, row), 4095));
    }
  }
  put_grey_pixels(data, k_rows, k_columns, 16, 12, std::move(pixels));
  return data;
}

// Ultrasound Multi-frame Image (PS3.3 A.7): a sector in which a ring beats.
DataSet make_us(Study& study) {
  constexpr unsigned k_rows = 240;
  constexpr unsigned k_columns = 320;
  constexpr unsigned k_frames = 5;
  DataSet data = begin_object(study, "1.2.840.10008.5.1.4.1.1.3.1", "US", "Ultrasound phantom");
  put(data, "ImageType", "ORIGINAL\\PRIMARY");
  put_content_time(data);
  put(data, "BodyPartExamined", "HEART");
  put_empty(data, "PatientOrientation");
  put(data, "NumberOfFrames", std::to_string(k_frames));
  put(data, "FrameTime", "40");
  data.set_bytes(tag("FrameIncrementPointer"), Vr::AT, [] {
    const dicom::Tag frame_time = tag("FrameTime");
    std::string bytes;
    append_u16(bytes, frame_time.group);
    append_u16(bytes, frame_time.element);
    return bytes;
  }());
  put(data, "LossyImageCompression", "00");
  put(data, "BurnedInAnnotation", "NO");

  std::string pixels;
  pixels.reserve(std::size_t{k_rows} * k_columns * k_frames);
  for (unsigned frame = 0; frame < k_frames; ++frame) {
    const double radius = 42 + 10 * std::sin(2 * std::numbers::pi * frame / k_frames);
    for (unsigned row = 0; row < k_rows; ++row) {
      for (unsigned column = 0; column < k_columns; ++column) {
        const double x = static_cast<double>(column) - 160;
        const double y = static_cast<double>(row) - 8;
        const double depth = std::hypot(x, y);
        double brightness = 0;
        if (depth < 220 && std::abs(x) < 0.7 * y) {
          brightness = 60 + 50 * grain(column + 7 * frame, row) + depth / 6;
          const double wall = std::abs(std::hypot(x, y - 120) - radius);
          brightness += wall < 8 ? 110 : 0;
        }
        pixels += static_cast<char>(clamp_to(brightness, 255));
      }
    }
  }
  put_grey_pixels(data, k_rows, k_columns, 8, 8, std::move(pixels));
  return data;
}

// A heartbeat as the sum of its waves; `phase` in seconds from the P wave's start, result in microvolts.
struct Wave {
  double at;
  double width;
  double height;
};
using Beat = std::array<Wave, 5>;  // P, Q, R, S, T

double voltage(const Beat& beat, double phase) {
  double sum = 0;
  for (const Wave& wave : beat) {
    const double distance = (phase - wave.at) / wave.width;
    sum += wave.height * std::exp(-0.5 * distance * distance);
  }
  return sum;
}

Beat make_beat(double p, double q, double r, double s, double t) {
  return {{{0.10, 0.025, p}, {0.215, 0.010, q}, {0.240, 0.012, r}, {0.265, 0.011, s}, {0.460, 0.050, t}}};
}

// 12-lead ECG Waveform (PS3.3 A.34.3): ten seconds at 500 Hz; the limb leads keep Einthoven's and Goldberger's
// equations.
DataSet make_ecg(Study& study) {
  constexpr unsigned k_frequency = 500;
  constexpr unsigned k_samples = 10 * k_frequency;
  constexpr double k_seconds_a_beat = 60.0 / 72.0;
  struct Lead {
    std::string_view code;  // PS3.16 CID 3001
    std::string_view meaning;
  };
  constexpr std::array<Lead, 12> k_leads{{{"2:1", "Lead I"},
                                          {"2:2", "Lead II"},
                                          {"2:61", "Lead III"},
                                          {"2:62", "Lead aVR"},
                                          {"2:63", "Lead aVL"},
                                          {"2:64", "Lead aVF"},
                                          {"2:3", "Lead V1"},
                                          {"2:4", "Lead V2"},
                                          {"2:5", "Lead V3"},
                                          {"2:6", "Lead V4"},
                                          {"2:7", "Lead V5"},
                                          {"2:8", "Lead V6"}}};

  DataSet data = begin_object(study, "1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", "EKG 12 lead sample");
  put_content_time(data);
  put(data, "AcquisitionDateTime", fmt::format("{}{}", k_sample_date, k_sample_time));
  put_empty(data, "AcquisitionContextSequence");

  DataSet& group = put_item(data, "WaveformSequence");
  put(group, "MultiplexGroupLabel", "RHYTHM");
  put(group, "WaveformOriginality", "ORIGINAL");
  put_us(group, "NumberOfWaveformChannels", static_cast<std::uint16_t>(k_leads.size()));
  group.set_ul(tag("NumberOfWaveformSamples"), k_samples);
  put(group, "SamplingFrequency", std::to_string(k_frequency));
  for (const Lead& lead : k_leads) {
    DataSet& channel = put_item(group, "ChannelDefinitionSequence");
    put(channel, "ChannelLabel", lead.meaning);
    put_code(channel, "ChannelSourceSequence", lead.code, "MDC", lead.meaning);
    put(channel, "ChannelSensitivity", "1");
    put_code(channel, "ChannelSensitivityUnitsSequence", "uV", "UCUM", "microvolt");
    put(channel, "ChannelSensitivityCorrectionFactor", "1");
    put(channel, "ChannelBaseline", "0");
    put(channel, "ChannelSampleSkew", "0");
    put_us(channel, "WaveformBitsStored", 16);
    put(channel, "FilterLowFrequency", "0.05");
    put(channel, "FilterHighFrequency", "150");
  }
  put_us(group, "WaveformBitsAllocated", 16);
  put(group, "WaveformSampleInterpretation", "SS");

  const Beat lead_one = make_beat(80, -40, 700, -90, 180);
  const Beat lead_two = make_beat(130, -60, 1100, -120, 260);
  const std::array<Beat, 6> chest{{make_beat(50, 0, 220, -850, -60), make_beat(60, 0, 420, -1300, 320),
                                   make_beat(60, 0, 800, -900, 380), make_beat(60, -40, 1300, -480, 360),
                                   make_beat(70, -70, 1250, -220, 300), make_beat(70, -70, 950, -100, 240)}};
  std::string samples;
  samples.reserve(std::size_t{2} * k_samples * k_leads.size());
  for (unsigned i = 0; i < k_samples; ++i) {
    const double phase = std::fmod(static_cast<double>(i) / k_frequency, k_seconds_a_beat);
    const double one = std::round(voltage(lead_one, phase));
    const double two = std::round(voltage(lead_two, phase));
    std::array<double, 12> volts{one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2};
    for (std::size_t lead = 0; lead < chest.size(); ++lead) {
      volts[6 + lead] = voltage(chest[lead], phase);
    }
    for (const double microvolts : volts) {
      append_u16(samples, static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lround(microvolts))));
    }
  }
  group.set_bytes(tag("WaveformData"), Vr::OW, std::move(samples));
  return data;
}

// One page of text as PDF 1.4 (ISO 32000-1, 7.5: header, body, cross-reference table, trailer).
std::string make_pdf_document() {
  const std::string page =
      "BT /F1 20 Tf 72 740 Td (Rasitus-EKG, n\\344yte) Tj 0 -32 Td /F1 12 Tf "
      "(Sample document of kuva-sandbox. It describes no person.) Tj ET";
  const std::array<std::string, 5> objects{
      "<< /Type /Catalog /Pages 2 0 R >>",
      "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
      "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
      fmt::format("<< /Length {} >>\nstream\n{}\nendstream", page.size(), page),
      "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
  };
  std::string document = "%PDF-1.4\n%\xE5\xE4\xF6\xC5\n";
  std::string table = fmt::format("xref\n0 {}\n0000000000 65535 f \n", objects.size() + 1);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    table += fmt::format("{:010} 00000 n \n", document.size());
    document += fmt::format("{} 0 obj\n{}\nendobj\n", i + 1, objects[i]);
  }
  const std::size_t start_of_table = document.size();
  return document + table +
         fmt::format("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{}\n%%EOF\n", objects.size() + 1, start_of_table);
}

// Encapsulated PDF (PS3.3 A.45.1), as a stress ECG's report is archived.
DataSet make_pdf(Study& study) {
  DataSet data = begin_object(study, "1.2.840.10008.5.1.4.1.1.104.1", "ECG", "EKG report sample");
  put(data, "ConversionType", "WSD");
  put_content_time(data);
  put_empty(data, "AcquisitionDateTime");
  put(data, "BurnedInAnnotation", "NO");
  put(data, "DocumentTitle", "Rasitus-EKG, näyte");
  put_code(data, "ConceptNameCodeSequence", "18752-6", "LN", "Exercise stress test study");
  put(data, "MIMETypeOfEncapsulatedDocument", "application/pdf");
  std::string document = make_pdf_document();
  data.set_ul(tag("EncapsulatedDocumentLength"), static_cast<std::uint32_t>(document.size()));
  data.set_bytes(tag("EncapsulatedDocument"), Vr::OB, std::move(document));
  return data;
}

std::filesystem::path write_object(const std::filesystem::path& directory, std::string_view name, const DataSet& data) {
  const std::filesystem::path path = directory / name;
  AtomicFile file(path);
  file.write(dicom::encode_file_meta(data.string(dicom::tags::sop_class_uid),
                                     data.string(dicom::tags::sop_instance_uid), dicom::k_explicit_vr_little_endian));
  file.write(data.encode(dicom::transfer_syntax(dicom::k_explicit_vr_little_endian)));
  file.commit();
  return path;
}

}  // namespace

std::vector<std::filesystem::path> write_sample_study(const std::filesystem::path& directory,
                                                      const SamplePatient& patient) {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) {
    throw write_error(directory, failure.value());
  }
  Study study;
  study.patient = patient;
  return {write_object(directory, "ct.dcm", make_ct(study)), write_object(directory, "dx.dcm", make_dx(study)),
          write_object(directory, "us.dcm", make_us(study)), write_object(directory, "ecg.dcm", make_ecg(study)),
          write_object(directory, "pdf.dcm", make_pdf(study))};
}

}  // namespace kuva::sandbox
