#include "os/socket.hpp"

#include "base/text.hpp"
#include "os/files.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace chillbox::os {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(Code::invalid,
        cat("socket ", printable(path), ": a path of 1 to ", sizeof address.sun_path - 1,
            " bytes is needed"));
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}
sockaddr* generic(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

// Nothing may be at `path` when we bind. A socket on which somebody listens is left alone, and so
// is anything that is no socket.
Result<void> clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT)
      return {};
    return fail_errno(cat("listen on ", path), errno);
  }
  if (!S_ISSOCK(st.st_mode))
    return fail(Code::conflict, cat("listen on ", path, ": it exists and is not a socket"));
  // Not blocking: one with a full queue answers EAGAIN, and is alive.
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe)
    return fail_errno("socket", errno);
  if (::connect(probe.get(), generic(address), sizeof address) == 0 || errno == EAGAIN)
    return fail(Code::busy, cat("listen on ", path, ": another process listens there"));
  if (errno != ECONNREFUSED)
    return fail_errno(cat("listen on ", path), errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(cat("remove stale socket ", path), errno);
  return {};
}

} // namespace

Result<Fd> listen_unix(const std::string& path, mode_t mode, Owner owner, int backlog) {
  const sockaddr_un address = TRY(address_of(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd)
    return fail_errno("socket", errno);
  // Two that start at once must not remove each other's: one at a time between the look and the
  // bind.
  const Fd dir(::open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::flock(dir.get(), LOCK_EX) != 0)
    return fail_errno(cat("listen on ", path), errno);
  TRY(clear_stale(path, address));
  // Before bind, because bind makes the file with this mode: nobody connects before owner and mode
  // are as asked.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), generic(address), sizeof address) != 0 || ::listen(fd.get(), backlog) != 0)
    return fail_errno(cat("listen on ", path), errno);
  if (::geteuid() == 0 && ::lchown(path.c_str(), owner.uid, owner.gid) != 0)
    return fail_errno(cat("change owner of ", path), errno);
  if (::chmod(path.c_str(), mode) != 0)
    return fail_errno(cat("change mode of ", path), errno);
  return fd;
}

Result<Fd> listen_tcp_loopback(uint16_t port, int backlog) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = ::htons(port);
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), generic(address), sizeof address) != 0 || ::listen(fd.get(), backlog) != 0)
    return fail_errno(cat("listen on 127.0.0.1:", port), errno);
  return fd;
}

namespace {

std::unexpected<Error> not_connected(const std::string& path, int err) {
  Error error = fail_errno(cat("connect to ", path), err).error();
  if (error.code != Code::denied)
    error.code = Code::unreachable;
  return std::unexpected(std::move(error));
}

} // namespace

Result<Fd> connect_unix(const std::string& path, Millis timeout) {
  const sockaddr_un address = TRY(address_of(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd)
    return fail_errno("socket", errno);
  // connect on a unix socket waits only for room in the listener's queue, and for no longer than
  // the send timeout. 0 is for ever.
  const int64_t ms = timeout < Millis::zero() ? 0 : std::max<int64_t>(timeout.count(), 1);
  timeval limit{static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int result;
  while ((result = ::connect(fd.get(), generic(address), sizeof address)) != 0 && errno == EINTR) {}
  if (result != 0 && errno == EAGAIN)
    return fail(Code::unreachable, cat("connect to ", path, ": no answer within ", ms, " ms"));
  if (result != 0)
    return not_connected(path, errno);
  limit = {};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return fd;
}

Result<Fd> try_connect_unix(const std::string& path) {
  const sockaddr_un address = TRY(address_of(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd)
    return fail_errno("socket", errno);
  if (::connect(fd.get(), generic(address), sizeof address) == 0)
    return fd;
  return errno == EAGAIN ? fail(Code::busy, cat("connect to ", path, ": no answer"))
                         : Result<Fd>(not_connected(path, errno));
}

Result<Fd> accept(int listener) {
  for (;;) {
    Fd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (fd)
      return fd;
    if (errno == EINTR || errno == ECONNABORTED)
      continue;
    Error error = fail_errno("accept", errno).error();
    // It is still in the queue: a poll would return at once, so the caller must know to wait.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      error.code = Code::throttled;
    return std::unexpected(std::move(error));
  }
}

} // namespace chillbox::os
