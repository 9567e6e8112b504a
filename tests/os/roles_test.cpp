#include "roles.hpp"
#include "support.hpp"

#include "base/log.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

using namespace chillbox;
using namespace chillbox::os;

namespace os_test {
namespace {

constexpr const char* k_variable = "CHILLBOX_TEST_ROLE";

[[noreturn]] void echo() {
  uint8_t byte = 'r'; // ready
  if (::write(3, &byte, 1) != 1)
    ::_exit(1);
  while (::read(3, &byte, 1) == 1)
    if (::write(3, &byte, 1) != 1)
      ::_exit(1);
  ::_exit(0);
}

[[noreturn]] void be_confined(Profile profile) {
  Confinement c{profile, std::nullopt, std::nullopt, 0, 0, 0};
  if (is_root())
    c.user = User{"nobody", 65534, 65534, "/"};
  c.open_files = 64;
  if (!deny_core_and_ptrace() || !confine(c))
    ::_exit(90);
  echo();
}

[[noreturn]] void play(const std::string& role) {
  if (role == "exit7")
    ::_exit(7);
  if (role == "stubborn")
    ::signal(SIGTERM, SIG_IGN);
  if (role == "fds") {
    std::string list;
    for (const std::string& name : names("/proc/self/fd"))
      list += name + " ";
    // 3 lists the directory that is being read as well.
    if (::write(3, list.data(), list.size()) < 0)
      ::_exit(1);
    ::_exit(0);
  }
  if (role == "edge")
    be_confined(Profile::edge);
  if (role == "vault")
    be_confined(Profile::vault);
  if (role == "stager")
    be_confined(Profile::stager);
  echo();
}

// Before Catch's main.
[[maybe_unused]] const bool g_played = [] {
  if (const char* role = ::getenv(k_variable))
    play(role);
  return false;
}();

} // namespace

RoleCommand role_command(const std::string& role, int socket) {
  RoleCommand c;
  c.argv = {"role:" + role};
  c.env = {{k_variable, role}};
  c.fds = {{socket, 3}};
  return c;
}

} // namespace os_test
