// SHA-256 of artifacts and HMAC-SHA256 of webhooks and age headers by libcrypto (5 times the speed
// of libsodium's), BLAKE2b-512 of what minisign signs by libsodium (1.1 to 1.4 times libcrypto's).
#pragma once

#include "base/encoding.hpp"
#include "base/names.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

namespace chillbox::crypto {

class Sha256 {
public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(ByteView bytes);
  std::array<uint8_t, 32> finish(); // once

private:
  struct State;
  std::unique_ptr<State> m_state;
};

class Blake2b512 {
public:
  Blake2b512();
  ~Blake2b512();
  Blake2b512(const Blake2b512&) = delete;
  Blake2b512& operator=(const Blake2b512&) = delete;
  void update(ByteView bytes);
  std::array<uint8_t, 64> finish(); // once

private:
  struct State;
  std::unique_ptr<State> m_state;
};

Digest sha256_of(ByteView bytes);

std::array<uint8_t, 32> hmac_sha256(ByteView key, std::initializer_list<std::string_view> parts);

} // namespace chillbox::crypto
