#include "base/secret.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace chillbox {

SecretBytes::SecretBytes(size_t size) : m_size(size) {
  if (size == 0)
    return;
  m_data = static_cast<uint8_t*>(sodium_malloc(size));
  if (m_data == nullptr) {
    // Nothing can continue without the guarded memory, and no secret may land elsewhere.
    std::fputs(
        "chillbox: no locked memory for a secret: raise the memlock limit (ulimit -l)\n", stderr);
    std::abort();
  }
  std::memset(m_data, 0, size);
}

SecretBytes::SecretBytes(ByteView bytes) : SecretBytes(bytes.size()) {
  std::copy(bytes.begin(), bytes.end(), m_data);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : m_data(std::exchange(other.m_data, nullptr)), m_size(std::exchange(other.m_size, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe();
    m_data = std::exchange(other.m_data, nullptr);
    m_size = std::exchange(other.m_size, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() {
  wipe();
}

void SecretBytes::truncate(size_t size) {
  if (size >= m_size)
    return;
  sodium_memzero(m_data + size, m_size - size);
  m_size = size;
}

void SecretBytes::wipe() {
  sodium_free(m_data); // wipes, also what truncate() cut off; null is fine
  m_data = nullptr;
  m_size = 0;
}

void wipe(void* data, size_t size) {
  sodium_memzero(data, size);
}

bool same(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0);
}

void init_crypto() {
  if (sodium_init() < 0) {
    std::fputs("chillbox: libsodium cannot start\n", stderr);
    std::abort();
  }
}

} // namespace chillbox
