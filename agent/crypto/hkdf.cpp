#include "crypto/hkdf.hpp"

#include "crypto/libcrypto.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <array>
#include <memory>

namespace chillbox::crypto {

SecretBytes hkdf_sha256(ByteView key, ByteView salt, std::string_view info) {
  // What RFC 5869 takes for no salt, which OpenSSL 3.0 refuses.
  static constexpr std::array<uint8_t, 32> k_no_salt{};
  // libcrypto only reads through these pointers.
  const auto octets = [](const char* name, ByteView bytes) {
    return OSSL_PARAM_construct_octet_string(
        name, const_cast<uint8_t*>(bytes.data()), bytes.size());
  };
  char digest[] = "SHA256";
  const std::array params{OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      octets(OSSL_KDF_PARAM_KEY, key),
      octets(OSSL_KDF_PARAM_SALT, salt.empty() ? ByteView(k_no_salt) : salt),
      octets(OSSL_KDF_PARAM_INFO, bytes_of(info)), OSSL_PARAM_construct_end()};
  SecretBytes out(32);
  const std::unique_ptr<EVP_KDF_CTX, FreeKdfContext> context(EVP_KDF_CTX_new(hkdf()));
  must(context != nullptr &&
      EVP_KDF_derive(context.get(), out.data(), out.size(), params.data()) == 1);
  return out;
}

} // namespace chillbox::crypto
