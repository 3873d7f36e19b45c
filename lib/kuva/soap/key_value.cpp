#include <kuva/core/base64.hpp>
#include <kuva/soap/key_value.hpp>
#include <kuva/xml/namespaces.hpp>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include <map>
#include <memory>

namespace kuva::soap {

namespace ns = xml::ns;

namespace {

constexpr std::string_view k_dsig11 = "http://www.w3.org/2009/xmldsig11#";
constexpr int k_most_rsa_bits = 16384;
constexpr int k_most_exponent_bits = 64;
constexpr std::size_t k_longest_value = 4096;

struct KeyPartDelete {
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
  void operator()(OSSL_PARAM_BLD* build) const { OSSL_PARAM_BLD_free(build); }
};
template <typename T>
using KeyPart = std::unique_ptr<T, KeyPartDelete>;

std::optional<std::string> bytes_of(const xml::Element& parent, std::string_view ns, std::string_view name) {
  const auto element = parent.child(ns, name);
  if (!element) {
    return std::nullopt;
  }
  const std::string text = without_space(element->text());
  if (text.empty() || text.size() > k_longest_value) {
    return std::nullopt;
  }
  return base64_decode(text);
}

KeyPart<BIGNUM> number_of(const std::string& bytes) {
  return KeyPart<BIGNUM>(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

std::optional<std::string> key_from(const char* type, OSSL_PARAM_BLD* build) {
  const KeyPart<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(build));
  const KeyPart<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  const bool ok = parameters && context && EVP_PKEY_fromdata_init(context.get()) > 0 &&
                  EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) > 0;
  const KeyPart<EVP_PKEY> key(made);
  unsigned char* der = nullptr;
  const int length = ok ? i2d_PUBKEY(key.get(), &der) : -1;
  ERR_clear_error();
  if (length <= 0) {
    return std::nullopt;
  }
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

std::optional<std::string> rsa_key(const xml::Element& value) {
  const auto modulus_bytes = bytes_of(value, ns::ds, "Modulus");
  const auto exponent_bytes = bytes_of(value, ns::ds, "Exponent");
  if (!modulus_bytes || !exponent_bytes) {
    return std::nullopt;
  }
  const auto modulus = number_of(*modulus_bytes);
  const auto exponent = number_of(*exponent_bytes);
  if (!modulus || !exponent) {
    return std::nullopt;
  }
  const int bits = BN_num_bits(modulus.get());
  if (bits < k_least_rsa_bits || bits > k_most_rsa_bits || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()) ||
      BN_num_bits(exponent.get()) > k_most_exponent_bits) {
    return std::nullopt;
  }
  const KeyPart<OSSL_PARAM_BLD> build(OSSL_PARAM_BLD_new());
  if (!build || OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return std::nullopt;
  }
  return key_from("RSA", build.get());
}

std::optional<std::string> ec_key(const xml::Element& value) {
  static const std::map<std::string_view, const char*> k_curves{{"urn:oid:1.2.840.10045.3.1.7", "prime256v1"},
                                                                {"urn:oid:1.3.132.0.34", "secp384r1"},
                                                                {"urn:oid:1.3.132.0.35", "secp521r1"}};
  const auto named = value.child(k_dsig11, "NamedCurve");
  const auto curve = named ? k_curves.find(named->attribute("URI").value_or("")) : k_curves.end();
  const auto point = bytes_of(value, k_dsig11, "PublicKey");
  if (curve == k_curves.end() || !point) {
    return std::nullopt;
  }
  const KeyPart<OSSL_PARAM_BLD> build(OSSL_PARAM_BLD_new());
  if (!build || OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->second, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point->data(), point->size()) != 1) {
    return std::nullopt;
  }
  return key_from("EC", build.get());
}

}  // namespace

std::string without_space(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
  return text;
}

std::optional<std::string> public_key_of(const xml::Element& key_value) {
  if (const auto rsa = key_value.child(ns::ds, "RSAKeyValue")) {
    return rsa_key(*rsa);
  }
  if (const auto ec = key_value.child(k_dsig11, "ECKeyValue")) {
    return ec_key(*ec);
  }
  return std::nullopt;
}

}  // namespace kuva::soap
