#pragma once

#include <string>

namespace kuva::cli {

// There is a person to ask: standard input and standard error are terminals.
bool can_ask();

// Asks on the terminal before each of several steps; "all" answers for those that follow.
class Confirmation {
 public:
  bool operator()(const std::string& sentence);

 private:
  bool m_all = false;
};

}  // namespace kuva::cli
