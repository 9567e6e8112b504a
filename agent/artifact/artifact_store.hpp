// From the inbox, which the edge owns and may still write to, into the artifact store: a private
// copy, root's own, 0600, digested while it is copied; everything after reads that copy (faults
// 43). Cut at the announced size (faults 42). Nothing under its final name until synced.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/names.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace chillbox::artifact {

struct StoredFile {
  Digest sha256;
  std::array<uint8_t, 64> blake2b;
  uint64_t size = 0;
};

// Copies the whole of `from` to `path` (temporary file beside it, sync, rename, sync of the
// directory). too_large over `limit` bytes; denied "sha256 is X, announced was Y" and nothing
// stored when the digest is not `expected`.
Result<StoredFile> store_copy(
    int from, const std::string& path, const Digest& expected, uint64_t limit);
// Both digests of a stored file, through one descriptor that the caller goes on to use.
Result<StoredFile> digest_file(int fd);

} // namespace chillbox::artifact
