#pragma once

#include <kuva/net/tls_report.hpp>

#include <optional>
#include <vector>

namespace kuva::workflow {

// Whole days until a certificate ends, below 0 once it has.
std::optional<long> days_left(const net::CertificateFacts& certificate);

// A chain as it stands in check records, the certificate of the side itself first.
Json to_json(const std::vector<net::CertificateFacts>& chain);

}  // namespace kuva::workflow
