#include "fake_openrc.hpp"

#include "openrc/supervise.hpp"

using namespace chillbox;
using namespace chillbox::openrc;

TEST_CASE("the shipped init script is the one that a start without its shells stands for") {
  const std::string script = get("openrc/chillbox-service");
  REQUIRE_FALSE(script.empty());
  CHECK(settings_in(script) == k_shipped_script);
  CHECK(settings_in(get("openrc/conf.d/chillbox")).empty());
}

TEST_CASE("settings are what is left of a file without comments, blank lines and indentation") {
  CHECK(settings_in("# a\n\n  \n\t# b\n").empty());
  CHECK(settings_in("a=1\n  b=2 \n#c=3\n") == "a=1\nb=2\n");
}

TEST_CASE("a setting of a boot in rc.conf leaves services alone; one of services, or what is no plain setting, does not") {
  for (const char* good :
      {"", "# rc_ulimit=\"-u 30\"\n", "rc_parallel=\"YES\"\nrc_tty_number=12\nunicode=\"YES\"\n",
          "  rc_cgroup_mode=\"unified\"\n", "rc_logger=NO"})
    CHECK(leaves_services_alone(good));
  for (const char* bad : {"rc_ulimit=\"-u 30\"\n", "RC_ULIMIT=\"-n 5\"\n", "SSD_NICELEVEL=5\n",
           "rc_cgroup_settings=\"memory.max 5\n\"\n", "RC_CGROUP_MEMORY=\"x\"\n",
           "rc_parallel=YES\n. /etc/rc.conf.local\n", "export RC_ULIMIT=1\n", "umask=077\n",
           "stopsig=INT\n", "if true; then\nfi\n", "rc_logger\n"})
    CHECK_FALSE(leaves_services_alone(bad));
}

// In tests nobody is in a group that OpenRC made: the script is run.
TEST_CASE("without a group of OpenRC's own around the daemon the script is run") {
  Host host;
  REQUIRE(host.slots.start(spec(host)));
  CHECK(host.openrc.did == std::vector<std::string>{"start chillbox.blog.web.a"});
}
