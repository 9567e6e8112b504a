#include "config/network.hpp"

#include "base/text.hpp"

#include <arpa/inet.h>

#include <string>

namespace chillbox::config {
namespace {

struct Address {
  std::array<uint8_t, 16> bytes{};
  bool v4 = false;
};

std::optional<Address> address_of(std::string_view text) {
  const std::string address(text);
  Address out;
  out.v4 = ::inet_pton(AF_INET, address.c_str(), out.bytes.data()) == 1;
  if (!out.v4 && ::inet_pton(AF_INET6, address.c_str(), out.bytes.data()) != 1)
    return std::nullopt;
  return out;
}

bool bit(const std::array<uint8_t, 16>& bytes, size_t at) {
  return (bytes[at / 8] >> (7 - at % 8) & 1) != 0;
}

} // namespace

std::optional<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = address_of(text.substr(0, slash));
  if (!address)
    return std::nullopt;
  Network out;
  out.m_bytes = address->bytes;
  out.m_v4 = address->v4;
  const size_t all = out.m_v4 ? 32 : 128;
  const auto length = slash == std::string_view::npos ? std::optional<uint64_t>(all)
                                                      : parse_u64(text.substr(slash + 1));
  if (!length || *length > all)
    return std::nullopt;
  out.m_bits = static_cast<size_t>(*length);
  for (size_t at = out.m_bits; at < all; ++at)
    if (bit(out.m_bytes, at))
      return std::nullopt;
  return out;
}

bool Network::contains(std::string_view address) const {
  constexpr std::string_view k_mapped = "::ffff:";
  if (address.starts_with(k_mapped) && address.find('.') != std::string_view::npos)
    address.remove_prefix(k_mapped.size());
  const auto other = address_of(address);
  if (!other || other->v4 != m_v4)
    return false;
  for (size_t at = 0; at < m_bits; ++at)
    if (bit(m_bytes, at) != bit(other->bytes, at))
      return false;
  return true;
}

} // namespace chillbox::config
