#include <kuva/cli/record_writer.hpp>
#include <kuva/cli/text_renderer.hpp>
#include <kuva/core/record.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace kuva::cli {

RecordWriter::RecordWriter(Settings settings) : m_settings(std::move(settings)) {
  if (m_settings.output == "-") {
    m_name = "standard output";
    m_fd = FileDescriptor(m_settings.standard_output);
    return;
  }
  m_name = m_settings.output;
  std::error_code ignored;
  const auto status = std::filesystem::status(m_settings.output, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    // A device or a pipe is written as it is; it cannot be replaced by a file.
    m_fd = FileDescriptor(::open(m_settings.output.c_str(), O_WRONLY | O_CLOEXEC));
    if (!m_fd) {
      throw write_error(m_name, errno);
    }
  } else {
    m_file.emplace(m_settings.output);
  }
}

void RecordWriter::emit(const Json& record) { write(text_of(record)); }

void RecordWriter::emit_all(std::span<const Json> records) {
  const std::lock_guard lock(m_mutex);
  if (m_failure) {
    throw *m_failure;
  }
  for (const Json& record : records) {
    m_buffer += text_of(record);
    if (m_buffer.size() >= k_block) {
      flush();
    }
  }
  if (m_settings.flush_each) {
    flush();
  }
}

std::string RecordWriter::text_of(const Json& record) const {
  return m_settings.text ? render_text(record, m_settings.color) : to_line(record) + "\n";
}

void RecordWriter::write(std::string_view line) {
  const std::lock_guard lock(m_mutex);
  if (m_failure) {
    throw *m_failure;
  }
  m_buffer += line;
  if (m_settings.flush_each || m_buffer.size() >= k_block) {
    flush();
  }
}

void RecordWriter::flush() {
  if (m_buffer.empty()) {
    return;
  }
  if (m_settings.before_write) {
    m_settings.before_write();
  }
  try {
    write_out(m_buffer);
  } catch (const Error& error) {
    m_failure = error;
    throw;
  }
  m_buffer.clear();
}

void RecordWriter::write_out(std::string_view text) {
  if (m_file) {
    m_file->write(text);
    return;
  }
  while (!text.empty()) {
    const ssize_t count = ::write(m_fd.get(), text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {  // somebody else made the pipe non-blocking
      pollfd wait{m_fd.get(), POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno == EPIPE) {
      throw Error(kind("local.write"), fmt::format("{} was closed by the program that reads it", m_name));
    } else if (errno != EINTR) {
      throw write_error(m_name, errno);
    }
  }
}

bool RecordWriter::failed() {
  const std::lock_guard lock(m_mutex);
  return m_failure.has_value();
}

void RecordWriter::close() {
  const std::lock_guard lock(m_mutex);
  if (m_failure) {
    throw *m_failure;
  }
  flush();
  if (m_file) {
    m_file->commit();
    m_file.reset();
  } else if (::close(m_fd.release()) != 0) {  // a network disk tells late
    throw write_error(m_name, errno);
  }
}

}  // namespace kuva::cli
