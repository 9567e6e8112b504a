// What the reader and the writer of tar share: the fields of a ustar header (POSIX.1-2017, pax,
// "ustar Interchange Format"), pax records, and a member as both describe it.
#pragma once

#include "artifact/policy.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::artifact {

inline constexpr size_t k_tar_block = 512;
using TarBlock = std::array<uint8_t, k_tar_block>;

struct TarField {
  size_t at, size;
};
inline constexpr TarField k_tar_name{0, 100}, k_tar_mode{100, 8}, k_tar_uid{108, 8},
    k_tar_gid{116, 8}, k_tar_size{124, 12}, k_tar_mtime{136, 12}, k_tar_checksum{148, 8},
    k_tar_type{156, 1}, k_tar_link{157, 100}, k_tar_magic{257, 8}, k_tar_dev_major{329, 8},
    k_tar_dev_minor{337, 8}, k_tar_prefix{345, 155}, k_tar_unused{500, 12};
inline constexpr std::string_view k_ustar_magic("ustar\0"
                                                "00",
    8);

struct TarMember {
  EntryKind kind = EntryKind::file;
  std::string path; // without the slash that ends a directory's
  std::string link; // target of a symlink
  uint64_t size = 0;
  uint32_t mode = 0; // permission bits
  bool operator==(const TarMember&) const = default;
};

// Sum of all bytes, those of the checksum itself counted as spaces.
uint32_t tar_checksum(const TarBlock& block);

struct PaxRecords {
  std::string path, link;
  std::optional<uint64_t> size;
};
// corrupt: malformed; denied: a key that changes what an entry means. `global`: comments only.
Result<PaxRecords> parse_pax(std::string_view data, bool global);
std::string pax_record(std::string_view key, std::string_view value); // "LENGTH KEY=VALUE\n"

} // namespace chillbox::artifact
