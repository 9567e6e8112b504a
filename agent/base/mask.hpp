// Takes known values out of text: each becomes "[secret]". The longest one that fits goes first.
// Costs a table look-up for each byte, whatever their number.
#pragma once

#include "base/secret.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox {

inline constexpr std::string_view k_masked = "[secret]";
inline constexpr size_t k_shortest_secret = 6; // bytes; shorter ones would be found in any text

class Mask {
public:
  Mask() = default;
  // Values that are too short are passed over; one of more than a KiB is looked for in parts.
  explicit Mask(const SecretStrings& values);

  bool empty() const { return m_values.empty(); }
  std::string apply(std::string_view text) const;

private:
  friend class MaskedStream;
  static uint16_t start_of(const char* text); // of four bytes
  void replace(std::string_view text, std::string& out) const;
  // The length of the longest value with which the text begins; 0: none.
  size_t match(std::string_view text) const;
  // Does a value begin with all of this, and go on?
  bool may_become(std::string_view text) const;

  SecretStrings m_values;                              // sorted
  std::vector<std::pair<uint16_t, uint32_t>> m_starts; // to a value, sorted; the longest first
  std::bitset<65536> m_begins;
};

// The same for bytes that come in pieces: what may be the beginning of a value is kept back until
// it is known, which a line break always decides.
class MaskedStream {
public:
  explicit MaskedStream(const Mask& mask) : m_mask(mask) {}
  std::string feed(std::string_view bytes);
  std::string end(); // what was kept back; the greater part of a value is masked, too

private:
  const Mask& m_mask;
  SecretString m_held;
};

} // namespace chillbox
