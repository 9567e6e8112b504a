// Sockets of this machine: stream sockets with a path (control, hook), packet pairs between our own
// processes, who is at the other end.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/io.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace chillbox::os {

// Listens at `path` with this mode and group. A stale socket file is proven dead by connecting
// before it is unlinked (faults 107); one that answers is `busy`.
Result<Fd> listen_unix(const std::string& path, mode_t mode, Owner owner, int backlog);
Result<Fd> listen_tcp_loopback(
    uint16_t port, int backlog); // tests and benchmarks only; port 0: any
Result<Fd> connect_unix(const std::string& path, Millis timeout); // unreachable
// The same at once, and not blocking. busy: the listener's queue is full.
Result<Fd> try_connect_unix(const std::string& path);
Result<Fd> accept(int listener);

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name() const; // the user's name, or "uid 1234"
};
Result<Peer> peer_of(int socket);                               // SO_PEERCRED
bool peer_in_group(const Peer& peer, const std::string& group); // root is in every group

// A SOCK_SEQPACKET pair: one send is one packet, or nothing.
Result<std::pair<Fd, Fd>> packet_pair();
struct Packet {
  Bytes bytes;
  Fd fd; // passed along, if any
};
Result<void> send_packet(int socket, ByteView bytes, int fd = -1);
// nullopt: the other side closed. too_large: over `limit`, the packet is lost. timed_out after
// `timeout` (negative: waits for ever).
Result<std::optional<Packet>> receive_packet(int socket, size_t limit, Millis timeout = Millis{-1});

} // namespace chillbox::os
