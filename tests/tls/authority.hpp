// A certificate authority in memory: it signs what a request asks for, or something else that a
// test wants.
#pragma once

#include "base/text.hpp"
#include "crypto/certificate.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace chillbox::test {

struct Leaf {
  std::vector<std::string> names;
  int64_t from_ms = 0, until_ms = 0;
  std::string usage = "serverAuth";
  bool authority = false;
};

class Authority {
public:
  explicit Authority(const std::string& name = "Test CA")
      : m_root_key(key()), m_key(key()), m_root(certificate(name + " root", m_root_key, nullptr)),
        m_issuer(certificate(name, m_key, m_root)) {}
  ~Authority() {
    X509_free(m_root);
    X509_free(m_issuer);
    EVP_PKEY_free(m_root_key);
    EVP_PKEY_free(m_key);
  }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // The key of the request, or another one when there is none; the issuer's certificate follows.
  std::string issue(const std::string& csr, const Leaf& leaf) {
    return this->leaf(csr, leaf) + pem(m_issuer);
  }
  std::string leaf(const std::string& csr, const Leaf& want) {
    X509_REQ* request = read(csr);
    EVP_PKEY* of = request != nullptr ? X509_REQ_get_pubkey(request) : key();
    X509* made = blank(want.names.empty() ? "" : want.names.front(), of);
    ASN1_TIME_set(X509_getm_notBefore(made), want.from_ms / 1000);
    ASN1_TIME_set(X509_getm_notAfter(made), want.until_ms / 1000);
    X509_set_issuer_name(made, X509_get_subject_name(m_issuer));
    std::string names;
    for (const auto& name : want.names)
      names += (names.empty() ? "DNS:" : ",DNS:") + name;
    if (!names.empty())
      extend(made, NID_subject_alt_name, names);
    if (!want.usage.empty())
      extend(made, NID_ext_key_usage, want.usage);
    if (want.authority)
      extend(made, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(made, m_key, EVP_sha256());
    std::string text = pem(made);
    X509_free(made);
    EVP_PKEY_free(of);
    X509_REQ_free(request);
    return text;
  }
  std::string issuer_pem() const { return pem(m_issuer); }
  std::string root_pem() const { return pem(m_root); }

  static X509_REQ* read(const std::string& csr) {
    BIO* in = BIO_new_mem_buf(csr.data(), static_cast<int>(csr.size()));
    X509_REQ* request = PEM_read_bio_X509_REQ(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    return request;
  }
  // As `openssl req -text` shows them: "DNS:a, DNS:b".
  static std::string names_of(const std::string& csr) {
    X509_REQ* request = read(csr);
    if (request == nullptr || X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1)
      return "not a request";
    STACK_OF(X509_EXTENSION)* all = X509_REQ_get_extensions(request);
    BIO* out = BIO_new(BIO_s_mem());
    for (int i = 0; i < sk_X509_EXTENSION_num(all); ++i)
      X509V3_EXT_print(out, sk_X509_EXTENSION_value(all, i), 0, 0);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(out);
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    X509_REQ_free(request);
    return text;
  }

private:
  static EVP_PKEY* key() { return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"); }
  static std::string pem(X509* certificate) {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, certificate);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(out);
    return text;
  }
  static void extend(X509* certificate, int nid, const std::string& value) {
    X509_EXTENSION* one = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    X509_add_ext(certificate, one, -1);
    X509_EXTENSION_free(one);
  }
  X509* blank(const std::string& name, EVP_PKEY* of) {
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++m_serial);
    X509_set_pubkey(made, of);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600L * 24 * 365 * 20);
    return made;
  }
  X509* certificate(const std::string& name, EVP_PKEY* of, X509* by) {
    X509* made = blank(name, of);
    X509_set_issuer_name(made, X509_get_subject_name(by == nullptr ? made : by));
    extend(made, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(made, by == nullptr ? of : m_root_key, EVP_sha256());
    return made;
  }

  long m_serial = 1;
  EVP_PKEY *m_root_key, *m_key;
  X509 *m_root, *m_issuer;
};

} // namespace chillbox::test
