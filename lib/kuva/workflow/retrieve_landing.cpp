#include <kuva/dicom/structure.hpp>
#include <kuva/workflow/retrieve_landing.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace kuva::workflow {

namespace {

namespace fs = std::filesystem;

void make_directories(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    throw write_error(directory, error.value());
  }
}

void sync_path(const fs::path& path, int flags) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!fd || ::fsync(fd.get()) != 0) {
    throw write_error(path, errno);
  }
}

bool same_bytes(const fs::path& path, const fs::path& other) {
  std::ifstream one(path, std::ios::binary);
  std::ifstream two(other, std::ios::binary);
  const bool same = std::equal(std::istreambuf_iterator<char>(one), {}, std::istreambuf_iterator<char>(two), {});
  return same && one && two;
}

Error damaged(std::string message) { return Error(kind("retrieve.damaged"), std::move(message)); }

// The header of a whole object. Errors: retrieve.damaged, local.read.
dicom::Header read_whole(const fs::path& path) {
  try {
    dicom::Header header = dicom::read_header(path);
    if (!header.meta.has_preamble || !header.meta.has_meta) {
      throw damaged("it is not a DICOM file (PS3.10 7.1): preamble or file meta information is missing");
    }
    if (const auto damage = dicom::find_structure_damage(path)) {
      throw damaged(damage->message);
    }
    return header;
  } catch (const Error& error) {
    if (error.kind().code == kind("local.read").code || error.kind().code == kind("retrieve.damaged").code) {
      throw;
    }
    throw damaged(error.message()).with("cause", std::string(error.kind().code));
  }
}

void check_identity(const dicom::Header& header, const Landing::Identity& identity) {
  const dicom::InstanceAttributes& got = header.attributes;
  const auto check = [](std::string_view what, const std::string& asked, const std::string& have) {
    if (!asked.empty() && asked != have) {
      throw Error(kind("retrieve.wrong-object"), fmt::format("its {} is {}, not {}", what, have, asked));
    }
  };
  check("SOP Instance UID", identity.sop_instance_uid, got.sop_instance_uid);
  check("SOP Class UID", identity.sop_class_uid, got.sop_class_uid);
  check("Study Instance UID", identity.study_instance_uid, got.study_instance_uid);
  check("Series Instance UID", identity.series_instance_uid, got.series_instance_uid);
  check("Media Storage SOP Instance UID", got.sop_instance_uid, header.meta.media_storage_sop_instance_uid);
}

}  // namespace

void Landing::prepare() {
  make_directories(m_settings.directory);
  PartFile::sweep(m_settings.directory);
}

fs::path Landing::name_of(const dicom::InstanceAttributes& attributes) const {
  return m_settings.directory / m_settings.names.make(attributes);
}

dicom::Header Landing::verify(PartFile& file, const Identity& identity) const {
  file.close(m_settings.sync == Sync::file);
  dicom::Header header = read_whole(file.path());
  check_identity(header, identity);
  return header;
}

Landing::Landed Landing::place(PartFile& file, dicom::Header header) {
  Landed landed;
  landed.header = std::move(header);
  landed.path = name_of(landed.header.attributes);
  make_directories(landed.path.parent_path());
  bool replaces = false;
  while (!file.place(landed.path, replaces)) {
    dicom::Header there;
    try {
      there = read_whole(landed.path);
    } catch (const Error&) {
      replaces = true;  // what is there is damaged, and of no use to anybody
      continue;
    }
    if (there.attributes.sop_instance_uid != landed.header.attributes.sop_instance_uid) {
      throw Error(kind("retrieve.name-taken"),
                  fmt::format("{} holds another object, {}", landed.path.string(), there.attributes.sop_instance_uid));
    }
    if (there.attributes.transfer_syntax_uid != landed.header.attributes.transfer_syntax_uid ||
        dicom::data_set_digest(landed.path) != dicom::data_set_digest(file.path())) {
      throw Error(kind("retrieve.name-taken"),
                  fmt::format("{} holds the same object with other content", landed.path.string()));
    }
    landed.was_there = true;
    return landed;
  }
  settle(landed.path);
  return landed;
}

fs::path Landing::place_as(PartFile& file, const fs::path& name) {
  file.close(m_settings.sync == Sync::file);
  fs::path path = m_settings.directory / name;
  make_directories(path.parent_path());
  if (file.place(path, false)) {
    settle(path);
  } else if (!same_bytes(path, file.path())) {
    throw Error(kind("retrieve.name-taken"), fmt::format("{} holds something else", path.string()));
  }
  return path;
}

void Landing::settle(const fs::path& path) {
  if (m_settings.sync == Sync::file) {
    sync_path(path.parent_path(), O_DIRECTORY);
  } else if (m_settings.sync == Sync::study) {
    const std::lock_guard lock(m_mutex);
    m_unsynced.push_back(path);
  }
}

std::optional<Landing::Landed> Landing::find(const dicom::InstanceAttributes& uids) const {
  if (!m_settings.names.needs_uids_only()) {
    return std::nullopt;
  }
  Landed landed;
  landed.path = name_of(uids);
  landed.was_there = true;
  std::error_code error;
  if (!fs::is_regular_file(landed.path, error)) {
    return std::nullopt;
  }
  try {
    landed.header = read_whole(landed.path);
    check_identity(landed.header, {{}, uids.sop_instance_uid, uids.study_instance_uid, uids.series_instance_uid});
    return landed;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void Landing::sync() {
  std::vector<fs::path> files;
  {
    const std::lock_guard lock(m_mutex);
    files.swap(m_unsynced);
  }
  std::set<fs::path> directories;
  for (const fs::path& file : files) {
    sync_path(file, 0);
    directories.insert(file.parent_path());
  }
  for (const fs::path& directory : directories) {
    sync_path(directory, O_DIRECTORY);
  }
}

void Landing::check_space(std::uint64_t bytes) const {
  struct statvfs status {};
  if (::statvfs(m_settings.directory.c_str(), &status) != 0) {
    throw write_error(m_settings.directory, errno);
  }
  const std::uint64_t available = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (bytes > available) {
    throw Error(kind("retrieve.disk-space"), fmt::format("{} bytes are to come, {} are free in {}", bytes, available,
                                                         m_settings.directory.string()));
  }
}

}  // namespace kuva::workflow
