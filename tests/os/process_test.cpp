#include "catch.hpp"
#include "roles.hpp"
#include "support.hpp"

#include "os/process.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

struct ProcessRole {
  Child child;
  Fd socket;
};

std::pair<Fd, Fd> sockets() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

ProcessRole start(const std::string& name, bool ends_with_thread = false) {
  auto [ours, theirs] = sockets();
  ProcessRole role{{}, std::move(ours)};
  RoleCommand command = role_command(name, theirs.get());
  command.ends_with_thread = ends_with_thread;
  Result<Child> child = Child::start(command);
  if (!child)
    FAIL(child.error().message);
  role.child = std::move(*child);
  return role;
}

bool ready(int socket) {
  uint8_t byte = 0;
  const Result<bool> read = read_exact(socket, {&byte, 1}, Millis{5'000});
  return read && *read && byte == 'r';
}
bool ready(const ProcessRole& role) {
  return ready(role.socket.get());
}

std::string field(const std::string& text, const std::string& name) {
  const size_t at = text.find("\n" + name + ":");
  if (at == std::string::npos)
    return "none";
  const size_t begin = text.find_first_not_of(" \t", at + name.size() + 2);
  return text.substr(begin, text.find('\n', begin) - begin);
}

} // namespace

TEST_CASE("a role is this program again, named for ps, and its code comes back") {
  ProcessRole role = start("exit7");
  CHECK(role.child.wait(Millis{5'000}).value() == 7);
  CHECK_FALSE(role.child.running());
  CHECK(role.child.wait().error().code == Code::not_found);
  ProcessRole other = start("echo");
  REQUIRE(ready(other));
  CHECK(slurp("/proc/" + std::to_string(other.child.pid()) + "/cmdline") ==
      std::string("role:echo\0", 10));
  other.socket.reset();
  CHECK(other.child.wait(Millis{5'000}).value() == 0);
}

TEST_CASE("a role has the descriptors that it was given and the log, no other") {
  const int leaky = ::open("/dev/null", O_RDONLY); // not close-on-exec
  ProcessRole role = start("fds");
  ::close(leaky);
  std::string list(100, '\0');
  list.resize(static_cast<size_t>(::read(role.socket.get(), list.data(), list.size())));
  CHECK(list == "0 1 2 3 4 "); // 4: the directory it reads
}

TEST_CASE("[fault-112] wait says timed_out while it runs; TERM may be ignored, KILL not") {
  ProcessRole role = start("stubborn");
  REQUIRE(ready(role));
  role.child.signal(SIGTERM);
  CHECK(role.child.wait(Millis{100}).error().code == Code::timed_out);
  CHECK(role.child.running());
  role.child.signal(SIGKILL);
  CHECK(role.child.wait(Millis{5'000}).value() == 128 + SIGKILL);
}

TEST_CASE("[fault-110] a child that ended is never signalled again, though its number may be somebody else's") {
  ProcessRole role = start("exit7");
  const pid_t pid = role.child.pid();
  CHECK(role.child.wait(Millis{5'000}));
  CHECK(role.child.pid() == -1);
  role.child.signal(SIGKILL); // nobody
  CHECK(::kill(pid, 0) == -1);
}

TEST_CASE("the end of a child wakes up who polls its pidfd; a child that is dropped is killed and reaped") {
  pid_t pid = -1;
  {
    ProcessRole role = start("echo");
    REQUIRE(ready(role));
    pid = role.child.pid();
    CHECK_FALSE(wait_readable(role.child.pidfd(), Millis{50}).value());
    ProcessRole moved = std::move(role);
    CHECK_FALSE(role.child.running());
    CHECK(moved.child.pid() == pid);
    ::kill(pid, SIGKILL);
    CHECK(wait_readable(moved.child.pidfd(), Millis{5'000}).value());
  }
  CHECK(::kill(pid, 0) == -1);
  CHECK(errno == ESRCH);
  ProcessRole role = start("stubborn");
  REQUIRE(ready(role));
  pid = role.child.pid();
  role.child = Child();
  CHECK(::kill(pid, 0) == -1);
}

TEST_CASE("a role ends with the thread that asked for it, and outlives one that did not") {
  ProcessRole bound, free;
  std::thread([&] {
    bound = start("echo", true);
    free = start("echo");
    CHECK(ready(bound));
    CHECK(ready(free));
  }).join();
  CHECK(bound.child.wait(Millis{5'000}).value() == 128 + SIGKILL);
  CHECK(free.child.wait(Millis{100}).error().code == Code::timed_out);
}

TEST_CASE("a role that the main thread started does not outlive a killed parent, confined or not") {
  for (const std::string name : {"echo", "edge"}) {
    // The other end of its socket stays open here, so that it has no reason of its own to end.
    const auto [ours, theirs] = sockets();
    CHECK(exit_of([&, socket = ours.get(), end = theirs.get()] {
      Result<Child> child = Child::start(role_command(name, end));
      const pid_t number = child ? child->pid() : -1;
      if (!ready(socket) ||
          !write_all(end, {reinterpret_cast<const uint8_t*>(&number), sizeof number}))
        return 1;
      ::kill(::getpid(), SIGKILL);
      return 0;
    }) == 128 + SIGKILL);
    pid_t pid = -1;
    REQUIRE(read_exact(ours.get(), {reinterpret_cast<uint8_t*>(&pid), sizeof pid}, Millis{5'000})
            .value());
    bool gone = false;
    for (int i = 0; i < 300 && !gone; ++i) {
      const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
      gone = stat.empty() || stat.find(") Z ") != std::string::npos;
      real_clock().sleep(Millis{10});
    }
    CHECK(gone);
  }
}

TEST_CASE("[fault-79] what a confined role gave up shows in /proc: user, groups, capabilities, no_new_privs, seccomp, core") {
  for (const std::string name : {"edge", "vault", "stager"}) {
    CAPTURE(name);
    const ProcessRole role = start(name);
    REQUIRE(ready(role));
    const std::string proc = "/proc/" + std::to_string(role.child.pid());
    const std::string status = slurp(proc + "/status");
    CHECK(field(status, "NoNewPrivs") == "1");
    CHECK(field(status, "Seccomp") == "2");
    CHECK(field(status, "CapEff") == "0000000000000000");
    CHECK(has(slurp(proc + "/limits"), "Max core file size        0                    0  "));
    CHECK(has(slurp(proc + "/limits"), "Max open files            64                   64 "));
    if (!is_root())
      continue;
    CHECK(field(status, "Uid") == "65534\t65534\t65534\t65534");
    CHECK(field(status, "Gid") == "65534\t65534\t65534\t65534");
    CHECK(field(status, "Groups") == "65534 ");
    for (const char* set : {"CapInh", "CapPrm", "CapBnd", "CapAmb"})
      CHECK(field(status, set) == "0000000000000000");
  }
}
