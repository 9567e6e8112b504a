// A task in a process of its own: this program again. What needs root (the site's user, the control
// group) is proven in bats/host-cron.bats.
#include "openrc/fake_openrc.hpp"

#include "cron/task.hpp"
#include "openrc/spec.hpp"

#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <thread>

using namespace chillbox;
using namespace chillbox::cron;
using namespace chillbox::openrc;

namespace {

template <class T> T must_be(Result<T>&& r) {
  INFO((r ? std::string() : r.error().message));
  REQUIRE(r.has_value());
  if constexpr (!std::is_void_v<T>)
    return std::move(*r);
}

struct TaskHost {
  FakeOpenrc openrc;
  const std::string& root = openrc.root;
  SlotSpec spec(const std::string& command) {
    SlotSpec s{.name = SlotName::parse("chillbox.blog.web.a").value()};
    s.release = "1.0.0-1";
    s.argv = {"/bin/sh", "-c", command};
    s.env = {{"PATH", "/usr/bin:/bin"}, {"WORD", "given"}};
    s.cwd = root;
    s.user = "somebody";
    return s;
  }
  // The process is forked here instead of started anew, so that no main of its own is needed.
  pid_t begin(uint64_t id, const std::string& command) {
    must_be(os::real_disk().make_dir(paths.run() + "/tasks", 0700, {::geteuid(), ::getegid()}));
    must_be(os::real_disk().make_dir(
        root + "/var/log/chillbox/blog", 0755, {::geteuid(), ::getegid()}));
    must_be(os::real_disk().write(cat(paths.run(), "/tasks", "/", id, ".json"),
        must_be(spec_text(spec(command))), 0600, {::geteuid(), ::getegid()}));
    return fork_main(id);
  }
  pid_t fork_main(uint64_t id) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGTERM, SIG_DFL); // the test framework's
      ::setenv("CHILLBOX_ROOT", root.c_str(), 1);
      ::_exit(task_main(std::to_string(id)));
    }
    return child;
  }
  int wait(pid_t pid) {
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  TaskEnd run(const std::string& command) {
    REQUIRE(wait(begin(7, command)) == 0);
    auto end = must_be(tasks.finish(7)).value();
    tasks.forget(7);
    return end;
  }
  bool comes_up(uint64_t id) {
    for (int i = 0; i < 2'000; ++i) {
      if (tasks.running(id))
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  os::Paths paths{root};
  Tasks tasks{os::real_disk(), os::real_clock(), paths};
};

} // namespace

TEST_CASE("a task runs to its end, its last lines are kept and all of them are in its log") {
  TaskHost host;
  const auto end = host.run(
      "echo $WORD; i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line $i; done; printf 'a\\033b' >&2; exit 3");
  CHECK(end.code == 3);
  CHECK(end.ended_ms > 0);
  CHECK(end.text.find("given") == std::string::npos); // only the last twenty
  CHECK(end.text.find("line 30") != std::string::npos);
  CHECK(end.text.find("a\\x1bb") != std::string::npos);
  const auto log = get(host.root + "/var/log/chillbox/blog/cron.log");
  CHECK(log.starts_with("given\nline 1\n"));
  CHECK(must_be(os::real_disk().list(host.paths.run() + "/tasks")).empty());
}

TEST_CASE("a task's output is not bounded by what is kept of it") {
  TaskHost host;
  const auto end = host.run(
      "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo 0123456789012345678901234567890123456789; done; echo last");
  CHECK(end.code == 0);
  CHECK(end.text.ends_with("\nlast"));
  CHECK(get(host.root + "/var/log/chillbox/blog/cron.log").size() == 20000 * 41 + 5);
}

TEST_CASE("a task that cannot start says why") {
  TaskHost host;
  auto spec = host.spec("x");
  spec.argv = {"/no/such/program"};
  (void)host.run("true"); // makes the directories
  must_be(os::real_disk().write(host.paths.run() + "/tasks/8.json", must_be(spec_text(spec)), 0600,
      {::geteuid(), ::getegid()}));
  CHECK(host.wait(host.fork_main(8)) == 0);
  const auto end = must_be(host.tasks.finish(8)).value();
  CHECK(end.code == 127);
  CHECK(end.text.find("/no/such/program") != std::string::npos);
}

TEST_CASE("[fault-516] how a command ended can be asked again until the store has it; what was half written goes with its task") {
  TaskHost host;
  const std::string dir = host.paths.run() + "/tasks";
  REQUIRE(host.wait(host.begin(7, "exit 3")) == 0);
  CHECK(must_be(host.tasks.finish(7)).value().code ==
      3); // by a daemon that is killed before it writes that
  must_be(os::real_disk().write(dir + "/.7.json.tmp.0123abcd", "half", 0600));
  must_be(os::real_disk().write(dir + "/.77.end.tmp.0123abcd", "another's", 0600));
  CHECK(must_be(host.tasks.finish(7)).value().code == 3);
  host.tasks.forget(7);
  CHECK_FALSE(must_be(host.tasks.finish(7)));
  CHECK(must_be(os::real_disk().list(dir)) == std::vector<std::string>{".77.end.tmp.0123abcd"});
}

TEST_CASE("a running task is found by its lock, cannot be finished, and is lost when its process is killed") {
  TaskHost host;
  const pid_t pid = host.begin(7, "sleep 60");
  REQUIRE(host.comes_up(7));
  CHECK(host.tasks.all() == std::vector<uint64_t>{7});
  CHECK(host.tasks.finish(7).error().code == Code::busy);
  ::kill(pid, SIGKILL);
  CHECK(host.wait(pid) == 128 + SIGKILL);
  CHECK_FALSE(host.tasks.running(7));
  CHECK_FALSE(must_be(host.tasks.finish(7)));
  CHECK(host.tasks.all().empty());
}

TEST_CASE("a removed site's tasks are ended, others go on") {
  TaskHost host;
  const pid_t pid = host.begin(7, "sleep 60");
  REQUIRE(host.comes_up(7));
  must_be(host.tasks.kill_all(SiteName::parse("shop").value()));
  CHECK(host.tasks.running(7));
  std::thread reaper([&] { host.wait(pid); }); // as init does
  must_be(host.tasks.kill_all(SiteName::parse("blog").value()));
  reaper.join();
  CHECK_FALSE(host.tasks.running(7));
}

TEST_CASE("a process that comes too late finds no task") {
  TaskHost host;
  CHECK_FALSE(must_be(host.tasks.finish(9)));
  CHECK(task_main("9") != 0);
  CHECK(task_main("../9") == exit_code(Code::usage));
}
