#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transcoder.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/sandbox/object_body.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kuva::sandbox {

namespace {

constexpr std::size_t k_piece = 256U << 10U;

}  // namespace

std::optional<std::string> servable_syntax(const StoredObject& object, const std::vector<std::string>& accepted) {
  const std::string& own = object.transfer_syntax_uid;
  if (std::find_if(accepted.begin(), accepted.end(),
                   [&](const std::string& uid) { return uid == own || uid == "*"; }) != accepted.end()) {
    return own;
  }
  const dicom::TransferSyntax from = dicom::transfer_syntax(own);
  const auto other = std::find_if(accepted.begin(), accepted.end(), [&](const std::string& uid) {
    return dicom::can_encode(from, dicom::transfer_syntax(uid));
  });
  return other == accepted.end() ? std::nullopt : std::optional(*other);
}

void write_file(const std::filesystem::path& path, const WebSink& sink) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    throw read_error(path, errno);
  }
  std::vector<std::byte> buffer(k_piece);
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count == 0) {
      return;
    }
    if (count > 0) {
      sink(std::span(buffer).first(static_cast<std::size_t>(count)));
    } else if (errno != EINTR) {
      throw read_error(path, errno);
    }
  }
}

void write_object(const Archive& archive, const StoredObject& object, const std::string& transfer_syntax_uid,
                  const WebSink& sink) {
  const std::filesystem::path path = archive.path_of(object);
  const auto identity = archive.identity_of(object);
  if (!identity && transfer_syntax_uid == object.transfer_syntax_uid) {
    write_file(path, sink);
    return;
  }
  const auto data = open_coerced(path, transfer_syntax_uid, identity);
  const std::string meta =
      dicom::encode_file_meta(object.sop_class_uid, object.sop_instance_uid, transfer_syntax_uid, object.source_ae);
  sink(std::as_bytes(std::span(meta.data(), meta.size())));
  std::vector<std::byte> buffer(k_piece);
  while (const std::size_t count = data->read(buffer)) {
    sink(std::span(buffer).first(count));
  }
}

}  // namespace kuva::sandbox
