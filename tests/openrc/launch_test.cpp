// The launcher in a process of its own. What needs root (becoming another user) is proven where the
// tests run as root, as they do in CI.
#include "fake_openrc.hpp"

#include "openrc/listen.hpp"
#include "openrc/service_log.hpp"
#include "openrc/spec.hpp"
#include "openrc/supervise.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>

using namespace chillbox;
using namespace chillbox::openrc;

namespace {

struct Launched {
  int code;
  std::string out, err;
};

// Runs slot_main with this text as the slot's spec; mode and owner of the file as given.
Launched launch(const std::string& text, mode_t mode = 0600, uid_t owner = ::geteuid(),
    const char* files = nullptr) {
  FakeOpenrc host;
  const std::string file = host.root + "/run/chillbox/slots/chillbox.blog.web.a.json";
  put(file, text);
  REQUIRE(::chmod(file.c_str(), mode) == 0);
  REQUIRE(::chown(file.c_str(), owner, ::getegid()) == 0);
  if (const fs::path log = fs::read_symlink("/proc/self/exe").parent_path() / "chillbox-log";
      fs::exists(log)) {
    fs::create_directories(host.root + "/usr/lib/chillbox");
    fs::create_symlink(log, host.root + "/usr/lib/chillbox/chillbox-log");
  }
  const std::string out = host.root + "/out", err = host.root + "/err";
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("CHILLBOX_ROOT", host.root.c_str(), 1);
    ::setenv("LEAKED", "yes", 1);
    if (files != nullptr) { // as a child of supervise-daemon
      const rlimit few{k_supervisor_files, 500};
      ::setrlimit(RLIMIT_NOFILE, &few);
      ::setenv(k_files_variable, files, 1);
    }
    for (const auto& [path, fd] : {std::pair{out, 1}, std::pair{err, 2}, std::pair{err, 9}})
      ::dup2(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666), fd);
    ::_exit(slot_main("chillbox.blog.web.a"));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), get(out), get(err)};
}

std::string spec_json(const std::string& script) {
  FakeOpenrc host;
  SlotSpec s{slot(), "r", {"/bin/sh", "-c", script}, {{"A", "1 2"}, {"B", "$(id)\n'\""}}, "/tmp",
      "nobody", "027", "/x", 5, {}};
  return spec_text(s).value();
}

} // namespace

TEST_CASE("the program runs as the site's user, in its directory, with the environment as given and nothing else") {
  if (::geteuid() != 0)
    return;
  const auto r = launch(spec_json(
      "id -un; pwd; umask; env | grep -v -E '^(PWD|OLDPWD|SHLVL|_)=' | sort; nice; ulimit -c; ls /proc/self/fd | wc -l; "
      "grep -E '^(NoNewPrivs|SigBlk|SigIgn)' /proc/self/status; cat /proc/self/status | grep ^Uid"));
  CHECK(r.err == "");
  CHECK(r.code == 0);
  CHECK(r.out.starts_with("nobody\n/tmp\n0027\n"));
  CHECK(r.out.find("A=1 2\nB=$(id)\n") != std::string::npos);
  CHECK(r.out.find("LEAKED") == std::string::npos);
  CHECK(r.out.find("CHILLBOX_ROOT") == std::string::npos);
  CHECK(r.out.find("\n5\n0\n4\n") !=
      std::string::npos); // niceness, core limit; 0, 1, 2 and the one that ls opens
  CHECK(r.out.find("NoNewPrivs:\t1") != std::string::npos);
  CHECK(r.out.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000") != std::string::npos);
}

TEST_CASE("a program may open as many files as if supervise-daemon had not been given less") {
  if (::geteuid() != 0)
    return;
  const auto may_open = [](const char* files) {
    return launch(spec_json("ulimit -Sn; ulimit -Hn; env | grep CHILLBOX_FILES"), 0600, 0, files)
        .out;
  };
  CHECK(may_open("300") == "300\n500\n");
  CHECK(may_open("1000000") == "500\n500\n");
  CHECK(may_open("many") == "500\n500\n"); // none: what a system gives, within the hard limit
}

TEST_CASE("a spec that anybody but root could have written or read is not used") {
  CHECK(launch(spec_json("echo ran"), 0640).out.empty());
  const auto r = launch(spec_json("echo ran"), 0602);
  CHECK(r.out.empty());
  CHECK(r.code != 0);
  CHECK(r.err.find("mode 0600") != std::string::npos);
  if (::geteuid() == 0)
    CHECK(launch(spec_json("echo ran"), 0600, 65534).err.find("regular file of root") !=
        std::string::npos);
}

TEST_CASE("root is refused by name and by number, and so is a spec for another slot") {
  auto text = spec_json("echo ran");
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return launch(changed);
  };
  for (const auto& r :
      {with("\"nobody\"", "\"root\""), with("chillbox.blog.web.a", "chillbox.blog.web.b"),
          with("\"user\"", "\"usr\""), launch("{}"), launch("not JSON"),
          with("/bin/sh", "/no/such/program"), with("\"/tmp\"", "\"/no/such/dir\"")}) {
    CHECK(r.code != 0);
    CHECK(r.out.empty());
    CHECK(r.err.starts_with("chillbox.blog.web.a: "));
  }
}

TEST_CASE("a name that is no slot's is refused without a look at any file") {
  CHECK(slot_main("../../etc/passwd") != 0);
  CHECK(slot_main("chillboxd") != 0);
}

namespace {

// As user nobody, with this changed.
template <class Change> Launched launch_changed(const std::string& script, Change change) {
  FakeOpenrc host;
  SlotSpec s{slot(), "r", {"/bin/sh", "-c", script},
      {{"PATH", "/usr/bin:/bin"}, {"LISTEN_FDS", "7"}}, "/tmp", "nobody", "027", "/x", {}, {}};
  change(s);
  return launch(spec_text(s).value());
}

} // namespace

TEST_CASE("[attack-C1] a listening socket is made by root in root's directory, and handed over") {
  if (::geteuid() != 0)
    return;
  FakeOpenrc host;
  const std::string socket = host.root + "/web.a.sock";
  put(socket, "left by an earlier copy");
  const std::string script =
      "echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && echo its own; readlink /proc/$$/fd/3; ls /proc/self/fd | wc -l; "
      "stat -c '%U %a %F' " +
      socket + "; rm -f " + socket + " || ln -sf /x " + socket;
  REQUIRE(::chmod(host.root.c_str(), 0711) == 0);
  const auto r = launch_changed(script, [&](SlotSpec& s) { s.socket = socket; });
  CHECK(r.out.starts_with("1 socket\nits own\nsocket:["));
  CHECK(r.out.find("]\n5\nnobody 660 socket\n") != std::string::npos);
  CHECK(fs::is_socket(fs::symlink_status(socket))); // it could neither remove nor replace it
}

TEST_CASE("a port goes along with the socket; alone it is the program's to bind, and what it is not given is not in its environment") {
  if (::geteuid() != 0)
    return;
  FakeOpenrc host;
  const auto both = launch_changed(
      "echo $LISTEN_FDS $LISTEN_FDNAMES; readlink /proc/$$/fd/4 | cut -c 1-6", [&](SlotSpec& s) {
        s.socket = host.root + "/web.a.sock";
        s.port = 29'322;
      });
  CHECK(both.out == "2 socket:port\nsocket\n");
  CHECK(launch_changed("echo =$LISTEN_FDS; ls /proc/self/fd | wc -l", [](SlotSpec& s) {
    s.port = 29'323;
  }).out == "=\n4\n");
}

TEST_CASE("what a program writes goes through a pipe to its log, which is rotated; it has no descriptor of a file") {
  if (::geteuid() != 0)
    return;
  FakeOpenrc host;
  const std::string log = host.root + "/log/web.log";
  put(host.root + "/log/web.log.1", "older\n");
  const auto r = launch_changed(
      "echo to out; echo to err >&2; readlink /proc/$$/fd/1 /proc/$$/fd/2 | cut -c 1-5; "
      "for i in $(seq 3000); do echo 0123456789012345678901234567890123456789; done; echo last",
      [&](SlotSpec& s) {
        s.log = log;
        s.log_size = 64'000;
        s.log_files = 2;
      });
  CHECK(r.code == 0);
  for (int i = 0; i < 6'000 && get(log).find("last\n") == std::string::npos; ++i) // up to a minute
    ::usleep(10'000);
  CHECK(r.out.empty());
  CHECK(get(log).ends_with("last\n"));
  CHECK(get(log + ".1").starts_with("to out\nto err\npipe:\npipe:\n0123"));
  CHECK(get(log + ".2") == "older\n");
}

TEST_CASE("[fault-361] a port that is held for a service is free for it as soon as it runs: the process that keeps its log has no copy") {
  FakeOpenrc host;
  SlotSpec s{
      slot(), "r", {"/bin/sh"}, {}, "/tmp", "nobody", "027", host.root + "/log/web.log", {}, {}};
  s.log_size = 64'000;
  put(host.root + "/log/web.log", "");
  put(host.root + "/usr/lib/chillbox/chillbox-log", "#!/bin/sh\nexec cat >/dev/null\n");
  REQUIRE(::chmod((host.root + "/usr/lib/chillbox/chillbox-log").c_str(), 0755) == 0);
  constexpr uint16_t k_port = 29'325;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto held = hold_port(k_port);
      if (!held || !*held || !pipe_to_log(s, os::Paths{host.root}))
        ::_exit(1);
      *held = Fd(); // as its exec does
      const auto again = hold_port(k_port);
      ::_exit(again && *again ? 0 : 2);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
  }
}
