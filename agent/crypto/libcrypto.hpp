// Inside agent/crypto: what comes from OpenSSL's libcrypto, the bulk ChaCha20-Poly1305, SHA-256
// and HMAC, each looked up once (a look-up by name costs more than the HMAC of a small body).
// scrypt has its own look-ups, see preload_libcrypto.hpp.
#pragma once

#include <openssl/evp.h>
#include <openssl/kdf.h>

namespace chillbox::crypto {

const EVP_CIPHER* chacha20_poly1305();
const EVP_MD* sha256();
EVP_MAC* hmac();
EVP_KDF* hkdf();

// libcrypto fails here only without memory, and no caller can continue without its digest: ends the
// process, as SecretBytes does.
void must(bool ok);

struct FreeCipherContext {
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); } // wipes the key
};
struct FreeDigestContext {
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
};
struct FreeMacContext {
  void operator()(EVP_MAC_CTX* p) const { EVP_MAC_CTX_free(p); } // wipes the key
};
struct FreeKdfContext {
  void operator()(EVP_KDF_CTX* p) const { EVP_KDF_CTX_free(p); } // wipes key and salt
};

} // namespace chillbox::crypto
