#include "catch.hpp"
#include "support.hpp"

#include "os/clock.hpp"
#include "os/lock.hpp"
#include "os/runner.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

const Owner k_peer{::geteuid(), ::getegid()};

Fd must_listen(const std::string& path, int backlog = 8) {
  Result<Fd> fd = listen_unix(path, 0660, k_peer, backlog);
  if (!fd)
    FAIL(fd.error().message);
  return std::move(*fd);
}

std::pair<Fd, Fd> stream_pair() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

std::pair<Fd, Fd> packets() {
  Result<std::pair<Fd, Fd>> pair = packet_pair();
  REQUIRE(pair);
  return std::move(*pair);
}

size_t open_fds() {
  return names("/proc/self/fd").size();
}

} // namespace

TEST_CASE("a listener has its mode, answers, and knows who connects") {
  const TempDir dir;
  const Fd listener = must_listen(dir / "s");
  CHECK(mode_of(dir / "s") == 0660);
  const Fd client = connect_unix(dir / "s", Millis{1'000}).value();
  const Fd server = os::accept(listener.get()).value();
  CHECK((::fcntl(server.get(), F_GETFD) & FD_CLOEXEC) != 0);
  const Peer peer = peer_of(server.get()).value();
  CHECK(peer.pid == ::getpid());
  CHECK(peer.uid == ::geteuid());
  CHECK(peer.gid == ::getegid());
}

TEST_CASE("a socket's mode holds before anybody could connect, whatever the umask") {
  const TempDir dir;
  const mode_t mask = ::umask(0);
  const Fd listener = must_listen(dir / "s");
  ::umask(mask);
  CHECK(mode_of(dir / "s") == 0660);
}

TEST_CASE("[fault-107] the socket file of a listener that was killed is replaced") {
  const TempDir dir;
  CHECK(exit_of([&] {
    const Result<Fd> fd = listen_unix(dir / "s", 0600, k_peer, 1);
    ::kill(::getpid(), SIGKILL);
    return 0;
  }) == 128 + SIGKILL);
  REQUIRE(names(dir.path()).size() == 1);
  CHECK(connect_unix(dir / "s", Millis{100}).error().code == Code::unreachable);
  const Fd listener = must_listen(dir / "s");
  CHECK(connect_unix(dir / "s", Millis{100}));
}

TEST_CASE("[fault-107] a listener that lives is left alone, also when its queue is full") {
  const TempDir dir;
  const Fd listener = must_listen(dir / "s", 0);
  std::vector<Fd> clients;
  clients.push_back(connect_unix(dir / "s", Millis{100}).value());
  // Fills the queue: the kernel keeps one more than asked for.
  const Millis start = real_clock().mono();
  for (Result<Fd> next = connect_unix(dir / "s", Millis{100}); next;
      next = connect_unix(dir / "s", Millis{100}))
    clients.push_back(std::move(*next));
  CHECK(real_clock().mono() - start < Millis{30'000});
  CHECK(connect_unix(dir / "s", Millis{50}).error().code == Code::unreachable);
  CHECK(listen_unix(dir / "s", 0600, k_peer, 1).error().code == Code::busy);
  CHECK(os::accept(listener.get()));
}

TEST_CASE("what is no socket is not removed to make room for one") {
  const TempDir dir;
  spit(dir / "s", "precious");
  CHECK(listen_unix(dir / "s", 0600, k_peer, 1).error().code == Code::conflict);
  CHECK(slurp(dir / "s") == "precious");
  CHECK_FALSE(listen_unix(dir / "none/s", 0600, k_peer, 1));
  const Result<Fd> too_long = listen_unix(dir / std::string(108, 'x'), 0600, k_peer, 1);
  CHECK(too_long.error().code == Code::invalid);
  CHECK(has(too_long.error().message, "1 to 107 bytes"));
}

TEST_CASE("a connection that nobody takes is unreachable, one that is forbidden is denied") {
  const TempDir dir;
  const Result<Fd> none = connect_unix(dir / "none", Millis{100});
  CHECK(none.error().code == Code::unreachable);
  CHECK(has(none.error().message, "connect to " + (dir / "none") + ": no such file"));
  if (!as_root())
    return;
  ::chmod(dir.path().c_str(), 0755);
  const Fd listener = must_listen(dir / "s");
  CHECK(in_child([&](Report& r) {
    r.expect(::setgid(65534) == 0 && ::setuid(65534) == 0, "become nobody");
    r.expect_error(connect_unix(dir / "s", Millis{100}), Code::denied, "permission denied");
  }) == "");
}

TEST_CASE("a loopback listener is on 127.0.0.1 only") {
  const Fd listener = listen_tcp_loopback(0, 4).value();
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  CHECK(address.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
  CHECK_FALSE(listen_tcp_loopback(ntohs(address.sin_port), 4));
}

TEST_CASE("[fault-85] a peer is in a group by the group file as it is now; root is in every one") {
  CHECK(peer_in_group(Peer{1, 0, 0}, "no-such-group"));
  CHECK_FALSE(peer_in_group(Peer{1, 65534, 65534}, "no-such-group"));
  CHECK_FALSE(peer_in_group(Peer{1, 65534, 65534}, "root"));
  CHECK(peer_in_group(Peer{1, 12345, 0}, "root")); // by its own group
  CHECK_FALSE(peer_in_group(Peer{1, 12345, 12345}, "root"));
  CHECK(Peer{1, 0, 0}.name() == "root");
  CHECK(Peer{1, 54321, 0}.name() == "uid 54321");
  if (!as_root())
    return;
  const TempDir dir;
  spit(dir / "group", "root:x:0:\nnogroup:x:65534:\nadmins:x:4711:somebody,nobody\n");
  CHECK(in_child([&](Report& r) {
    r.expect(::unshare(CLONE_NEWNS) == 0 &&
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
            ::mount((dir / "group").c_str(), "/etc/group", nullptr, MS_BIND, nullptr) == 0,
        "another group file");
    r.expect(peer_in_group(Peer{1, 65534, 65534}, "admins"), "nobody is a member");
    r.expect(!peer_in_group(Peer{1, 1, 1}, "admins"), "daemon is not");
    r.expect(!peer_in_group(Peer{1, 65534, 65534}, "root"), "nobody is not in root's");
  }) == "");
}

TEST_CASE("a packet comes whole or not at all, with its descriptor") {
  const auto [a, b] = packets();
  const TempDir dir;
  spit(dir / "file", "through");
  const Fd file(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  const Bytes large(100'000, 7);
  REQUIRE(send_packet(a.get(), large));
  REQUIRE(send_packet(a.get(), bytes_of("second"), file.get()));
  CHECK(receive_packet(b.get(), large.size()).value()->bytes == large);
  const std::optional<Packet> second = receive_packet(b.get(), 100).value();
  REQUIRE(second);
  CHECK(text_of(second->bytes) == "second");
  REQUIRE(second->fd);
  CHECK((::fcntl(second->fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  char text[8] = {};
  CHECK(::read(second->fd.get(), text, 7) == 7);
  CHECK(std::string(text) == "through");
}

TEST_CASE("a packet over the limit is lost, closes the descriptor it carried, and the next one comes") {
  const auto [a, b] = packets();
  REQUIRE(send_packet(a.get(), Bytes(101, 1), a.get()));
  REQUIRE(send_packet(a.get(), bytes_of("next")));
  const size_t before = open_fds();
  CHECK(receive_packet(b.get(), 100).error().code == Code::too_large);
  CHECK(open_fds() == before);
  CHECK(text_of(receive_packet(b.get(), 100).value()->bytes) == "next");
}

TEST_CASE("a closed end is told as the end to the receiver, also with unread packets, and as unreachable to the sender") {
  auto [a, b] = packets();
  REQUIRE(send_packet(a.get(), bytes_of("last")));
  REQUIRE(send_packet(b.get(), bytes_of("never read")));
  a.reset();
  CHECK(receive_packet(b.get(), 100).has_value());
  CHECK(receive_packet(b.get(), 100).value() == std::nullopt);
  const Result<void> sent = send_packet(b.get(), bytes_of("x"));
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == Code::unreachable);
}

TEST_CASE("an empty packet is refused, since it would look like the end; silence is timed out") {
  const auto [a, b] = packets();
  CHECK(send_packet(a.get(), {}).error().code == Code::invalid);
  CHECK(receive_packet(b.get(), 100, Millis{30}).error().code == Code::timed_out);
  CHECK(send_packet(a.get(), Bytes(4'000'000, 1)).error().code == Code::too_large);
}

TEST_CASE("a packet with more descriptors than one is corrupt and leaves none open") {
  const auto [a, b] = packets();
  uint8_t byte = 1;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(3 * sizeof(int));
  const int fds[3] = {0, 1, 2};
  std::copy_n(
      reinterpret_cast<const char*>(fds), sizeof fds, reinterpret_cast<char*>(CMSG_DATA(header)));
  REQUIRE(::sendmsg(a.get(), &message, 0) == 1);
  const size_t before = open_fds();
  CHECK(receive_packet(b.get(), 100).error().code == Code::corrupt);
  CHECK(open_fds() == before);
}

TEST_CASE("a process that does not take its packets does not hold up the sender for ever") {
  const auto [a, b] = packets();
  timeval limit{};
  socklen_t size = sizeof limit;
  REQUIRE(::getsockopt(a.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, &size) == 0);
  CHECK(limit.tv_sec == 10);
  limit = {0, 50'000}; // not ten seconds in a test
  REQUIRE(::setsockopt(a.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
  Result<void> sent;
  for (int i = 0; i < 10'000 && sent; ++i)
    sent = send_packet(a.get(), Bytes(1000, 1));
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == Code::timed_out);
}

TEST_CASE("write_all and read_exact carry more than a socket holds") {
  const auto [a, b] = stream_pair();
  Bytes sent(3'000'000), got(3'000'000);
  for (size_t i = 0; i < sent.size(); ++i)
    sent[i] = static_cast<uint8_t>(i * 7 >> 4);
  Result<void> written;
  std::thread writer([&] { written = write_all(a.get(), sent, Millis{10'000}); });
  const Result<bool> read = read_exact(b.get(), got, Millis{10'000});
  writer.join();
  CHECK(written);
  CHECK(read.value());
  CHECK(got == sent);
}

TEST_CASE("write_all and read_exact give up at their deadline") {
  const auto [a, b] = stream_pair();
  Bytes bytes(10);
  REQUIRE(write_all(a.get(), Bytes(4, 1)));
  const Result<bool> read = read_exact(b.get(), bytes, Millis{50});
  CHECK(read.error().code == Code::timed_out);
  CHECK(has(read.error().message, "did not answer in time"));
  CHECK(write_all(a.get(), Bytes(5'000'000, 1), Millis{50}).error().code == Code::timed_out);
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const Fd in(pipe[0]), out(pipe[1]);
  CHECK(write_all(out.get(), Bytes(500'000, 1), Millis{50}).error().code == Code::timed_out);
}

TEST_CASE("read_exact tells the end from a cut, write_all a closed other side without a signal") {
  auto [a, b] = stream_pair();
  Bytes bytes(10);
  REQUIRE(write_all(a.get(), Bytes(10, 1)));
  REQUIRE(write_all(a.get(), Bytes(3, 1)));
  a.reset();
  CHECK(read_exact(b.get(), bytes).value());
  CHECK(read_exact(b.get(), bytes).error().code == Code::corrupt);
  CHECK_FALSE(read_exact(b.get(), bytes).value());
  CHECK(write_all(b.get(), bytes).error().code == Code::unreachable);
}

TEST_CASE("[fault-102] a lock is held by one, and names its holder to the other") {
  const TempDir dir;
  {
    const Result<LockFile> first = LockFile::take(dir / "lock", "chillboxctl init");
    REQUIRE(first);
    const Result<LockFile> second = LockFile::take(dir / "lock", "other");
    CHECK(second.error().code == Code::busy);
    CHECK(has(second.error().message,
        "is held by PID " + std::to_string(::getpid()) + " (chillboxctl init)"));
  }
  CHECK(LockFile::take(dir / "lock", "x"));
  CHECK(slurp(dir / "lock") == "PID " + std::to_string(::getpid()) + " (x)\n");
}

TEST_CASE("[fault-102] a lock may be waited for, until patience is over") {
  const TempDir dir;
  auto first = std::optional(LockFile::take(dir / "lock", "one"));
  REQUIRE(*first);
  CHECK(LockFile::take(dir / "lock", "two", Millis{50}).error().code == Code::busy);
  std::thread ends([&] {
    std::this_thread::sleep_for(Millis{100});
    first.reset();
  });
  CHECK(LockFile::take(dir / "lock", "two", Millis{10'000}));
  ends.join();
}

TEST_CASE("[fault-103] the lock of a killed process is no lock") {
  const TempDir dir;
  CHECK(exit_of([&] {
    const Result<LockFile> lock = LockFile::take(dir / "lock", "a name longer than the next one's");
    ::kill(::getpid(), SIGKILL);
    return 0;
  }) == 128 + SIGKILL);
  CHECK(LockFile::take(dir / "lock", "me"));
  CHECK(slurp(dir / "lock") == "PID " + std::to_string(::getpid()) + " (me)\n");
}

TEST_CASE("[fault-103] a program started under the lock does not take it along") {
  const TempDir dir;
  Command c;
  {
    const Result<LockFile> lock = LockFile::take(dir / "lock", "me");
    c.argv = {"/bin/sh", "-c", "setsid sleep 5 >/dev/null 2>&1 & echo $!"};
    const Result<Exit> exit = real_runner().run(c);
    REQUIRE(exit);
  }
  CHECK(LockFile::take(dir / "lock", "again"));
}
