#include <kuva/cli/record_reader.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace kuva::cli {

namespace {

constexpr std::size_t k_chunk = 65536;

// A terminal or /dev/null.
bool is_character_device(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

// A stage that was stopped has work left; this stage's own signal is another matter.
ExitCode exit_code_of_stage(const Json& summary) {
  const auto code = summary.find("exitCode");
  if (code == summary.end() || !code->is_number_integer()) {
    return ExitCode::internal;
  }
  switch (code->get<std::int64_t>()) {
    case 0:
      return ExitCode::done;
    case 2:
      return ExitCode::usage;
    case 3:
      return ExitCode::item_failed;
    case 4:
      return ExitCode::negative;
    case 5:
    case 130:
    case 143:
      return ExitCode::temporary;
    case 6:
      return ExitCode::security;
    case 7:
      return ExitCode::refused;
    case 8:
      return ExitCode::limit;
    case 9:
      return ExitCode::local_io;
    default:
      return ExitCode::internal;
  }
}

}  // namespace

// Makes a poll return when the run is to stop.
struct LineReader::Wake {
  explicit Wake(const std::stop_token& stop)
      : event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback(stop, Notify{event.get()}) {}

  struct Notify {
    int fd;
    void operator()() const noexcept {
      const std::uint64_t one = 1;
      // It cannot fail in a way that matters: the counter is far from full.
      [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
    }
  };

  FileDescriptor event;
  std::stop_callback<Notify> callback;
};

LineReader::LineReader(FileDescriptor fd, std::string name, char separator, std::stop_token stop)
    : m_fd(std::move(fd)),
      m_name(std::move(name)),
      m_separator(separator),
      m_stop(std::move(stop)),
      m_wake(std::make_unique<Wake>(m_stop)) {}

LineReader::LineReader(LineReader&& other) noexcept = default;
LineReader::~LineReader() = default;

bool LineReader::fill() {
  if (m_at_end) {
    return false;
  }
  for (;;) {
    std::array<pollfd, 2> waits{{{m_fd.get(), POLLIN, 0}, {m_wake->event.get(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw read_error(m_name, errno);
    }
    if (m_stop.stop_requested()) {
      return false;
    }
    std::array<char, k_chunk> chunk;
    const ssize_t count = ::read(m_fd.get(), chunk.data(), chunk.size());
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) {
        continue;
      }
      m_at_end = true;
      throw read_error(m_name, errno);
    }
    if (count == 0) {
      m_at_end = true;
      return false;
    }
    m_buffer.erase(0, m_position);
    m_position = 0;
    m_buffer.append(chunk.data(), static_cast<std::size_t>(count));
    return true;
  }
}

std::optional<std::string> LineReader::next() {
  std::size_t looked_at = 0;
  bool too_long = false;
  for (;;) {
    if (m_stop.stop_requested()) {
      return std::nullopt;
    }
    const std::size_t end = m_buffer.find(m_separator, m_position + looked_at);
    const bool whole = end != std::string::npos;
    const std::size_t length = (whole ? end : m_buffer.size()) - m_position;
    if (length > k_line_limit) {
      too_long = true;
    }
    if (!whole) {
      looked_at = length;
      if (too_long) {  // passed over as it comes
        m_buffer.clear();
        m_position = 0;
        looked_at = 0;
      }
      if (fill()) {
        continue;
      }
      if (m_stop.stop_requested() || (m_buffer.size() == m_position && !too_long)) {
        return std::nullopt;
      }
    }
    ++m_line_number;
    std::string line;
    if (!too_long) {
      line = m_buffer.substr(m_position, length);
    }
    m_position = whole ? end + 1 : m_buffer.size();
    if (too_long) {
      throw Error(kind("stream.record"),
                  fmt::format("{}: line {} is longer than {} bytes", m_name, m_line_number, k_line_limit));
    }
    return line;
  }
}

RecordReader::RecordReader(Settings settings) : m_settings(std::move(settings)) {
  const InputOptions& input = m_settings.input;
  if (input.null && input.files_from.empty()) {
    throw Error(kind("usage.argument"), "--null goes with --files-from");
  }
  m_paths.assign(input.paths.begin(), input.paths.end());
  if (!input.files_from.empty()) {
    m_list.emplace(open_list());
  } else if (m_paths.empty() && !(input.optional && is_character_device(m_settings.standard_input))) {
    if (::isatty(m_settings.standard_input) != 0) {
      throw Error(kind("usage.argument"), "no input: name files or directories, or pipe records in");
    }
    m_paths.emplace_back("-");
  }
  std::size_t readers_of_stdin = input.files_from == "-" ? 1 : 0;
  for (const std::string& path : m_paths) {
    if (path.empty()) {
      throw Error(kind("usage.argument"), "an empty path");
    }
    readers_of_stdin += path == "-" ? 1 : 0;
  }
  if (readers_of_stdin > 1) {
    throw Error(kind("usage.argument"), "standard input can be read once only");
  }
}

LineReader RecordReader::open_list() const {
  const char separator = m_settings.input.null ? '\0' : '\n';
  const std::string& name = m_settings.input.files_from;
  FileDescriptor fd(name == "-" ? ::fcntl(m_settings.standard_input, F_DUPFD_CLOEXEC, 3)
                                : ::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string shown = name == "-" ? "standard input" : name;
  if (!fd) {
    throw read_error(shown, errno);
  }
  return LineReader(std::move(fd), shown, separator, m_settings.stop);
}

void RecordReader::open_records() {
  FileDescriptor fd(::fcntl(m_settings.standard_input, F_DUPFD_CLOEXEC, 3));
  if (!fd) {
    throw read_error("standard input", errno);
  }
  m_records.emplace(std::move(fd), "standard input", '\n', m_settings.stop);
}

std::optional<workflow::Input> RecordReader::next() {
  for (;;) {
    if (m_settings.stop.stop_requested()) {
      return std::nullopt;
    }
    if (m_records) {
      if (auto record = next_record()) {
        return record;
      }
      m_records.reset();
      continue;
    }
    if (!m_paths.empty()) {
      std::string path = std::move(m_paths.front());
      m_paths.pop_front();
      if (path == "-") {
        open_records();
        continue;
      }
      return workflow::Input{std::move(path), std::nullopt};
    }
    if (!m_list) {
      return std::nullopt;
    }
    auto path = m_list->next();
    if (!path) {
      m_list.reset();
      return std::nullopt;
    }
    if (!path->empty()) {
      return workflow::Input{std::move(*path), std::nullopt};
    }
  }
}

std::optional<workflow::Input> RecordReader::next_record() {
  const auto bad = [this](std::string_view what) {
    m_complete = false;
    return Error(kind("stream.record"),
                 fmt::format("{}: line {} {}", m_records->name(), m_records->line_number(), what));
  };
  while (const auto line = m_records->next()) {
    const auto first = line->find_first_not_of(" \t\r");
    if (first == std::string::npos) {
      continue;
    }
    if ((*line)[first] != '{') {
      throw bad("is not a record (paths on standard input go with --files-from -)");
    }
    Json record = Json::parse(*line, nullptr, false);
    if (record.is_discarded()) {
      throw bad("is not JSON");
    }
    const auto type = record.find("type");
    if (type == record.end() || !type->is_string()) {
      throw bad("is a JSON object without a type");
    }
    if (*type == "summary") {
      m_complete = true;
      if (m_settings.on_summary) {
        m_settings.on_summary(exit_code_of_stage(record));
      }
      continue;
    }
    m_complete = false;
    return workflow::Input{{}, std::move(record)};
  }
  if (!m_complete && !m_settings.stop.stop_requested() && m_settings.on_cut) {
    m_settings.on_cut(Error(kind("stream.cut"), fmt::format("{} ended after {} lines without a summary",
                                                            m_records->name(), m_records->line_number())));
  }
  return std::nullopt;
}

}  // namespace kuva::cli
