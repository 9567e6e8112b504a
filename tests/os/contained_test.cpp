#include "catch.hpp"
#include "support.hpp"

#include "os/clock.hpp"
#include "os/control_group.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

const User k_nobody{"nobody", 65534, 65534, "/"};

Command contained(const std::string& script) {
  Command c;
  c.argv = {"/bin/sh", "-c", script};
  c.contained = true;
  return c;
}

Exit run(const Command& c) {
  Result<Exit> exit = real_runner().run(c);
  if (!exit)
    FAIL(exit.error().message);
  return *exit;
}

Error error_of(const Command& c) {
  const Result<Exit> exit = real_runner().run(c);
  REQUIRE_FALSE(exit);
  return exit.error();
}

// What is locked by nobody any more: who had it as a descriptor is dead, whatever its number was in
// its own namespace.
bool is_locked(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  const bool locked = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
  ::close(fd);
  return locked;
}

// A daemon as one is made, with a session of its own; it holds a lock, so that it can be seen from
// outside.
const char* const k_daemon =
    "setsid flock $F sh -c 'echo up >$F.up; trap \"\" TERM HUP INT; exec sleep 100' </dev/null >/dev/null 2>&1 & "
    "while [ ! -s $F.up ]; do sleep 0.01; done; ";

size_t groups() {
  size_t count = 0;
  for (const auto& name : names(control_groups_root()))
    count += name.starts_with(k_run_groups);
  return count;
}

} // namespace

TEST_CASE("nothing that a contained program started is alive behind it, session of its own or not [attack-C4]") {
  if (!as_root())
    return;
  const TempDir dir;
  spit(dir / "lock", "");
  Command c = contained(std::string(k_daemon) + "echo done; exit 3");
  c.env = {{"F", dir / "lock"}};
  const Exit exit = run(c);
  CHECK(exit.code == 3);
  CHECK(exit.out == "done\n");
  REQUIRE(slurp(dir / "lock.up") == "up\n");
  CHECK_FALSE(is_locked(dir / "lock"));
}

TEST_CASE("a deadline ends all of a contained program, also what ignores TERM in a session of its own [attack-C4]") {
  if (!as_root())
    return;
  const TempDir dir;
  spit(dir / "lock", "");
  Command c = contained(std::string(k_daemon) + "echo waiting; sleep 100");
  c.env = {{"F", dir / "lock"}};
  c.timeout = Millis{1'000};
  const Error error = error_of(c);
  CHECK(error.code == Code::timed_out);
  CHECK(has(error.message, "its last line: waiting"));
  REQUIRE(slurp(dir / "lock.up") == "up\n");
  CHECK_FALSE(is_locked(dir / "lock"));
}

TEST_CASE("a contained program is asked by TERM before it is killed, and so is what it started") {
  if (!as_root())
    return;
  const TempDir dir;
  Command c = contained("setsid sh -c 'trap \"echo clean >" + (dir / "done") +
      "; exit\" TERM; while :; do sleep 0.05; done' & "
      "trap 'wait; exit 0' TERM; while :; do sleep 0.05; done");
  c.timeout = Millis{300};
  CHECK(error_of(c).code == Code::timed_out);
  CHECK(slurp(dir / "done") == "clean\n");
}

TEST_CASE("a contained program ends as it would by itself: code, signal, not found") {
  if (!as_root())
    return;
  CHECK(run(contained("exit 139")).code == 139);
  CHECK(run(contained("exit 139")).signal == 0);
  CHECK(run(contained("exit 0")).ok());
  const Exit segv = run(contained("kill -SEGV $$"));
  CHECK(segv.code == 128 + SIGSEGV);
  CHECK(segv.signal == SIGSEGV);
  const Exit killed = run(contained("kill -KILL $$"));
  CHECK(killed.code == 128 + SIGKILL);
  CHECK(killed.signal == SIGKILL);
  Command c = contained("");
  c.argv = {"/no/such/program"};
  CHECK(error_of(c).code == Code::not_found);
  c = contained("true");
  c.cwd = "/nowhere";
  CHECK(has(error_of(c).message, "enter /nowhere"));
}

TEST_CASE("orphans of a contained program are reaped while it runs") {
  if (!as_root())
    return;
  const Exit exit = run(contained(
      "for i in 1 2 3; do (sh -c 'exit 0' &) ; done; sleep 0.3; grep -l '^State:.Z' /proc/[0-9]*/status; true"));
  CHECK(exit.out == "");
}

TEST_CASE("a contained program sees its own processes and no others, and cannot signal any other [attack-A3]") {
  if (!as_root())
    return;
  Command c = contained("for p in /proc/[0-9]*; do echo ${p#/proc/}; done; kill -0 " +
      std::to_string(::getpid()) + " 2>/dev/null && echo reached");
  std::istringstream out(run(c).out);
  size_t seen = 0;
  for (std::string line; std::getline(out, line); ++seen)
    CHECK((line == "1" || line == "2"));
  CHECK(seen == 2);
}

TEST_CASE("the first process of the namespace holds none of our descriptors and cannot be looked into [attack-C4]") {
  if (!as_root())
    return;
  Command c = contained("ls /proc/1/fd | wc -l; cat /proc/1/maps");
  c.user = k_nobody;
  const Exit exit = run(c);
  CHECK(exit.code != 0);
  CHECK(exit.out == "0\n");
  c.user.reset();
  c.argv[2] = "for fd in /proc/1/fd/*; do readlink $fd; done";
  CHECK(run(c).out.starts_with("pipe:"));
  CHECK(run(c).out.find('\n') == run(c).out.size() - 1); // only one
}

TEST_CASE("a contained program and its daemons end when we are killed [attack-C4]") {
  if (!as_root())
    return;
  const TempDir dir;
  spit(dir / "lock", "");
  const pid_t us = ::fork();
  if (us == 0) {
    Command c = contained(std::string(k_daemon) + "sleep 100");
    c.env = {{"F", dir / "lock"}};
    (void)real_runner().run(c);
    ::_exit(1);
  }
  for (int i = 0; i < 1000 && slurp(dir / "lock.up").empty(); ++i)
    real_clock().sleep(Millis{10});
  REQUIRE(is_locked(dir / "lock"));
  ::kill(us, SIGKILL);
  ::waitpid(us, nullptr, 0);
  for (int i = 0; i < 200 && is_locked(dir / "lock"); ++i)
    real_clock().sleep(Millis{10});
  CHECK_FALSE(is_locked(dir / "lock"));
  remove_stale_groups();
}

TEST_CASE("shared memory that a contained program made goes with it [attack-C4]") {
  if (!as_root() || ::access("/usr/bin/ipcmk", X_OK) != 0)
    return;
  const std::string before = slurp("/proc/sysvipc/shm");
  CHECK(run(contained("ipcmk -M 4096 >/dev/null && wc -l </proc/sysvipc/shm")).out == "2\n");
  CHECK(slurp("/proc/sysvipc/shm") == before);
}

TEST_CASE("a contained program is in a control group of its own, which goes with it") {
  if (!as_root() || control_groups_root().empty())
    return;
  const size_t before = groups();
  CHECK(has(
      run(contained("cat /proc/self/cgroup")).out, "/chillbox.run." + std::to_string(::getpid())));
  Command named = contained("cat /proc/self/cgroup; (setsid sleep 100 &)");
  named.group = "chillbox.run.by-name";
  CHECK(has(run(named).out, "/chillbox.run.by-name\n"));
  CHECK(groups() == before);
}

TEST_CASE("a group that was killed and is still there is made again: nothing could begin in it") {
  if (!as_root() || control_groups_root().empty())
    return;
  const std::string group = control_groups_root() + "/chillbox.run.killed";
  REQUIRE(::mkdir(group.c_str(), 0755) == 0);
  spit(group + "/cgroup.kill", "1");
  Command named = contained("cat /proc/self/cgroup");
  named.group = "chillbox.run.killed";
  CHECK(has(run(named).out, "/chillbox.run.killed\n"));
}

TEST_CASE("a fork bomb of a contained program is bounded by the number of its user's processes [attack-D13]") {
  if (!as_root())
    return;
  const TempDir dir;
  Command c = contained("i=0; while [ $i -lt 200 ]; do sleep 100 & i=$((i+1)); done; echo all");
  c.user = User{"nobody", 64321, 64321, "/"}; // who has no other process
  c.limits.user_tasks_max = 20;
  c.timeout = Millis{20'000};
  CHECK(run(c).out.empty());
}

TEST_CASE("groups besides the user's own are as asked for") {
  if (!as_root())
    return;
  Command c = contained("id -G");
  c.user = k_nobody;
  CHECK(run(c).out == "65534\n");
  c.groups = {4711, 4712};
  CHECK(run(c).out == "65534 4711 4712\n");
}

TEST_CASE("hidden directories are empty but for what is bound below them") {
  if (!as_root())
    return;
  const TempDir dir;
  for (const char* sub : {"secret", "secret/mine", "secret/deep", "secret/deep/er"})
    ::mkdir((dir / sub).c_str(), 0755);
  spit(dir / "secret/key", "key");
  spit(dir / "secret/mine/file", "mine");
  spit(dir / "secret/deep/er/one", "one");
  Command c = contained("find " + (dir / "secret") + " | sort | sed 's,.*/secret,,'; cat " +
      (dir / "secret/mine/file") + " " + (dir / "secret/deep/er/one"));
  c.view.hidden = {dir / "secret", "/no/such/directory"};
  c.view.binds = {{dir / "secret/mine", dir / "secret/mine"},
      {dir / "secret/deep/er/one", dir / "secret/deep/er/one"}};
  CHECK(run(c).out == "\n/deep\n/deep/er\n/deep/er/one\n/mine\n/mine/file\nmineone");
}

TEST_CASE("a read-only view is read-only everywhere but in its scratch directories and writable binds, also for root") {
  if (!as_root())
    return;
  const TempDir dir;
  ::mkdir((dir / "out").c_str(), 0755);
  ::mkdir((dir / "scratch").c_str(), 0755);
  Command c = contained(
      "for f in x /etc/chillbox-x /dev/shm/x scratch/x out/x; do echo x 2>/dev/null >$f && echo $f; done; echo x >/dev/null && echo null; "
      "head -c 3000000 /dev/zero >scratch/y 2>/dev/null || echo full");
  c.cwd = dir.path();
  c.view.read_only = true;
  c.view.scratch = {{dir / "scratch", 1 << 20}};
  c.view.binds = {{dir / "out", dir / "out", true}};
  CHECK(run(c).out == "scratch/x\nout/x\nnull\nfull\n");
  CHECK(slurp(dir / "out/x") == "x\n");
  CHECK(names(dir / "scratch").empty());
}

TEST_CASE("what is sandboxed sees the tree that it is given and no site, secret or user, and changes nothing [attack-A1]") {
  if (!as_root())
    return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  spit(dir / "wheel", "wheel", 0644);
  Command c;
  c.argv = {"/bin/sh", "-c",
      "cat wheel; ls -A /home /root /run /srv /var/lib /var/log /tmp | grep -v :$ | tr -d '\\n'; echo; echo 2>/dev/null x >wheel || echo read-only; "
      "echo x >/tmp/x && echo scratch; cat /proc/net/dev | tail -n +3 | cut -d: -f1; grep NoNewPrivs /proc/self/status"};
  c.cwd = dir.path();
  c.user = k_nobody;
  sandbox(c, {dir.path()});
  const std::string name = dir.path().substr(dir.path().rfind('/') + 1);
  CHECK(run(c).out ==
      "wheel" + (dir.path().starts_with("/tmp/") ? name : "") +
          "\nread-only\nscratch\n    lo\nNoNewPrivs:\t1\n");
}

TEST_CASE("a bind that cannot be made says which") {
  if (!as_root())
    return;
  const TempDir dir;
  Command c = contained("true");
  c.view.binds = {{dir / "none", dir / "to"}};
  CHECK(has(
      error_of(c).message, "bind " + (dir / "none") + " to " + (dir / "to") + ": no such file"));
}

TEST_CASE("the settings of a control group say what the limits say") {
  Limits limits;
  CHECK(group_settings(limits).empty());
  limits.memory_max = 50'000'000;
  limits.cpu_max = 150;
  limits.cpus = "0-1";
  limits.tasks_max = 64;
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(group_settings(limits) ==
      Pairs{{"memory.max", "50000000"}, {"cpu.max", "150000 100000"}, {"cpuset.cpus", "0-1"},
          {"pids.max", "64"}});
}
