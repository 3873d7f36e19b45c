#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kuva::cli {

// What --explain prints: of an error code (store.no-response), of a DIMSE status or Failure Reason of storage
// commitment (A771, 0x0110), of an A-ASSOCIATE-RJ (rj-1-1-7 or 1/1/7: result, source, reason), or of an A-ABORT
// (abort-2-6: source, reason). Nothing where it is none of these.
std::optional<std::string> explain(std::string_view what);

}  // namespace kuva::cli
