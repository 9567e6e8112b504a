// Releases in memory, whose files are gone after a boot. (bats/host-memory.bats has the mounts.)
#include "rollout/host.hpp"

#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

// What a boot leaves of a release in memory: its place.
void lose(Host& host, const std::string& id) {
  const std::string dir = host.paths.releases(site()) + "/" + id;
  std::filesystem::remove_all(dir);
  std::filesystem::create_directory(dir);
}

struct Lost : Host {
  Lost() {
    unlock();
    REQUIRE(deploy(Order{.version = "1.0.0", .members = R"("store":"tmpfs",)"}).state ==
        JobState::done);
    REQUIRE(deploy(Order{.version = "2.0.0", .members = R"("store":"tmpfs",)"}).state ==
        JobState::done);
    reboot();
    lose(*this, "1.0.0-1");
    lose(*this, "2.0.0-2");
  }
};

} // namespace

TEST_CASE("a release in memory waits for the unlock after a boot, and is made again then") {
  Lost host;
  const auto sealed = must(rollout::bring_up(host.context(), site(), false));
  REQUIRE(sealed.waiting.size() == 1);
  CHECK(must(host.disk.list(host.paths.releases(site()) + "/2.0.0-2")).empty());
  CHECK(host.disk.exists(host.paths.run() + "/sealed/blog"));
  host.unlock();
  CHECK(must(rollout::bring_up(host.context(), site(), false)).waiting.empty());
  CHECK_FALSE(host.disk.exists(host.paths.run() + "/sealed/blog"));
  CHECK(
      must(host.disk.tree_digest(host.paths.releases(site()) + "/2.0.0-2")) == host.live().digest);
  CHECK(must(host.disk.list(host.paths.releases(site()) + "/1.0.0-1"))
          .empty()); // not before somebody asks for it
}

TEST_CASE("a rollback makes the release again that it goes to, and says so when the host is locked") {
  Lost host;
  const auto sealed = host.rollback();
  CHECK(sealed.code == Code::sealed);
  CHECK(sealed.message ==
      "select: release 1.0.0-1: it is rebuilt from its artifact after `chillboxctl unlock`; 2.0.0 stays live");
  host.unlock();
  REQUIRE(host.rollback().state == JobState::done);
  CHECK(host.live().id == "1.0.0-1");
}

TEST_CASE("pruning waits until a release in memory is made again: how many its site keeps is in it") {
  Host host;
  host.unlock();
  for (const char* version : {"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"})
    REQUIRE(
        host.deploy(Order{.version = version, .members = R"("store":"tmpfs","keep_releases":5,)"})
            .state == JobState::done);
  const auto kept = host.releases_on_disk();
  REQUIRE(kept.size() == 5);
  host.reboot();
  for (const auto& id : kept)
    lose(host, id);
  CHECK(must(rollout::prune_site(host.context(), site())).paths.empty());
  CHECK(host.releases_on_disk() == kept);
}

TEST_CASE("a crash while it is made again leaves no half of it for the next start") {
  Lost host;
  host.unlock();
  auto release = host.live();
  release.digest.clear(); // the store's word for half
  must(host.store().put_release(release));
  std::filesystem::create_directories(host.paths.releases(site()) + "/2.0.0-2/app");
  std::ofstream(host.paths.releases(site()) + "/2.0.0-2/blog.site.json") << "{}";
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(
      must(host.disk.tree_digest(host.paths.releases(site()) + "/2.0.0-2")) == host.live().digest);
}

TEST_CASE("without its artifact, or with one that was changed, a release that is gone stays so, and the job says why") {
  Lost host;
  host.unlock();
  const auto artifact = host.paths.artifact(Digest::parse(host.live().sha256).value());
  std::ofstream(artifact, std::ios::app) << "x";
  CHECK(
      host.run(host.queue(store::JobKind::restart))
          .message.find("its artifact was changed on disk: deploy it again") != std::string::npos);
  std::filesystem::remove(artifact);
  CHECK(host.run(host.queue(store::JobKind::restart))
            .message.find("so is its artifact: deploy it again") != std::string::npos);
}
