#include "catch.hpp"

#include "base/text.hpp"
#include "cli/laptop/host_look.hpp"
#include "cli/laptop/host_packages.hpp"
#include "cli/temp_dir.hpp"

#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr int64_t k_now = 1'800'000'000;

HostLook alpine() {
  return parse_look(
      "uid 0\nuser root\narch x86_64\nos alpine\nos_name Alpine Linux\nos_version 3.22\n"
      "init openrc\nlibc musl\nmemory_kib 500000\ndisk_kib 900000\nclock 1800000003\n"
      "packages apk\n");
}

Result<void> with(const std::string& word, const std::string& value) {
  HostLook look = alpine();
  look.facts[word] = value;
  return can_be_host(look, "root@web1", k_now);
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
  CHECK(can_be_host(alpine(), "root@web1", k_now));
  CHECK(text_of(alpine()) ==
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
