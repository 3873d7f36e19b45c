#pragma once

#include <kuva/cli/peer_options.hpp>
#include <kuva/workflow/target.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace kuva::cli {

// Which peer, and what differs from what kuva.toml says of it. Flags and environment win over the file.
struct TargetOptions {
  std::string target;  // a name in kuva.toml, or AET@host:port
  std::string host;
  unsigned port = 0;
  std::string called;
  std::string calling;
  TlsOptions tls;
  std::string trace;                             // directory for traces of the associations
  std::string bundle;                            // a file for a request for support
  std::string listen;                            // PORT or HOST:PORT
  std::chrono::milliseconds connect_timeout{0};  // 0: what the target says
  std::chrono::milliseconds response_timeout{0};
};

void add_target_options(CLI::App& app, TargetOptions& options);
// --listen, for tools that take associations of the peer.
void add_listen_option(CLI::App& app, TargetOptions& options);

struct ResolvedTarget {
  workflow::Target target;
  std::string source;  // the file it came from, or "the command line"
};

// What of the target must be there: the DICOM side's host, port and AE titles, or nothing that it can say here, for
// tools that also use the XDS side.
enum class TargetNeeds { dicom, any };

// Reads the configuration (`config`: --config, may be empty) and applies the options.
// Errors: usage.target, usage.config, usage.argument, local.read.
ResolvedTarget resolve_target(const TargetOptions& options, const std::string& config,
                              TargetNeeds needs = TargetNeeds::dicom);

}  // namespace kuva::cli
