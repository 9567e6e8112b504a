#include "catch.hpp"

#include "cli/sealing.hpp"
#include "cli/site_folder.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::cli;
namespace fs = std::filesystem;

namespace {

class Folder {
public:
  Folder() {
    std::string name = fs::temp_directory_path() / "chillbox-cli-XXXXXX";
    m_path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(m_path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void write(const std::string& name, std::string_view text) const {
    const fs::path path = m_path / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string path(const std::string& name = "") const { return name.empty() ? m_path.string() : (m_path / name).string(); }

private:
  fs::path m_path;
};

std::string site_json(std::string_view service_more = "", std::string_view more = "") {
  return cat(R"({"name":"Blog","server_name":"blog.example","version":"1.0.0","services":[{"name":"api","lang":"python","handler":"backend")",
             service_more, "}]", more, "}");
}

std::vector<std::string> names(const std::vector<artifact::PackEntry>& entries) {
  std::vector<std::string> out;
  for (const auto& entry : entries)
    out.push_back(entry.name);
  std::ranges::sort(out);
  return out;
}

} // namespace

TEST_CASE("a site's folder becomes SLUG/ with each service under its own name") {
  const Folder dir;
  dir.write("blog.site.json", site_json());
  dir.write("backend/app.py", "x");
  dir.write("backend/dep/a.whl", "x");
  dir.write("backend/__pycache__/app.pyc", "x");
  dir.write("backend/.git/HEAD", "x");
  dir.write("nginx/root/index.html", "x");
  dir.write("redis/users.acl", "x");
  dir.write("immutable/web/h4sh/a.css", "x");
  dir.write("notes.txt", "stays here");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  const auto entries = lay_out(*folder, folder->json);
  REQUIRE(entries);
  CHECK(names(*entries) == std::vector<std::string>{"blog/api/app.py", "blog/api/dep/a.whl", "blog/blog.site.json",
                                                    "blog/immutable/web/h4sh/a.css", "blog/nginx/root/index.html", "blog/redis/users.acl"});
}

TEST_CASE("a manifest says what is taken of a service's folder, each once") {
  const Folder dir;
  dir.write("blog.site.json", site_json(R"(,"manifest":"MANIFEST")"));
  dir.write("backend/MANIFEST", "# what goes\nsrc/\n./setup.py\nsetup.py\n");
  dir.write("backend/src/a.py", "x");
  dir.write("backend/setup.py", "x");
  dir.write("backend/Dockerfile", "x");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(names(*lay_out(*folder, folder->json)) == std::vector<std::string>{"blog/api/setup.py", "blog/api/src/a.py", "blog/blog.site.json"});
  for (const char* bad : {"../secret", "/etc/passwd", "src/../../x"}) {
    dir.write("backend/MANIFEST", bad);
    const auto refused = lay_out(*folder, folder->json);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("service api: manifest") != std::string::npos);
  }
  dir.write("backend/MANIFEST", "gone.py\n");
  CHECK(lay_out(*folder, folder->json).error().code == Code::not_found);
}

TEST_CASE("a handler that is not there is named, one that leads out of the folder is refused") {
  const Folder dir;
  dir.write("blog.site.json", site_json());
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  const auto missing = lay_out(*folder, folder->json);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::not_found);
  CHECK(missing.error().message.find("service api: its handler folder") == 0);
  SiteFolder outside = *folder;
  outside.site.services[0].handler = "../backend";
  CHECK(lay_out(outside, outside.json).error().code == Code::invalid);
}

TEST_CASE("an immutable service that was built into immutable/ needs no handler folder") {
  const Folder dir;
  dir.write("blog.site.json", R"({"name":"B","server_name":"blog.example","version":"1.0.0","services":[{"name":"web","lang":"immutable","handler":"web"}]})");
  dir.write("immutable/web/h4sh/a.css", "x");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(names(*lay_out(*folder, folder->json)) == std::vector<std::string>{"blog/blog.site.json", "blog/immutable/web/h4sh/a.css"});
}

TEST_CASE("the site file is found, named when there are several, and each of its problems says its file") {
  const Folder dir;
  CHECK(read_site_folder(dir.path()).error().code == Code::not_found);
  CHECK(read_site_folder(dir.path("nowhere")).error().code == Code::not_found);
  dir.write("blog.site.json", R"({"name":"B","sevices":[],"colour":1})");
  const auto bad = read_site_folder(dir.path());
  REQUIRE_FALSE(bad);
  for (const auto line : split(bad.error().message, '\n'))
    CHECK(line.starts_with("blog.site.json: "));
  dir.write("other.site.json", site_json());
  const auto several = read_site_folder(dir.path());
  REQUIRE_FALSE(several);
  CHECK(several.error().code == Code::usage);
  CHECK(several.error().message.find("blog.site.json, other.site.json") != std::string::npos);
  const auto named = read_site_folder(dir.path("other.site.json"));
  REQUIRE(named);
  CHECK(named->site.slug.str() == "other");
  CHECK(named->dir == dir.path());
}

TEST_CASE("the value of a command is what it printed, and the host gets no command") {
  const Folder dir;
  dir.write("blog.site.json", site_json("", R"(,"env":[{"name":"HASH","cmd":"sh -c 'cat hash; echo'"},{"name":"PLAIN","value":"$HASH"}])"));
  dir.write("hash", "810cdbf\n");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  std::vector<std::string> said;
  const auto values = env_values(*folder, os::real_runner(), [&](std::string_view line) { said.emplace_back(line); });
  REQUIRE(values);
  CHECK(values->at("HASH") == "810cdbf");
  CHECK(values->size() == 1);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("cat hash") != std::string::npos);
  const auto json = with_env_values(folder->json, *values);
  REQUIRE(json);
  CHECK(json->find("cmd") == std::string::npos);
  const auto again = config::parse_site(*json, folder->site.slug);
  REQUIRE(again);
  CHECK(again->env[0].value == "810cdbf");
  CHECK(again->env[1].value == "$HASH");
}

TEST_CASE("a site file without commands is packed byte for byte") {
  const std::string json = site_json();
  CHECK(*with_env_values(json, {}) == json);
}

TEST_CASE("[fault-65] no shell looks at a command: what only a shell would understand is refused, the rest is literal") {
  const Folder dir;
  const auto run = [&](std::string_view cmd) {
    dir.write("blog.site.json", site_json("", cat(R"(,"env":[{"name":"X","cmd":")", cmd, R"("}])")));
    const auto folder = read_site_folder(dir.path());
    REQUIRE(folder);
    return env_values(*folder, os::real_runner(), [](std::string_view) {});
  };
  CHECK(run("printf %s $HOME`id`$(id)")->at("X") == "$HOME`id`$(id)");
  for (const char* bad : {"echo a | tr a b", "echo a ; id", "echo a && id", "echo a > file"}) {
    const auto refused = run(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("no shell runs it") != std::string::npos);
  }
  CHECK_FALSE(fs::exists(dir.path("file")));
  const auto failed = run("sh -c 'echo why >&2; exit 3'");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message.find("ended with 3: why") != std::string::npos);
  CHECK_FALSE(run("no-such-program-here"));
}

TEST_CASE("a serial is the minute, and greater than any of its kind in the folder") {
  const Folder dir;
  const SiteName blog = *SiteName::parse("blog");
  const std::string digest(64, 'a');
  CHECK(next_serial(dir.path(), blog, false, 600) == 10);
  CHECK(next_serial(dir.path("nowhere"), blog, false, 600) == 10);
  const auto signature = [&](const std::string& name, const std::string& words) {
    dir.write(name, cat("untrusted comment: x\nAAAA\ntrusted comment: chillbox ", words, " sha256=", digest, "\nBBBB\n"));
  };
  signature("blog-1.0.0.tar.zst.age.minisig", "site=blog version=1.0.0 serial=41");
  signature("shop-1.0.0.tar.zst.age.minisig", "site=shop version=1.0.0 serial=99");
  signature("blog.secrets.tar.zst.age.minisig", "site=blog secrets serial=77");
  dir.write("broken.minisig", "nonsense");
  CHECK(next_serial(dir.path(), blog, false, 600) == 42);
  CHECK(next_serial(dir.path(), blog, true, 600) == 78);
  CHECK(next_serial(dir.path(), blog, false, 60'000) == 1000);
  const auto statement = read_statement(dir.path("blog.secrets.tar.zst.age.minisig"));
  REQUIRE(statement);
  CHECK(statement->secrets);
  CHECK(read_statement(dir.path("gone.minisig")).error().code == Code::not_found);
  CHECK(read_statement(dir.path("broken.minisig")).error().code == Code::invalid);
}
