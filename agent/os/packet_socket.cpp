#include "os/socket.hpp"

#include "base/text.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

namespace chillbox::os {
namespace {

// A process of ours that does not take its packets is stuck; it must not hold up the one that
// sends.
constexpr timeval k_send_limit{10, 0};

union Control {
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
  cmsghdr aligned;
};

// The descriptor in `message`, owned from here on whatever happens next.
Fd passed_fd(msghdr& message) {
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return Fd();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

// Of a thread, for every packet that it receives: one call takes a packet of any size, and what is
// never filled costs no memory.
std::span<uint8_t> room_for(size_t limit) {
  thread_local std::unique_ptr<uint8_t[]> room;
  thread_local size_t size = 0;
  if (size < limit) {
    room = std::make_unique_for_overwrite<uint8_t[]>(limit);
    size = limit;
  }
  return {room.get(), limit};
}

// The length of the packet, also when it is more than `message` takes; 0: the other side closed.
Result<size_t> take(int socket, msghdr& message, Millis timeout) {
  // Tried before it is waited for: under load there is one.
  const int flags = MSG_CMSG_CLOEXEC | MSG_TRUNC | (timeout < Millis::zero() ? 0 : MSG_DONTWAIT);
  for (;;) {
    const ssize_t n = ::recvmsg(socket, &message, flags);
    if (n >= 0)
      return static_cast<size_t>(n);
    if (errno == EAGAIN) {
      if (timeout == Millis::zero() || !TRY(wait_readable(socket, timeout)))
        return fail(
            Code::timed_out, cat("receive packet: nothing came within ", timeout.count(), " ms"));
    } else if (errno != EINTR && errno != ECONNRESET) {
      // ECONNRESET comes once, before what is still queued: the other side closed and left packets
      // of ours unread.
      return fail_errno("receive packet", errno);
    }
  }
}

} // namespace

Result<std::pair<Fd, Fd>> packet_pair() {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno("socketpair", errno);
  std::pair<Fd, Fd> pair{Fd(ends[0]), Fd(ends[1])};
  for (const int end : ends)
    if (::setsockopt(end, SOL_SOCKET, SO_SNDTIMEO, &k_send_limit, sizeof k_send_limit) != 0)
      return fail_errno("set send timeout", errno);
  return pair;
}

Result<void> send_packet(int socket, ByteView bytes, int fd) {
  // An empty packet looks like the end to the one who receives it.
  if (bytes.empty())
    return fail(Code::invalid, "send packet: it is empty");
  iovec part{
      const_cast<uint8_t*>(bytes.data()), bytes.size()}; // iovec's type; sendmsg does not write
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR)
      continue;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
      return fail(Code::unreachable, "send packet: the other side closed");
    if (errno == EAGAIN)
      return fail(Code::timed_out,
          cat("send packet: the other side took nothing for ", k_send_limit.tv_sec, " s"));
    if (errno == EMSGSIZE)
      return fail(Code::too_large,
          cat("send packet: ", bytes.size(), " bytes are more than the socket takes at once"));
    return fail_errno("send packet", errno);
  }
  return {};
}

Result<std::optional<Packet>> receive_packet(int socket, size_t limit, Millis timeout) {
  const auto room = room_for(limit);
  iovec part{room.data(), room.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  // LEN, not SPACE: the padding would make room for a second descriptor, which nobody would close.
  message.msg_controllen = CMSG_LEN(sizeof(int));
  const size_t size = TRY(take(socket, message, timeout));
  Packet packet{{}, passed_fd(message)};
  if (size > limit)
    return fail(Code::too_large,
        cat("receive packet: ", size, " bytes are more than the limit of ", limit));
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    return fail(Code::corrupt, "receive packet: it carries more than one packet may");
  if (size == 0)
    return std::optional<Packet>();
  packet.bytes.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
  return std::optional(std::move(packet));
}

} // namespace chillbox::os
