#include "crypto/hash.hpp"

#include "base/secret.hpp"
#include "crypto/libcrypto.hpp"

#include <algorithm>

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
  Context context = begin(blake2b512());
};

Blake2b512::Blake2b512() : m_state(std::make_unique<State>()) {}
Blake2b512::~Blake2b512() = default;
void Blake2b512::update(ByteView bytes) {
  add(m_state->context, bytes);
}
std::array<uint8_t, 64> Blake2b512::finish() {
  return end<64>(m_state->context);
}

// RFC 2104 with the digest alone: libcrypto's own HMAC takes half a microsecond more to be set up,
// as long as a body of a kilobyte takes.
std::array<uint8_t, 32> hmac_sha256(ByteView key, std::initializer_list<std::string_view> parts) {
  constexpr uint8_t k_inner = 0x36, k_outer = 0x5C;
  std::array<uint8_t, 64> block{}; // as long as one of the digest
  std::array<uint8_t, 32> out{};
  if (key.size() > block.size()) {
    const Context context = begin(sha256());
    add(context, key);
    out = end<32>(context);
    key = out;
  }
  std::ranges::copy(key, block.begin());
  for (auto& byte : block)
    byte ^= k_inner;
  const Context context = begin(sha256());
  add(context, block);
  for (const std::string_view part : parts)
    add(context, bytes_of(part));
  out = end<32>(context);
  for (auto& byte : block)
    byte ^= k_inner ^ k_outer;
  must(EVP_DigestInit_ex2(context.get(), sha256(), nullptr) == 1);
  add(context, block);
  add(context, out);
  wipe(block.data(), block.size()); // the key
  return end<32>(context);
}

Digest sha256_of(ByteView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return Digest::of(hash.finish());
}

} // namespace chillbox::crypto
