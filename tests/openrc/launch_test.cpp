// The launcher in a process of its own. What needs root (becoming another user) is proven where the tests run as root, as they do in CI.
#include "fake_openrc.hpp"

#include "openrc/spec.hpp"

#include <fcntl.h>
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
Launched launch(const std::string& text, mode_t mode = 0600, uid_t owner = ::geteuid()) {
  FakeOpenrc host;
  const std::string file = host.root + "/run/chillbox/slots/chillbox.blog.web.a.json";
  put(file, text);
  REQUIRE(::chmod(file.c_str(), mode) == 0);
  REQUIRE(::chown(file.c_str(), owner, ::getegid()) == 0);
  const std::string out = host.root + "/out", err = host.root + "/err";
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("CHILLBOX_ROOT", host.root.c_str(), 1);
    ::setenv("LEAKED", "yes", 1);
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
  SlotSpec s{slot(), "r", {"/bin/sh", "-c", script}, {{"A", "1 2"}, {"B", "$(id)\n'\""}}, "/tmp", "nobody", "027", "/x", 5, {}};
  return spec_text(s).value();
}

} // namespace

TEST_CASE("the program runs as the site's user, in its directory, with the environment as given and nothing else") {
  if (::geteuid() != 0)
    return;
  const auto r = launch(spec_json("id -un; pwd; umask; env | grep -v -E '^(PWD|OLDPWD|SHLVL|_)=' | sort; nice; ulimit -c; ls /proc/self/fd | wc -l; "
                                  "grep -E '^(NoNewPrivs|SigBlk|SigIgn)' /proc/self/status; cat /proc/self/status | grep ^Uid"));
  CHECK(r.err == "");
  CHECK(r.code == 0);
  CHECK(r.out.starts_with("nobody\n/tmp\n0027\n"));
  CHECK(r.out.find("A=1 2\nB=$(id)\n") != std::string::npos);
  CHECK(r.out.find("LEAKED") == std::string::npos);
  CHECK(r.out.find("CHILLBOX_ROOT") == std::string::npos);
  CHECK(r.out.find("\n5\n0\n4\n") != std::string::npos); // niceness, core limit; 0, 1, 2 and the one that ls opens
  CHECK(r.out.find("NoNewPrivs:\t1") != std::string::npos);
  CHECK(r.out.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000") != std::string::npos);
}

TEST_CASE("a spec that anybody but root could have written or read is not used") {
  CHECK(launch(spec_json("echo ran"), 0640).out.empty());
  const auto r = launch(spec_json("echo ran"), 0602);
  CHECK(r.out.empty());
  CHECK(r.code != 0);
  CHECK(r.err.find("mode 0600") != std::string::npos);
  if (::geteuid() == 0)
    CHECK(launch(spec_json("echo ran"), 0600, 65534).err.find("regular file of root") != std::string::npos);
}

TEST_CASE("root is refused by name and by number, and so is a spec for another slot") {
  auto text = spec_json("echo ran");
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return launch(changed);
  };
  for (const auto& r : {with("\"nobody\"", "\"root\""), with("chillbox.blog.web.a", "chillbox.blog.web.b"), with("\"user\"", "\"usr\""), launch("{}"),
                        launch("not JSON"), with("/bin/sh", "/no/such/program"), with("\"/tmp\"", "\"/no/such/dir\"")}) {
    CHECK(r.code != 0);
    CHECK(r.out.empty());
    CHECK(r.err.starts_with("chillbox.blog.web.a: "));
  }
}

TEST_CASE("a name that is no slot's is refused without a look at any file") {
  CHECK(slot_main("../../etc/passwd") != 0);
  CHECK(slot_main("chillboxd") != 0);
}
