#include <kuva/core/time.hpp>
#include <kuva/net/socket.hpp>
#include <kuva/net/stream.hpp>
#include <kuva/net/tls_context.hpp>
#include <kuva/net/tls_failure.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <array>
#include <system_error>

namespace kuva::net {

namespace {

constexpr std::size_t k_most_names = 20;

std::string text_of(const ASN1_STRING* string) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                     static_cast<std::size_t>(ASN1_STRING_length(string)));
}

std::string describe(const CertificateFailure& failure) {
  return fmt::format("certificate \"{}\", issued by \"{}\", depth {} of the chain", failure.subject, failure.issuer,
                     failure.depth);
}

Error certificate_error(const TlsFacts& facts) {
  const CertificateFailure& failure = *facts.certificate;
  const std::string peer = name_of(facts.peer);
  const std::string why = X509_verify_cert_error_string(failure.code);
  const auto finish = [&failure](Error error) {
    return std::move(error.with("certificateSubject", failure.subject)
                         .with("certificateIssuer", failure.issuer)
                         .with("certificateDepth", failure.depth));
  };
  const auto validity = [&](const ErrorKind& error_kind, std::string_view how) {
    return Error(error_kind, fmt::format("{} of {} {}: valid from {} to {}, and this machine's clock says {}",
                                         describe(failure), peer, how, failure.valid_from, failure.valid_to,
                                         to_rfc3339(std::chrono::system_clock::now())));
  };
  switch (failure.code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return finish(validity(kind("tls.peer-certificate-expired"), "has expired"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return finish(validity(kind("tls.peer-certificate-not-yet-valid"), "is not valid yet"));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return finish(
          Error(kind("tls.wrong-name"),
                fmt::format(
                    "the certificate of {} is not for \"{}\" but for {} (subject \"{}\")", peer, facts.expected_name,
                    failure.names.empty() ? "no host at all" : fmt::format("{}", fmt::join(failure.names, ", ")),
                    failure.subject))
              .with("certificateNames", failure.names));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return finish(Error(kind("tls.self-signed"),
                          fmt::format("certificate \"{}\" of {} is signed by itself", failure.subject, peer)));
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return finish(
          Error(kind("tls.untrusted"), fmt::format("the certificate of {} leads to the CA \"{}\", which is not "
                                                   "among those trusted here",
                                                   peer, failure.subject)));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      // From here a chain that was not sent whole and a CA that is not trusted look the same.
      return finish(Error(
          kind("tls.untrusted"),
          fmt::format("{} of {} is not trusted: its issuer is not among the CAs trusted here, and the peer, which "
                      "sent {}, did not send it",
                      describe(failure), peer,
                      failure.sent == 1 ? "one certificate" : fmt::format("{} certificates", failure.sent))));
    default:
      return finish(
          Error(kind("tls.untrusted"), fmt::format("{} of {} is not trusted: {}", describe(failure), peer, why)));
  }
}

// What a fatal alert of the peer means here.
const ErrorKind& alert_kind(int alert, const TlsFacts& facts) {
  switch (alert) {
    case SSL_AD_PROTOCOL_VERSION:
      return kind("tls.no-common-version");
    case SSL_AD_INSUFFICIENT_SECURITY:
      return kind("tls.no-common-cipher");
    case SSL_AD_HANDSHAKE_FAILURE:
      if (facts.certificate_requested) {
        return facts.certificate_sent ? kind("tls.client-certificate-refused")
                                      : kind("tls.client-certificate-required");
      }
      return facts.server_answered || facts.is_server ? kind("tls.handshake") : kind("tls.no-common-cipher");
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return facts.is_server ? kind("tls.handshake") : kind("tls.client-certificate-required");
    case SSL_AD_NO_CERTIFICATE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
      if (facts.is_server) {
        return alert == SSL_AD_ACCESS_DENIED || alert == SSL_AD_DECRYPT_ERROR ? kind("tls.handshake")
                                                                              : kind("tls.own-certificate-refused");
      }
      if (!facts.certificate_requested) {
        return kind("tls.handshake");
      }
      return facts.certificate_sent ? kind("tls.client-certificate-refused") : kind("tls.client-certificate-required");
    default:
      return kind("tls.handshake");
  }
}

// What of our side bears on it.
std::string remark(const ErrorKind& error_kind, const TlsFacts& facts) {
  if (error_kind.code == kind("tls.no-common-version").code || error_kind.code == kind("tls.no-common-cipher").code) {
    return fmt::format("; we {} {}", facts.is_server ? "take" : "offer", facts.offer);
  }
  if (error_kind.code == kind("tls.own-certificate-refused").code ||
      error_kind.code == kind("tls.client-certificate-refused").code) {
    return fmt::format(": it refuses our certificate {}", facts.own_certificate);
  }
  return {};
}

std::string alert_name(int alert) {
  // OpenSSL 3.0 has no name for this one.
  return alert == TLS13_AD_CERTIFICATE_REQUIRED ? "certificate required" : SSL_alert_desc_string_long(alert);
}

Error alert_error(int alert, const TlsFacts& facts) {
  const std::string name = alert_name(alert);
  const ErrorKind& error_kind = alert_kind(alert, facts);
  return Error(error_kind, fmt::format("{} ended TLS with the alert \"{}\" ({}){}", name_of(facts.peer), name, alert,
                                       remark(error_kind, facts)))
      .with("tlsAlert", name);
}

const ErrorKind& reason_kind(int reason) {
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return kind("tls.no-common-version");
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_WRONG_CIPHER_RETURNED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      return kind("tls.no-common-cipher");
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return kind("tls.untrusted");
    default:
      return kind("tls.handshake");
  }
}

Error closed_error(const TlsFacts& facts) {
  const std::string peer = name_of(facts.peer);
  const std::string how =
      facts.error_number != 0 ? std::generic_category().message(facts.error_number) : std::string("closed by the peer");
  if (!facts.handshake_done) {
    if (facts.certificate_requested && !facts.certificate_sent) {
      return Error(kind("tls.client-certificate-required"),
                   fmt::format("{} asked for a client certificate, got none, and ended the connection: {}", peer, how));
    }
    return std::move(
        Error(kind("connection.lost"),
              fmt::format("connection with {} lost in the TLS handshake: {}{}", peer, how,
                          facts.first_bytes.empty() ? ", without a byte from it: the port may not speak TLS" : ""))
            .in_phase(Phase::tls));
  }
  if (!facts.is_server && facts.certificate_requested && !facts.has_heard_data) {
    // TLS 1.3 tells after the handshake, and some servers do not tell at all.
    if (!facts.certificate_sent) {
      return Error(kind("tls.client-certificate-required"),
                   fmt::format("{} asked for a client certificate, got none, and ended the connection: {}", peer, how));
    }
    return Error(facts.error_number != 0 ? kind("connection.lost") : kind("tls.truncated"),
                 fmt::format("connection with {} lost right after the TLS handshake: {}; "
                             "it may have refused our client certificate",
                             peer, how));
  }
  if (facts.error_number != 0) {
    Error lost(facts.error_number == ETIMEDOUT ? kind("connection.timeout") : kind("connection.lost"),
               fmt::format("connection with {} lost: {}", peer,
                           facts.error_number == ECANCELED ? "it was shut down on our side" : how));
    if (facts.error_number != ECANCELED) {
      lost.with("errno", errno_name(facts.error_number));
    }
    return lost;
  }
  return Error(kind("tls.truncated"), fmt::format("{} closed the connection without ending TLS", peer));
}

Error failure_without_peer(const TlsFacts& facts) {
  if (!facts.handshake_done) {
    if (auto plain = plain_peer(facts)) {
      return std::move(*plain);
    }
    if (facts.certificate) {
      return certificate_error(facts);
    }
  }
  int reason = 0;
  const unsigned long first = ERR_peek_error();
  if (ERR_GET_LIB(first) == ERR_LIB_SSL) {
    reason = ERR_GET_REASON(first);
  }
  if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    ERR_clear_error();
    return alert_error(reason - SSL_AD_REASON_OFFSET, facts);
  }
  if (first == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || facts.error_number != 0) {
    ERR_clear_error();
    return closed_error(facts);
  }
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    ERR_clear_error();
    return Error(kind("tls.untrusted"), fmt::format("{} showed no client certificate", name_of(facts.peer)));
  }
  const ErrorKind& error_kind = reason_kind(reason);
  return Error(error_kind, fmt::format("TLS with {} failed: {}{}", name_of(facts.peer), openssl_reasons(),
                                       remark(error_kind, facts)));
}

}  // namespace

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  for (int i = 0; alternatives != nullptr && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (names.size() == k_most_names) {
      names.emplace_back("...");
      break;
    }
    if (name->type == GEN_DNS) {
      names.push_back(text_of(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      const std::string bytes = text_of(name->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> text{};
      if ((bytes.size() == 4 || bytes.size() == 16) &&
          ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size()) != nullptr) {
        names.emplace_back(text.data());
      }
    }
  }
  return names;
}

CertificateFailure certificate_failure(int code, int depth, const X509* certificate) {
  CertificateFailure failure;
  failure.code = code;
  failure.depth = depth;
  if (certificate != nullptr) {
    failure.subject = to_string(X509_get_subject_name(certificate));
    failure.issuer = to_string(X509_get_issuer_name(certificate));
    if (const auto time = to_time_point(X509_get0_notBefore(certificate))) {
      failure.valid_from = to_rfc3339(*time);
    }
    if (const auto time = to_time_point(X509_get0_notAfter(certificate))) {
      failure.valid_to = to_rfc3339(*time);
    }
    failure.names = names_of(certificate);
  }
  return failure;
}

std::string describe_offer(const SSL* ssl) {
  const auto name = [](long version) { return version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3"; };
  // OpenSSL's macros take no const and change nothing.
  auto* const mutable_ssl = const_cast<SSL*>(ssl);
  const long lowest = SSL_get_min_proto_version(mutable_ssl);
  const long newest = SSL_get_max_proto_version(mutable_ssl);
  const long highest = newest == 0 ? TLS1_3_VERSION : newest;
  std::string text = lowest == highest ? name(lowest) : fmt::format("{} and {}", name(lowest), name(highest));
  const STACK_OF(SSL_CIPHER)* const suites = SSL_get_ciphers(ssl);
  for (int i = 0; i < sk_SSL_CIPHER_num(suites); ++i) {
    text += fmt::format("{}{}", i == 0 ? " with " : ", ", SSL_CIPHER_get_name(sk_SSL_CIPHER_value(suites, i)));
  }
  return text;
}

std::string describe_certificate(const X509* certificate) {
  if (certificate == nullptr) {
    return {};
  }
  const auto ends = to_time_point(X509_get0_notAfter(certificate));
  return fmt::format("\"{}\", issued by \"{}\", valid to {}", to_string(X509_get_subject_name(certificate)),
                     to_string(X509_get_issuer_name(certificate)), ends ? to_rfc3339(*ends) : "no date");
}

std::optional<Error> plain_peer(const TlsFacts& facts) {
  const std::string& bytes = facts.first_bytes;
  if (bytes.empty()) {
    return std::nullopt;
  }
  const auto first = static_cast<unsigned char>(bytes[0]);
  // Content types 20-23, then the major version 3; 80H begins a ClientHello in SSL 2's form.
  const bool is_tls = (first >= 0x14 && first <= 0x17 && (bytes.size() < 2 || bytes[1] == 0x03)) || first == 0x80;
  if (is_tls) {
    return std::nullopt;
  }
  std::string what = "it answers without TLS";
  if (bytes.starts_with("HTTP") || bytes.starts_with("GET ") || bytes.starts_with("POST")) {
    what = "it speaks HTTP";
  } else if (bytes.starts_with("SSH-")) {
    what = "it speaks SSH";
  } else if (first == 0x01) {
    what = "it starts a DICOM association without TLS";
  } else if (first >= 0x02 && first <= 0x07) {
    what = "it speaks DICOM without TLS";
  }
  return Error(kind("tls.peer-speaks-plain"), fmt::format("{}: {}", name_of(facts.peer), what)).with_peer(facts.peer);
}

Error tls_failure(const TlsFacts& facts) {
  Error error = failure_without_peer(facts);
  ERR_clear_error();
  error.with_peer(facts.peer);
  return error;
}

}  // namespace kuva::net
