#include "crypto/authority.hpp"

#include "base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/libcrypto.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

namespace chillbox::crypto {
namespace {

struct FreeIssued {
  void operator()(BIO* p) const { BIO_free_all(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
using IssuedBio = std::unique_ptr<BIO, FreeIssued>;
using IssuedKey = std::unique_ptr<EVP_PKEY, FreeIssued>;
using Issued = std::unique_ptr<X509, FreeIssued>;

IssuedBio text_bio(std::string_view text) {
  IssuedBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  must(bio != nullptr);
  return bio;
}

IssuedKey key_of(const SecretString& pem) {
  IssuedKey key(PEM_read_bio_PrivateKey(text_bio(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return key;
}

std::string issued_pem(X509* certificate) {
  const IssuedBio out(BIO_new(BIO_s_mem()));
  must(out != nullptr && PEM_write_bio_X509(out.get(), certificate) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(size)};
}

// Sixteen random bytes, positive.
void set_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  must(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
  must(number != nullptr &&
      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr);
  BN_free(number);
}

Issued new_certificate(EVP_PKEY* key, const Validity& validity) {
  Issued out(X509_new());
  must(out != nullptr && X509_set_version(out.get(), 2) == 1 &&
      X509_set_pubkey(out.get(), key) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(out.get()), validity.from) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(out.get()), validity.to) != nullptr);
  set_serial(out.get());
  return out;
}

bool extend(X509* certificate, int what, const std::string& value) {
  const std::unique_ptr<X509_EXTENSION, FreeIssued> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
  ERR_clear_error();
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

} // namespace

IssuedCertificate make_authority(const std::string& name, const Validity& validity) {
  IssuedCertificate out{make_certificate_key(), {}};
  const IssuedKey key = key_of(out.key);
  const Issued certificate = new_certificate(key.get(), validity);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  must(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
           reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()), -1,
           0) == 1 &&
      X509_set_issuer_name(certificate.get(), subject) == 1 &&
      extend(certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      extend(certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      X509_sign(certificate.get(), key.get(), sha256()) > 0);
  out.pem = issued_pem(certificate.get());
  return out;
}

Result<IssuedCertificate> issue_certificate(
    const IssuedCertificate& authority, const std::string& name, const Validity& validity) {
  const Issued issuer(PEM_read_bio_X509(text_bio(authority.pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  const IssuedKey issuers = key_of(authority.key);
  if (!issuer || !issuers || X509_check_private_key(issuer.get(), issuers.get()) != 1)
    return fail(Code::invalid, "not a certificate authority with its key");
  IssuedCertificate out{make_certificate_key(), {}};
  const Issued certificate = new_certificate(key_of(out.key).get(), validity);
  const bool server = !name.starts_with("URI:");
  must(X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get())) == 1 &&
      extend(certificate.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      extend(certificate.get(), NID_key_usage, "critical,digitalSignature") &&
      extend(
          certificate.get(), NID_ext_key_usage, server ? "serverAuth,clientAuth" : "clientAuth"));
  if (!extend(certificate.get(), NID_subject_alt_name, "critical," + name))
    return fail(Code::invalid, cat("'", printable(name, 80), "' cannot be named in a certificate"));
  must(X509_sign(certificate.get(), issuers.get(), sha256()) > 0);
  out.pem = issued_pem(certificate.get());
  return out;
}

} // namespace chillbox::crypto
