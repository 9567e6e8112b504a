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
          "  rc_cgroup_mode=\"unified\"\n", "rc_logger=NO", "rc_sys=\"\"\n", "rc_sys='lxc'\n",
          "extra_net_fs_list=\"afs ceph\"\n", "unicode=",
          "rc_loopsolver_enable=\"YES\"\nrc_loopsolver_warnings=\"YES\"\nrc_tty_number=12\n"})
    CHECK(leaves_services_alone(good));
  for (const char* bad : {"rc_ulimit=\"-u 30\"\n", "RC_ULIMIT=\"-n 5\"\n", "SSD_NICELEVEL=5\n",
           "rc_cgroup_settings=\"memory.max 5\n\"\n", "RC_CGROUP_MEMORY=\"x\"\n",
           "rc_parallel=YES\n. /etc/rc.conf.local\n", "export RC_ULIMIT=1\n", "umask=077\n",
           "stopsig=INT\n", "if true; then\nfi\n", "rc_logger\n", "respawn_delay=5\n",
           "respawn_max=3\n", "respawn_period=9\n", "retry=TERM/1\n",
           "supervise_daemon_args=\"-e A=b\"\n", "no_new_privs=yes\n", "capabilities=^cap_chown\n",
           "oom_score_adj=-5\n", "command_user=nobody\n", "directory=/srv\n", "chroot=/srv\n",
           "rc_env_allow=\"A\"\n", "rc_controller_cgroups=\"NO\"\n", "rc_cgroup_cleanup=NO\n",
           "any_name=1\n", "unicode=YES umask=077\n", "unicode=YES; umask=077\n", "unicode=$(id)\n",
           "unicode=\"`id`\"\n", "unicode=\"YES\" umask=\"077\"\n", "unicode=YES&id\n",
           "unicode=\"YES\numask=077\n\"\n", "unicode=YES \\\numask=1\n"})
    CHECK_FALSE(leaves_services_alone(bad));
}

// In tests nobody is in a group that OpenRC made: the script is run.
TEST_CASE("without a group of OpenRC's own around the daemon the script is run") {
  Host host;
  REQUIRE(host.slots.start(spec(host)));
  CHECK(host.openrc.did == std::vector<std::string>{"start chillbox.blog.web.a"});
}

TEST_CASE("[fault-513] nobody else starts or stops a service while openrc-run does") {
  Host host;
  fs::create_directories(host.at("/run/openrc/exclusive"));
  const Supervise one(
      {os::real_disk(), host.openrc, host.clock, host.paths}, "chillbox.blog.web.a");
  {
    const auto locked = one.lock();
    REQUIRE(locked);
    CHECK(one.lock().error().code == Code::busy);
    CHECK(one.start(spec(host), host.at("/group")).error().code == Code::busy);
    REQUIRE(
        one.forget()); // its file goes first, and the lock of whoever opened it is worth nothing
    CHECK_FALSE(fs::exists(host.at("/run/openrc/exclusive/chillbox.blog.web.a")));
  }
  CHECK(one.lock());
}
