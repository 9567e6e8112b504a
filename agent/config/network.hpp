// An address or a network of addresses: 192.0.2.1, 10.0.0.0/8, 2001:db8::/32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace chillbox::config {

class Network {
public:
  // nullopt: it is none, or has bits after those of the network.
  static std::optional<Network> parse(std::string_view text);
  // An IPv4 address within IPv6, "::ffff:192.0.2.1", is the IPv4 address.
  bool contains(std::string_view address) const;

private:
  std::array<uint8_t, 16> m_bytes{};
  size_t m_bits = 0; // that count
  bool m_v4 = false;
};

} // namespace chillbox::config
