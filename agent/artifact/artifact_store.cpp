#include "artifact/artifact_store.hpp"

#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/atomic_file.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <functional>

namespace chillbox::artifact {
namespace {

constexpr size_t k_buffer = 256 * 1024;

using Take = std::function<Result<void>(ByteView)>;

// Reads the file once from its beginning, whatever the position of the descriptor is: the edge may
// share it and move it.
Result<StoredFile> digest(int fd, uint64_t limit, const Take& take) {
  struct stat st{};
  if (fstat(fd, &st) != 0)
    return fail_errno("stat", errno);
  if (!S_ISREG(st.st_mode))
    return fail(Code::denied, "not a regular file");
  crypto::Sha256 sha256;
  crypto::Blake2b512 blake2b;
  Bytes buffer(k_buffer);
  uint64_t size = 0;
  for (;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(size));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail_errno("read", errno);
    if (n == 0)
      break;
    const auto bytes = ByteView(buffer).first(static_cast<size_t>(n));
    size += bytes.size();
    if (size > limit)
      return fail(Code::too_large, cat("longer than the limit of ", limit, " bytes"));
    sha256.update(bytes);
    blake2b.update(bytes);
    TRY(take(bytes));
  }
  return StoredFile{Digest::of(sha256.finish()), blake2b.finish(), size};
}

} // namespace

Result<StoredFile> store_copy(
    int from, const std::string& path, const Digest& expected, uint64_t limit) {
  auto copy = TRY(os::AtomicFile::create(path, 0600));
  const auto stored = TRY_IN("received file",
      digest(from, limit, [&](ByteView bytes) { return copy.write(text_of(bytes)); }));
  if (stored.sha256 != expected)
    return fail(
        Code::denied, cat("sha256 is ", stored.sha256.str(), ", announced was ", expected.str()));
  TRY(copy.commit());
  return stored;
}

Result<StoredFile> digest_file(int fd) {
  return digest(fd, UINT64_MAX, [](ByteView) { return Result<void>{}; });
}

} // namespace chillbox::artifact
