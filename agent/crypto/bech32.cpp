#include "crypto/bech32.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace chillbox::crypto {
namespace {

constexpr size_t k_checksum = 6;
constexpr size_t k_max_text = 1024;
// 32 bytes within one cache line: reading it by a secret index shows nothing in the cache.
alignas(64) constexpr std::array<char, 33> k_alphabet{"qpzry9x8gf2tvdw0s3jn54khce6mua7l"};

class Checksum {
public:
  explicit Checksum(std::string_view hrp) {
    for (const char c : hrp)
      add(static_cast<uint32_t>(static_cast<uint8_t>(c) >> 5));
    add(0);
    for (const char c : hrp)
      add(static_cast<uint32_t>(c & 31));
  }
  ~Checksum() { wipe(&m_state, sizeof m_state); }
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void add(uint32_t five_bits) {
    constexpr std::array<uint32_t, 5> generator{
        0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    const uint32_t top = m_state >> 25;
    m_state = ((m_state & 0x1ffffff) << 5) ^ five_bits;
    for (unsigned i = 0; i < generator.size(); ++i)
      m_state ^= generator[i] & (0 - ((top >> i) & 1)); // a mask, not a branch
  }
  uint32_t state() const { return m_state; }

private:
  uint32_t m_state = 1;
};

// The value of a character of the alphabet, or 32. Looks at all of them, so that the time does not
// reveal which it was.
uint32_t value_of(char c) {
  uint32_t value = 32;
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t differs =
        static_cast<uint32_t>(static_cast<uint8_t>(c) ^ static_cast<uint8_t>(k_alphabet[i]));
    const uint32_t mask = 0 - ((differs - 1) >> 31); // all ones when equal
    value = (value & ~mask) | (i & mask);
  }
  return value;
}

// Upper case only, or lower case only. Which of the two is public.
bool one_case(std::string_view text) {
  const bool lower =
      std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  const bool upper =
      std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  return !(lower && upper);
}

char lowered(char c) {
  return static_cast<char>(c | ((static_cast<unsigned>(c - 'A') < 26U ? 1 : 0) << 5));
}

// 5-bit values to bytes; false when the bits left over are a whole value or not zero.
bool to_bytes(ByteView fives, SecretBytes& out) {
  uint32_t bits = 0;
  unsigned count = 0;
  size_t n = 0;
  for (const uint8_t five : fives) {
    bits = ((bits << 5) | five) & 0xfff;
    count += 5;
    if (count >= 8) {
      count -= 8;
      out.data()[n++] = static_cast<uint8_t>(bits >> count);
    }
  }
  out.truncate(n);
  const bool clean = count < 5 && (bits & ((1U << count) - 1)) == 0;
  wipe(&bits, sizeof bits);
  return clean;
}

} // namespace

SecretBytes bech32_encode(std::string_view hrp, ByteView bytes) {
  const size_t fives = (bytes.size() * 8 + 4) / 5;
  SecretBytes out(hrp.size() + 1 + fives + k_checksum);
  std::copy(hrp.begin(), hrp.end(), out.data());
  out.data()[hrp.size()] = '1';
  Checksum checksum(hrp);
  size_t at = hrp.size() + 1;
  auto put = [&](uint32_t five) { out.data()[at++] = static_cast<uint8_t>(k_alphabet[five & 31]); };
  uint32_t bits = 0;
  unsigned count = 0;
  auto data = [&](uint32_t five) {
    checksum.add(five & 31);
    put(five);
  };
  for (const uint8_t byte : bytes) {
    bits = ((bits << 8) | byte) & 0xfff;
    for (count += 8; count >= 5; count -= 5)
      data(bits >> (count - 5));
  }
  if (count > 0)
    data(bits << (5 - count));
  wipe(&bits, sizeof bits);
  for (size_t i = 0; i < k_checksum; ++i)
    checksum.add(0);
  for (unsigned i = 0; i < k_checksum; ++i)
    put((checksum.state() ^ 1) >> (5 * (k_checksum - 1 - i)));
  return out;
}

Result<SecretBytes> bech32_decode(std::string_view hrp, std::string_view text) {
  if (text.size() > k_max_text)
    return fail(Code::invalid, cat("longer than ", k_max_text, " characters"));
  const bool prefix = text.size() > hrp.size() && text[hrp.size()] == '1' &&
      std::equal(
          hrp.begin(), hrp.end(), text.begin(), [](char a, char b) { return a == lowered(b); });
  if (!prefix)
    return fail(Code::invalid, cat("does not begin with ", hrp, "1"));
  if (!one_case(text))
    return fail(Code::invalid, "upper and lower case are mixed");
  const std::string_view data = text.substr(hrp.size() + 1);
  if (data.size() < k_checksum)
    return fail(Code::invalid, "too short");
  SecretBytes fives(data.size());
  Checksum checksum(hrp);
  uint32_t outside = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    const uint32_t value = value_of(lowered(data[i]));
    outside |= value & 32;
    checksum.add(value & 31);
    fives.data()[i] = static_cast<uint8_t>(value & 31);
  }
  if (outside != 0)
    return fail(Code::invalid, "has a character outside the Bech32 alphabet");
  if (checksum.state() != 1)
    return fail(Code::invalid, "wrong checksum: mistyped or cut short");
  const size_t count = data.size() - k_checksum;
  SecretBytes out(count * 5 / 8 + 1);
  if (!to_bytes(fives.view().first(count), out))
    return fail(Code::invalid, "bits left over");
  return out;
}

} // namespace chillbox::crypto
