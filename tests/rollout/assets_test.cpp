// A site takes nothing that was there: what exists and is not recorded as made for it refuses it,
// and stays as it was.
#include "rollout/host.hpp"

#include "rollout/assets.hpp"
#include "rollout/manifest.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::map<std::string, std::string> k_template{{"app/app.py", ""},
    {"nginx/templates/blog.nginx.conf.template", "server { server_name blog.example; }\n"}};

mode_t mode_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

std::vector<std::string> recorded(Host& host) {
  std::vector<std::string> names;
  for (const auto& asset : must(host.store().assets(site())))
    names.push_back(
        asset.name.substr(asset.name.starts_with(host.paths.root) ? host.paths.root.size() : 0));
  return names;
}

} // namespace

TEST_CASE("[attack-A4] a directory that was there before the site refuses it, and keeps its mode and files") {
  const std::string dir =
      GENERATE("/var/lib/blog", "/var/log/nginx/blog", "/srv/blog", "/usr/local/src/blog");
  Host host;
  host.unlock();
  std::filesystem::create_directories(host.paths.root + dir);
  host.write(host.paths.root + dir + "/theirs", "theirs");
  ::chmod((host.paths.root + dir).c_str(), 0775);
  const auto job = host.deploy(Order{.files = k_template});
  CHECK(job.code == Code::preflight);
  CHECK(
      job.message.find(cat("directory '", host.paths.root, dir,
          "' exists on this host and was not made for site 'blog': choose another site name, or move it away")) !=
      std::string::npos);
  CHECK(mode_of(host.paths.root + dir) == 0775);
  CHECK(host.text(host.paths.root + dir + "/theirs") == "theirs");
  CHECK(recorded(host).empty());
  CHECK_FALSE(host.disk.exists(
      host.paths.root + (dir == "/var/lib/blog" ? "/var/log/nginx/blog" : "/var/lib/blog")));
}

TEST_CASE("[attack-A4] a directory that appears between the look and the making is not taken") {
  Host host;
  host.unlock();
  const auto job = host.queue_deploy({});
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "install" && host.look(id).state == JobState::running)
      std::filesystem::create_directories(host.paths.data(site()));
  };
  const auto ended = host.run(job);
  CHECK(ended.code == Code::conflict);
  CHECK(ended.message.find("exists on this host and was not made for site 'blog'") !=
      std::string::npos);
}

TEST_CASE("[attack-A4] what was made is recorded, stays recorded while it is there, and goes with it") {
  LiveHost host;
  CHECK(recorded(host) == std::vector<std::string>{"/var/lib/blog", "/var/log/nginx/blog"});
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK(recorded(host) == std::vector<std::string>{"/var/lib/blog", "/var/log/nginx/blog"});
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.options.purge = true;
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK(recorded(host).empty());
  CHECK_FALSE(host.disk.exists(host.paths.root + "/var/log/nginx/blog"));
}

TEST_CASE("[attack-A4] the two directories for templates are recorded only when they are needed, and forgotten when they are gone") {
  Host host;
  host.unlock();
  const auto job = host.deploy(Order{.files = k_template});
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(std::ranges::count(recorded(host), "/srv/blog") == 1);
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK_FALSE(host.disk.exists(host.paths.root + "/srv/blog"));
  CHECK(std::ranges::count(recorded(host), "/srv/blog") == 0);
}

TEST_CASE("[attack-A4] a store that is made again knows from state.json what is the site's") {
  LiveHost host;
  host.daemon.reset();
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(host.paths.database() + suffix);
  host.begin();
  REQUIRE(rollout::restore_from_manifests(host.disk, host.paths, host.store(), host.clock.wall_ms())
              .size() == 1);
  CHECK(recorded(host) == std::vector<std::string>{"/var/lib/blog", "/var/log/nginx/blog"});
}

TEST_CASE("[attack-A4] a host from before there were records: its sites keep what they have, once") {
  LiveHost host;
  for (const auto& asset : must(host.store().assets(site())))
    must(host.store().delete_asset(asset));
  CHECK(rollout::adopt_assets(host.disk, host.paths, host.store()).empty());
  CHECK(recorded(host) == std::vector<std::string>{"/var/lib/blog", "/var/log/nginx/blog"});
  for (const auto& asset : must(host.store().assets(site())))
    must(host.store().delete_asset(asset));
  CHECK(rollout::adopt_assets(host.disk, host.paths, host.store()).empty());
  CHECK(recorded(host).empty());
  CHECK(host.deploy("2.0.0").code == Code::preflight);
}

TEST_CASE("[attack-A4] a daemon that dies between the record and the directory, or behind it, makes the site at its next start") {
  for (uint64_t n = 1; n < 200; ++n) {
    Host host;
    host.unlock();
    const auto job = host.queue_deploy({});
    rollout::JobControl control;
    host.disk.cut_power_at(n);
    try {
      rollout::run_job(host.context(), job.id, control);
    } catch (const PowerCut&) {}
    if (!host.disk.struck())
      return;
    host.restart();
    host.unlock();
    const auto ended = host.run(host.look(job.id));
    INFO("change " << n << ": " << ended.message);
    REQUIRE(ended.state == JobState::done);
    REQUIRE(recorded(host) == std::vector<std::string>{"/var/lib/blog", "/var/log/nginx/blog"});
  }
  FAIL("a deploy does not end");
}
