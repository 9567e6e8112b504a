#include "courier/dialer.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/fleet.hpp"
#include "os/memory.hpp"
#include "os/roles.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace chillbox::courier {
namespace {

constexpr os::Millis k_resolve_wait{30'000};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0; // 0: not known
};

Address resolve(const config::EngineEndpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  Address out;
  const std::string port = std::to_string(endpoint.port);
  if (const int problem = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found);
      problem != 0) {
    log::warn(cat("fleet: endpoint ", endpoint.host, ": ", ::gai_strerror(problem)));
    return out;
  }
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  out.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return out;
}

// A member that is gone without a word is noticed by the kernel, which wakes nobody here for it.
Result<Fd> connect_to(const Address& address) {
  if (address.size == 0)
    return fail(Code::unreachable, "its name has no address");
  Fd out(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!out)
    return fail_errno("socket", errno);
  const int on = 1, idle_s = 60, between_s = 15, probes = 4;
  const unsigned unanswered_ms = 30'000;
  const auto set = [&](int level, int name, const auto& value) {
    ::setsockopt(out.get(), level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, on);
  set(IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
  set(IPPROTO_TCP, TCP_KEEPINTVL, between_s);
  set(IPPROTO_TCP, TCP_KEEPCNT, probes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, unanswered_ms);
  set(IPPROTO_TCP, TCP_NODELAY, on);
  if (::connect(out.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) !=
          0 &&
      errno != EINPROGRESS)
    return fail_errno("connect", errno);
  return out;
}

Result<void> confine_dialer(const std::string& user, std::vector<uint16_t> ports) {
  os::Confinement c = os::confinement_of(os::k_dialer_role);
  c.connect_ports = std::move(ports);
  if (user != "-") {
    c.user = TRY(os::find_user(user));
    c.chroot_to = os::Paths::from_environment().empty();
  }
  TRY(os::deny_core_and_ptrace());
  return os::confine(c);
}

int serve(int socket, const std::vector<Address>& addresses) {
  for (;;) {
    const auto packet = os::receive_packet(socket, 1);
    if (!packet || !*packet)
      return 0;
    const size_t number = (*packet)->bytes.front();
    if (number >= addresses.size())
      return 1;
    auto connection = connect_to(addresses[number]);
    const uint8_t answer = connection ? 0 : 1;
    if (!os::send_packet(socket, {&answer, 1}, connection ? connection->get() : -1))
      return 0;
  }
}

} // namespace

int dialer_main(const std::string& user, const std::vector<std::string>& endpoints) {
  constexpr int k_socket = 3;
  std::vector<Address> addresses;
  std::vector<uint16_t> ports;
  Bytes known;
  for (const auto& url : endpoints) {
    const auto endpoint = config::parse_endpoint(url);
    addresses.push_back(endpoint ? resolve(*endpoint) : Address{});
    ports.push_back(endpoint ? endpoint->port : uint16_t{0});
    known.push_back(addresses.back().size == 0 ? 0 : 1);
  }
  if (const auto confined = confine_dialer(user, ports); !confined) {
    log::error(cat("cannot give up what it must not have: ", confined.error().message));
    return 1;
  }
  os::trim_memory();
  if (!os::send_packet(k_socket, known))
    return 0;
  return serve(k_socket, addresses);
}

Result<Dialer> Dialer::start(const std::string& user, const std::vector<std::string>& endpoints) {
  auto [ours, theirs] = TRY(os::packet_pair());
  std::vector<std::string> arguments{user};
  arguments.insert(arguments.end(), endpoints.begin(), endpoints.end());
  os::RoleCommand command = os::role_command(os::k_dialer_role, std::move(arguments));
  command.fds = {{theirs.get(), 3}};
  Dialer out;
  out.m_child = TRY(os::Child::start(command));
  out.m_socket = std::move(ours);
  theirs.reset();
  const auto known = TRY(os::receive_packet(out.m_socket.get(), endpoints.size(), k_resolve_wait));
  if (!known || std::ranges::none_of(known->bytes, [](uint8_t one) { return one == 1; }))
    return fail(Code::unreachable, "none of fleet.endpoints has an address");
  return out;
}

Result<Fd> Dialer::dial(size_t endpoint) {
  constexpr os::Millis k_dial_wait{10'000}; // it only makes system calls
  const auto number = static_cast<uint8_t>(endpoint);
  TRY(os::send_packet(m_socket.get(), {&number, 1}));
  auto answer = TRY(os::receive_packet(m_socket.get(), 1, k_dial_wait));
  if (!answer)
    return fail(Code::failure, "the dialer ended");
  if (answer->bytes.front() != 0 || !answer->fd)
    return fail(Code::unreachable, "no connection could be begun");
  return std::move(answer->fd);
}

} // namespace chillbox::courier
