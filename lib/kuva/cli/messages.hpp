#pragma once

#include <kuva/workflow/items.hpp>

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

namespace kuva::cli {

// "0:01:23".
std::string format_clock(std::chrono::seconds time);

// What people see on standard error: messages, each with the tool's name before it, and one progress line that is
// redrawn at most ten times a second and taken away before anything else is written.
class Messages : public workflow::Observer {
 public:
  struct Settings {
    std::string tool;
    int verbosity = 0;      // -1 errors, 0 and warnings, 1 and information, 2 and details
    bool progress = false;  // only where standard error is a terminal
    int standard_error = 2;
  };

  explicit Messages(Settings settings);
  ~Messages() override;

  void message(Level level, std::string_view text) override;
  void progress(const Progress& progress) override;
  // Takes the progress line away.
  void clear();
  // A line whatever the verbosity: usage, and what the user must see.
  void say(std::string_view text);

 private:
  void clear_locked();
  void write(std::string_view text) const;

  Settings m_settings;
  std::mutex m_mutex;
  bool m_shown = false;
  std::chrono::steady_clock::time_point m_started = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point m_last;
};

}  // namespace kuva::cli
