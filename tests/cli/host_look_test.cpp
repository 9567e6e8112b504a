#include "catch.hpp"

#include "base/text.hpp"
#include "cli/laptop/host_export.hpp"
#include "cli/laptop/host_look.hpp"
#include "cli/laptop/host_packages.hpp"
#include "cli/laptop/setup_plan.hpp"
#include "cli/temp_dir.hpp"

#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr int64_t k_look_now = 1'800'000'000;

HostLook alpine() {
  return parse_look(
      "uid 0\nuser root\narch x86_64\nos alpine\nos_name Alpine Linux\nos_version 3.22\n"
      "init openrc\nlibc musl\nmemory_kib 500000\ndisk_kib 900000\nclock 1800000003\n"
      "packages apk\n");
}

Result<void> with(const std::string& word, const std::string& value) {
  HostLook look = alpine();
  look.facts[word] = value;
  return can_be_host(look, "root@web1", k_look_now);
}

std::string refusal(const std::string& word, const std::string& value) {
  const auto checked = with(word, value);
  REQUIRE(!checked);
  CHECK(checked.error().code == Code::preflight);
  CHECK(checked.error().message.ends_with(". Nothing was changed"));
  return checked.error().message;
}

void make(const std::filesystem::path& file) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << "x";
}

} // namespace

TEST_CASE("a fresh Alpine can be a host, and is described in a line") {
  CHECK(can_be_host(alpine(), "root@web1", k_look_now));
  CHECK(look_text(alpine()) ==
      "Alpine 3.22, x86_64, 512.0 MB, no Python (musl); NGINX is not installed; port 80 is free");
}

TEST_CASE("each thing that a host needs is refused by itself when it is missing") {
  CHECK(refusal("uid", "1000").starts_with("you are root on root@web1"));
  CHECK(refusal("init", "systemd").starts_with("root@web1 runs systemd"));
  CHECK(refusal("init", "other").starts_with("root@web1 does not run OpenRC"));
  CHECK(refusal("arch", "armv7l").starts_with("root@web1 is armv7l"));
  CHECK(refusal("libc", "").find("C library") != std::string::npos);
  CHECK(refusal("packages", "").empty() == false);
  CHECK(refusal("memory_kib", "65536").starts_with("root@web1 has 67.1 MB of memory"));
  CHECK(refusal("disk_kib", "1000").starts_with("root@web1 has 1.0 MB free"));
  CHECK(
      refusal("clock", "1799999000").starts_with("the clock of root@web1 is 1000 s behind yours"));
  CHECK(refusal("clock", "1800001000")
          .starts_with("the clock of root@web1 is 1000 s ahead of yours"));
  CHECK(with("clock", "1800000100"));
  CHECK(refusal("port80", "used").starts_with("port 80 of root@web1 is used by another program"));
  CHECK(refusal("foreign", "/etc/nginx/http.d/chillbox.conf").starts_with("/etc/nginx/http.d/"));
}

TEST_CASE("what a machine says of itself has no control characters") {
  const HostLook look = parse_look("os_name \x1b]0;x\x07 Alpine\nnothing\ntrusted RWabc jo\n");
  CHECK(look.get("os_name").find('\x1b') == std::string::npos);
  CHECK(look.trusted == std::vector<std::pair<std::string, std::string>>{{"RWabc", "jo"}});
}

TEST_CASE("packages: those that are given, else of the cache, else next to the program, else the host's own") {
  const TempDir dir;
  const std::filesystem::path top = dir.path();
  HostLook look = alpine();
  const auto find = [&](std::vector<std::string> given) {
    return find_packages(given, look, top / "cache", top / "bin" / "chillboxctl");
  };
  CHECK(find({}).error().code == Code::not_found);
  look.facts["repository"] = "yes";
  CHECK(find({})->files.empty());
  make(top / "dist" / "x86_64" / "chillbox-0.2.0-r0.apk");
  make(top / "dist" / "x86_64" / "chillbox-openrc-0.2.0-r0.apk");
  make(top / "dist" / "x86_64" / "chillbox-doc-0.2.0-r0.apk");
  make(top / "dist" / "jo.rsa.pub");
  std::filesystem::create_directories(top / "bin");
  CHECK(find({})->files.size() == 3);
  CHECK(find({})->version == "0.2.0");
  make(top / "cache" / "packages" / "x86_64" / "chillbox-0.3.0-r0.apk");
  CHECK(find({})->version == "0.3.0");
  CHECK(find({(top / "dist" / "x86_64").string() + "/"})->files.size() == 3);
  CHECK(find({(top / "dist").string()}).error().code == Code::not_found);
  make(top / "x.deb");
  CHECK(find({(top / "x.deb").string()}).error().code == Code::invalid);
  look.facts["packages"] = "dpkg";
  make(top / "chillbox_0.4.0_amd64.deb");
  CHECK(find({(top / "chillbox_0.4.0_amd64.deb").string()})->version == "0.4.0");
}

TEST_CASE("[fault-564] of two versions in a folder the newest is installed, and nothing of the other") {
  const TempDir dir;
  const std::filesystem::path folder = std::filesystem::path(dir.path()) / "x86_64";
  for (const char* name : {"chillbox-0.9.0-r0.apk", "chillbox-openrc-0.9.0-r0.apk",
           "chillbox-0.10.0-r0.apk", "chillbox-openrc-0.10.0-r0.apk", "jo.rsa.pub"})
    make(folder / name);
  const auto found = find_packages({folder.string()}, alpine(), "", "");
  REQUIRE(found);
  CHECK(found->version == "0.10.0");
  CHECK(found->files.size() == 3);
}

TEST_CASE("setup installs what is missing or newer, and another version only when it was named") {
  HostLook look = alpine();
  const HostRecord record{
      .name = "web1", .ssh = "root@web1.example", .server_name = "web1.example"};
  const SetupKey key{"RWabc", "jo"};
  const HostPackages newer{{"chillbox-0.3.0.tar"}, "0.3.0"};
  const auto fresh = plan_setup(look, record, newer, false, key);
  CHECK(fresh.install);
  CHECK_FALSE(fresh.upgrade);
  CHECK(fresh.new_identity);
  CHECK(fresh.server_name == "web1.example");
  REQUIRE(fresh.words.size() == 6);
  CHECK(fresh.words[0] == "install chillbox 0.3.0, nginx, python3");
  CHECK(fresh.words[3] == "trust the key 'jo'");
  for (const auto& [word, value] : std::vector<std::pair<std::string, std::string>>{
           {"chillbox", "0.2.0"}, {"nginx", "1.26"}, {"python", "3.12"}, {"identity", "yes"},
           {"server_name", "web1.example"}, {"daemon", "unlocked"}})
    look.facts[word] = value;
  look.trusted.emplace_back("RWabc", "laptop");
  CHECK(trusted_as(look, key) == "laptop");
  CHECK(trusted_as(look, {}).empty());
  const auto upgrade = plan_setup(look, record, newer, false, key);
  CHECK(upgrade.upgrade);
  CHECK(upgrade.words == std::vector<std::string>{"install chillbox 0.3.0 in place of 0.2.0"});
  const HostPackages older{{"chillbox-0.1.0.tar"}, "0.1.0"};
  CHECK(plan_setup(look, record, older, false, key).words.empty());
  CHECK(plan_setup(look, record, std::nullopt, false, key).words.empty());
  CHECK(plan_setup(look, record, HostPackages{}, false, key).words.empty());
  CHECK(plan_setup(look, record, older, true, key).upgrade);
  look.facts["server_name"] = "_";
  CHECK(plan_setup(look, record, std::nullopt, false, key).words ==
      std::vector<std::string>{"name it web1.example"});
}

TEST_CASE("the names of a host are checked before anything is asked of it") {
  const TempDir dir;
  Places places;
  places.config = dir.path();
  const auto code = [&](const std::string& target, const std::string& name,
                        const std::string& server) {
    const auto record = record_for_setup(places, target, name, server);
    return record ? Code::failure : record.error().code;
  };
  const auto plain = record_for_setup(places, "root@web1.example", "", "");
  REQUIRE(plain);
  CHECK(plain->name == "web1");
  CHECK(plain->server_name == "web1.example");
  CHECK(record_for_setup(places, "ssh://root@192.0.2.7:2222", "", "")->name == "192.0.2.7");
  CHECK(code("root@web1.example", "../web1", "") == Code::usage);
  CHECK(code("root@web1.example", "web 1", "") == Code::usage);
  CHECK(code("root@web1.example", "", "x\"; rm") == Code::usage);
  CHECK(code("root@" + std::string(200, 'a') + ".example", "", "") == Code::usage);
}

TEST_CASE("a laptop that was installed again: its key is trusted beside the one that has its name, and the plan says so [fault-1140]") {
  HostLook look = alpine();
  look.trusted = {{"RWold", "jo-laptop"}, {"RWolder", "jo-laptop-2"}};
  CHECK(name_to_trust(look, "jo@laptop") == "jo-laptop-3");
  CHECK(name_to_trust(look, "kim@laptop") == "kim-laptop");
  const HostRecord record{.name = "web1", .ssh = "root@web1.example"};
  const auto plan = plan_setup(look, record, std::nullopt, false, {"RWnew", "jo@laptop"});
  CHECK(std::ranges::count(plan.words,
            "trust the key 'jo@laptop' as 'jo-laptop-3': 'jo-laptop' is another key there, which "
            "stays trusted until chillboxctl trust remove jo-laptop") == 1);
}

TEST_CASE("a host that was exported by its address has a name that a list of jobs takes [fault-1141]") {
  CHECK(name_of_exported("web1") == "web1");
  CHECK(name_of_exported("root@web1.example") == "web1.example");
  CHECK(name_of_exported("ssh://root@web1.example:2222") == "web1.example");
  CHECK(name_of_exported("root@2001:db8::1") == "2001-db8--1");
  CHECK(name_of_exported("") == "host");
}
