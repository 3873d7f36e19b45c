#pragma once

#include <kuva/dicom/byte_source.hpp>
#include <kuva/dicom/reader.hpp>
#include <kuva/dicom/transfer_syntax.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kuva::dicom {

// The file meta information (PS3.10 7.1); values without padding.
struct FileMeta {
  bool has_preamble = false;  // 128 bytes and DICM
  bool has_meta = false;      // group 0002 was there
  std::string media_storage_sop_class_uid;
  std::string media_storage_sop_instance_uid;
  std::string transfer_syntax_uid;
  std::string implementation_class_uid;
  std::string implementation_version_name;
  std::string source_application_entity_title;
  std::uint64_t data_set_offset = 0;  // from the start of the file
};

// An open DICOM file, standing at its data set.
struct Part10File {
  std::filesystem::path path;
  std::uint64_t size = 0;
  FileMeta meta;
  TransferSyntax syntax;        // by the meta; guessed from the first elements where there is none (a defect says so)
  std::vector<Defect> defects;  // of preamble and meta
  std::unique_ptr<ByteSource> source;  // at the data set; not yet inflated, see data_set_source
};

// Opens a file: with or without preamble and meta (PS3.10 7.1 violations are defects), group 0002 read by tag and not
// by its length. Errors: local.read; file.not-dicom (empty, a text, an image, anything else, with the reason in the
// message); file.truncated when it ends within the meta; file.malformed when group 0002 cannot be read.
Part10File open_part10(const std::filesystem::path& path);
// The same of bytes that need not be a file (path stays empty); `source` stands at the first of them.
Part10File open_part10(std::unique_ptr<ByteSource> source);

// The source for a DataSetReader: the file's, inflated where the transfer syntax is deflated. The file then has none.
std::unique_ptr<ByteSource> data_set_source(Part10File& file);

// The bytes of preamble, DICM and file meta information for an object that is written here.
std::string encode_file_meta(std::string_view sop_class_uid, std::string_view sop_instance_uid,
                             std::string_view transfer_syntax_uid, std::string_view source_ae_title = {});

}  // namespace kuva::dicom
