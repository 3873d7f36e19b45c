#pragma once

#include <kuva/core/part_file.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/workflow/retrieve_names.hpp>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kuva::workflow {

// Where retrieved objects end up: files below one directory, each there whole and verified under its name, or not at
// all. Thread-safe.
class Landing {
 public:
  enum class Sync { none, study, file };  // when what was written is on disk: at the end of a study, or each file
  struct Settings {
    std::filesystem::path directory;
    NameTemplate names;
    Sync sync = Sync::study;
  };

  explicit Landing(Settings settings) : m_settings(std::move(settings)) {}

  // Makes the directory, and removes what an earlier run left half-written in it. Errors: local.write.
  void prepare();

  // A file to write an object into. Errors: local.write.
  PartFile begin() const { return PartFile(m_settings.directory); }

  // What was asked for; empty where that does not say.
  struct Identity {
    std::string sop_class_uid;
    std::string sop_instance_uid;
    std::string study_instance_uid;
    std::string series_instance_uid;
  };
  struct Landed {
    std::filesystem::path path;
    dicom::Header header;
    bool was_there = false;  // the same data set, under the name that it has
  };
  // Ends writing and verifies a file: Part 10, the whole structure, UIDs against `identity`.
  // Errors: retrieve.damaged, retrieve.wrong-object, local.write, local.read.
  dicom::Header verify(PartFile& file, const Identity& identity) const;
  // Gives a verified file its name. Errors: retrieve.name-taken, local.write.
  Landed place(PartFile& file, dicom::Header header);
  // Gives a file that is no DICOM object this name below the directory, unless the same bytes are there under it.
  // Errors: retrieve.name-taken, local.write, local.read.
  std::filesystem::path place_as(PartFile& file, const std::filesystem::path& name);

  // The same object is there already, whole by its structure. Nothing when it is not, or when its name cannot be known
  // before it comes.
  std::optional<Landed> find(const dicom::InstanceAttributes& uids) const;

  // Puts on disk what has been given its name since the last call, with Sync::study. Errors: local.write.
  void sync();

  // Errors: retrieve.disk-space when fewer than `bytes` are free; local.write.
  void check_space(std::uint64_t bytes) const;

  const std::filesystem::path& directory() const { return m_settings.directory; }

 private:
  std::filesystem::path name_of(const dicom::InstanceAttributes& attributes) const;
  // It has its name and is to be on disk by and by.
  void settle(const std::filesystem::path& path);

  Settings m_settings;
  std::mutex m_mutex;
  std::vector<std::filesystem::path> m_unsynced;
};

}  // namespace kuva::workflow
