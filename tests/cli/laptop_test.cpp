#include "cli/laptop/host_record.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/project.hpp"
#include "cli/laptop/target.hpp"

#include "catch.hpp"
#include "cli/temp_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

namespace fs = std::filesystem;

Environment with(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? std::string() : found->second;
  };
}

void put_file(const std::string& path, std::string_view text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

mode_t mode_of(const std::string& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

std::string said(const auto& result) {
  return result ? std::string("fine") : result.error().message;
}

std::vector<std::string> names(const Result<std::vector<Target>>& targets) {
  std::vector<std::string> out;
  if (!targets)
    return {targets.error().message};
  for (const Target& target : *targets)
    out.push_back(target.host.target);
  return out;
}

Result<HostRecord> put_host(const Places& places, const HostRecord& record) {
  const auto take = [&](HostRecord& there) -> Result<void> {
    there = record;
    return {};
  };
  return change_host(places, record.name, take, Missing::is_made);
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("the laptop's places are those of the XDG specification; a relative path there is ignored") {
  TempDir home;
  const std::string own = home.path();
  Places places = Places::find(with({{"HOME", own}}));
  CHECK(places.config == own + "/.config/chillbox");
  CHECK(places.cache == own + "/.cache/chillbox");
  CHECK(places.state == own + "/.local/state/chillbox");
  CHECK(places.agent_socket() == own + "/.local/state/chillbox/run/agent.sock");
  places = Places::find(with({{"HOME", own}, {"XDG_CONFIG_HOME", own + "/c/"},
      {"XDG_CACHE_HOME", "relative"}, {"XDG_STATE_HOME", ""}, {"XDG_RUNTIME_DIR", own}}));
  CHECK(places.config == own + "/c/chillbox");
  CHECK(places.cache == own + "/.cache/chillbox");
  CHECK(places.runtime == own + "/chillbox");
  CHECK(places.key("jo@mba") == own + "/c/chillbox/keys/jo@mba.key");
  CHECK(Places::find(with({{"HOME", own}, {"XDG_RUNTIME_DIR", own + "/gone"}})).runtime ==
      own + "/.local/state/chillbox/run");
}

TEST_CASE("without HOME, or with one that is relative, it is the home of the user database") {
  const std::string by_database = Places::find(with({})).config;
  CHECK(by_database.starts_with("/"));
  CHECK(Places::find(with({{"HOME", "home"}})).config == by_database);
}

TEST_CASE("folders of the laptop are made for their owner alone, and never in another user's home") {
  TempDir home;
  const std::string dir = home.path() + "/.config/chillbox/hosts";
  REQUIRE(make_private_dir(dir));
  REQUIRE(make_private_dir(dir));
  CHECK(mode_of(dir) == 0700);
  CHECK(mode_of(home.path() + "/.config") == 0700);
  put_file(home.path() + "/file", "");
  CHECK(make_private_dir(home.path() + "/file/x").error().code == Code::conflict);
  if (::geteuid() != 0)
    return;
  const std::string other = home.path() + "/other";
  fs::create_directory(other);
  REQUIRE(::chown(other.c_str(), 12345, 12345) == 0);
  CHECK(make_private_dir(other + "/.config/chillbox").error().code == Code::denied);
  CHECK_FALSE(fs::exists(other + "/.config"));
  CHECK(Places::find(with({{"HOME", other}})).config == Places::find(with({})).config);
}

TEST_CASE("a host is remembered whole: each member, whatever is in it, comes back") {
  TempDir home;
  const Places places = Places::find(with({{"HOME", home.path()}}));
  const HostRecord record{.name = "web1",
      .ssh = "root@203.0.113.7",
      .url = "https://web1.example",
      .server_name = "web1.example",
      .recipient = "age1x",
      .python = "3.12.11",
      .os = "Alpine \"3.22\" \\ \n\x01 \xc3\xa4",
      .libc = "musl",
      .arch = "x86_64",
      .version = "0.2.0",
      .role = "admin",
      .seen_ms = 1'700'000'000'123,
      .sites = {"blog", "hello"}};
  REQUIRE(put_host(places, record));
  CHECK(load_host(places, "web1").value() == record);
  CHECK(mode_of(places.host_record("web1")) == 0600);
  CHECK(mode_of(places.hosts()) == 0700);
  REQUIRE(put_host(places, {.name = "a.b-c", .ssh = "ssh://jo@h:2222"}));
  const auto all = load_hosts(places, nullptr);
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "a.b-c");
  REQUIRE(forget_host(places, "web1"));
  CHECK(load_host(places, "web1").error().code == Code::not_found);
  CHECK(forget_host(places, "web1").error().code == Code::not_found);
}

TEST_CASE("[fault-420] a record's name is a file's name, and its file is nobody else's") {
  TempDir home;
  const Places places = Places::find(with({{"HOME", home.path()}}));
  for (const char* name : {"", "..", "a/b", "../x", "-o", ".x", "a b"})
    CHECK(put_host(places, {.name = name, .ssh = "root@h"}).error().code == Code::usage);
  CHECK(load_host(places, "../hosts/web1").error().code == Code::not_found);
  REQUIRE(put_host(places, {.name = "web1", .ssh = "root@h"}));
  REQUIRE(::chmod(places.host_record("web1").c_str(), 0666) == 0);
  CHECK(load_host(places, "web1").error().code == Code::denied);
  std::vector<std::string> problems;
  CHECK(load_hosts(places, &problems).empty());
  CHECK(problems.size() == 1);
  for (const char* text : {"ssh = 5", "url = \"https://x\"", "ssh = ", "\xff"}) {
    put_file(places.host_record("web2"), text);
    CHECK(said(load_host(places, "web2")).find("web2.toml") != std::string::npos);
  }
  put_file(places.host_record("web2"), "ssh = \"h\"\nof_a_later_version = [1]\n");
  CHECK(load_host(places, "web2").value().ssh == "h");
}

TEST_CASE("a host for ssh may have a port and an address of IPv6, in each form that people write") {
  CHECK(ssh_destination("root@web1") == "root@web1");
  CHECK(ssh_destination("root@web1:2222") == "ssh://root@web1:2222");
  CHECK(ssh_destination("[2001:db8::1]:22") == "ssh://[2001:db8::1]:22");
  CHECK(ssh_destination("jo@[2001:db8::1]") == "jo@2001:db8::1");
  CHECK(ssh_destination("jo@2001:db8::1") == "jo@2001:db8::1");
  CHECK(ssh_destination("ssh://h:1") == "ssh://h:1");
  CHECK(address_of("ssh://root@web1:2222") == "web1");
  CHECK(address_of("jo@2001:db8::1") == "2001:db8::1");
  CHECK(address_of("ssh://jo@[2001:db8::1]:22") == "2001:db8::1");
  CHECK(host_of({.name = "w", .ssh = "root@h:2222"}).value().target == "ssh://root@h:2222");
  CHECK(host_of({.name = "w", .ssh = "-oProxyCommand=x"}).error().code == Code::usage);
}

TEST_CASE("the project is the nearest folder upwards with a site file or a chillbox.toml") {
  TempDir top;
  const std::string dir = fs::canonical(top.path()).string();
  CHECK_FALSE(find_project(dir).value().has_value());
  put_file(dir + "/outer/outer.site.json", "{}");
  put_file(dir + "/outer/chillbox.toml", "host = \"web1\"\n");
  put_file(dir + "/outer/a b \xc3\xa4/inner.site.toml", "");
  fs::create_directories(dir + "/outer/web/static");
  auto project = find_project(dir + "/outer/web/static").value().value();
  CHECK(project.root == dir + "/outer");
  CHECK(project.site().value() == "outer");
  CHECK(project.top.hosts == Names{"web1"});
  project = find_project(dir + "/outer/a b \xc3\xa4").value().value();
  CHECK(project.site().value() == "inner");
  CHECK(project.top.hosts.empty()); // what is above is another project's
  fs::create_symlink(dir + "/outer/web", dir + "/link");
  CHECK(find_project(dir + "/link").value().value().root == dir + "/outer");
  fs::create_directory(dir + "/new");
  CHECK(project_at(dir + "/new").value().root == dir + "/new");
  CHECK(project_at(dir + "/outer/web").value().root == dir + "/outer");
  CHECK(project_at(dir + "/gone").error().code == Code::not_found);
}

TEST_CASE("[fault-421] of several site files the one that chillbox.toml says is taken, else none") {
  TempDir top;
  const std::string dir = fs::canonical(top.path()).string();
  put_file(dir + "/a.site.json", "{}");
  put_file(dir + "/local.site.json", "{}");
  CHECK(find_project(dir).value().value().site().value() == "a");
  put_file(dir + "/b.site.toml", "");
  CHECK(find_project(dir).value().value().site().error().code == Code::usage);
  put_file(dir + "/chillbox.toml", "site = \"b\"\n");
  CHECK(find_project(dir).value().value().site_file().value() == dir + "/b.site.toml");
  put_file(dir + "/chillbox.toml", "site = \"c\"\n");
  CHECK(find_project(dir).value().value().site().error().code == Code::not_found);
}

TEST_CASE("chillbox.toml has environments, which say what differs") {
  TempDir top;
  const std::string dir = fs::canonical(top.path()).string();
  put_file(dir + "/chillbox.toml", R"(host = "web1"
branch = "main"
[env.staging]
host = "web2"
server_name = "staging.hello.example"
[env.production]
host = ["web1", "web3"]
confirm = true
)");
  const auto project = find_project(dir).value().value();
  const auto staging = project.table("staging").value();
  CHECK(staging.hosts == Names{"web2"});
  CHECK(staging.branch == "main");
  CHECK(dump(staging.overrides) == R"({"server_name":"staging.hello.example"})");
  CHECK(project.table("production").value().hosts == Names{"web1", "web3"});
  CHECK(project.table("production").value().confirm == true);
  CHECK(project.table("").value().hosts == Names{"web1"});
  CHECK(said(project.table("stagin")).find("did you mean 'staging'") != std::string::npos);
}

TEST_CASE("[fault-1110] hosts may have a day for a rollout, and longer times name that limit") {
  TempDir top;
  const std::string dir = fs::canonical(top.path()).string();
  put_file(dir + "/chillbox.toml", "[rollout]\ndeadline = \"12h\"\nbake = \"120m\"\n");
  const auto rules = find_project(dir).value().value().top.rollout;
  CHECK(rules->deadline == std::chrono::hours(12));
  CHECK(rules->bake == std::chrono::hours(2));
  put_file(dir + "/chillbox.toml", "[rollout]\ndeadline = \"25h\"\n");
  CHECK(said(find_project(dir)).find("chillbox.toml:2") != std::string::npos);
  CHECK(said(find_project(dir)).find("at most 24h") != std::string::npos);
}

TEST_CASE("[fault-422] a mistake in chillbox.toml is named with its line") {
  TempDir top;
  const std::string dir = fs::canonical(top.path()).string();
  for (const auto& [text, part] :
      std::map<std::string, std::string>{{"hosst = \"web1\"", "did you mean 'host'"},
          {"\nhost = 5", "chillbox.toml:2"}, {"host = []", "1 to 64"}, {"host = \"-oX\"", "host"},
          {"env = 5", "env"}, {"[env]\nx = 5", "table"}, {"[env.\"a b\"]", "a b"},
          {"confirm = \"yes\"", "true or false"}, {"site = \"A/b\"", "site"}, {"host = ", ":1"}}) {
    put_file(dir + "/chillbox.toml", text);
    INFO(said(find_project(dir)));
    CHECK(said(find_project(dir)).find(part) != std::string::npos);
  }
}

TEST_CASE("[attack-P1] a project of another user is not found, only named") {
  if (::geteuid() != 0)
    return;
  TempDir top;
  const std::string dir = fs::canonical(top.path()).string();
  put_file(dir + "/evil.site.json", "{}");
  fs::create_directory(dir + "/below");
  REQUIRE(::chown((dir + "/evil.site.json").c_str(), 12345, 12345) == 0);
  CHECK(find_project(dir).error().code == Code::denied);
  CHECK(find_project(dir + "/below").error().code == Code::denied);
  CHECK(project_at(dir + "/below").error().code == Code::denied);
  CHECK(project_at(dir).value().site().value() == "evil");
}

TEST_CASE("an environment's fields are merged into the site file, lists by the names in them") {
  Json site = Json::parse(R"({"server_name":"a","services":[{"name":"web","replicas":2},
    {"name":"api"}],"allow":["1.2.3.4"],"nginx":{"x":1,"y":2}})");
  merge_fields(site, Json::parse(R"({"server_name":"b","services":[{"name":"web","replicas":1}],
    "allow":["5.6.7.8"],"nginx":{"y":3},"title":"t"})"));
  CHECK(dump(site) ==
      R"({"allow":["5.6.7.8"],"nginx":{"x":1,"y":3},"server_name":"b",)"
      R"("services":[{"name":"web","replicas":1},{"name":"api"}],"title":"t"})");
}

TEST_CASE("which host: -H, then the environment, then chillbox.toml, config.toml, the only one") {
  TempDir home;
  const auto env = with({{"HOME", home.path()}});
  const Places places = Places::find(env);
  Project project{.root = "/p"};
  project.top.hosts = {"root@of-project"};
  project.envs["staging"].hosts = {"root@of-staging"};
  CHECK(said(find_targets(places, {}, env)).find("setup USER@HOST") != std::string::npos);
  REQUIRE(put_host(places, {.name = "web1", .ssh = "root@web1.example:2222"}));
  CHECK(names(find_targets(places, {}, env)) == Names{"ssh://root@web1.example:2222"});
  REQUIRE(put_host(places, {.name = "web2", .ssh = "root@web2.example"}));
  const auto many = find_targets(places, {.example = "chillboxctl logs"}, env);
  CHECK(many.error().code == Code::usage);
  CHECK(said(many).find("chillboxctl logs -H web1") != std::string::npos);
  const TargetQuestion asks{.choose = [](const Names& known) { return known.back(); }};
  CHECK(names(find_targets(places, asks, env)) == Names{"root@web2.example"});
  REQUIRE(write_own_file(places.config_file(), "host = \"web2\"\n", 4096));
  CHECK(names(find_targets(places, {}, env)) == Names{"root@web2.example"});
  CHECK(names(find_targets(places, {.project = &project}, env)) == Names{"root@of-project"});
  CHECK(names(find_targets(places, {.env_name = "staging", .project = &project}, env)) ==
      Names{"root@of-staging"});
  const auto named = with({{"CHILLBOX_HOST", "web1, root@x"}, {"CHILLBOX_ENV", "staging"}});
  CHECK(names(find_targets(places, {.project = &project}, named)) ==
      Names{"ssh://root@web1.example:2222", "root@x"});
  CHECK(names(find_targets(places, {.flag = {"web2", "web2"}, .project = &project}, named)) ==
      Names{"root@web2.example"});
  CHECK(names(find_targets(places, {.project = &project}, with({{"CHILLBOX_ENV", "staging"}}))) ==
      Names{"root@of-staging"});
  CHECK(find_targets(places, {.env_name = "x"}, env).error().code == Code::usage);
  CHECK(find_targets(places, {.flag = {"-oX"}}, env).error().code == Code::usage);
  CHECK(target_named(places, "root@web2.example").value().record.value().name == "web2");
}

TEST_CASE("[fault-423] config.toml with a mistake is refused, one that others can write too") {
  TempDir home;
  const Places places = Places::find(with({{"HOME", home.path()}}));
  CHECK(load_user_config(places).value().agent_idle.count() == 15);
  REQUIRE(write_own_file(places.config_file(), "agent_idle = \"90s\"\neditor = \"vi\"\n", 4096));
  CHECK(load_user_config(places).value().agent_idle.count() == 2);
  REQUIRE(write_own_file(places.config_file(), "hosts = \"x\"\n", 4096));
  CHECK(said(load_user_config(places)).find("did you mean 'host'") != std::string::npos);
  REQUIRE(::chmod(places.config_file().c_str(), 0622) == 0);
  CHECK(load_user_config(places).error().code == Code::denied);
}
