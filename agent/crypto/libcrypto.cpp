#include "crypto/libcrypto.hpp"

#include "crypto/preload_libcrypto.hpp"

#include "crypto/hkdf.hpp"

#include "base/encoding.hpp"
#include "base/secret.hpp"

#include <cstdio>
#include <cstdlib>

namespace chillbox::crypto {

void must(bool ok) {
  if (ok)
    return;
  std::fputs(
      "chillbox: libcrypto failed: out of memory, or its default provider is disabled in openssl.cnf\n",
      stderr);
  std::abort();
}

const EVP_CIPHER* chacha20_poly1305() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  must(cipher != nullptr);
  return cipher;
}

const EVP_MD* sha256() {
  static EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  must(digest != nullptr);
  return digest;
}

EVP_MAC* hmac() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  must(mac != nullptr);
  return mac;
}

EVP_KDF* hkdf() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  must(kdf != nullptr);
  return kdf;
}

void preload_libcrypto() {
  chacha20_poly1305();
  sha256();
  hmac();
  hkdf_sha256(bytes_of("k"), {}, ""); // it looks up its digest itself
  // The smallest scrypt there is, so that its own look-ups (KDF, PBKDF2, HMAC, digest) are done
  // too.
  unsigned char out[16];
  must(EVP_PBE_scrypt("", 0, out, 0, 2, 8, 1, 1 << 20, out, sizeof out) == 1);
  wipe(out, sizeof out);
}

} // namespace chillbox::crypto
