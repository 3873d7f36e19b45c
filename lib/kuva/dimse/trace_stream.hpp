#pragma once

#include <kuva/net/stream.hpp>

#include <functional>
#include <memory>
#include <string_view>

namespace kuva::dimse {

// Takes a line of a trace, without its end. Must not throw.
using TraceSink = std::function<void(std::string_view)>;

// The same stream, and what passes over it is told line by line: each PDU with type and length, association parameters
// and contexts, each PDV with context and flags, command sets by keyword, data sets by their size alone. Time is UTC
// with milliseconds; > is what we send. An Error Comment is masked unless `phi_plain`; passcodes, tokens and keys are
// never shown. What the peer sends is decoded as bytes from outside: a fault ends the decoding of that direction, not
// the association.
std::unique_ptr<net::Stream> traced(std::unique_ptr<net::Stream> stream, TraceSink sink, bool phi_plain);

// "2026-11-22T02:58:42.123Z text"
std::string trace_line(std::string_view text);

}  // namespace kuva::dimse
