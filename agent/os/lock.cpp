#include "os/lock.hpp"

#include "base/text.hpp"
#include "os/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

namespace chillbox::os {
namespace {

constexpr std::chrono::milliseconds k_look_again{20}; // flock has no time limit of its own

std::string holder_of(int fd) {
  std::array<char, 200> text;
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  const std::string_view holder = trim({text.data(), static_cast<size_t>(n < 0 ? 0 : n)});
  return holder.empty() ? "another process" : printable(holder);
}

} // namespace

Result<LockFile> LockFile::take(
    const std::string& path, std::string_view what, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd)
    return fail_io("lock", path, errno);
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK)
      return fail_io("lock", path, errno);
    if (errno == EINTR)
      continue;
    if (std::chrono::steady_clock::now() >= end)
      return fail(Code::busy, cat(path, " is held by ", holder_of(fd.get())));
    std::this_thread::sleep_for(k_look_again);
  }
  if (::ftruncate(fd.get(), 0) != 0)
    return fail_io("lock", path, errno);
  TRY(write_file(fd.get(), cat("PID ", ::getpid(), " (", what, ")\n"), path));
  return LockFile(std::move(fd));
}

} // namespace chillbox::os
