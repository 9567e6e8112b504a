// Copies an upload, to which the edge may still write, into the artifact store: a private file of
// root, 0600, digested while it is copied. Everything later reads that copy (faults 43). It ends at
// the announced size (faults 42) and gets its final name only when it is synced.
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

// Copies the whole of `from` to `path` (temporary file next to it, sync, rename, sync of the
// directory). too_large over `limit` bytes; denied "sha256 is X, announced was Y" and nothing
// stored when the digest is not `expected`.
Result<StoredFile> store_copy(
    int from, const std::string& path, const Digest& expected, uint64_t limit);
// Both digests of a stored file, through one descriptor that the caller continues to use. A copy
// that this process has stored and nobody has written to since is not read again.
Result<StoredFile> digest_file(int fd);

} // namespace chillbox::artifact
