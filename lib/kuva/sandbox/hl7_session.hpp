#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/sandbox/adt_service.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/transcript.hpp>

#include <cstdint>
#include <memory>
#include <stop_token>

namespace kuva::sandbox {

// Receives HL7 messages over one connection until it ends or a stop is asked for, one after the other, with the faults
// that are due. Each is a line of the transcript. Errors: what ended the connection otherwise than in good order.
void serve_hl7(std::unique_ptr<net::Stream> stream, std::uint64_t number, bool is_tls, const Settings& settings,
               AdtService& service, FaultPlan& plan, Transcript& transcript, const std::stop_token& stop);

}  // namespace kuva::sandbox
