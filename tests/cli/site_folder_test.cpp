#include "catch.hpp"

#include "cli/pack/archive_summary.hpp"
#include "cli/pack/encrypt_and_sign.hpp"
#include "cli/pack/site_commands.hpp"
#include "cli/pack/site_folder.hpp"

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
  std::string path(const std::string& name = "") const {
    return name.empty() ? m_path.string() : (m_path / name).string();
  }

private:
  fs::path m_path;
};

std::string site_json(std::string_view service_more = "", std::string_view more = "") {
  return cat(
      R"({"name":"Blog","server_name":"blog.example","version":"1.0.0","services":[{"name":"api","lang":"python","handler":"backend")",
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
  const auto entries = archive_entries(*folder, folder->json);
  REQUIRE(entries);
  CHECK(names(*entries) ==
      std::vector<std::string>{"blog/api/app.py", "blog/api/dep/a.whl", "blog/blog.site.json",
          "blog/immutable/web/h4sh/a.css", "blog/nginx/root/index.html", "blog/redis/users.acl"});
}

TEST_CASE("[fault-1109] a manifest says what is taken of a service's folder, each once, also with a folder and a file in it") {
  const Folder dir;
  dir.write("blog.site.json", site_json(R"(,"manifest":"MANIFEST")"));
  dir.write("backend/MANIFEST", "# what goes\nsrc/\n./setup.py\nsetup.py\n");
  dir.write("backend/src/a.py", "x");
  dir.write("backend/setup.py", "x");
  dir.write("backend/Dockerfile", "x");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(names(*archive_entries(*folder, folder->json)) ==
      std::vector<std::string>{"blog/api/setup.py", "blog/api/src/a.py", "blog/blog.site.json"});
  for (const char* nested : {"src\nsrc/a.py\nsetup.py\n", "setup.py\nsrc/a.py\nsrc\n"}) {
    dir.write("backend/MANIFEST", nested);
    CHECK(names(*archive_entries(*folder, folder->json)) ==
        std::vector<std::string>{"blog/api/setup.py", "blog/api/src/a.py", "blog/blog.site.json"});
  }
  for (const char* bad : {"../secret", "/etc/passwd", "src/../../x"}) {
    dir.write("backend/MANIFEST", bad);
    const auto refused = archive_entries(*folder, folder->json);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("service api: manifest") != std::string::npos);
  }
  dir.write("backend/MANIFEST", "# nothing yet\n");
  CHECK(archive_entries(*folder, folder->json)
            .error()
            .message.find("manifest 'MANIFEST' lists nothing") != std::string::npos);
  dir.write("backend/MANIFEST", "gone.py\n");
  CHECK(archive_entries(*folder, folder->json).error().code == Code::not_found);
}

TEST_CASE("a handler that is not there is named, one that leads out of the folder is refused") {
  const Folder dir;
  dir.write("blog.site.json", site_json());
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  const auto missing = archive_entries(*folder, folder->json);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::not_found);
  CHECK(missing.error().message.find("service api: its handler folder") == 0);
  SiteFolder outside = *folder;
  outside.site.services[0].handler = "../backend";
  CHECK(archive_entries(outside, outside.json).error().code == Code::invalid);
}

TEST_CASE("an immutable service that was built into immutable/ needs no handler folder") {
  const Folder dir;
  dir.write("blog.site.json",
      R"({"name":"B","server_name":"blog.example","version":"1.0.0","services":[{"name":"web","lang":"immutable","handler":"web"}]})");
  dir.write("immutable/web/h4sh/a.css", "x");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(names(*archive_entries(*folder, folder->json)) ==
      std::vector<std::string>{"blog/blog.site.json", "blog/immutable/web/h4sh/a.css"});
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

TEST_CASE("a site may be TOML: the archive has the JSON that it means, and problems have their line") {
  const Folder dir;
  dir.write("blog.site.toml",
      "name = \"Gärten ✓\" # größer\nserver_name = \"blog.example\"\nversion = \"1.0.0\"\n\n[[services]]\nname = \"api\"\nlang = \"python\"\n"
      "health.path = \"/up\"\n\n[[workers]]\nname = \"w\"\nlang = \"python-worker\"\nrun-cmd = [\"python\", \"w.py\"]\n");
  dir.write("api/app.py", "x");
  dir.write("w/w.py", "x");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(folder->site.title == "Gärten ✓");
  CHECK(folder->site.services.size() == 2);
  const auto entries = archive_entries(*folder, folder->json);
  REQUIRE(entries);
  CHECK(names(*entries) ==
      std::vector<std::string>{"blog/api/app.py", "blog/blog.site.json", "blog/w/w.py"});
  const auto again = config::parse_site(entries->front().content, folder->site.slug);
  REQUIRE(again);
  CHECK(again->title == "Gärten ✓");
  CHECK(again->services[1].run_cmd == std::vector<std::string>{"python", "w.py"});

  dir.write("blog.site.toml",
      "name = \"B\"\nserver_name = \"blog.example\"\n[[services]]\nname = \"api\"\nlang = \"pyton\"\ncolour = 1\n");
  const auto bad = read_site_folder(dir.path());
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message.find("blog.site.toml:5: services[0].lang: found 'pyton'") !=
      std::string::npos);
  CHECK(bad.error().message.find("blog.site.toml:6: services[0].colour: unknown field") !=
      std::string::npos);
}

namespace {

const Version k_version = *Version::parse("1.0.0");

struct Told {
  std::vector<std::string> lines;
  Laptop laptop(bool may_run = true) {
    return {
        os::real_runner(), may_run, [this](std::string_view line) { lines.emplace_back(line); }};
  }
};

} // namespace

TEST_CASE("the value of a command is what it printed, and the host gets no command") {
  const Folder dir;
  dir.write("blog.site.json",
      site_json("",
          R"(,"env":[{"name":"HASH","cmd":"cat hash; echo"},{"name":"PLAIN","value":"$HASH"}])"));
  dir.write("hash", "810cdbf\n");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  Told told;
  const auto values = env_values(*folder, k_version, told.laptop());
  REQUIRE(values);
  CHECK(values->at("HASH") == "810cdbf");
  CHECK(values->size() == 1);
  REQUIRE(told.lines.size() == 1);
  CHECK(told.lines[0] == "running cat hash; echo");
  const auto json = packed_json(*folder, k_version, *values);
  REQUIRE(json);
  CHECK(json->find("cmd") == std::string::npos);
  const auto again = config::parse_site(*json, folder->site.slug);
  REQUIRE(again);
  CHECK(again->env[0].value == "810cdbf");
  CHECK(again->env[1].value == "$HASH");
}

TEST_CASE("a site file with a version and without commands is packed byte for byte") {
  const Folder dir;
  dir.write("blog.site.json", site_json());
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(*packed_json(*folder, k_version, {}) == site_json());
  const auto other = packed_json(*folder, Version::parse("9.1.0").value(), {});
  CHECK(config::parse_site(*other, folder->site.slug)->version->str() == "9.1.0");
}

TEST_CASE("a command is a line for sh, as with the original, and sees the variables before it") {
  const Folder dir;
  const auto run = [&](std::string_view cmd, bool may_run = true, std::string_view value = "") {
    dir.write("blog.site.json",
        site_json("",
            cat(R"(,"env":[{"name":"A","value":"$SLUGNAME-a"},{"name":"X","value":")", value,
                R"(","cmd":")", cmd, R"("}])")));
    const auto folder = read_site_folder(dir.path());
    REQUIRE(folder);
    return env_values(*folder, k_version, Told().laptop(may_run));
  };
  CHECK(
      run("printf '%s' \\\"$A-$SERVER_NAME-$VERSION\\\" | cut -c 1-12")->at("X") == "blog-a-blog.");
  CHECK(run("printf '%s' '$A'")->at("X") == "$A"); // the host expands it
  const auto failed = run("echo why >&2; echo more >&2; exit 3");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message ==
      "env X: 'echo why >&2; echo more >&2; exit 3' ended with 3: why; more");
  CHECK_FALSE(run("no-such-program-here"));
  CHECK(run("touch ran", false).error().code == Code::denied);
  CHECK(run("touch ran", false, "instead")->empty());
  CHECK_FALSE(fs::exists(dir.path("ran")));
}

TEST_CASE("the version is the site file's, else what make or the file VERSION says") {
  const Folder dir;
  dir.write("blog.site.json", R"({"name":"Blog","server_name":"blog.example"})");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  Told told;
  CHECK(version_of(*folder, told.laptop())
            .error()
            .message.find("neither a file VERSION nor a Makefile") != std::string::npos);
  dir.write("VERSION", "1.2.3\n");
  CHECK(version_of(*folder, told.laptop())->str() == "1.2.3");
  CHECK(told.lines.empty());
  dir.write("VERSION",
      "\xef\xbb\xbf"
      "1.2.3\r\n");
  CHECK(version_of(*folder, told.laptop())->str() == "1.2.3");
  dir.write("VERSION",
      std::string("1\0.\0"
                  "2\0.\0"
                  "3\0",
          10));
  CHECK(version_of(*folder, told.laptop()).error().message.find("VERSION: it is UTF-16") !=
      std::string::npos);
  dir.write("VERSION", "1.2.3\n");
  dir.write("Makefile", "inspect.%:\n\t@printf '%s' '$(shell cat VERSION)+build.7'\n");
  CHECK(version_of(*folder, told.laptop())->str() == "1.2.3+build.7");
  CHECK(version_of(*folder, told.laptop(false)).error().code == Code::denied);
  const auto json = packed_json(*folder, *version_of(*folder, told.laptop()), {});
  REQUIRE(json);
  CHECK(config::parse_site(*json, folder->site.slug)->version->str() == "1.2.3+build.7");
}

TEST_CASE("an immutable folder with the original's Makefile: its dist below its own hash, made when it is empty") {
  const Folder dir;
  dir.write("blog.site.json",
      R"({"name":"B","server_name":"blog.example","version":"1.0.0","services":[{"name":"web","lang":"immutable","handler":"assets"}]})");
  dir.write("assets/src/a.css", "a{}");
  dir.write("assets/dist/.gitkeep", "");
  dir.write("assets/Makefile", "all:\n\t@cp src/a.css dist/\ninspect.HASH:\n\t@printf h4sh\n");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  Told told;
  const auto hashes = make_immutable(*folder, told.laptop());
  REQUIRE(hashes);
  CHECK(told.lines.back() == "running make --silent");
  CHECK(names(*archive_entries(*folder, folder->json, {*hashes, false})) ==
      std::vector<std::string>{"blog/blog.site.json", "blog/immutable/web/h4sh/.gitkeep",
          "blog/immutable/web/h4sh/a.css"});
  CHECK(make_immutable(*folder, told.laptop()));
  CHECK(told.lines.back().find("dist/ as it is") != std::string::npos);
  dir.write("assets/Makefile", "inspect.HASH:\n\t@printf ../x\n");
  CHECK_FALSE(make_immutable(*folder, told.laptop()));
}

TEST_CASE("what .chillboxignore names stays on the laptop, and a manifest cannot want it too") {
  const Folder dir;
  dir.write("blog.site.json", site_json());
  dir.write("backend/app.py", "x");
  dir.write("backend/notes.md", "x");
  dir.write("backend/README.md", "x");
  dir.write("backend/tests/test_app.py", "x");
  dir.write("nginx/root/index.html", "x");
  dir.write("nginx/Dockerfile", "x");
  dir.write(".chillboxignore", "*.md\n!README.md\ntests/\n/nginx/Dockerfile\n");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(names(*archive_entries(*folder, folder->json)) ==
      std::vector<std::string>{"blog/api/README.md", "blog/api/app.py", "blog/blog.site.json",
          "blog/nginx/root/index.html"});
  dir.write("blog.site.json", site_json(R"(,"manifest":"MANIFEST")"));
  dir.write("backend/MANIFEST", "app.py\ntests/test_app.py\n");
  const auto both = archive_entries(*read_site_folder(dir.path()), "{}");
  REQUIRE_FALSE(both);
  CHECK(
      both.error().message.find(
          "'backend/tests/test_app.py' is to be taken, but is left out: a line '!backend/tests/test_app.py'") !=
      std::string::npos);
  dir.write(".chillboxignore", "a//b\n");
  CHECK(read_site_folder(dir.path()).error().message.find(".chillboxignore: line 1 'a//b'") == 0);
}

TEST_CASE("[fault-1173] a byte order mark is read over, UTF-16 is refused, and both do not publish what was to be left out") {
  const std::string mark = "\xef\xbb\xbf";
  const auto utf16 = [](std::string_view text, bool with_mark) {
    std::string out(with_mark ? "\xff\xfe" : "");
    for (const char c : text)
      out += {c, '\0'};
    return out;
  };
  const Folder dir;
  dir.write("blog.site.json", site_json(R"(,"manifest":"MANIFEST")"));
  dir.write("backend/app.py", "x");
  dir.write("backend/MANIFEST", mark + "app.py\n");
  dir.write("nginx/root/index.html", "x");
  dir.write("nginx/root/draft.html", "x");
  dir.write(".chillboxignore", mark + "draft.html\r\n");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  CHECK(names(*archive_entries(*folder, folder->json)) ==
      std::vector<std::string>{
          "blog/api/app.py", "blog/blog.site.json", "blog/nginx/root/index.html"});
  for (const bool with_mark : {true, false}) {
    dir.write("backend/MANIFEST", utf16("app.py\n", with_mark));
    CHECK(archive_entries(*folder, folder->json)
              .error()
              .message.find("backend/MANIFEST: it is UTF-16, as PowerShell's '>' writes it") !=
        std::string::npos);
    dir.write(".chillboxignore", utf16("draft.html\n", with_mark));
    CHECK(
        read_site_folder(dir.path())
            .error()
            .message.find(
                ".chillboxignore: it is UTF-16, as PowerShell's '>' writes it: save it as UTF-8") !=
        std::string::npos);
    dir.write("blog.site.json", utf16(site_json(), with_mark));
    CHECK(read_site_folder(dir.path())
              .error()
              .message.find("blog.site.json: not JSON as we take it: it is UTF-16") == 0);
    fs::remove(dir.path("blog.site.json"));
    dir.write("blog.site.toml", utf16("name = \"x\"\n", with_mark));
    CHECK(read_site_folder(dir.path()).error().message.find("blog.site.toml: it is UTF-16") == 0);
    fs::remove(dir.path("blog.site.toml"));
    dir.write("blog.site.json", site_json());
  }
  dir.write(".chillboxignore", std::string("a\nb\0c\n", 7));
  CHECK(
      read_site_folder(dir.path()).error().message.find("it has a NUL byte") != std::string::npos);
}

TEST_CASE("a local.site.json beside the site file is not meant; the sources may lie elsewhere") {
  const Folder dir;
  dir.write("local.site.json", "{}");
  dir.write("blog.site.json", site_json());
  REQUIRE(read_site_folder(dir.path()));
  dir.write("elsewhere/backend/app.py", "x");
  const auto folder = read_site_folder(dir.path(), dir.path("elsewhere"));
  REQUIRE(folder);
  CHECK(names(*archive_entries(*folder, folder->json)) ==
      std::vector<std::string>{"blog/api/app.py", "blog/blog.site.json"});
  dir.write("site.json", "{}");
  CHECK(read_site_folder(dir.path("site.json")).error().code == Code::usage);
}

TEST_CASE("the contents are counted by part, with the largest files") {
  const Folder dir;
  dir.write("blog.site.json",
      R"({"name":"B","server_name":"blog.example","services":[{"name":"api","lang":"python"},{"name":"web","lang":"immutable"}]})");
  dir.write("api/app.py", "12345");
  dir.write("api/dep/a.whl", std::string(3000, 'x'));
  dir.write("immutable/web/h4sh/a.css", "123");
  dir.write("nginx/root/index.html", "1");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  const auto contents = summarize(folder->site, *archive_entries(*folder, folder->json));
  const auto rows = table_of(contents).rows;
  CHECK(rows[0] == std::vector<std::string>{"api", "python", "2", "3.0 kB"});
  CHECK(rows[1] == std::vector<std::string>{"web", "immutable", "1", "3 B"});
  CHECK(rows.size() == 5);
  CHECK(contents.largest.front().path == "blog/api/dep/a.whl");
}

TEST_CASE("what collect prints goes into the archive in place of the author's file or in addition, or keeps one out of it") {
  const Folder dir;
  dir.write("blog.site.json", site_json());
  dir.write("backend/requirements.txt", "a==1\n");
  dir.write("backend/dep/notes.txt", "x");
  const auto folder = read_site_folder(dir.path());
  REQUIRE(folder);
  const auto entries = archive_entries(*folder, "{}",
      {{}, true,
          {{"api",
              {{"requirements.txt", "a==2\n"}, {"dep/notes.txt", std::nullopt}, {"x", "y"}}}}});
  REQUIRE(entries);
  CHECK(names(*entries) ==
      std::vector<std::string>{"blog/api/requirements.txt", "blog/api/x", "blog/blog.site.json"});
  const auto packed =
      std::ranges::find(*entries, "blog/api/requirements.txt", &artifact::PackEntry::name);
  CHECK(packed->content == "a==2\n");
}

TEST_CASE("every shipped kind is in this program, and a folder in the hooks of the machine is one, too") {
  const Kinds shipped;
  size_t count = 0;
  for (const auto& [path, text] : shipped_hooks())
    if (path.ends_with("/kind.json")) {
      INFO(path);
      CHECK(config::parse_kind(text));
      ++count;
    }
  CHECK(shipped.known().size() == count);
  CHECK(!shipped.new_site(shipped.default_name()).value().empty());
  CHECK(shipped.find("no-such-kind").language.empty());

  const Folder dir;
  dir.write("usr/lib/chillbox/hooks/handlers/cobol/kind.json", R"({"role":"service"})");
  dir.write("usr/lib/chillbox/hooks/handlers/cobol/new/web/main.cob", "@SITE@");
  const os::Paths paths{dir.path()};
  const auto all = Kinds::load(paths);
  REQUIRE(all);
  CHECK(all->known().size() == count + 1);
  CHECK(all->new_site("cobol").value() ==
      std::map<std::string, std::string>{{"web/main.cob", "@SITE@"}});
  CHECK(all->folder("cobol", "/tmp") == dir.path("usr/lib/chillbox/hooks/handlers/cobol"));
  CHECK(all->folder(shipped.default_name(), "/tmp") == "/tmp/handlers/" + shipped.default_name());
  dir.write("etc/chillbox/hooks.d/handlers/x-odd/kind.json", R"({"listns":"no"})");
  CHECK(Kinds::load(paths).error().message.find("x-odd/kind.json: $.listns: unknown field") !=
      std::string::npos);
}

TEST_CASE("a serial is the minute, and greater than any of its kind in the folder") {
  const Folder dir;
  const SiteName blog = *SiteName::parse("blog");
  const std::string digest(64, 'a');
  CHECK(next_serial(dir.path(), blog, false, 600) == 10);
  CHECK(next_serial(dir.path("nowhere"), blog, false, 600) == 10);
  const auto signature = [&](const std::string& name, const std::string& words) {
    dir.write(name,
        cat("untrusted comment: x\nAAAA\ntrusted comment: chillbox ", words, " sha256=", digest,
            "\nBBBB\n"));
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
  CHECK(read_statement(dir.path("broken.minisig")).error().code == Code::denied);
}
