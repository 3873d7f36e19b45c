#pragma once

#include <kuva/sandbox/sandbox.hpp>

#include <cstdint>
#include <filesystem>

namespace kuva::cli {

// Reads sandbox.toml (kuva-sandbox(1)). Errors: usage.config (file, line, key).
sandbox::Settings load_sandbox_config(const std::filesystem::path& file);

// The ports of a sandbox and of the tools that await its reports; 0 takes a free one.
struct SandboxPorts {
  std::uint16_t plain = 0;
  std::uint16_t tls = 0;
  std::uint16_t listen = 0;        // reports over TLS, [target.sandbox]
  std::uint16_t plain_listen = 0;  // reports in plain text, [target.sandbox-plain]
  std::uint16_t web = 0;           // registry, repository, imaging document source, WADO-RS
  std::uint16_t hl7 = 0;           // HL7 messages in plain text
  std::uint16_t hl7_tls = 0;
};

// Makes `directory` a sandbox: certificates, sandbox.toml, kuva.toml with [target.sandbox] and [target.sandbox-plain],
// and a list of study codes. Returns the ports. Errors: local.write, tls.config, listen.failed; usage.config when there
// is a sandbox already.
SandboxPorts init_sandbox(const std::filesystem::path& directory, SandboxPorts ports);

}  // namespace kuva::cli
