// Uploads on their way into the artifact store: private files of root, 0600, digested while they
// are written (faults 43). Each ends at the announced size (faults 42) and gets its final name only
// when it is synced.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/names.hpp"
#include "crypto/hash.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

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

// An upload that only this process writes: it is digested while it comes, and not copied.
class Incoming {
public:
  // `file` is at `path`, and what it has already is read.
  static Result<Incoming> open(Fd file, std::string path);
  int fd() const { return m_file.get(); }
  uint64_t size() const { return m_size; }
  void add(ByteView bytes); // that were appended to it
  // As store_copy(), but the file itself goes to `to`, if nobody else can write to it and it is on
  // the same file system. `path` is gone then.
  Result<StoredFile> store(const std::string& to, const Digest& expected);

private:
  struct Digests {
    crypto::Sha256 sha256;
    crypto::Blake2b512 blake2b;
  };
  Incoming(Fd file, std::string path) : m_file(std::move(file)), m_path(std::move(path)) {}
  Result<bool> move_to(const std::string& to) const;

  Fd m_file;
  std::string m_path;
  std::unique_ptr<Digests> m_digests = std::make_unique<Digests>();
  uint64_t m_size = 0;
};

// Both digests of a stored file, through one descriptor that the caller continues to use. A copy
// that this process has stored and nobody has written to since is not read again.
Result<StoredFile> digest_file(int fd);

} // namespace chillbox::artifact
