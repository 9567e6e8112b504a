// Archives as an artifact comes: compressed or not, encrypted to a host, in a file.
#pragma once

#include "artifact/scratch.hpp"
#include "artifact/stager.hpp"
#include "base/fd.hpp"
#include "crypto/age.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <stdexcept>

namespace chillbox::test {

template <class T> T must(Result<T>&& r) {
  if (!r)
    throw std::runtime_error(r.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*r);
}

inline std::string zstd(std::string_view plain, int level = 3) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), level));
  return out;
}

inline std::string gzip(std::string_view plain) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, plain.size()) + 32, '\0');
  z.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(plain.data()));
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = reinterpret_cast<uint8_t*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

inline std::string age_to(const crypto::AgeIdentity& identity, std::string_view plain) {
  std::string out;
  auto writer = must(
      crypto::AgeWriter::to_recipients({identity.recipient()}, [&](ByteView bytes) -> Result<void> {
        out += text_of(bytes);
        return {};
      }));
  must(writer.write(bytes_of(plain)));
  must(writer.finish());
  return out;
}

// An encrypted file with the key that opens it.
struct Encrypted {
  Scratch scratch;
  crypto::AgeIdentity identity = crypto::AgeIdentity::generate();
  std::string bytes;
  SecretBytes key;
  Fd fd;

  explicit Encrypted(std::string_view plain) : bytes(age_to(identity, plain)) {
    key = must(identity.file_key(must(crypto::parse_age_header(bytes_of(bytes)))));
    store(bytes);
  }
  void store(const std::string& changed) {
    bytes = changed;
    write_file(scratch / "artifact", bytes);
    fd = Fd(open((scratch / "artifact").c_str(), O_RDONLY | O_CLOEXEC));
  }
};

// What the stager does with it, in this process.
struct Unpacked {
  Scratch scratch;
  std::string tree = scratch / "tree";
  Result<artifact::StageStats> result = artifact::StageStats{};

  explicit Unpacked(const Encrypted& encrypted, const artifact::StageLimits& limits = {}) {
    run(encrypted, limits);
  }
  explicit Unpacked(std::string_view plain, const artifact::StageLimits& limits = {}) {
    run(Encrypted(plain), limits);
  }
  void run(const Encrypted& encrypted, const artifact::StageLimits& limits) {
    const mode_t before = umask(022);
    mkdir(tree.c_str(), 0700);
    const Fd fd(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    result = artifact::unpack(encrypted.fd.get(), encrypted.key, fd.get(), limits);
    umask(before);
  }
  bool ok() const { return result.has_value(); }
  std::string error() const {
    return result ? "" : cat(code_name(result.error().code), ": ", result.error().message);
  }
  std::string read(std::string_view name) const { return read_file(cat(tree, "/", name)); }
  bool exists(std::string_view name) const { return os::real_disk().exists(cat(tree, "/", name)); }
};

} // namespace chillbox::test
