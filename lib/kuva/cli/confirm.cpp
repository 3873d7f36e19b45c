#include <kuva/cli/confirm.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>

namespace kuva::cli {

bool can_ask() { return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0; }

bool Confirmation::operator()(const std::string& sentence) {
  if (m_all) {
    return true;
  }
  fmt::print(stderr, "{}\nGo on? yes, no, or all that follow [no]: ", sentence);
  std::fflush(stderr);
  std::string answer;
  for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) {
    answer.push_back(c);
  }
  m_all = answer == "all";
  return m_all || answer == "yes" || answer == "y";
}

}  // namespace kuva::cli
