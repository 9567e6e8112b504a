// Verified bytes stay verified: from the walk to the sealed release, its builds and the layers that
// they share.
#include "rollout/engine_host.hpp"
#include "rollout/host.hpp"
#include "rollout/links.hpp"

#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;
namespace fs = std::filesystem;

namespace {

std::string variable(const os::Command& c, std::string_view name) {
  const auto found = std::ranges::find(c.env, name, [](const auto& pair) { return pair.first; });
  return found == c.env.end() ? "" : found->second;
}

void spit(const std::string& path, std::string_view text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

// A build as the Python handler's: a layer that is not there yet is made, and a link names it.
auto uses_layer(const std::string& key, const std::string& text = "code") {
  return [=](const os::Command& c) {
    std::string layer = variable(c, "CHILLBOX_LAYER_DIR") + "/" + key;
    for (const auto& there : fs::directory_iterator(variable(c, "CHILLBOX_CACHE_DIR")))
      if (there.path().filename().string().starts_with(key + "-"))
        layer = there.path();
    if (!fs::exists(layer))
      spit(layer + "/lib/x.py", text);
    fs::create_directory_symlink(layer, variable(c, "CHILLBOX_BUILD_DIR") + "/layer");
  };
}

auto links(const std::string& target) {
  return [=](const os::Command& c) {
    fs::create_symlink(target, variable(c, "CHILLBOX_BUILD_DIR") + "/link");
  };
}

std::string layer_of(Host& host) {
  return host.link(cat(host.paths.current(site()), "/.chillbox/app/layer"));
}

} // namespace

TEST_CASE("what changes between the walk and the install is corrupt: nothing of it goes live [attack-A1]") {
  const std::vector<std::function<void(const std::string&)>> tampers{
      [](const std::string& tree) {
        std::ofstream(tree + "/blog.site.json", std::ios::app) << " ";
      },
      [](const std::string& tree) {
        spit(tree + "/nginx/templates/evil.conf.template", "server {}");
      },
      [](const std::string& tree) {
        fs::permissions(tree + "/blog.site.json", fs::perms::owner_exec, fs::perm_options::add);
      },
      [](const std::string& tree) { fs::create_symlink("/etc/shadow", tree + "/app/link"); },
      [](const std::string& tree) { fs::remove(tree + "/blog.site.json"); }};
  for (const char* members : {"", R"("store":"tmpfs",)"}) {
    LiveHost host;
    for (size_t i = 0; i < tampers.size(); ++i) {
      CAPTURE(members, i);
      host.disk.before_copy = tampers[i];
      const auto job = host.deploy(Order{.version = cat("2.0.", i), .members = members});
      CHECK(job.state == JobState::failed);
      CHECK(job.code == Code::corrupt);
      CHECK(job.message.starts_with("install: what was installed is not what was signed: "));
      CHECK(disagreement(host, "1.0.0") == "");
      CHECK(host.releases_on_disk().size() == 1);
    }
    host.disk.before_copy = nullptr;
    CHECK(host.deploy(Order{.version = "3.0.0", .members = members}).state == JobState::done);
  }
}

TEST_CASE("what is the same as in the live release is on the disk once, and each release keeps its digest") {
  LiveHost host;
  const std::string top = host.paths.releases(site()) + "/";
  const auto is_whole = [&](const std::string& id) {
    return must(host.disk.tree_digest(top + id)) ==
        must(host.store().release(site(), id)).value().digest;
  };
  REQUIRE(host.deploy(Order{.version = "1.1.0"}).state == JobState::done);
  CHECK(fs::equivalent(top + "1.0.0-1/app/app.py", top + "1.1.0-2/app/app.py"));
  CHECK_FALSE(fs::equivalent(top + "1.0.0-1/blog.site.json", top + "1.1.0-2/blog.site.json"));
  REQUIRE(host.deploy(Order{.version = "1.2.0", .files = {{"app/app.py", "another"}}}).state ==
      JobState::done);
  CHECK_FALSE(fs::equivalent(top + "1.1.0-2/app/app.py", top + "1.2.0-3/app/app.py"));
  for (const char* id : {"1.0.0-1", "1.1.0-2", "1.2.0-3"})
    CHECK(is_whole(id));
  const auto in_memory = host.deploy(Order{
      .version = "1.3.0", .members = R"("store":"tmpfs",)", .files = {{"app/app.py", "another"}}});
  CHECK(in_memory.state == JobState::done);
  CHECK_FALSE(fs::equivalent(top + "1.2.0-3/app/app.py", top + "1.3.0-4/app/app.py"));
}

TEST_CASE("a release in memory that is made again has the digest of its walk, too [attack-A1]") {
  Host host;
  host.unlock();
  REQUIRE(host.deploy(Order{.version = "1.0.0", .members = R"("store":"tmpfs",)"}).state ==
      JobState::done);
  host.reboot();
  fs::remove_all(host.paths.releases(site()) + "/1.0.0-1");
  fs::create_directory(host.paths.releases(site()) + "/1.0.0-1");
  host.unlock();
  host.disk.before_copy = [](const std::string& tree) { spit(tree + "/more", ""); };
  CHECK(host.run(host.queue(store::JobKind::restart))
            .message.find("what was installed is not what was signed") != std::string::npos);
  host.disk.before_copy = nullptr;
  CHECK(host.run(host.queue(store::JobKind::restart)).state == JobState::done);
}

TEST_CASE("what a kind is, is read: no program is started to learn it, and an old one is told what to write [attack-A1]") {
  LiveHost host;
  const auto s = must(config::parse_site(
      R"({"name":"B","server_name":"b.example","version":"1.0.0","services":[{"name":"a","lang":"x-port"}]})",
      site()));
  CHECK(must(rollout::find_kind(host.context(), s, s.services[0])).listens ==
      rollout::ServiceKind::Listens::on_port);
  const std::string ours = host.paths.admin_hooks() + "/handlers/x-port";
  spit(ours + "/describe", "#!/bin/sh\n");
  const auto old = rollout::find_kind(host.context(), s, s.services[0]);
  CHECK(old.error().code == Code::preflight);
  CHECK(old.error().message ==
      cat("handler 'x-port': ", ours,
          "/describe is no longer run: write the JSON that it prints to ", ours, "/kind.json"));
  spit(ours + "/kind.json", R"({"listens":"unix"})");
  CHECK(must(rollout::find_kind(host.context(), s, s.services[0])).listens ==
      rollout::ServiceKind::Listens::on_socket);
  CHECK(host.runner.commands().empty());
}

TEST_CASE("a layer goes to the cache under the digest of what it is, and the release's own digest covers it [attack-C3]") {
  LiveHost host;
  host.runner.app("2.0.0").building = uses_layer("deps");
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  const std::string layer = layer_of(host);
  const auto digest = must(host.disk.tree_digest(layer));
  CHECK(layer == cat(host.paths.cache(site()), "/deps-", digest));
  CHECK(host.live().digest ==
      must(host.disk.tree_digest(host.paths.releases(site()) + "/" + host.live().id)));
  CHECK_FALSE(host.disk.exists(cat(host.paths.current(site()), "/.chillbox/.work")));
  host.runner.app("3.0.0").building = uses_layer("deps", "not made, because it is there");
  REQUIRE(host.deploy("3.0.0").state == JobState::done);
  CHECK(layer_of(host) == layer);
  CHECK(must(host.disk.list(host.paths.cache(site()))).size() == 1);
}

TEST_CASE("a layer that is not what its name says, or has no digest in it, is not used [attack-C3]") {
  LiveHost host;
  host.runner.app("2.0.0").building = uses_layer("deps");
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  const std::string layer = layer_of(host);
  spit(layer + "/lib/zz.pth", "import evil");
  host.runner.app("3.0.0").building = uses_layer("deps");
  const auto job = host.deploy("3.0.0");
  CHECK(job.code == Code::corrupt);
  CHECK(job.message ==
      cat("build: service 'app': layer ", layer, " is not what was built under this name: remove ",
          layer, " and deploy again, so that it is rebuilt; 2.0.0 stays live"));
  CHECK(disagreement(host, "2.0.0") == "");
  spit(host.paths.cache(site()) + "/old/lib/x.py", "of a chillbox that did not know digests");
  host.runner.app("4.0.0").building = links(host.paths.cache(site()) + "/old/lib");
  CHECK(host.deploy("4.0.0").message.find("which is no layer of the cache") != std::string::npos);
  host.runner.app("5.0.0").building = uses_layer("other");
  CHECK(host.deploy("5.0.0").state == JobState::done);
  CHECK_FALSE(host.disk.exists(host.paths.cache(site()) + "/old")); // pruned
}

TEST_CASE("the layer of the live release is looked at once, and before the next one is installed") {
  LiveHost host;
  host.runner.app("2.0.0").building = uses_layer("deps");
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  const std::string layer = layer_of(host);
  REQUIRE(host.disk.digested(layer) == 0);
  bool begun = false;
  host.disk.before_copy = [&](const std::string&) {
    begun = eventually([&] { return host.disk.digested(layer) == 1; });
  };
  host.runner.app("3.0.0").building = uses_layer("deps", "not made, because it is there");
  REQUIRE(host.deploy("3.0.0").state == JobState::done);
  CHECK(begun);
  CHECK(host.disk.digested(layer) == 1);
}

TEST_CASE("a link that a build makes stays in the release, its layers and the system's programs [attack-D12]") {
  LiveHost host;
  int minor = 0;
  const auto deploy = [&](const std::function<void(const os::Command&)>& building) {
    const std::string version = cat("2.", ++minor, ".0");
    host.runner.app(version).building = building;
    return host.deploy(version);
  };
  for (const std::string target : {"/etc/passwd", "../../../../../../../var/log",
           "/usr/../etc/passwd", "built/../../../../x", "/var/lib/blog/secret", ""}) {
    CAPTURE(target);
    const auto job =
        deploy(target.empty() ? links(host.paths.releases(site()) + "/1.0.0-1/blog.site.json")
                              : links(target));
    CHECK(job.state == JobState::failed);
    CHECK(
        job.message.find(
            "what was built has a link that leaves the release: '.chillbox/app/link' links to '") !=
        std::string::npos);
    CHECK(disagreement(host, "1.0.0") == "");
  }
  const std::string data = host.paths.data(site());
  for (const std::string& target : {data, data + "/app/x", data + "/app/", data + "/../app"}) {
    CAPTURE(target);
    CHECK(deploy(links(target)).state == JobState::failed);
  }
  for (const std::string& target : {std::string("/usr/bin/python3"), std::string("../../app"),
           std::string("built"), std::string("/opt/x/bin/x"), data + "/app"}) {
    CAPTURE(target);
    CHECK(deploy(links(target)).state == JobState::done);
  }
  const auto layer = deploy([&](const os::Command& c) {
    uses_layer("bad")(c);
    fs::create_symlink("/var/lib/blog/x", variable(c, "CHILLBOX_LAYER_DIR") + "/bad/x");
  });
  CHECK(layer.message.find("layer bad: 'x' links to '/var/lib/blog/x'") != std::string::npos);
}

TEST_CASE("a name in data-links of a build becomes a link to the service's data, unless the release has it [fault-359]") {
  LiveHost host;
  host.runner.app("2.0.0").building = [](const os::Command& c) {
    for (const std::string name : {"instance", "app.py"})
      spit(cat(variable(c, "CHILLBOX_BUILD_DIR"), "/data-links/", name), "");
  };
  const auto job = host.deploy("2.0.0");
  REQUIRE(job.state == JobState::done);
  const std::string folder = cat(host.paths.releases(site()), "/", job.release, "/app/");
  CHECK(fs::read_symlink(folder + "instance") == host.paths.data(site()) + "/app");
  CHECK(fs::is_regular_file(fs::symlink_status(folder + "app.py")));
  CHECK(host.rollback().state == JobState::done); // its digest is of the tree with the link
  CHECK(host.rollback("2.0.0").state == JobState::done);
}

TEST_CASE("[fault-1241] names in a folder of data-links become links in that folder of the service, if it is one") {
  LiveHost host;
  host.runner.app("2.0.0").building = [](const os::Command& c) {
    for (const std::string name : {"src/instance", "src/a.py", "none/instance", "app.py/instance"})
      spit(cat(variable(c, "CHILLBOX_BUILD_DIR"), "/data-links/", name), "");
  };
  const auto job = host.deploy({.version = "2.0.0",
      .files = {{"app/app.py", ""}, {"app/src/a.py", ""}, {"app/more/b.py", ""}}});
  REQUIRE(job.state == JobState::done);
  const std::string folder = cat(host.paths.releases(site()), "/", job.release, "/app/");
  CHECK(fs::read_symlink(folder + "src/instance") == host.paths.data(site()) + "/app");
  CHECK(fs::is_regular_file(fs::symlink_status(folder + "src/a.py")));
  CHECK(fs::is_regular_file(fs::symlink_status(folder + "app.py")));
  CHECK(host.rollback().state == JobState::done);
  CHECK(host.rollback("2.0.0").state == JobState::done);
}

TEST_CASE("[fault-1241] data-links that is a link shows no folder of the host to a build") {
  LiveHost host;
  host.runner.app("2.0.0").building = [](const os::Command& c) {
    fs::create_directory_symlink("/etc", variable(c, "CHILLBOX_BUILD_DIR") + "/data-links");
  };
  const auto job = host.deploy("2.0.0");
  CHECK(job.code == Code::denied);
  CHECK(job.message.contains("'.chillbox/app/data-links' links to '/etc'"));
}

TEST_CASE("what NGINX serves by itself has no link out of it, brought or built [attack-D12]") {
  LiveHost host;
  host.handler("python", R"({"listens":"unix","build":true,"built":["frozen"]})");
  host.runner.app("2.0.0").building = [](const os::Command& c) {
    const std::string frozen = variable(c, "CHILLBOX_BUILD_DIR") + "/frozen";
    spit(frozen + "/a/page", "x");
    fs::create_symlink("../../built", frozen + "/a/link");
  };
  const auto built = host.deploy("2.0.0");
  CHECK(built.message.find("'a/link' in ") != std::string::npos);
  CHECK(
      built.message.find(
          "/frozen links to '../../built', out of the folder that NGINX serves: bring the file itself") !=
      std::string::npos);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("where a link leads is told from its text") {
  using rollout::stays_inside;
  for (const auto& [path, target] :
      {std::pair{"a", "b"}, {"a/b", "../c"}, {"a", "./b/c"}, {"a/b/c", "../../x/y"}, {"a", "."}})
    CHECK(stays_inside(path, target));
  for (const auto& [path, target] :
      {std::pair{"a", "../b"}, {"a/b", "../../c"}, {"a", "/b"}, {"a", ""}, {"a/b", "c/../../d"}})
    CHECK_FALSE(stays_inside(path, target));
  CHECK(rollout::is_of_the_system("/usr/lib/x"));
  for (const char* target :
      {"/usr", "/usr/../etc/x", "/etc/x", "usr/x", "/var/usr/x", "/home/x", "/tmp/x"})
    CHECK_FALSE(rollout::is_of_the_system(target));
}
