#include <kuva/core/base64.hpp>
#include <kuva/core/file.hpp>
#include <kuva/soap/key_value.hpp>
#include <kuva/soap/xml_signature.hpp>
#include <kuva/xml/namespaces.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/valid.h>
#include <libxml/xmlerror.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <libxml/c14n.h>
#include <span>

// The other headers of xmlsec need the types of its first.
// clang-format off
#include <xmlsec/xmlsec.h>
#include <xmlsec/base64.h>
#include <xmlsec/errors.h>
#include <xmlsec/keys.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmltree.h>
// clang-format on

namespace kuva::soap {

namespace {

namespace ns = xml::ns;

constexpr std::size_t k_largest_message = 8U << 20U;
constexpr std::uint64_t k_largest_trust_file = 1U << 20U;
constexpr std::string_view k_x509_certificate = "X509Certificate";

// --- the libraries

void ignore_error(const char*, int, const char*, const char*, const char*, int, const char*) {}

void ignore_xml_error(void*, xmlErrorPtr) {}

void register_transforms();

// libxml2 and xmlsec1 are set up once for the process. Nothing is fetched: same-document references are all that is
// enabled wherever they are used.
void start_libraries() {
  static const bool started = [] {
    xmlInitParser();
    if (xmlSecInit() < 0 || xmlSecOpenSSLInit() < 0) {
      throw Error(kind("internal"), "xmlsec1 cannot start");
    }
    xmlSecErrorsSetCallback(&ignore_error);
    xmlSecBase64SetDefaultLineSize(0);
    register_transforms();
    return true;
  }();
  static_cast<void>(started);
  // It is a setting of the thread; without it canonicalization writes to standard error.
  xmlSetStructuredErrorFunc(nullptr, &ignore_xml_error);
}

struct XmlDelete {
  void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
  void operator()(xmlChar* text) const { xmlFree(text); }
  void operator()(xmlSecDSigCtx* context) const { xmlSecDSigCtxDestroy(context); }
  void operator()(xmlSecKey* key) const { xmlSecKeyDestroy(key); }
};
template <typename T>
using XmlPtr = std::unique_ptr<T, XmlDelete>;

const xmlChar* chars(const char* text) { return reinterpret_cast<const xmlChar*>(text); }

std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}

XmlPtr<xmlDoc> parse(std::string_view bytes) {
  start_libraries();
  constexpr int k_options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
  return XmlPtr<xmlDoc>(xmlReadMemory(bytes.data(), static_cast<int>(bytes.size()), nullptr, "UTF-8", k_options));
}

bool is(const xmlNode* node, std::string_view name_space, std::string_view name) {
  return node != nullptr && node->type == XML_ELEMENT_NODE && view(node->name) == name && node->ns != nullptr &&
         view(node->ns->href) == name_space;
}

std::vector<xmlNode*> children(xmlNode* parent, std::string_view name_space, std::string_view name) {
  std::vector<xmlNode*> found;
  for (xmlNode* node = parent->children; node != nullptr; node = node->next) {
    if (is(node, name_space, name)) {
      found.push_back(node);
    }
  }
  return found;
}

std::vector<xmlNode*> elements(xmlNode* parent) {
  std::vector<xmlNode*> found;
  for (xmlNode* node = parent->children; node != nullptr; node = node->next) {
    if (node->type == XML_ELEMENT_NODE) {
      found.push_back(node);
    }
  }
  return found;
}

xmlNode* only_child(xmlNode* parent, std::string_view name_space, std::string_view name) {
  const auto found = children(parent, name_space, name);
  return found.size() == 1 ? found.front() : nullptr;
}

// Every element below, in document order; the tree's depth is bounded by the parser.
void each_element(xmlNode* node, const std::function<void(xmlNode*)>& visit) {
  for (; node != nullptr; node = node->next) {
    if (node->type == XML_ELEMENT_NODE) {
      visit(node);
      each_element(node->children, visit);
    }
  }
}

std::string attribute(xmlNode* node, const char* name) {
  const XmlPtr<xmlChar> value(xmlGetNoNsProp(node, chars(name)));
  return std::string(view(value.get()));
}

std::string content(xmlNode* node) {
  const XmlPtr<xmlChar> value(xmlNodeGetContent(node));
  return std::string(view(value.get()));
}

// ID of SAML, wsu:Id, Id of XML Signature and xml:id: whatever a receiver could take for an ID.
bool is_id_attribute(const xmlAttr* attr) {
  const std::string_view name = view(attr->name);
  return name == "ID" || name == "Id" || name == "id" || name == "AssertionID";
}

std::string value_of(const xmlAttr* attr) {
  const XmlPtr<xmlChar> value(xmlNodeListGetString(attr->doc, attr->children, 1));
  return std::string(view(value.get()));
}

void register_ids(xmlDoc* document) {
  each_element(xmlDocGetRootElement(document), [&](xmlNode* node) {
    for (xmlAttr* attr = node->properties; attr != nullptr; attr = attr->next) {
      if (is_id_attribute(attr)) {
        xmlAddID(nullptr, document, chars(value_of(attr).c_str()), attr);
      }
    }
  });
}

Error refusal(const ErrorKind& kind, std::string message) { return Error(kind, std::move(message)); }
Error malformed(std::string message) { return refusal(kind("soap.assertion.malformed"), std::move(message)); }
Error wrapped(std::string message) { return refusal(kind("soap.assertion.wrapped"), std::move(message)); }
Error bad_algorithm(std::string message) { return refusal(kind("soap.assertion.algorithm"), std::move(message)); }
Error untrusted(std::string message) { return refusal(kind("soap.assertion.untrusted"), std::move(message)); }
Error unconfirmed(std::string message) { return refusal(kind("soap.assertion.confirmation"), std::move(message)); }

// --- algorithms

struct Algorithm {
  std::string_view name;
  std::string_view uri;
};
constexpr std::array<Algorithm, 6> k_signature_algorithms{{
    {"rsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"},
    {"rsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"},
    {"rsa-sha512", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"},
    {"ecdsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"},
    {"ecdsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"},
    {"ecdsa-sha512", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"},
}};
constexpr std::array<Algorithm, 3> k_digest_algorithms{{
    {"sha256", "http://www.w3.org/2001/04/xmlenc#sha256"},
    {"sha384", "http://www.w3.org/2001/04/xmldsig-more#sha384"},
    {"sha512", "http://www.w3.org/2001/04/xmlenc#sha512"},
}};
constexpr std::string_view k_rsa_sha1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
constexpr std::string_view k_sha1 = "http://www.w3.org/2000/09/xmldsig#sha1";

bool accepted(std::span<const Algorithm> algorithms, std::string_view uri) {
  return std::any_of(algorithms.begin(), algorithms.end(), [&](const Algorithm& known) { return known.uri == uri; });
}

// Our own words for what came from outside: a URI that may be anything is not repeated.
std::string name_of(std::string_view uri) {
  const bool plain =
      uri.size() <= 100 && std::all_of(uri.begin(), uri.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  return plain ? std::string(uri) : std::string("an algorithm without a proper name");
}

// --- STR-Transform

// The token that a SecurityTokenReference of this message refers to: the assertion with that ID.
xmlNode* referred_assertion(xmlNode* reference) {
  xmlNode* identifier = only_child(reference, ns::wsse, "KeyIdentifier");
  if (identifier == nullptr) {
    return nullptr;
  }
  const std::string id = without_space(content(identifier));
  xmlAttr* attr = xmlGetID(reference->doc, chars(id.c_str()));
  return attr != nullptr && is(attr->parent, ns::saml, "Assertion") ? attr->parent : nullptr;
}

// Exclusive canonical form, with xmlns="" at the apex as the transform demands (WSS 1.1, 8.3).
std::optional<std::string> canonical_token(xmlNode* node) {
  struct Subtree {
    static int visible(void* user, xmlNode* what, xmlNode* parent) {
      const auto* apex = static_cast<const xmlNode*>(user);
      for (const xmlNode* at = what->type == XML_NAMESPACE_DECL || what->type == XML_ATTRIBUTE_NODE ? parent : what;
           at != nullptr; at = at->parent) {
        if (at == apex) {
          return 1;
        }
      }
      return 0;
    }
  };
  xmlOutputBuffer* buffer = xmlAllocOutputBuffer(nullptr);
  if (buffer == nullptr) {
    return std::nullopt;
  }
  const int written = xmlC14NExecute(node->doc, &Subtree::visible, node, XML_C14N_EXCLUSIVE_1_0, nullptr, 0, buffer);
  std::string text;
  if (written >= 0) {
    text.assign(reinterpret_cast<const char*>(xmlOutputBufferGetContent(buffer)), xmlOutputBufferGetSize(buffer));
  }
  xmlOutputBufferClose(buffer);
  if (written < 0) {
    return std::nullopt;
  }
  const std::string start_tag = text.substr(0, text.find('>'));
  if (start_tag.find(" xmlns=\"") == std::string::npos) {
    text.insert(std::min(start_tag.find(' '), start_tag.size()), " xmlns=\"\"");
  }
  return text;
}

int push_token(xmlSecTransformPtr transform, xmlSecNodeSetPtr nodes, xmlSecTransformCtxPtr context) {
  // The reference's own element is the apex of what comes.
  xmlNode* reference = nullptr;
  if (nodes != nullptr && nodes->doc != nullptr) {
    each_element(xmlDocGetRootElement(nodes->doc), [&](xmlNode* node) {
      if (reference == nullptr && xmlSecNodeSetContains(nodes, node, node->parent) == 1) {
        reference = node;
      }
    });
  }
  if (!is(reference, ns::wsse, "SecurityTokenReference") || transform->next == nullptr) {
    return -1;
  }
  xmlNode* token = referred_assertion(reference);
  const auto text = token == nullptr ? std::nullopt : canonical_token(token);
  if (!text) {
    return -1;
  }
  transform->status = xmlSecTransformStatusFinished;
  return xmlSecTransformPushBin(transform->next, reinterpret_cast<const xmlSecByte*>(text->data()),
                                static_cast<xmlSecSize>(text->size()), 1, context);
}

int transform_without_state(xmlSecTransformPtr) { return 0; }
void forget_nothing(xmlSecTransformPtr) {}
int read_nothing(xmlSecTransformPtr, xmlNodePtr, xmlSecTransformCtxPtr) { return 0; }

xmlSecTransformDataType token_data_type(xmlSecTransformPtr, xmlSecTransformMode mode, xmlSecTransformCtxPtr) {
  return mode == xmlSecTransformModePush ? xmlSecTransformDataTypeXml : xmlSecTransformDataTypeBin;
}

_xmlSecTransformKlass make_str_klass() {
  _xmlSecTransformKlass klass{};
  klass.klassSize = sizeof(xmlSecTransformKlass);
  klass.objSize = sizeof(xmlSecTransform);
  klass.name = chars("STR-Transform");
  klass.href = chars(algorithms::str_transform.data());
  klass.usage = xmlSecTransformUsageDSigTransform;
  klass.initialize = &transform_without_state;
  klass.finalize = &forget_nothing;
  klass.readNode = &read_nothing;
  klass.getDataType = &token_data_type;
  klass.pushXml = &push_token;
  return klass;
}

void register_transforms() {
  static const _xmlSecTransformKlass klass = make_str_klass();
  if (xmlSecTransformIdsRegister(&klass) < 0) {
    throw Error(kind("internal"), "xmlsec1 does not take a transform");
  }
}

// --- keys

XmlPtr<xmlSecKey> xmlsec_key(EVP_PKEY* key) {
  EVP_PKEY_up_ref(key);
  xmlSecKeyDataPtr data = xmlSecOpenSSLEvpKeyAdopt(key);
  if (data == nullptr) {
    EVP_PKEY_free(key);
    return nullptr;
  }
  XmlPtr<xmlSecKey> result(xmlSecKeyCreate());
  if (result == nullptr || xmlSecKeySetValue(result.get(), data) < 0) {
    xmlSecKeyDataDestroy(data);
    return nullptr;
  }
  return result;
}

net::OpensslPtr<X509> certificate_of(const std::string& der) {
  const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
  net::OpensslPtr<X509> certificate(d2i_X509(nullptr, &begin, static_cast<long>(der.size())));
  ERR_clear_error();
  return certificate;
}

// Of a certificate or a SubjectPublicKeyInfo.
net::OpensslPtr<EVP_PKEY> holder_key(const std::string& der) {
  if (const auto certificate = certificate_of(der)) {
    return net::OpensslPtr<EVP_PKEY>(X509_get_pubkey(certificate.get()));
  }
  const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
  net::OpensslPtr<EVP_PKEY> key(d2i_PUBKEY(nullptr, &begin, static_cast<long>(der.size())));
  ERR_clear_error();
  return key;
}

std::vector<net::OpensslPtr<X509>> certificates_of_file(const std::string& file) {
  const std::string pem = read_small_file(file, k_largest_trust_file);
  const net::OpensslPtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<net::OpensslPtr<X509>> found;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(certificate);
  }
  ERR_clear_error();
  return found;
}

struct StoreDelete {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

void check_dates(const X509* certificate, TimePoint now) {
  const auto not_before = net::to_time_point(X509_get0_notBefore(certificate));
  const auto not_after = net::to_time_point(X509_get0_notAfter(certificate));
  if (!not_before || !not_after || now < *not_before || now > *not_after) {
    throw untrusted(not_before && not_after ? fmt::format("the certificate that signed is valid from {} to {}",
                                                          to_rfc3339(*not_before), to_rfc3339(*not_after))
                                            : "the dates of the certificate that signed cannot be read");
  }
}

void check_chain(X509* leaf, const std::vector<net::OpensslPtr<X509>>& others, const std::string& ca_file,
                 TimePoint now) {
  const std::unique_ptr<X509_STORE, StoreDelete> store(X509_STORE_new());
  for (const auto& ca : certificates_of_file(ca_file)) {
    X509_STORE_add_cert(store.get(), ca.get());
  }
  const std::unique_ptr<STACK_OF(X509), StoreDelete> stack(sk_X509_new_null());
  for (const auto& other : others) {
    sk_X509_push(stack.get(), other.get());
  }
  const std::unique_ptr<X509_STORE_CTX, StoreDelete> context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, stack.get()) != 1) {
    throw untrusted("the certificate that signed cannot be verified");
  }
  X509_STORE_CTX_set_time(context.get(), 0, std::chrono::system_clock::to_time_t(now));
  if (X509_verify_cert(context.get()) != 1) {
    throw untrusted(fmt::format("the certificate that signed is not trusted: {}",
                                X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
  }
}

// The certificate that signed, if it is trusted. `certificates`: DER, the signer's first.
net::OpensslPtr<X509> trusted_certificate(const std::vector<std::string>& certificates, const AssertionTrust& trust,
                                          TimePoint now) {
  std::vector<net::OpensslPtr<X509>> chain;
  for (const std::string& der : certificates) {
    chain.push_back(certificate_of(der));
    if (chain.back() == nullptr) {
      throw malformed("a certificate in the signature cannot be read");
    }
  }
  const std::vector<std::string>& pinned = trust.certificate_files;
  if (chain.empty() && pinned.size() == 1) {
    auto only = certificates_of_file(pinned.front());
    if (!only.empty()) {
      chain.push_back(std::move(only.front()));
    }
  }
  if (chain.empty()) {
    throw untrusted("the signature does not say which certificate it was made with");
  }
  X509* leaf = chain.front().get();
  const bool is_pinned = std::any_of(pinned.begin(), pinned.end(), [&](const std::string& file) {
    const auto there = certificates_of_file(file);
    return !there.empty() && X509_cmp(there.front().get(), leaf) == 0;
  });
  if (is_pinned) {
    check_dates(leaf, now);
  } else if (!trust.ca_file.empty()) {
    check_chain(leaf, chain, trust.ca_file, now);
  } else {
    throw untrusted("the certificate that signed is not among those that are trusted");
  }
  if ((X509_get_key_usage(leaf) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0) {
    throw untrusted("the certificate that signed is not for signatures (key usage)");
  }
  return std::move(chain.front());
}

void check_strength(EVP_PKEY* key) {
  const int type = EVP_PKEY_get_base_id(key);
  if ((type != EVP_PKEY_RSA && type != EVP_PKEY_EC) ||
      (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < k_least_rsa_bits)) {
    throw bad_algorithm("the key that signed is neither RSA of 2048 bits and more nor elliptic curve");
  }
}

// DER of the certificates in KeyInfo/X509Data.
std::vector<std::string> certificates_in(xmlNode* key_info) {
  std::vector<std::string> found;
  for (xmlNode* data : children(key_info, ns::ds, "X509Data")) {
    for (xmlNode* node : children(data, ns::ds, k_x509_certificate)) {
      const auto der = base64_decode(without_space(content(node)));
      if (!der) {
        throw malformed("a certificate in the signature is not base64");
      }
      found.push_back(*der);
    }
  }
  return found;
}

// --- the form of a signature

bool is_ncname(std::string_view id) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !id.empty() && id.size() <= 256 && letter(id.front()) && std::all_of(id.begin(), id.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

// The one element that has this ID. Two of them, of whatever kind, are refused.
xmlNode* unique_by_id(xmlDoc* document, std::string_view id) {
  xmlNode* found = nullptr;
  int count = 0;
  each_element(xmlDocGetRootElement(document), [&](xmlNode* node) {
    for (const xmlAttr* attr = node->properties; attr != nullptr; attr = attr->next) {
      if (is_id_attribute(attr) && value_of(attr) == id) {
        found = node;
        ++count;
      }
    }
  });
  if (count > 1) {
    throw wrapped("an ID that is signed stands at more than one element");
  }
  return found;
}

void register_id(xmlNode* node, std::string_view id) {
  for (xmlAttr* attr = node->properties; attr != nullptr; attr = attr->next) {
    if (is_id_attribute(attr) && value_of(attr) == id) {
      xmlAddID(nullptr, node->doc, chars(std::string(id).c_str()), attr);
    }
  }
}

struct ReadReference {
  std::string id;
  std::vector<std::string> transforms;
};

// Holds SignedInfo against what is accepted and returns its references. Anything else in it is refused: what a verifier
// does not understand it must not pass over.
std::vector<ReadReference> check_signed_info(xmlNode* signature, const AssertionTrust& trust, bool tokens) {
  xmlNode* info = only_child(signature, ns::ds, "SignedInfo");
  const auto parts = elements(signature);
  if (info == nullptr || parts.empty() || parts.front() != info ||
      only_child(signature, ns::ds, "SignatureValue") == nullptr) {
    throw malformed("the signature does not have SignedInfo and SignatureValue");
  }
  for (xmlNode* part : parts) {
    if (!is(part, ns::ds, "SignedInfo") && !is(part, ns::ds, "SignatureValue") && !is(part, ns::ds, "KeyInfo")) {
      throw bad_algorithm("the signature holds objects of its own");
    }
  }
  const auto info_parts = elements(info);
  if (info_parts.size() < 3 || !is(info_parts[0], ns::ds, "CanonicalizationMethod") ||
      !is(info_parts[1], ns::ds, "SignatureMethod")) {
    throw malformed("SignedInfo lacks an algorithm or a reference");
  }
  const auto check_canonicalization = [](xmlNode* method) {
    const std::string uri = attribute(method, "Algorithm");
    if (uri != algorithms::exclusive_c14n) {
      throw bad_algorithm(fmt::format("canonicalization {} is not accepted", name_of(uri)));
    }
    for (xmlNode* parameter : elements(method)) {
      if (!is(parameter, ns::ec, "InclusiveNamespaces")) {
        throw bad_algorithm("canonicalization has a parameter that is not known");
      }
    }
  };
  check_canonicalization(info_parts[0]);
  const std::string method = attribute(info_parts[1], "Algorithm");
  if (!accepted(k_signature_algorithms, method) && !(trust.accept_sha1 && method == k_rsa_sha1)) {
    throw bad_algorithm(fmt::format("signature algorithm {} is not accepted", name_of(method)));
  }
  if (!elements(info_parts[1]).empty()) {
    throw bad_algorithm("the signature algorithm has a parameter that is not known");
  }
  std::vector<ReadReference> references;
  for (std::size_t i = 2; i < info_parts.size(); ++i) {
    xmlNode* node = info_parts[i];
    if (!is(node, ns::ds, "Reference")) {
      throw malformed("SignedInfo holds something else than references");
    }
    ReadReference reference;
    const std::string uri = attribute(node, "URI");
    if (uri.size() < 2 || uri.front() != '#' || !is_ncname(uri.substr(1))) {
      throw wrapped("a reference of the signature is not to an ID of this message");
    }
    reference.id = uri.substr(1);
    xmlNode* digest = only_child(node, ns::ds, "DigestMethod");
    const std::string digest_uri = digest == nullptr ? std::string() : attribute(digest, "Algorithm");
    if (!accepted(k_digest_algorithms, digest_uri) && !(trust.accept_sha1 && digest_uri == k_sha1)) {
      throw bad_algorithm(fmt::format("digest algorithm {} is not accepted", name_of(digest_uri)));
    }
    const auto transforms = children(node, ns::ds, "Transforms");
    if (transforms.size() > 1) {
      throw malformed("a reference has its transforms twice");
    }
    for (xmlNode* transform : transforms.empty() ? std::vector<xmlNode*>() : elements(transforms.front())) {
      const std::string algorithm = attribute(transform, "Algorithm");
      if (algorithm == algorithms::exclusive_c14n) {
        check_canonicalization(transform);
      } else if (tokens && algorithm == algorithms::str_transform) {
        xmlNode* parameters = only_child(transform, ns::wsse, "TransformationParameters");
        xmlNode* canonicalization =
            parameters == nullptr ? nullptr : only_child(parameters, ns::ds, "CanonicalizationMethod");
        if (canonicalization == nullptr) {
          throw bad_algorithm("STR-Transform does not say how the token is canonicalized");
        }
        check_canonicalization(canonicalization);
      } else if (tokens || algorithm != algorithms::enveloped || !elements(transform).empty()) {
        throw bad_algorithm(fmt::format("transform {} is not accepted", name_of(algorithm)));
      }
      reference.transforms.push_back(algorithm);
    }
    references.push_back(std::move(reference));
  }
  return references;
}

// Verifies with this key; the bytes that each reference covers.
std::vector<std::string> verify(xmlNode* signature, EVP_PKEY* key, std::size_t references) {
  check_strength(key);
  const XmlPtr<xmlSecDSigCtx> context(xmlSecDSigCtxCreate(nullptr));
  auto xmlsec = xmlsec_key(key);
  if (context == nullptr || xmlsec == nullptr) {
    throw bad_algorithm("the key that signed cannot be used");
  }
  context->signKey = xmlsec.release();
  context->enabledReferenceUris = xmlSecTransformUriTypeSameDocument;
  context->flags |= XMLSEC_DSIG_FLAGS_STORE_SIGNEDINFO_REFERENCES;
  if (xmlSecDSigCtxVerify(context.get(), signature) < 0 || context->status != xmlSecDSigStatusSucceeded ||
      xmlSecPtrListGetSize(&context->signedInfoReferences) != references) {
    throw refusal(kind("soap.assertion.signature"),
                  "the signature does not fit the bytes that it covers, or not the certificate");
  }
  std::vector<std::string> covered;
  for (std::size_t i = 0; i < references; ++i) {
    auto* reference = static_cast<xmlSecDSigReferenceCtxPtr>(
        xmlSecPtrListGetItem(&context->signedInfoReferences, static_cast<xmlSecSize>(i)));
    xmlSecBufferPtr buffer = xmlSecDSigReferenceCtxGetPreDigestBuffer(reference);
    if (buffer == nullptr) {
      throw refusal(kind("soap.assertion.signature"), "the signature covers nothing");
    }
    covered.emplace_back(reinterpret_cast<const char*>(xmlSecBufferGetData(buffer)), xmlSecBufferGetSize(buffer));
  }
  return covered;
}

}  // namespace

std::string signature_algorithm_uri(std::string_view name, const SigningKey& key) {
  const std::string_view chosen = !name.empty() ? name : key.is_ec() ? "ecdsa-sha256" : "rsa-sha256";
  const auto found = std::find_if(k_signature_algorithms.begin(), k_signature_algorithms.end(),
                                  [&](const Algorithm& algorithm) { return algorithm.name == chosen; });
  if (found == k_signature_algorithms.end() || key.is_ec() != (chosen.front() == 'e')) {
    throw Error(kind("xua.key"), fmt::format("signature algorithm {} does not go with {} key", chosen,
                                             key.is_ec() ? "an elliptic curve" : "an RSA"));
  }
  return std::string(found->uri);
}

std::string digest_algorithm_uri(std::string_view name) {
  const auto found = std::find_if(k_digest_algorithms.begin(), k_digest_algorithms.end(),
                                  [&](const Algorithm& algorithm) { return algorithm.name == name; });
  if (found == k_digest_algorithms.end()) {
    throw Error(kind("xua.key"), fmt::format("digest algorithm {} is not known", name));
  }
  return std::string(found->uri);
}

std::string signature_template(std::string_view signature_algorithm, std::string_view digest_algorithm,
                               const std::vector<SignatureReference>& references, std::string_view key_info) {
  std::string text = fmt::format(
      R"(<ds:Signature xmlns:ds="{}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{}"/><ds:SignatureMethod Algorithm="{}"/>)",
      ns::ds, algorithms::exclusive_c14n, signature_algorithm);
  for (const SignatureReference& reference : references) {
    text += fmt::format(R"(<ds:Reference URI="#{}"><ds:Transforms>)", reference.id);
    for (const std::string_view transform : reference.transforms) {
      text += fmt::format(R"(<ds:Transform Algorithm="{}")", transform);
      if (transform == algorithms::exclusive_c14n && !reference.inclusive_prefixes.empty()) {
        text += fmt::format(R"(><ec:InclusiveNamespaces xmlns:ec="{}" PrefixList="{}"/></ds:Transform>)", ns::ec,
                            reference.inclusive_prefixes);
      } else if (transform == algorithms::str_transform) {
        text += fmt::format(
            R"(><wsse:TransformationParameters xmlns:wsse="{}"><ds:CanonicalizationMethod Algorithm="{}"/></wsse:TransformationParameters></ds:Transform>)",
            ns::wsse, algorithms::exclusive_c14n);
      } else {
        text += "/>";
      }
    }
    text += fmt::format(
        R"(</ds:Transforms><ds:DigestMethod Algorithm="{}"/><ds:DigestValue></ds:DigestValue></ds:Reference>)",
        digest_algorithm);
  }
  text += fmt::format(
      "</ds:SignedInfo><ds:SignatureValue></ds:SignatureValue><ds:KeyInfo>{}</ds:KeyInfo></ds:Signature>", key_info);
  return text;
}

std::string x509_data(const SigningKey& key) {
  return fmt::format("<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
                     base64_encode(key.certificate_der()));
}

std::string sign(std::string text, const SigningKey& key) {
  const auto document = parse(text);
  const auto failed = [](std::string_view what) {
    return Error(kind("xua.key"), fmt::format("the signature cannot be made: {}", what));
  };
  if (document == nullptr) {
    throw failed("what is to be signed is not XML");
  }
  register_ids(document.get());
  xmlNode* signature = nullptr;
  each_element(xmlDocGetRootElement(document.get()), [&](xmlNode* node) {
    if (is(node, ns::ds, "Signature")) {
      xmlNode* value = only_child(node, ns::ds, "SignatureValue");
      if (value != nullptr && content(value).empty()) {
        signature = node;
      }
    }
  });
  const XmlPtr<xmlSecDSigCtx> context(xmlSecDSigCtxCreate(nullptr));
  auto xmlsec = xmlsec_key(openssl_key(key).key());
  if (signature == nullptr || context == nullptr || xmlsec == nullptr) {
    throw failed("the key cannot be used");
  }
  context->signKey = xmlsec.release();
  context->enabledReferenceUris = xmlSecTransformUriTypeSameDocument;
  if (xmlSecDSigCtxSign(context.get(), signature) < 0 || context->status != xmlSecDSigStatusSucceeded) {
    throw failed("xmlsec1 refuses the key or the algorithm");
  }
  std::size_t from = 0;
  const auto fill = [&](std::string_view element, xmlNode* node) {
    const std::string empty = fmt::format("<ds:{0}></ds:{0}>", element);
    const auto place = text.find(empty, from);
    if (place == std::string::npos) {
      throw failed("its template is not whole");
    }
    const std::string filled = fmt::format("<ds:{0}>{1}</ds:{0}>", element, content(node));
    text.replace(place, empty.size(), filled);
    from = place + filled.size();
  };
  for (xmlNode* reference : children(only_child(signature, ns::ds, "SignedInfo"), ns::ds, "Reference")) {
    fill("DigestValue", only_child(reference, ns::ds, "DigestValue"));
  }
  fill("SignatureValue", only_child(signature, ns::ds, "SignatureValue"));
  return text;
}

struct SignedMessage::Tree {
  XmlPtr<xmlDoc> document;
  xmlNode* security = nullptr;
  xmlNode* body = nullptr;
  xmlNode* assertion = nullptr;
  std::string assertion_id;
};

SignedMessage::SignedMessage(std::string_view bytes) : m_tree(std::make_unique<Tree>()) {
  if (bytes.size() > k_largest_message) {
    throw malformed("the message is too large for one with an assertion");
  }
  if (bytes.find("<!DOCTYPE") != std::string_view::npos) {
    throw malformed("the message has a document type");
  }
  m_tree->document = parse(bytes);
  xmlDoc* document = m_tree->document.get();
  if (document == nullptr || xmlDocGetRootElement(document) == nullptr || document->intSubset != nullptr) {
    throw malformed("the message is not well-formed XML");
  }
}

SignedMessage::~SignedMessage() = default;

SignedMessage::Covered SignedMessage::verify_assertion(const AssertionTrust& trust, TimePoint now) {
  Tree& tree = *m_tree;
  xmlNode* root = xmlDocGetRootElement(tree.document.get());
  if (is(root, ns::saml, "Assertion")) {
    tree.assertion = root;
  } else {
    if (xmlNode* header = only_child(root, ns::soap, "Header"); is(root, ns::soap, "Envelope") && header != nullptr) {
      tree.security = only_child(header, ns::wsse, "Security");
      tree.body = only_child(root, ns::soap, "Body");
    }
    const auto found =
        tree.security == nullptr ? std::vector<xmlNode*>() : children(tree.security, ns::saml, "Assertion");
    if (found.size() != 1) {
      throw Error(kind("soap.assertion.missing"), found.empty() ? "the message has no assertion in its security header"
                                                                : "the security header has more than one assertion");
    }
    tree.assertion = found.front();
  }
  int assertions = 0;
  each_element(root, [&](xmlNode* node) { assertions += is(node, ns::saml, "Assertion") ? 1 : 0; });
  if (assertions != 1) {
    throw wrapped("the message has another assertion than the one in its security header");
  }
  tree.assertion_id = attribute(tree.assertion, "ID");
  if (!is_ncname(tree.assertion_id)) {
    throw malformed("the assertion has no proper ID");
  }
  const auto parts = elements(tree.assertion);
  int signatures = 0;
  each_element(tree.assertion->children, [&](xmlNode* node) { signatures += is(node, ns::ds, "Signature") ? 1 : 0; });
  if (signatures == 0) {
    throw Error(kind("soap.assertion.signature"), "the assertion is not signed");
  }
  // SAML Core 2.3.3: Issuer, then Signature.
  if (signatures != 1 || parts.size() < 2 || !is(parts[0], ns::saml, "Issuer") || !is(parts[1], ns::ds, "Signature")) {
    throw wrapped("the signature does not stand where an assertion has it, once, after its issuer");
  }
  xmlNode* signature = parts[1];
  const auto references = check_signed_info(signature, trust, false);
  if (references.size() != 1 || references.front().id != tree.assertion_id ||
      unique_by_id(tree.document.get(), tree.assertion_id) != tree.assertion) {
    throw wrapped("the signature does not refer to the assertion that it stands in");
  }
  const std::vector<std::string> wanted{std::string(algorithms::enveloped), std::string(algorithms::exclusive_c14n)};
  if (references.front().transforms != wanted) {
    throw bad_algorithm("the transforms are not enveloped signature and exclusive canonicalization");
  }
  xmlNode* key_info = only_child(signature, ns::ds, "KeyInfo");
  const auto certificate =
      trusted_certificate(key_info == nullptr ? std::vector<std::string>() : certificates_in(key_info), trust, now);
  register_id(tree.assertion, tree.assertion_id);
  auto covered = verify(signature, X509_get0_pubkey(certificate.get()), 1);
  return {std::move(covered.front()), net::to_string(X509_get_subject_name(certificate.get()))};
}

std::string SignedMessage::verify_message(const AssertionTrust& trust, Confirmation confirmation,
                                          const std::string& holder, TimePoint now) {
  Tree& tree = *m_tree;
  if (tree.security == nullptr) {
    throw unconfirmed("the assertion asks for a signed message, and it came without one");
  }
  const auto signatures = children(tree.security, ns::ds, "Signature");
  xmlNode* timestamp = only_child(tree.security, ns::wsu, "Timestamp");
  if (signatures.size() != 1 || timestamp == nullptr) {
    throw unconfirmed("the security header does not have one signature of the message and its timestamp");
  }
  const auto references = check_signed_info(signatures.front(), trust, true);
  xmlNode* key_info = only_child(signatures.front(), ns::ds, "KeyInfo");
  net::OpensslPtr<EVP_PKEY> key;
  if (confirmation == Confirmation::holder_of_key) {
    key = holder_key(holder);
    if (key == nullptr) {
      throw unconfirmed("the holder's key in the assertion cannot be read");
    }
  } else {
    const auto certificate =
        trusted_certificate(key_info == nullptr ? std::vector<std::string>() : certificates_in(key_info), trust, now);
    key.reset(X509_get_pubkey(certificate.get()));
  }
  std::optional<std::size_t> time_place;
  bool body = false;
  bool token = false;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const auto& [id, transforms] = references[i];
    xmlNode* node = unique_by_id(tree.document.get(), id);
    if (node == nullptr) {
      throw wrapped("a reference of the message's signature is to an ID that is not there");
    }
    if (transforms.size() != 1) {
      throw bad_algorithm("a reference of the message's signature does not have one transform");
    }
    const bool by_reference = transforms.front() == algorithms::str_transform;
    register_id(node, id);
    if (by_reference) {
      token = token || (node->parent == tree.security && referred_assertion(node) == tree.assertion) ||
              (is(node, ns::wsse, "SecurityTokenReference") && referred_assertion(node) == tree.assertion);
    } else if (node == timestamp) {
      time_place = i;
    } else if (node == tree.body) {
      body = true;
    } else if (node == tree.assertion) {
      token = true;
    }
  }
  if (!time_place) {
    throw unconfirmed("the signature of the message does not cover its timestamp");
  }
  if (confirmation == Confirmation::sender_vouches && (!body || !token)) {
    throw unconfirmed("the sender does not sign the body and the assertion that it vouches for");
  }
  auto covered = verify(signatures.front(), key.get(), references.size());
  return std::move(covered[*time_place]);
}

}  // namespace kuva::soap
