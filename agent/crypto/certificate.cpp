#include "crypto/certificate.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/libcrypto.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

namespace chillbox::crypto {
namespace {

struct Free {
  void operator()(BIO* p) const { BIO_free_all(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_REQ* p) const { X509_REQ_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
  void operator()(X509_STORE* p) const { X509_STORE_free(p); }
  void operator()(X509_STORE_CTX* p) const { X509_STORE_CTX_free(p); }
  void operator()(STACK_OF(X509) * p) const { sk_X509_free(p); } // it owns none of them
  void operator()(GENERAL_NAMES* p) const { GENERAL_NAMES_free(p); }
  void operator()(STACK_OF(X509_EXTENSION) * p) const {
    sk_X509_EXTENSION_pop_free(p, X509_EXTENSION_free);
  }
};
using Bio = std::unique_ptr<BIO, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Cert = std::unique_ptr<X509, Free>;
using Names = std::unique_ptr<GENERAL_NAMES, Free>;

constexpr int64_t k_slow_clock_ms = 600'000;

Bio reader(std::string_view text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(std::min<size_t>(text.size(), INT32_MAX))));
  must(bio != nullptr);
  return bio;
}

Bio writer() {
  Bio bio(BIO_new(BIO_s_mem()));
  must(bio != nullptr);
  return bio;
}

template <class Text> Text text_in(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Text(data, static_cast<size_t>(std::max(0L, size)));
}

int no_passphrase(char*, int, int, void*) {
  return -1; // never asks a terminal
}

Key read_key(std::string_view pem) {
  Key key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return key;
}

std::string pem_of(X509* certificate) {
  const Bio out = writer();
  must(PEM_write_bio_X509(out.get(), certificate) == 1);
  return text_in<std::string>(out);
}

SecretString pem_of_key(EVP_PKEY* key) {
  const Bio out = writer();
  must(PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  auto text = text_in<SecretString>(out);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  wipe(data, static_cast<size_t>(size));
  return text;
}

// Every certificate of the text; other blocks are left out.
Result<std::vector<Cert>> certificates_in(std::string_view pem) {
  if (pem.size() > k_max_chain)
    return fail(Code::invalid,
        cat("the certificate chain has ", pem.size(), " bytes, more than ", k_max_chain));
  std::vector<Cert> all;
  const Bio in = reader(pem);
  while (Cert one{PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)}) {
    all.push_back(std::move(one));
    if (all.size() > k_max_chain_certificates)
      return fail(Code::invalid,
          cat("the certificate chain has more than ", k_max_chain_certificates, " certificates"));
  }
  const auto error = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
    return fail(Code::invalid,
        cat("certificate ", all.size() + 1, " of the chain cannot be read: damaged PEM"));
  if (all.empty())
    return fail(Code::invalid, "there is no certificate in what should be a chain (PEM)");
  return all;
}

int64_t ms_of(const ASN1_TIME* time) {
  std::tm when{};
  if (ASN1_TIME_to_tm(time, &when) != 1)
    return 0;
  return static_cast<int64_t>(::timegm(&when)) * 1000;
}

std::string name_text(const X509_NAME* name, int nid) {
  const int at = X509_NAME_get_index_by_NID(name, nid, -1);
  if (at < 0)
    return {};
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0)
    return {};
  const std::string text(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return printable(text, 100);
}

std::vector<std::string> dns_names(const X509* certificate) {
  std::vector<std::string> names;
  const Names all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(all.get(), i);
    if (one->type != GEN_DNS)
      continue;
    const auto* data = ASN1_STRING_get0_data(one->d.dNSName);
    names.emplace_back(reinterpret_cast<const char*>(data),
        static_cast<size_t>(ASN1_STRING_length(one->d.dNSName)));
    std::ranges::transform(names.back(), names.back().begin(),
        [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  }
  std::ranges::sort(names);
  return names;
}

CertificateFacts facts_of(X509* certificate) {
  CertificateFacts facts{.names = dns_names(certificate),
      .not_before_ms = ms_of(X509_get0_notBefore(certificate)),
      .not_after_ms = ms_of(X509_get0_notAfter(certificate))};
  const X509_NAME* issuer = X509_get_issuer_name(certificate);
  facts.issuer = name_text(issuer, NID_commonName);
  if (facts.issuer.empty())
    facts.issuer = name_text(issuer, NID_organizationName);
  std::array<uint8_t, 32> digest{};
  must(X509_digest(certificate, crypto::sha256(), digest.data(), nullptr) == 1);
  facts.sha256 = hex(digest);
  return facts;
}

Result<CheckedChain> check_structure(const std::vector<Cert>& chain, const Key& key) {
  X509* leaf = chain.front().get();
  if (!key || X509_check_private_key(leaf, key.get()) != 1) {
    ERR_clear_error();
    return fail(Code::invalid, "the certificate is of another key than ours");
  }
  if ((X509_get_extended_key_usage(leaf) & XKU_SSL_SERVER) == 0) // all of them when it has none
    return fail(Code::invalid, "the certificate is not for servers (no serverAuth)");
  CheckedChain checked{.leaf = pem_of(leaf), .leaf_facts = facts_of(leaf)};
  for (size_t i = 0; i < chain.size(); ++i) {
    checked.pem += pem_of(chain[i].get());
    if (i + 1 == chain.size())
      break;
    EVP_PKEY* signer = X509_get0_pubkey(chain[i + 1].get());
    const bool issued = X509_NAME_cmp(X509_get_issuer_name(chain[i].get()),
                            X509_get_subject_name(chain[i + 1].get())) == 0;
    if (!issued || signer == nullptr || X509_verify(chain[i].get(), signer) != 1) {
      ERR_clear_error();
      return fail(Code::invalid,
          cat("the chain is broken: certificate ", i + 1, " is not signed by certificate ", i + 2));
    }
  }
  ERR_clear_error();
  return checked;
}

std::optional<std::string> missing(
    const CertificateFacts& facts, const std::vector<std::string>& names) {
  for (const auto& name : names)
    if (std::ranges::find(facts.names, name) == facts.names.end())
      return name;
  return std::nullopt;
}

} // namespace

SecretString make_certificate_key() {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  must(key != nullptr);
  return pem_of_key(key.get());
}

Result<std::string> make_certificate_request(
    std::string_view key_pem, const std::vector<std::string>& names) {
  const Key key = read_key(key_pem);
  if (!key || names.empty())
    return fail(Code::invalid, key ? "no names to ask a certificate for" : "not a private key");
  const std::unique_ptr<X509_REQ, Free> request(X509_REQ_new());
  must(request != nullptr && X509_REQ_set_pubkey(request.get(), key.get()) == 1);
  Names all(sk_GENERAL_NAME_new_null());
  must(all != nullptr);
  for (const auto& name : names) {
    GENERAL_NAME* one = GENERAL_NAME_new();
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    must(one != nullptr && text != nullptr &&
        ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) == 1);
    GENERAL_NAME_set0_value(one, GEN_DNS, text);
    must(sk_GENERAL_NAME_push(all.get(), one) > 0);
  }
  // Without a subject the names are all that there is, and RFC 5280 wants them critical then.
  X509_EXTENSION* extension = X509V3_EXT_i2d(NID_subject_alt_name, 1, all.get());
  std::unique_ptr<STACK_OF(X509_EXTENSION), Free> extensions(sk_X509_EXTENSION_new_null());
  must(extension != nullptr && extensions != nullptr &&
      sk_X509_EXTENSION_push(extensions.get(), extension) > 0 &&
      X509_REQ_add_extensions(request.get(), extensions.get()) == 1 &&
      X509_REQ_sign(request.get(), key.get(), crypto::sha256()) > 0);
  const Bio out = writer();
  must(PEM_write_bio_X509_REQ(out.get(), request.get()) == 1);
  return text_in<std::string>(out);
}

Result<CheckedChain> check_chain(std::string_view pem, std::string_view key,
    const std::vector<std::string>& names, int64_t now_ms) {
  const auto chain = TRY(certificates_in(pem));
  auto checked = TRY(check_structure(chain, read_key(key)));
  if (X509_check_ca(chain.front().get()) != 0)
    return fail(Code::invalid, "the certificate is an authority's, not a server's");
  const auto& facts = checked.leaf_facts;
  if (const auto name = missing(facts, names))
    return fail(Code::invalid, cat("the certificate does not have the name ", *name));
  if (facts.not_before_ms > now_ms + k_slow_clock_ms)
    return fail(Code::throttled,
        cat("the certificate is not valid before ", rfc3339(facts.not_before_ms / 1000),
            ", and this host's clock says ", rfc3339(now_ms / 1000)));
  if (facts.not_after_ms <= now_ms)
    return fail(Code::invalid,
        cat("the certificate was valid until ", rfc3339(facts.not_after_ms / 1000),
            ", and this host's clock says ", rfc3339(now_ms / 1000)));
  return checked;
}

Result<CheckedChain> check_certificate_file(std::string_view pem) {
  const auto chain = TRY(certificates_in(pem));
  return check_structure(chain, read_key(pem));
}

bool leads_to(std::string_view chain, std::string_view roots, int64_t at_ms) {
  const auto certificates = certificates_in(chain);
  const std::unique_ptr<X509_STORE, Free> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, Free> check(X509_STORE_CTX_new());
  const std::unique_ptr<STACK_OF(X509), Free> others(sk_X509_new_null());
  must(store != nullptr && check != nullptr && others != nullptr);
  if (!certificates)
    return false;
  const Bio from = reader(roots);
  while (const Cert root{PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr)})
    must(X509_STORE_add_cert(store.get(), root.get()) == 1);
  for (const auto& one : *certificates)
    must(sk_X509_push(others.get(), one.get()) > 0);
  must(X509_STORE_CTX_init(check.get(), store.get(), certificates->front().get(), others.get()) ==
      1);
  X509_VERIFY_PARAM* how = X509_STORE_CTX_get0_param(check.get());
  X509_VERIFY_PARAM_set_time(how, static_cast<time_t>(at_ms / 1000));
  must(X509_VERIFY_PARAM_set_purpose(how, X509_PURPOSE_SSL_SERVER) == 1);
  const bool leads = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  return leads;
}

std::string first_certificate(std::string_view pem) {
  const auto chain = certificates_in(pem);
  return chain ? pem_of(chain->front().get()) : std::string();
}

Result<SecretString> key_in(std::string_view pem) {
  const Key key = read_key(pem);
  if (!key)
    return fail(Code::invalid, "there is no private key in it");
  return pem_of_key(key.get());
}

bool covers(std::string_view pattern, std::string_view name) {
  if (!pattern.starts_with("*."))
    return pattern == name;
  const auto dot = name.find('.');
  return pattern == name ||
      (dot != std::string_view::npos && dot > 0 && name.substr(0, 1) != "*" &&
          pattern.substr(1) == name.substr(dot));
}

} // namespace chillbox::crypto
