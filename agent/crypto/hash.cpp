#include "crypto/hash.hpp"

#include "base/secret.hpp"
#include "crypto/libcrypto.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <sodium.h>

namespace chillbox::crypto {

namespace {

using Context = std::unique_ptr<EVP_MD_CTX, FreeDigestContext>;

Context begin(const EVP_MD* digest) {
  Context context(EVP_MD_CTX_new());
  must(context != nullptr && EVP_DigestInit_ex2(context.get(), digest, nullptr) == 1);
  return context;
}

void add(const Context& context, ByteView bytes) {
  if (!bytes.empty())
    must(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1);
}

template <size_t N> std::array<uint8_t, N> end(const Context& context) {
  std::array<uint8_t, N> out{};
  unsigned size = 0;
  must(EVP_DigestFinal_ex(context.get(), out.data(), &size) == 1 && size == N);
  return out;
}

} // namespace

struct Sha256::State {
  Context context = begin(sha256());
};

Sha256::Sha256() : m_state(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
void Sha256::update(ByteView bytes) {
  add(m_state->context, bytes);
}
std::array<uint8_t, 32> Sha256::finish() {
  return end<32>(m_state->context);
}

struct Blake2b512::State {
  crypto_generichash_blake2b_state state;
};

Blake2b512::Blake2b512() : m_state(std::make_unique<State>()) {
  init_crypto(); // it chooses what is for this machine
  must(crypto_generichash_blake2b_init(
           &m_state->state, nullptr, 0, crypto_generichash_blake2b_BYTES_MAX) == 0);
}
Blake2b512::~Blake2b512() = default;
void Blake2b512::update(ByteView bytes) {
  must(crypto_generichash_blake2b_update(&m_state->state, bytes.data(), bytes.size()) == 0);
}
std::array<uint8_t, 64> Blake2b512::finish() {
  std::array<uint8_t, 64> out{};
  must(crypto_generichash_blake2b_final(&m_state->state, out.data(), out.size()) == 0);
  return out;
}

std::array<uint8_t, 32> hmac_sha256(ByteView key, std::initializer_list<std::string_view> parts) {
  static constexpr uint8_t no_key = 0; // a null pointer would mean "the key set before"
  static char digest[] = "SHA256";
  const std::array params{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_MAC_CTX, FreeMacContext> context(EVP_MAC_CTX_new(hmac()));
  must(context != nullptr &&
      EVP_MAC_init(context.get(), key.empty() ? &no_key : key.data(), key.size(), params.data()) ==
          1);
  for (const std::string_view part : parts)
    must(part.empty() || EVP_MAC_update(context.get(), bytes_of(part).data(), part.size()) == 1);
  std::array<uint8_t, 32> out{};
  size_t size = 0;
  must(EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1 && size == out.size());
  return out;
}

Digest sha256_of(ByteView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return Digest::of(hash.finish());
}

} // namespace chillbox::crypto
