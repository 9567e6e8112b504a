#include "base/encoding.hpp"

#include <sodium.h>

namespace chillbox {
namespace {

constexpr int k_padded = sodium_base64_VARIANT_ORIGINAL;
constexpr int k_unpadded = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;

std::string encode(ByteView bytes, int variant) {
  std::string out(sodium_base64_ENCODED_LEN(bytes.size(), variant), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(), variant);
  out.pop_back(); // the terminating NUL
  return out;
}

// b64_end = NULL makes libsodium fail on anything left over; it already refuses trailing bits that
// are not zero. libsodium 1.0.18 takes every byte from 0x80 to 0xff for some digit (its table works
// on signed chars): refused before it sees them, all looked at in the same time.
bool decode(std::string_view text, int variant, uint8_t* out, size_t room, size_t& size) {
  unsigned any = 0;
  for (const char c : text)
    any |= static_cast<unsigned char>(c);
  if (any >= 0x80)
    return false;
  return sodium_base642bin(out, room, text.data(), text.size(), nullptr, &size, nullptr, variant) ==
      0;
}

Result<Bytes> decode(std::string_view text, int variant) {
  Bytes out(text.size() / 4 * 3 + 3);
  size_t size = 0;
  if (!decode(text, variant, out.data(), out.size(), size))
    return fail(Code::invalid, "not canonical base64");
  out.resize(size);
  return out;
}

} // namespace

std::string hex(ByteView bytes) {
  std::string out(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), bytes.data(), bytes.size());
  out.pop_back();
  return out;
}

Result<Bytes> unhex(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  if (text.size() % 2 != 0)
    return fail(Code::invalid, "odd number of hex digits");
  Bytes out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0)
      return fail(Code::invalid, "not lower-case hex");
    out.push_back(static_cast<uint8_t>(high * 16 + low));
  }
  return out;
}

std::string base64(ByteView bytes) {
  return encode(bytes, k_padded);
}
std::string base64_unpadded(ByteView bytes) {
  return encode(bytes, k_unpadded);
}
Result<Bytes> unbase64(std::string_view text) {
  return decode(text, k_padded);
}
Result<Bytes> unbase64_unpadded(std::string_view text) {
  return decode(text, k_unpadded);
}

Result<SecretBytes> unbase64_secret(std::string_view text) {
  SecretBytes out(text.size() / 4 * 3 + 3);
  size_t size = 0;
  const int variant = text.ends_with('=') || text.size() % 4 == 0 ? k_padded : k_unpadded;
  if (!decode(text, variant, out.data(), out.size(), size))
    return fail(Code::invalid, "not canonical base64");
  out.truncate(size);
  return out;
}

std::string random_token(size_t bytes) {
  Bytes random(bytes);
  randombytes_buf(random.data(), random.size());
  return hex(random);
}

} // namespace chillbox
