#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/raw_tar.hpp"
#include "os/mount.hpp"
#include "secrets/load.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;

namespace {

constexpr gid_t k_group = 54321;

struct Host {
  Scratch scratch;
  os::Paths paths{scratch.path};
  SiteName site = SiteName::parse("blog").value();

  Host() { must(os::real_disk().make_dir(paths.secrets(), 0755, {geteuid(), getegid()})); }
  std::string stage(const std::string& tar, uint64_t limit = 1 << 20) const {
    const Encrypted encrypted(tar);
    const auto r = secrets::load_secrets(paths, site, encrypted.fd.get(), encrypted.key,
        geteuid() == 0, geteuid() == 0 ? k_group : getegid(), limit);
    return r ? "" : cat(code_name(r.error().code), ": ", r.error().message);
  }
  std::string read(std::string_view name) const {
    return read_file(cat(paths.secrets_of(site), "/", name));
  }
  std::vector<std::string> all() const { return os::real_disk().list(paths.secrets()).value(); }
};

std::string set(const std::string& value) {
  return dir("api") + file("api/config.toml", value) + file("worker/key", "k") + end();
}

struct stat stat_of(const std::string& path) {
  struct stat st{};
  REQUIRE(lstat(path.c_str(), &st) == 0);
  return st;
}

} // namespace

TEST_CASE("a secret set is readable by the site's group and nobody else") {
  NEEDS_CONFINEMENT();
  const Host host;
  CHECK_FALSE(secrets::secrets_loaded(host.paths, host.site));
  CHECK(secrets::loaded_files(host.paths, host.site).empty());
  REQUIRE(host.stage(set("v1")) == "");
  CHECK(secrets::secrets_loaded(host.paths, host.site));
  CHECK(secrets::loaded_files(host.paths, host.site) ==
      std::vector<std::string>{"api/config.toml", "worker/key"});
  CHECK(host.read("api/config.toml") == "v1");
  const std::string root = host.paths.secrets_of(host.site);
  for (const auto& [path, mode] : {std::pair{root, 0750}, {root + "/api", 0750},
           {root + "/worker", 0750}, {root + "/api/config.toml", 0440}}) {
    const auto st = stat_of(path);
    CHECK((st.st_mode & 07777) == static_cast<mode_t>(mode));
    CHECK(st.st_uid == geteuid());
    CHECK(st.st_gid == (geteuid() == 0 ? k_group : getegid()));
  }
  CHECK(host.all() == std::vector<std::string>{"blog"});
}

TEST_CASE("a new set replaces the old one whole, and a service continues to read what it has open") {
  NEEDS_CONFINEMENT();
  const Host host;
  REQUIRE(host.stage(
              dir("api") + file("api/config.toml", "old") + file("api/extra", "x") + end()) == "");
  const Fd open_file(open(
      cat(host.paths.secrets_of(host.site), "/api/config.toml").c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(host.stage(set("new")) == "");
  CHECK(host.read("api/config.toml") == "new");
  CHECK(secrets::loaded_files(host.paths, host.site) ==
      std::vector<std::string>{"api/config.toml", "worker/key"});
  char old[3] = {};
  REQUIRE(pread(open_file.get(), old, 3, 0) == 3);
  CHECK(std::string_view(old, 3) == "old");
  CHECK(host.all() == std::vector<std::string>{"blog"});
}

TEST_CASE("a set that is not SERVICE/FILE is refused, and the old one stays") {
  NEEDS_CONFINEMENT();
  const Host host;
  REQUIRE(host.stage(set("old")) == "");
  CHECK_SAYS(host.stage(file("config.toml") + end()),
      "denied: secrets: secret set: 'config.toml' is not a");
  CHECK_SAYS(
      host.stage(file("README") + end()), "denied: secrets: secret set: 'README' is not a folder");
  CHECK_SAYS(host.stage(file("api/deep/er") + end()),
      "denied: secrets: secret set: 'api/deep' is not a file");
  CHECK_SAYS(host.stage(file("api/a") + alias("api/l", "a") + end()), "secret set: ");
  CHECK_SAYS(host.stage(file("0api/a") + end()), "is not a service's name");
  CHECK_SAYS(host.stage(file("../blog/api") + end()), "denied: ");
  CHECK_SAYS(host.stage(set("cut").substr(0, 600)), "corrupt: ");
  CHECK(host.read("api/config.toml") == "old");
  CHECK(host.all() == std::vector<std::string>{"blog"});
}

TEST_CASE("[fault-82] a set that does not fit leaves nothing, and the error names the size") {
  NEEDS_CONFINEMENT();
  const Host host;
  CHECK_SAYS(host.stage(file("api/big", std::string(2000, 'x')) + end(), 1000), "too_large: ");
  CHECK(host.all().empty());
  if (geteuid() != 0 ||
      ::mount("tmpfs", host.paths.secrets().c_str(), "tmpfs", 0, "size=64k,mode=0755") != 0) {
    WARN("needs root and mounts: a full tmpfs is not tried");
    return;
  }
  CHECK(host.stage(set("fits")) == "");
  const std::string refusal = host.stage(file("api/big", std::string(200'000, 'x')) + end());
  CHECK_SAYS(refusal, "no_space: secrets: write 'api/big': no space left on device");
  CHECK_SAYS(refusal, "has 65.5 kB");
  CHECK(host.all() == std::vector<std::string>{"blog"});
  CHECK(host.read("api/config.toml") == "fits");
  CHECK(::umount2(host.paths.secrets().c_str(), MNT_DETACH) == 0);
}

TEST_CASE("wiping overwrites and removes the set, and may be done twice") {
  NEEDS_CONFINEMENT();
  const Host host;
  REQUIRE(host.stage(set("top secret")) == "");
  const Fd open_file(open(
      cat(host.paths.secrets_of(host.site), "/api/config.toml").c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(secrets::wipe_secrets(host.paths, host.site));
  CHECK_FALSE(secrets::secrets_loaded(host.paths, host.site));
  CHECK(host.all().empty());
  std::array<char, 10> left{};
  REQUIRE(pread(open_file.get(), left.data(), left.size(), 0) == 10);
  if (geteuid() == 0)
    CHECK(left == std::array<char, 10>{});
  CHECK(secrets::wipe_secrets(host.paths, host.site));
}
