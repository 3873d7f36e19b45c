#include <kuva/core/error_catalogue.hpp>

namespace kuva {

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::usage:
      return "usage";
    case Phase::config:
      return "config";
    case Phase::scan:
      return "scan";
    case Phase::read:
      return "read";
    case Phase::validate:
      return "validate";
    case Phase::resolve:
      return "resolve";
    case Phase::connect:
      return "connect";
    case Phase::tls:
      return "tls";
    case Phase::associate:
      return "associate";
    case Phase::negotiate:
      return "negotiate";
    case Phase::send:
      return "send";
    case Phase::wait:
      return "wait";
    case Phase::release:
      return "release";
    case Phase::request:
      return "request";
    case Phase::listen:
      return "listen";
    case Phase::write:
      return "write";
    case Phase::internal:
      return "internal";
  }
  return "internal";
}

std::string_view to_string(Side side) {
  switch (side) {
    case Side::local:
      return "local";
    case Side::network:
      return "network";
    case Side::peer:
      return "peer";
  }
  return "local";
}

std::string_view to_string(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::temporary:
      return "temporary";
    case ErrorClass::permanent:
      return "permanent";
    case ErrorClass::indeterminate:
      return "indeterminate";
    case ErrorClass::usage:
      return "usage";
  }
  return "permanent";
}

const ErrorKind* find_kind(std::string_view code) {
  for (const ErrorKind& entry : error_catalogue()) {
    if (entry.code == code) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace kuva
