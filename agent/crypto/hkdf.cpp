#include "crypto/hkdf.hpp"

#include <sodium.h>

namespace chillbox::crypto {
namespace {

// libsodium's one-shot HMAC takes 32-byte keys only; a salt has any length.
class Hmac {
public:
  explicit Hmac(ByteView key) {
    static constexpr uint8_t no_key =
        0; // libsodium declares the pointer never null, also for no bytes
    crypto_auth_hmacsha256_init(&m_state, key.empty() ? &no_key : key.data(), key.size());
  }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  ~Hmac() { wipe(&m_state, sizeof m_state); }
  void update(ByteView bytes) {
    crypto_auth_hmacsha256_update(&m_state, bytes.data(), bytes.size());
  }
  void finish(uint8_t* out) { crypto_auth_hmacsha256_final(&m_state, out); }

private:
  crypto_auth_hmacsha256_state m_state;
};

} // namespace

SecretBytes hkdf_sha256(ByteView key, ByteView salt, std::string_view info) {
  SecretBytes out(crypto_auth_hmacsha256_BYTES);
  Hmac extract(
      salt); // an empty salt and one of 32 zero bytes are the same HMAC key, as section 2.2 wants
  extract.update(key);
  extract.finish(out.data());
  Hmac expand(out.view());
  const uint8_t block_number = 1;
  expand.update(bytes_of(info));
  expand.update({&block_number, 1});
  expand.finish(out.data());
  return out;
}

std::array<uint8_t, 32> header_hmac(ByteView key, std::string_view text) {
  std::array<uint8_t, 32> out{};
  Hmac mac(key);
  mac.update(bytes_of(text));
  mac.finish(out.data());
  return out;
}

} // namespace chillbox::crypto
