#include <kuva/workflow/certificate_json.hpp>

namespace kuva::workflow {

std::optional<long> days_left(const net::CertificateFacts& certificate) {
  if (!certificate.valid_to) {
    return std::nullopt;
  }
  return std::chrono::floor<std::chrono::days>(*certificate.valid_to - std::chrono::system_clock::now()).count();
}

Json to_json(const std::vector<net::CertificateFacts>& chain) {
  Json list = Json::array();
  for (const net::CertificateFacts& certificate : chain) {
    Json one = Json::object();
    one["subject"] = certificate.subject;
    one["issuer"] = certificate.issuer;
    one["serialNumber"] = certificate.serial_number;
    if (certificate.valid_from) {
      one["validFrom"] = to_rfc3339(*certificate.valid_from);
    }
    if (certificate.valid_to) {
      one["validTo"] = to_rfc3339(*certificate.valid_to);
    }
    if (const auto days = days_left(certificate)) {
      one["daysLeft"] = *days;
    }
    one["names"] = certificate.names;
    one["key"] = certificate.key;
    one["sha256"] = certificate.sha256;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace kuva::workflow
