// Who holds a port.
#include "catch.hpp"
#include "os/port.hpp"
#include "os/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace chillbox;

namespace {

uint16_t port_of(const Fd& listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ::ntohs(address.sin_port);
}

Fd client_of(const Fd& listener) {
  Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = ::htons(port_of(listener));
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  REQUIRE(
      ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return client;
}

} // namespace

TEST_CASE("the accept queue of a port counts who waits, and only there") {
  auto listener = os::listen_tcp_loopback(0, 8), other = os::listen_tcp_loopback(0, 8);
  REQUIRE((listener && other));
  const uint16_t port = port_of(*listener);
  CHECK(os::accept_queue(port) == 0);
  const Fd one = client_of(*listener), two = client_of(*listener), elsewhere = client_of(*other);
  CHECK(os::accept_queue(port) == 2);
  const Fd taken(::accept(listener->get(), nullptr, nullptr));
  CHECK(os::accept_queue(port) == 1);
  listener->reset();
  CHECK(os::accept_queue(port) == 0);
}

TEST_CASE("[fault-108] who listens on a port is told by process and name, and nobody once it is closed") {
  auto listener = os::listen_tcp_loopback(0, 1);
  REQUIRE(listener);
  const uint16_t port = port_of(*listener);
  const auto holder = os::port_holder(port);
  REQUIRE(holder);
  CHECK(holder->pid == ::getpid());
  CHECK(os::describe(*holder).find("process " + std::to_string(::getpid())) != std::string::npos);
  listener->reset();
  CHECK_FALSE(os::port_holder(port));
}

TEST_CASE("[fault-108] a connection from a port is no listener on it") {
  auto listener = os::listen_tcp_loopback(0, 1);
  REQUIRE(listener);
  const Fd client = client_of(*listener);
  CHECK_FALSE(os::port_holder(port_of(client)));
}

TEST_CASE("[fault-864] all who listen on a port are among the processes, or one of them is a stranger") {
  auto listener = os::listen_tcp_loopback(0, 1);
  REQUIRE(listener);
  const uint16_t port = port_of(*listener);
  const auto before = os::Listeners::read();
  const std::array mine{::getpid()}, others{pid_t{1}};
  CHECK(before.any(port));
  CHECK(before.belong_to(mine, port));
  CHECK_FALSE(before.belong_to(others, port));
  CHECK_FALSE(before.belong_to({}, port));
  // A second socket on the port, of another process: on the other family of addresses.
  std::array<int, 2> ready{}, end{};
  REQUIRE((::pipe(ready.data()) == 0 && ::pipe(end.data()) == 0));
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::socket(AF_INET6, SOCK_STREAM, 0);
    const int on = 1;
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = ::htons(port);
    address.sin6_addr = in6addr_loopback;
    const bool bound = fd >= 0 &&
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0 &&
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::listen(fd, 1) == 0;
    char byte = bound ? 'y' : 'n';
    (void)!::write(ready[1], &byte, 1);
    ::close(end[1]);
    (void)!::read(end[0], &byte, 1);
    ::_exit(0);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  if (answer == 'y')
    CHECK_FALSE(os::Listeners::read().belong_to(mine, port));
  for (const int fd : {ready[0], ready[1], end[0], end[1]})
    ::close(fd);
  ::waitpid(child, nullptr, 0);
}
