// The ways to a TCP port that a hostile program has, each tried for real.
#include "catch.hpp"
#include "support.hpp"

#include "base/fd.hpp"
#include "os/listen_rules.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

constexpr int k_mptcp = 262;

// errno of a bind to this port of the loopback, 0: it worked.
int bind_to(uint16_t port, int family = AF_INET, int protocol = 0) {
  const Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
  if (!fd)
    return errno;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = ::htons(port);
  six.sin6_addr = in6addr_any;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = ::htons(port);
  four.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  const bool is_six = family == AF_INET6;
  const auto* address =
      is_six ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  return ::bind(fd.get(), address, is_six ? sizeof six : sizeof four) == 0 ? 0 : errno;
}

bool limited(const std::vector<uint16_t>& ports) {
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
      ListenRules::create(ports).value().apply() == 0;
}

} // namespace

TEST_CASE("[attack-B3] a program binds its own port and any free one, and no other's, by whatever family") {
  if (!ListenRules::kernel_has_ports())
    return;
  CHECK(in_child([](Report& r) {
    r.expect(bind_to(29'321) == 0, "before");
    r.expect(limited({29'320}), "rules");
    r.expect(bind_to(29'320) == 0, "its own");
    r.expect(bind_to(0) == 0, "any free one");
    r.expect(bind_to(29'321) == EACCES, "another's");
    r.expect(bind_to(29'321, AF_INET6) == EACCES, "another's by IPv6");
    r.expect(::fork() != 0 || (bind_to(29'321) == EACCES ? 0 : 1) == 0, "a child's");
  }) == "");
}

TEST_CASE("[attack-B3] ways around the kernel's rules for TCP are closed, with errors that a program knows") {
  CHECK(in_child([](Report& r) {
    r.expect(limited({}), "rules");
    r.expect(bind_to(29'321, AF_INET, k_mptcp) == EPROTONOSUPPORT, "MPTCP takes plain TCP as well");
    r.expect(bind_to(29'321, AF_INET6, k_mptcp) == EPROTONOSUPPORT, "and by IPv6");
    for (const int family : {43 /* SMC */, 30 /* TIPC */, AF_VSOCK, AF_ALG})
      r.expect(::socket(family, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT,
          "family " + std::to_string(family));
    r.expect(::syscall(425, 8, nullptr) < 0 && errno == ENOSYS, "io_uring");
    for (const int family : {AF_UNIX, AF_INET, AF_INET6})
      r.expect(::socket(family, SOCK_STREAM, 0) >= 0, "family " + std::to_string(family));
    r.expect(::socket(AF_NETLINK, SOCK_RAW, 0) >= 0, "getifaddrs asks it");
    r.expect(::socket(AF_INET, SOCK_DGRAM, 0) >= 0, "UDP");
  }) == "");
}
