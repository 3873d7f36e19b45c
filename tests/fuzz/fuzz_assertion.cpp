// A message with an assertion as anybody may send it: verification ends in an assertion whose subject is the signed
// one, or in an Error of the catalogue; cutting one out of a text and reading it, too.
#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/time.hpp>
#include <kuva/soap/assertion.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

// The certificate of the key that signed the seeds; the key is gone, so that nothing else may ever verify.
constexpr std::string_view k_certificate = R"(-----BEGIN CERTIFICATE-----
MIIBLzCB1qADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBHNlZWQwHhcN
MjYxMTIyMDY0NzExWhcNMzYxMTE5MDc0NzExWjAPMQ0wCwYDVQQDDARzZWVkMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEleQ3KE2mlpyZSYKyul97EKAF/dAY1IuG
i7E7hyM/ZMtXBlexkOoN3VGzt5q1AJ8VKHQTrfSpElI6T3RoFJB22aMjMCEwDwYD
VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAoQwCgYIKoZIzj0EAwIDSAAwRQIh
AJhx4ldpxZ7X5pfOevIfB8MGlE93c2QwAsRj/nHXmoCaAiAiTxviFex3AQ6T4yZ+
8CA07xowirVTFhA9638vIap7Yw==
-----END CERTIFICATE-----
)";
constexpr std::string_view k_subject = "seed-user";
constexpr std::string_view k_time = "2026-11-22T07:47:11.159Z";

std::string certificate_file() {
  static const kuva::FileDescriptor file(memfd_create("certificate", 0));
  static const bool written =
      write(file.get(), k_certificate.data(), k_certificate.size()) == static_cast<ssize_t>(k_certificate.size());
  if (!written) {
    std::abort();
  }
  return "/proc/self/fd/" + std::to_string(file.get());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kuva;
  if (size > 1U << 16U) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data), size);
  soap::AssertionTrust trust;
  trust.certificate_files = {certificate_file()};
  trust.accept_sha1 = true;
  try {
    const auto verified = soap::verify_assertion(text, trust, *from_rfc3339(k_time));
    if (verified.subject != k_subject) {
      std::abort();
    }
  } catch (const Error&) {
  }
  try {
    soap::read_assertion(soap::extract_assertion(text));
  } catch (const Error&) {
  }
  return 0;
}
