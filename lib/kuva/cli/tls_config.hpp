#pragma once

#include <kuva/cli/toml_reader.hpp>
#include <kuva/net/stream.hpp>

#include <optional>

namespace kuva::cli {

// The table `tls` of a target, a listener or a service. Errors: usage.config.
void read_tls(TomlReader& reader, net::TlsSettings& tls);
// `security`: true for "tls", false for "plain".
std::optional<bool> read_security(TomlReader& reader);

// What was read, where it was there.
template <typename T, typename U>
void assign(T& value, const std::optional<U>& read) {
  if (read) {
    value = static_cast<T>(*read);
  }
}

}  // namespace kuva::cli
