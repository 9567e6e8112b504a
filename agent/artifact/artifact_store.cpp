#include "artifact/artifact_store.hpp"

#include "base/text.hpp"
#include "os/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>

namespace chillbox::artifact {
namespace {

constexpr size_t k_copied_piece = 1024 * 1024;

using Take = std::function<Result<void>(ByteView)>;

// The copies that this process made last, so that a large one is not read once more to verify what
// was digested while it was written. The kernel sets a file's change time at each write to it.
class Copies {
public:
  void add(const struct stat& st, const StoredFile& file) {
    const std::scoped_lock lock(m_mutex);
    if (m_known.size() == k_kept)
      m_known.pop_front();
    m_known.push_back({st, file});
  }
  std::optional<StoredFile> find(const struct stat& st) {
    const std::scoped_lock lock(m_mutex);
    const auto found = std::ranges::find_if(m_known, [&](const auto& k) {
      return k.at.st_dev == st.st_dev && k.at.st_ino == st.st_ino && k.at.st_size == st.st_size &&
          k.at.st_ctim.tv_sec == st.st_ctim.tv_sec && k.at.st_ctim.tv_nsec == st.st_ctim.tv_nsec;
    });
    return found == m_known.end() ? std::nullopt : std::optional(found->file);
  }

private:
  static constexpr size_t k_kept = 16;
  struct Known {
    struct stat at;
    StoredFile file;
  };
  std::mutex m_mutex;
  std::deque<Known> m_known;
};

Copies& copies() {
  static Copies all;
  return all;
}

// The slower digest of the two, by a thread of its own if the piece is worth one and there is one;
// get() on what it returns, if that is valid, waits for it.
std::future<void> blake2b_beside(crypto::Blake2b512& digest, ByteView bytes) {
  if (bytes.size() < k_copied_piece) {
    digest.update(bytes);
    return {};
  }
  return std::async(
      std::launch::async | std::launch::deferred, [&digest, bytes] { digest.update(bytes); });
}

// Reads the file once from its beginning, whatever the position of the descriptor is: the edge may
// share it and move it. Returns its size.
Result<uint64_t> read_into(
    crypto::Sha256& sha256, crypto::Blake2b512& blake2b, int fd, uint64_t limit, const Take& take) {
  struct stat st{};
  if (fstat(fd, &st) != 0)
    return fail_errno("stat", errno);
  if (!S_ISREG(st.st_mode))
    return fail(Code::denied, "not a regular file");
  Bytes buffer(std::clamp<size_t>(static_cast<size_t>(st.st_size), 1, k_copied_piece));
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
    auto other = blake2b_beside(blake2b, bytes);
    sha256.update(bytes);
    auto taken = take(bytes);
    if (other.valid())
      other.get();
    TRY(taken);
  }
  return size;
}

Result<StoredFile> digest(int fd, uint64_t limit, const Take& take) {
  crypto::Sha256 sha256;
  crypto::Blake2b512 blake2b;
  const uint64_t size = TRY(read_into(sha256, blake2b, fd, limit, take));
  return StoredFile{Digest::of(sha256.finish()), blake2b.finish(), size};
}

Result<void> check_digest(const StoredFile& file, const Digest& expected) {
  if (file.sha256 == expected)
    return {};
  return fail(
      Code::denied, cat("sha256 is ", file.sha256.str(), ", announced was ", expected.str()));
}

Result<void> sync_directory_of(const std::string& path) {
  const Fd dir(::open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0)
    return fail_errno(cat("sync the directory of ", path), errno);
  return {};
}

} // namespace

Result<StoredFile> store_copy(
    int from, const std::string& path, const Digest& expected, uint64_t limit) {
  auto copy = TRY(os::AtomicFile::create(path, 0600));
  const auto stored = TRY_IN("received file",
      digest(from, limit, [&](ByteView bytes) { return copy.write(text_of(bytes)); }));
  TRY(check_digest(stored, expected));
  TRY(copy.commit());
  if (struct stat st{}; ::stat(path.c_str(), &st) == 0)
    copies().add(st, stored);
  return stored;
}

Result<Incoming> Incoming::open(Fd file, std::string path) {
  Incoming incoming(std::move(file), std::move(path));
  incoming.m_size = TRY(read_into(incoming.m_digests->sha256, incoming.m_digests->blake2b,
      incoming.fd(), UINT64_MAX, [](ByteView) { return Result<void>{}; }));
  return incoming;
}

void Incoming::add(ByteView bytes) {
  m_digests->sha256.update(bytes);
  m_digests->blake2b.update(bytes);
  m_size += bytes.size();
}

// By its descriptor, because the name may be another file's by now. False: it has to be copied.
Result<bool> Incoming::move_to(const std::string& to) const {
  struct stat st{};
  if (::fstat(fd(), &st) != 0)
    return fail_errno(cat("stat ", m_path), errno);
  if (st.st_uid != ::geteuid() || st.st_nlink != 1 || (st.st_mode & 077) != 0 ||
      static_cast<uint64_t>(st.st_size) != m_size)
    return false;
  if (::fsync(fd()) != 0)
    return fail_errno(cat("sync ", m_path), errno);
  return ::linkat(AT_FDCWD, cat("/proc/self/fd/", fd()).c_str(), AT_FDCWD, to.c_str(),
             AT_SYMLINK_FOLLOW) == 0;
}

Result<StoredFile> Incoming::store(const std::string& to, const Digest& expected) {
  const StoredFile file{
      Digest::of(m_digests->sha256.finish()), m_digests->blake2b.finish(), m_size};
  TRY(check_digest(file, expected));
  if (!TRY(move_to(to)))
    return store_copy(fd(), to, expected, m_size);
  ::unlink(m_path.c_str());
  TRY(sync_directory_of(to));
  if (struct stat st{}; ::fstat(fd(), &st) == 0)
    copies().add(st, file);
  return file;
}

Result<StoredFile> digest_file(int fd) {
  if (struct stat st{}; ::fstat(fd, &st) == 0)
    if (auto known = copies().find(st))
      return std::move(*known);
  return digest(fd, UINT64_MAX, [](ByteView) { return Result<void>{}; });
}

} // namespace chillbox::artifact
