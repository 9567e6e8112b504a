#include "catch.hpp"

#include "os/clock.hpp"
#include "os/paths.hpp"

#include <unistd.h>

#include <cstdlib>

using namespace chillbox;
using namespace chillbox::os;

namespace {

class Variable {
public:
  Variable(const char* name, const char* value) : m_name(name) {
    if (value == nullptr)
      ::unsetenv(name);
    else
      ::setenv(name, value, 1);
  }
  ~Variable() { ::unsetenv(m_name); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

private:
  const char* m_name;
};

} // namespace

TEST_CASE("on a host the paths are the documented ones") {
  const Variable root("CHILLBOX_ROOT", nullptr), socket("CHILLBOX_SOCKET", nullptr);
  const Paths paths = Paths::from_environment();
  CHECK_FALSE(paths.testing());
  CHECK(paths.config_file() == "/etc/chillbox/chillboxd.toml");
  CHECK(paths.database() == "/var/lib/chillbox/state.db");
  CHECK(paths.control_socket() == "/run/chillbox/control.sock");
  CHECK(paths.shipped_hooks() == "/usr/lib/chillbox/hooks");
  CHECK(paths.live_socket(SiteName::parse("blog").value(), "web") ==
      "/run/chillbox/live/blog/web.sock");
}

TEST_CASE("CHILLBOX_ROOT moves every path, with or without a closing slash, and becomes absolute") {
  const Variable socket("CHILLBOX_SOCKET", nullptr);
  const Variable root("CHILLBOX_ROOT", "/t/box//");
  CHECK(Paths::from_environment().etc() == "/t/box/etc/chillbox");
  CHECK(Paths::from_environment().shipped_hooks() == "/t/box/usr/lib/chillbox/hooks");
  CHECK(Paths::from_environment().control_socket() == "/t/box/run/chillbox/control.sock");
  const Variable relative("CHILLBOX_ROOT", "box");
  char here[4096];
  REQUIRE(::getcwd(here, sizeof here) != nullptr);
  CHECK(Paths::from_environment().root == std::string(here) + "/box");
  const Variable slash("CHILLBOX_ROOT", "/");
  CHECK_FALSE(Paths::from_environment().testing());
}

TEST_CASE("other hooks are taken in tests only, another control socket always") {
  const Variable hooks("CHILLBOX_HOOKS", "/mine"), socket("CHILLBOX_SOCKET", "/other.sock");
  CHECK(Paths{""}.shipped_hooks() == "/usr/lib/chillbox/hooks");
  CHECK(Paths{"/t"}.shipped_hooks() == "/mine");
  CHECK(Paths{""}.control_socket() == "/other.sock");
}

TEST_CASE("the clock sleeps at least as long as asked, and not at all for nothing") {
  Clock& clock = real_clock();
  const Millis start = clock.mono();
  clock.sleep(Millis{30});
  const Millis slept = clock.mono() - start;
  CHECK(slept >= Millis{29});
  clock.sleep(Millis{-5});
  CHECK(clock.mono() - start < Millis{5'000});
  CHECK(clock.wall() > 1'700'000'000);
  CHECK(clock.wall_ms() / 1000 - clock.wall() <= 1);
}
