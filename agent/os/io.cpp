#include "os/io.hpp"

#include "base/text.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::os {
namespace {

constexpr size_t k_pipe_piece = 4096; // poll promises that a pipe takes this much at once

enum class Kind { file, socket };

// Returns 1 when `fd` is ready for `event`, 0 after the deadline, -1 with errno.
int wait_for(int fd, short event, const Deadline& deadline) {
  for (;;) {
    pollfd p{fd, event, 0};
    const int n = ::poll(&p, 1, deadline.poll_ms());
    if (n > 0 || (n < 0 && errno != EINTR))
      return n;
    if (n == 0 && deadline.passed())
      return 0;
  }
}

ssize_t write_some(int fd, std::string_view bytes, Kind kind, const Deadline& deadline) {
  if (kind == Kind::socket)
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  const size_t most = deadline.never() ? bytes.size() : std::min(bytes.size(), k_pipe_piece);
  return ::write(fd, bytes.data(), most);
}

// 0, or an errno: ETIMEDOUT after the deadline.
int write_loop(int fd, std::string_view& bytes, Kind kind, const Deadline& deadline) {
  bool wait = !deadline.never();
  while (!bytes.empty()) {
    if (wait) {
      const int ready = wait_for(fd, POLLOUT, deadline);
      if (ready <= 0)
        return ready == 0 ? ETIMEDOUT : errno;
    }
    const ssize_t n = write_some(fd, bytes, kind, deadline);
    if (n >= 0)
      bytes.remove_prefix(static_cast<size_t>(n));
    else if (errno == EAGAIN)
      wait = true;
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

// How many bytes came; -1 with errno, ETIMEDOUT after the deadline. `got` counts also then.
ssize_t read_loop(int fd, char* out, size_t size, const Deadline& deadline, size_t& got) {
  bool wait = !deadline.never();
  for (got = 0; got < size;) {
    if (wait) {
      const int ready = wait_for(fd, POLLIN, deadline);
      if (ready == 0)
        errno = ETIMEDOUT;
      if (ready <= 0)
        return -1;
    }
    const ssize_t n = ::read(fd, out + got, size - got);
    if (n == 0)
      break;
    if (n > 0)
      got += static_cast<size_t>(n);
    else if (errno == EAGAIN)
      wait = true;
    else if (errno != EINTR)
      return -1;
  }
  return static_cast<ssize_t>(got);
}

Kind kind_of(int fd) {
  struct stat st{};
  return ::fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? Kind::socket : Kind::file;
}

} // namespace

ssize_t read_some(int fd, void* out, size_t size) {
  for (;;)
    if (const ssize_t n = ::read(fd, out, size); n >= 0 || errno != EINTR)
      return n;
}

ssize_t read_fully(int fd, void* out, size_t size) {
  size_t got = 0;
  return read_loop(fd, static_cast<char*>(out), size, Deadline(), got);
}

int write_fully(int fd, std::string_view& bytes) {
  return write_loop(fd, bytes, Kind::file, Deadline());
}

Result<std::string> read_all(int fd, size_t limit, std::string_view what) {
  std::string all;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t n = read_some(fd, buffer.data(), buffer.size());
    if (n < 0)
      return fail_errno(what, errno);
    if (n == 0)
      return all;
    if (static_cast<size_t>(n) > limit - all.size())
      return fail(Code::too_large, cat(what, ": more than the limit of ", limit, " bytes"));
    all.append(buffer.data(), static_cast<size_t>(n));
  }
}

Result<bool> wait_readable(int fd, Deadline deadline) {
  const int ready = wait_for(fd, POLLIN, deadline);
  if (ready < 0)
    return fail_errno("poll", errno);
  return ready > 0;
}

Result<void> write_all(int fd, ByteView bytes, Deadline deadline) {
  std::string_view rest = text_of(bytes);
  switch (const int err = write_loop(fd, rest, kind_of(fd), deadline)) {
  case 0: return {};
  case ETIMEDOUT:
    return fail(Code::timed_out, "write: the other side did not take all bytes in time");
  case EPIPE:
  case ECONNRESET: return fail(Code::unreachable, "write: the other side closed the connection");
  default: return fail_errno("write", err);
  }
}

Result<size_t> read_up_to(int fd, std::span<uint8_t> out, Deadline deadline) {
  size_t got = 0;
  if (read_loop(fd, reinterpret_cast<char*>(out.data()), out.size(), deadline, got) >= 0 ||
      errno == ECONNRESET)
    return got;
  if (errno == ETIMEDOUT)
    return fail(Code::timed_out, "read: the other side did not answer in time");
  return fail_errno("read", errno);
}

Result<bool> read_exact(int fd, std::span<uint8_t> out, Deadline deadline) {
  const size_t got = TRY(read_up_to(fd, out, deadline));
  if (got > 0 && got < out.size())
    return fail(Code::corrupt,
        cat("read: the other side closed after ", got, " of ", out.size(), " bytes"));
  return got == out.size();
}

Result<Fd> memory_file(std::string_view text) {
  Fd fd(::memfd_create("chillbox", MFD_CLOEXEC));
  if (!fd)
    return fail_errno("memfd_create", errno);
  if (const int err = write_fully(fd.get(), text); err != 0)
    return fail_errno("write to memory", err);
  if (::lseek(fd.get(), 0, SEEK_SET) != 0)
    return fail_errno("lseek", errno);
  return fd;
}

} // namespace chillbox::os
