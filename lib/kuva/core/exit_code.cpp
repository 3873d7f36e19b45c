#include <kuva/core/exit_code.hpp>

namespace kuva {

namespace {

int rank(ExitCode code) {
  switch (code) {
    case ExitCode::done:
      return 0;
    case ExitCode::negative:
      return 1;
    case ExitCode::item_failed:
      return 2;
    case ExitCode::limit:
      return 3;
    case ExitCode::temporary:
      return 4;
    case ExitCode::refused:
      return 5;
    case ExitCode::security:
      return 6;
    case ExitCode::local_io:
      return 7;
    case ExitCode::usage:
      return 8;
    case ExitCode::internal:
      return 9;
    case ExitCode::interrupted:
    case ExitCode::terminated:
      return 10;
  }
  return 9;
}

}  // namespace

ExitCode worse(ExitCode a, ExitCode b) { return rank(b) > rank(a) ? b : a; }

}  // namespace kuva
