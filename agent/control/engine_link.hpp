// What the monitor and the courier hold of each other's packets (control/packet.hpp): both check
// the same limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chillbox::control {

// Grows when the packets change: of two programs of an upgrade the courier refuses the other one.
inline constexpr uint64_t k_engine_packets = 2;
inline constexpr size_t k_max_engine_key = 400, k_max_engine_text = 64 * 1024;
inline constexpr size_t k_max_engine_items = 64; // conditions and writes of one change
inline constexpr size_t k_max_engine_values = 4096, k_max_engine_answer = 1'536 * 1024; // of a read
inline constexpr size_t k_max_followed = 8;

// Letters, digits and . _ : - + between slashes, none of which is first; "" is none.
bool is_engine_key(std::string_view key);

} // namespace chillbox::control
