#pragma once

#include <kuva/workflow/items.hpp>
#include <kuva/workflow/target.hpp>

#include <chrono>
#include <filesystem>
#include <stop_token>

namespace kuva::workflow {

// kuva-commit --check-inbound: says what the archive must be given so that its reports find us (AE title, address,
// port, TLS), then listens, and reports each connection that comes in: how far it came and why it failed, as records of
// type `check`. It ends with the first association that succeeds, or after `wait`. One connection is looked at at a
// time. A report that comes is kept in `state` for --resume. Errors: usage.target (no listener), listen.failed,
// tls.config, local.write.
void check_inbound(RecordSink& sink, Observer& observer, const Target& target, const std::filesystem::path& state,
                   std::chrono::milliseconds wait, std::stop_token stop);

}  // namespace kuva::workflow
