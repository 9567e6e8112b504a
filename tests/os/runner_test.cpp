#include "catch.hpp"
#include "support.hpp"

#include "os/clock.hpp"
#include "os/runner.hpp"
#include "os/soft_files.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <sstream>
#include <thread>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

// Generous, for a machine that has other things to do; what would go wrong takes 100 s.
constexpr Millis k_soon{30'000};

Command shell(const std::string& script) {
  Command c;
  c.argv = {"/bin/sh", "-c", script};
  return c;
}

Exit run_here(const Command& c) {
  Result<Exit> exit = real_runner().run(c);
  if (!exit)
    FAIL(exit.error().message);
  return *exit;
}

Error failure_of(const Command& c) {
  const Result<Exit> exit = real_runner().run(c);
  REQUIRE_FALSE(exit);
  return exit.error();
}

Millis taken(const std::function<void()>& work) {
  const Millis start = real_clock().mono();
  work();
  return real_clock().mono() - start;
}

// Waits a moment for what ends by itself: a killed process is gone only when its new parent has
// seen it.
bool gone(pid_t pid) {
  for (int i = 0; i < 200; ++i) {
    if (::kill(pid, 0) != 0 && errno == ESRCH)
      return true;
    const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
    if (stat.find(") Z ") != std::string::npos)
      return true;
    real_clock().sleep(Millis{10});
  }
  return false;
}

// A killed process may take a moment to go.
bool lives_on(pid_t pid) {
  real_clock().sleep(Millis{100});
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  return pid > 0 && !stat.empty() && stat.find(") Z ") == std::string::npos;
}

pid_t pid_in(const std::string& file) {
  const std::string text = slurp(file);
  return text.empty() ? -1 : static_cast<pid_t>(std::stol(text));
}

} // namespace

TEST_CASE("secrets come by descriptor 3, and are in no argument and no variable") {
  Command c = shell("cat <&3; tr '\\0' ' ' </proc/self/cmdline; env; echo; cat");
  c.secrets = "url of a capability\n";
  c.input = "the message";
  const Exit exit = run_here(c);
  CHECK(exit.ok());
  CHECK(exit.out.starts_with(c.secrets));
  CHECK(exit.out.find("capability", c.secrets.size()) == std::string::npos);
  CHECK(exit.out.ends_with("the message"));
  CHECK(run_here(shell("! cat <&3")).ok());
}

TEST_CASE("a program's output, errors and code come back, and it reads its input") {
  Command c = shell("cat; echo oops >&2; exit 3");
  c.input = "some\ntext";
  const Exit exit = run_here(c);
  CHECK(exit.code == 3);
  CHECK(exit.signal == 0);
  CHECK(exit.out == "some\ntext");
  CHECK(exit.err == "oops\n");
  CHECK_FALSE(exit.ok());
}

TEST_CASE("input larger than any pipe is passed on whole, also to a program that does not read it") {
  Command c = shell("wc -c");
  c.input = std::string(3'000'000, 'x');
  CHECK(std::stol(run_here(c).out) == 3'000'000);
  c.argv = {"/bin/true"};
  CHECK(run_here(c).ok());
}

TEST_CASE("a program ended by a signal has a shell's code for it") {
  const Exit exit = run_here(shell("kill -SEGV $$"));
  CHECK(exit.code == 128 + SIGSEGV);
  CHECK(exit.signal == SIGSEGV);
}

TEST_CASE("programs are looked up in the system's directories and nowhere else") {
  Command c;
  c.argv = {"true"};
  CHECK(run_here(c).ok());
  const TempDir dir;
  spit(dir / "mine", "#!/bin/sh\n", 0755);
  c.argv = {"mine"};
  c.env = {{"PATH", dir.path()}};
  CHECK(failure_of(c).code == Code::not_found);
  c.argv = {dir / "mine"};
  CHECK(run_here(c).ok());
}

TEST_CASE("what cannot be started says why and is no exit code") {
  const TempDir dir;
  Command c;
  c.argv = {dir / "none"};
  CHECK(failure_of(c).code == Code::not_found);
  CHECK(has(failure_of(c).message, "run " + (dir / "none") + ": no such file"));
  spit(dir / "script", "#!/no/such/shell\n", 0755);
  c.argv = {dir / "script"};
  CHECK(failure_of(c).code == Code::not_found);
  CHECK(has(failure_of(c).message, "interpreter"));
  spit(dir / "plain", "x", 0644);
  c.argv = {dir / "plain"};
  CHECK(failure_of(c).code == Code::failure);
  c = shell("true");
  c.cwd = dir / "nowhere";
  CHECK(failure_of(c).code == Code::failure);
  CHECK(has(failure_of(c).message, "enter " + (dir / "nowhere")));
}

TEST_CASE("arguments and variables that exec would cut or mix up are refused") {
  Command c = shell("true");
  c.env = {{"A=B", "x"}};
  CHECK(failure_of(c).code == Code::invalid);
  c.env = {{"A", std::string("x\0y", 3)}};
  CHECK(failure_of(c).code == Code::invalid);
  c.env = {};
  c.argv.push_back(std::string("x\0y", 3));
  CHECK(failure_of(c).code == Code::invalid);
  c.argv.clear();
  CHECK(failure_of(c).code == Code::invalid);
  c = shell("true");
  c.inherit = {2};
  CHECK(failure_of(c).code == Code::invalid);
}

TEST_CASE("the environment is what was given and a PATH, nothing of ours") {
  ::setenv("CHILLBOX_LEAK", "secret", 1);
  Command c;
  c.argv = {"/usr/bin/env"};
  c.env = {{"A", "1 2"}, {"B", "$(id)"}};
  CHECK(run_here(c).out == "A=1 2\nB=$(id)\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
  c.env = {{"PATH", "/x"}};
  CHECK(run_here(c).out == "PATH=/x\n");
  ::unsetenv("CHILLBOX_LEAK");
}

TEST_CASE("the child has the standard streams and what it inherits, and no other descriptor of ours") {
  const TempDir dir;
  spit(dir / "a", "text");
  const int kept = ::open((dir / "a").c_str(), O_RDONLY | O_CLOEXEC);
  const int leaky = ::fcntl(kept, F_DUPFD, 50); // not close-on-exec, as a library might
  REQUIRE(leaky >= 50);
  Command c = shell(
      "for fd in /proc/self/fd/*; do echo \"${fd##*/}\"; done; cat <&" + std::to_string(kept));
  c.inherit = {kept};
  std::istringstream out(run_here(c).out);
  std::vector<std::string> fds;
  for (std::string line; std::getline(out, line);)
    fds.push_back(line);
  CHECK(std::find(fds.begin(), fds.end(), std::to_string(leaky)) == fds.end());
  CHECK(std::find(fds.begin(), fds.end(), std::to_string(kept)) != fds.end());
  CHECK(fds.back() == "text");
  ::close(leaky);
  ::close(kept);
}

TEST_CASE("the child starts with default signals, none blocked or ignored, and an umask of 022") {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, old;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &old);
  const mode_t mask = ::umask(077);
  const Exit exit = run_here(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; umask"));
  ::umask(mask);
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  CHECK(exit.out == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0022\n");
}

TEST_CASE("a program may get a lower soft limit of open files, never a higher one") {
  const auto limits = [](uint64_t files) {
    Command c;
    c.argv = {"/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"};
    const SoftFiles some(files);
    return real_runner().run(c)->out;
  };
  const std::string ours = limits(0), hard = ours.substr(ours.find('\n'));
  CHECK(limits(64) == "64" + hard);
  CHECK(limits(1'000'000'000) == ours);
}

TEST_CASE("lines come as they are written, from both streams, the last one also without its end") {
  Command c = shell("echo one; echo two >&2; printf 'three\\r\\n\\nfo'; sleep 0.1; printf ur");
  std::vector<std::string> lines;
  c.on_line = [&](std::string_view line) { lines.emplace_back(line); };
  run_here(c);
  std::sort(lines.begin(), lines.end());
  CHECK(lines == std::vector<std::string>{"", "four", "one", "three", "two"});
}

TEST_CASE("output over the limit is dropped, said once, and does not stop the program") {
  Command c =
      shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; echo end >&2");
  c.output_limit = 1000;
  std::vector<std::string> lines;
  c.on_line = [&](std::string_view line) { lines.emplace_back(line); };
  const Exit exit = run_here(c);
  CHECK(exit.ok());
  CHECK(exit.out.size() == 1000);
  CHECK(exit.err == "end\n");
  CHECK(std::count(lines.begin(), lines.end(),
            "[more than 1000 bytes of output: the rest is dropped]") == 1);
  CHECK(lines.size() < 100);
}

TEST_CASE("the deadline ends the program and its grandchildren, and tells its last line") {
  const TempDir dir;
  Command c = shell("echo working; sleep 100 & echo $! >" + (dir / "pid") + "; wait");
  c.timeout = Millis{300};
  Error error{Code::failure, ""};
  CHECK(taken([&] { error = failure_of(c); }) < k_soon);
  CHECK(error.code == Code::timed_out);
  CHECK(has(
      error.message, "run /bin/sh: not finished after 300 ms, stopped; its last line: working"));
  REQUIRE(pid_in(dir / "pid") > 0);
  CHECK(gone(pid_in(dir / "pid")));
}

TEST_CASE("[fault-112] what ignores TERM is killed after the grace") {
  Command c = shell("trap '' TERM; while :; do sleep 0.05; done");
  c.timeout = Millis{200};
  const Millis time = taken([&] { CHECK(failure_of(c).code == Code::timed_out); });
  CHECK(time >= Millis{2'000});
  CHECK(time < k_soon);
}

TEST_CASE("what is asked to end may clean up first") {
  const TempDir dir;
  Command c =
      shell("trap 'echo clean >" + (dir / "done") + "; exit 0' TERM; while :; do sleep 0.05; done");
  c.timeout = Millis{200};
  CHECK(failure_of(c).code == Code::timed_out);
  CHECK(slurp(dir / "done") == "clean\n");
}

TEST_CASE("a cancelled program ends soon and says interrupted") {
  std::atomic<bool> cancel = false;
  std::thread later([&] {
    real_clock().sleep(Millis{150});
    cancel = true;
  });
  Command c = shell("sleep 100");
  c.cancelled = [&] { return cancel.load(); };
  const Millis time = taken([&] { CHECK(failure_of(c).code == Code::interrupted); });
  later.join();
  CHECK(time < k_soon);
}

TEST_CASE("a child that stays behind in the group is killed when the program has ended, and its pipe end is not waited for") {
  const TempDir dir;
  const Millis time = taken([&] {
    const Exit exit = run_here(shell("sleep 100 & echo $! >" + (dir / "pid") + "; echo out"));
    CHECK(exit.ok());
    CHECK(exit.out == "out\n");
  });
  CHECK(time < k_soon);
  CHECK(gone(pid_in(dir / "pid")));
}

TEST_CASE("a daemon that stays in the group lives on where that is what the program is for, but not when it comes to its deadline") {
  const TempDir dir;
  Command c = shell("sleep 100 >/dev/null 2>&1 & echo $! >" + (dir / "pid"));
  c.leaves_daemon = true;
  CHECK(run_here(c).ok());
  const pid_t daemon = pid_in(dir / "pid");
  REQUIRE(lives_on(daemon));
  ::kill(daemon, SIGKILL);
  Command slow =
      shell("sh -c \"trap '' TERM; echo \\$\\$ >" + (dir / "slow") + "; exec sleep 100\" & wait");
  slow.leaves_daemon = true;
  slow.timeout = Millis{200};
  CHECK(failure_of(slow).code == Code::timed_out);
  CHECK(gone(pid_in(dir / "slow")));
}

TEST_CASE("a daemon with a session of its own lives on and does not hold up the one who started it") {
  const TempDir dir;
  const Millis time = taken([&] {
    CHECK(run_here(shell("setsid sh -c 'echo $$ >" + (dir / "pid") +
                       "; exec sleep 100' & while [ ! -s " + (dir / "pid") +
                       " ]; do sleep 0.01; done; echo out"))
              .out == "out\n");
  });
  CHECK(time < k_soon);
  const pid_t daemon = pid_in(dir / "pid");
  REQUIRE(lives_on(daemon));
  ::kill(daemon, SIGKILL);
}

TEST_CASE("waiting costs no wake-ups: a second of sleep is a handful of context switches") {
  rusage before{}, after{};
  ::getrusage(RUSAGE_THREAD, &before);
  run_here(shell("sleep 1"));
  ::getrusage(RUSAGE_THREAD, &after);
  CHECK(after.ru_nvcsw - before.ru_nvcsw < 20);
}

TEST_CASE("several threads run programs at the same time and each gets its own output") {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 15; ++i) {
        const std::string text = std::to_string(t) + "/" + std::to_string(i);
        const Result<Exit> exit = real_runner().run(shell("echo " + text));
        wrong += !exit || exit->out != text + "\n";
      }
    });
  for (std::thread& thread : threads)
    thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("no descriptor is left open and no child unreaped, whatever the end") {
  const auto open_fds = [] { return names("/proc/self/fd").size(); };
  run_here(shell("true"));
  const size_t before = open_fds();
  Command slow = shell("sleep 100");
  slow.timeout = Millis{20};
  Command missing;
  missing.argv = {"/none"};
  for (int i = 0; i < 3; ++i) {
    run_here(shell("true"));
    failure_of(slow);
    failure_of(missing);
  }
  CHECK(open_fds() == before);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1); // ECHILD
}

TEST_CASE("a command as another user has that user, their group only, no way back, and their view of directories") {
  if (!as_root())
    return;
  const TempDir dir;
  Command c = shell("id -u; id -g; id -G; grep NoNewPrivs /proc/self/status");
  c.user = User{"nobody", 65534, 65533, "/"};
  CHECK(in_child([&](Report& r) {
    const gid_t ours[] = {4711, 4712};
    r.expect(::setgroups(2, ours) == 0, "groups to lose");
    const Result<Exit> exit = real_runner().run(c);
    r.expect(exit && exit->out == "65534\n65533\n65533\nNoNewPrivs:\t1\n",
        exit ? exit->out : exit.error().message);
  }) == "");
  c.no_new_privs = false;
  CHECK(has(run_here(c).out, "NoNewPrivs:\t0"));
  c.cwd = dir.path(); // 0700
  CHECK(has(failure_of(c).message, "enter " + dir.path() + ": permission denied"));
}

TEST_CASE("no_network: nothing but an own loopback, also towards this host's own ports") {
  if (!as_root())
    return;
  Command c = shell(
      "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '; cat /sys/class/net/lo/operstate 2>/dev/null; "
      "readlink /proc/self/ns/net");
  const std::string outside = run_here(c).out;
  c.no_network = true;
  const std::string inside = run_here(c).out;
  CHECK(inside.substr(0, 3) == "lo\n");
  CHECK(inside.substr(inside.find("net:[")) != outside.substr(outside.find("net:[")));
  Command route = shell("cat /proc/net/route | tail -n +2");
  route.no_network = true;
  CHECK(run_here(route).out.empty());
}

TEST_CASE("bind mounts are seen by the program and by nobody else; one that fails says which") {
  if (!as_root())
    return;
  const TempDir dir;
  ::mkdir((dir / "from").c_str(), 0755);
  ::mkdir((dir / "to").c_str(), 0755);
  spit(dir / "from/file", "bound");
  Command c = shell("cat " + (dir / "to/file"));
  c.view.binds = {{dir / "from", dir / "to"}};
  CHECK(run_here(c).out == "bound");
  CHECK(names(dir / "to").empty());
  CHECK(slurp("/proc/self/mountinfo").find(dir / "to") == std::string::npos);
  c.view.binds.push_back({dir / "none", dir / "to"});
  CHECK(has(
      failure_of(c).message, "bind " + (dir / "none") + " to " + (dir / "to") + ": no such file"));
}

TEST_CASE("users and groups are found by name; an unknown one is named") {
  CHECK(find_user("root").value().uid == 0);
  CHECK(find_user("root").value().home == "/root");
  CHECK(find_group("root").value() == 0);
  CHECK(find_user("no-such-user").error().code == Code::not_found);
  CHECK(has(find_user("no-such-user").error().message, "'no-such-user'"));
  CHECK(find_group("no-such-group").error().code == Code::not_found);
}
