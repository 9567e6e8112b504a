#include "cli/laptop/commit_folder.hpp"
#include "cli/laptop/deploy_artifact.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/deploy_questions.hpp"
#include "cli/laptop/git_facts.hpp"
#include "cli/laptop/machine_facts.hpp"
#include "cli/laptop/site_guess.hpp"

#include "catch.hpp"
#include "cli/temp_dir.hpp"
#include "config/site.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

namespace fs = std::filesystem;

void put(const std::string& path, std::string_view text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

// A repository on disk, by the git of this machine.
class Repository {
public:
  explicit Repository(const std::string& dir) : m_dir(dir) { git("init -q -b main"); }
  void git(const std::string& words) const {
    REQUIRE(std::system(("git -C '" + m_dir +
                "' -c user.name=jo -c user.email=jo@mba.example -c init.defaultBranch=main " +
                words + " >/dev/null 2>&1")
                    .c_str()) == 0);
  }
  void commit(const std::string& text = "x") const {
    put(m_dir + "/file", text + std::to_string(m_count++));
    git("add -A");
    git("commit -q -m x");
  }
  std::string version() const {
    const auto facts = git_facts(m_dir, os::real_runner());
    if (!facts)
      return "none";
    std::string text = version_of_git(*facts);
    if (const auto hash = text.find(facts->hash); hash != std::string::npos)
      text.replace(hash, facts->hash.size(), "HASH");
    return text;
  }

private:
  std::string m_dir;
  mutable int m_count = 0;
};

std::string guessed(const std::string& dir) {
  const auto guess = guess_site(dir);
  return guess ? guess->lang + " " + guess->handler + " " + guess->entry : "nothing";
}

} // namespace

TEST_CASE("a version is made of git: the tag, commits after it, none of them, files that differ") {
  TempDir top;
  const std::string dir = top.path();
  CHECK_FALSE(git_facts(dir, os::real_runner()).has_value()); // no repository
  const Repository repository(dir);
  CHECK(repository.version() == "none"); // no commit
  repository.commit();
  repository.commit();
  CHECK(repository.version() == "0.0.2+gHASH");
  repository.git("tag v1.4.0");
  CHECK(repository.version() == "1.4.0");
  put(dir + "/new", "");
  CHECK(repository.version() == "1.4.1-dev.0+gHASH.dirty");
  repository.commit();
  CHECK(repository.version() == "1.4.1-dev.1+gHASH");
  repository.git("tag release-7"); // no version
  repository.git("tag 1.2.3.4");
  CHECK(repository.version() == "1.4.1-dev.1+gHASH");
  repository.git("tag 2.0.0-rc.1");
  repository.commit();
  CHECK(repository.version() == "2.0.0-rc.1.dev.1+gHASH");
  put(dir + "/ignored/file", "");
  put(dir + "/.git/info/exclude", "ignored\n");
  CHECK(git_facts(dir, os::real_runner())->dirty == false);
  CHECK_FALSE(git_facts(dir + "/ignored", os::real_runner()).has_value()); // nothing of it is there
}

TEST_CASE("the folder of a commit takes away what a killed run left, and no work tree of the person's "
          "whose disk is not there [fault-614]") {
  TempDir top;
  const std::string dir = top.path() + "/shop", commits = top.path() + "/cache/commits",
                    left = commits + "/4194305-abc"; // more than any process has
  fs::create_directory(dir);
  const Repository repository(dir);
  repository.commit();
  fs::create_directories(commits);
  fs::permissions(top.path() + "/cache", fs::perms::owner_all);
  repository.git("worktree add -q --detach '" + left + "'");
  repository.git("worktree add -q --detach '" + top.path() + "/stick'");
  fs::rename(top.path() + "/stick", top.path() + "/unplugged");
  {
    const auto folder = CommitFolder::create(
        Places{.config = {}, .cache = top.path() + "/cache", .state = {}, .runtime = {}}, dir,
        "HEAD");
    REQUIRE(folder);
    CHECK(fs::exists(folder->project() + "/file"));
    CHECK_FALSE(fs::exists(left));
  }
  CHECK(fs::is_empty(commits));
  fs::rename(top.path() + "/unplugged", top.path() + "/stick");
  CHECK(git_facts(top.path() + "/stick", os::real_runner()).has_value());
  CHECK(std::distance(fs::directory_iterator(dir + "/.git/worktrees"), {}) == 1);
}

TEST_CASE("git is asked in a work tree, a shallow clone, and from within another repository's hook") {
  TempDir top;
  const std::string dir = top.path() + "/a b";
  fs::create_directory(dir);
  const Repository repository(dir);
  repository.commit();
  repository.git("tag 1.0.0");
  repository.commit();
  repository.git("worktree add -q -b side '" + top.path() + "/tree'");
  const auto tree = git_facts(top.path() + "/tree", os::real_runner());
  REQUIRE(tree);
  CHECK(tree->branch == "side");
  CHECK(tree->tag == "1.0.0");
  REQUIRE(std::system(("git clone -q --depth 1 'file://" + dir + "' '" + top.path() +
              "/shallow' >/dev/null 2>&1")
                  .c_str()) == 0);
  const auto shallow = git_facts(top.path() + "/shallow", os::real_runner());
  REQUIRE(shallow);
  CHECK(shallow->shallow);
  CHECK(version_of_git(*shallow) == "0.0.1+g" + shallow->hash);
  ::setenv("GIT_DIR", (top.path() + "/tree/.git").c_str(), 1);
  CHECK(git_facts(dir, os::real_runner())->branch == "main");
  ::unsetenv("GIT_DIR");
  repository.git("remote add origin https://jo:secret@forge.example/jo/shop.git");
  CHECK(git_facts(dir, os::real_runner())->origin == "https://forge.example/jo/shop");
}

TEST_CASE("versions are compared as Semantic Versioning says, without the build") {
  const std::vector<std::string> ordered{"0.0.9", "0.0.10", "1.0.0-alpha", "1.0.0-alpha.1",
      "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0-rc.1.dev.2",
      "1.0.0", "1.0.1-dev.3", "1.0.1"};
  for (size_t i = 0; i < ordered.size(); ++i)
    for (size_t j = 0; j < ordered.size(); ++j)
      CHECK((compare_versions(ordered[i], ordered[j]) < 0) == (i < j));
  CHECK(compare_versions("1.0.0+g1", "1.0.0+g2") == 0);
  CHECK(counted_version("0.0.7") == 7);
  CHECK_FALSE(counted_version("0.0.7+gabc").has_value());
  CHECK_FALSE(counted_version("1.0.0").has_value());
}

TEST_CASE("a serial is the minute, or one more than the host has when colleagues are ahead of it") {
  CHECK(serial_for(0, 6'000) == 100);
  CHECK(serial_for(500, 6'000) == 501);
  CHECK(serial_for(7, -5) == 8);
}

TEST_CASE("a folder without a site file is looked at, and what it is becomes a site file that holds") {
  TempDir top;
  const std::string dir = top.path();
  CHECK(guessed(dir) == "nothing");
  put(dir + "/flask/requirements.txt", "flask\n");
  put(dir + "/flask/app.py", "from flask import Flask\n\napp = Flask(__name__)\n");
  CHECK(guessed(dir + "/flask") == "python . app:app");
  CHECK(guessed(dir) == "python flask app:app");
  put(dir + "/factory/requirements.txt", "flask\n");
  put(dir + "/factory/shop/__init__.py", "import flask\ndef create_app():\n  return 1\n");
  CHECK(guessed(dir + "/factory") == "python . shop:create_app()");
  put(dir + "/django/manage.py", "");
  put(dir + "/django/shop/wsgi.py", "");
  CHECK(guessed(dir + "/django") == "python . shop.wsgi:application");
  put(dir + "/asgi/main.py", "api = FastAPI()\n");
  CHECK(guessed(dir + "/asgi") == "python . main:api");
  CHECK(guess_site(dir + "/asgi")->worker_class == "uvicorn.workers.UvicornWorker");
  put(dir + "/pages/index.html", "");
  CHECK(guessed(dir + "/pages") == "static . ");
  put(dir + "/chill/web/chill-data.yaml", "");
  CHECK(guessed(dir + "/chill") == "chill web ");
  put(dir + "/node/package.json", R"({"scripts": {"start": "node x.js"}})");
  CHECK(guessed(dir + "/node") == "node . ");
  put(dir + "/docs/readme.txt", "");
  CHECK(guessed(dir + "/docs") == "nothing");
  for (const char* name : {"flask", "django", "asgi", "pages", "chill", "node"}) {
    const std::string text = site_text(*guess_site(dir + "/" + name), "shop", "shop.example");
    INFO(text);
    CHECK(config::parse_site(text, SiteName::parse("shop").value()).has_value());
  }
  CHECK(site_name_of("My Shop 2") == "my-shop-2");
  CHECK(site_name_of("42") == "site");
  CHECK(site_name_of("\xc3\xa4") == "site");
}

TEST_CASE("what was deployed is remembered by host and site; a damaged memory is an empty one") {
  TempDir home;
  const Places places = Places::find(
      [&](const char* name) { return std::string(name) == "HOME" ? home.path() : std::string(); });
  CHECK(recall(places, "web1", "hello").sha256.empty());
  DeployMemory memory{"s", "t", "1.0.0", "/p", "https://o", {}};
  memory.pending = {"t2", "1.1.0", "age1", "/a", "d", "b", 7, 3};
  REQUIRE(remember(places, "ssh://root@h:22", "hello", memory));
  const auto read = recall(places, "ssh://root@h:22", "hello");
  CHECK(read.root == "/p");
  CHECK(read.pending.size == 7);
  CHECK(read.pending.tree == "t2");
  CHECK(recall(places, "web1", "hello").tree.empty());
  CHECK(memory_name("../x", "hello").find('/') == std::string::npos);
  for (const char* text : {"", "[]", "{", R"({"pending":5,"tree":7})"}) {
    REQUIRE(write_own_file(
        places.state + "/deployed/" + memory_name("web1", "hello") + ".json", text, 4096));
    CHECK(recall(places, "web1", "hello").tree.empty());
  }
}

TEST_CASE("wheels are for the host's libc and machine") {
  CHECK(wheel_platform("glibc 2.36", "x86_64") == "manylinux_2_36_x86_64");
  CHECK(wheel_platform("musl 1.2.5", "aarch64") == "musllinux_1_2_aarch64");
  CHECK(wheel_platform("", "x86_64").empty());
  CHECK(wheel_platform("glibc", "x86_64").empty());
  CHECK(wheel_platform("glibc two.x", "x86_64").empty());
  CHECK(os_name("NAME=x\nPRETTY_NAME=\"Alpine Linux v3.22\"\n") == "Alpine Linux v3.22");
  CHECK(os_name("PRETTY_NAME=Void").starts_with("Void"));
  CHECK(os_name("").empty());
}

TEST_CASE("a reason is said without what everybody knows here") {
  CHECK(plain_reason("hello: check: service 'web' keeps crashing; 1.0.0 stays live", "hello") ==
      "service 'web' keeps crashing");
  CHECK(plain_reason("secret 'a/b' is not there", "hello") == "secret 'a/b' is not there");
  control::SiteFacts before{.site = "hello", .version = "1.4.0"};
  CHECK(still_live(before, {Code::unhealthy, ""}, "j", "web1")
          .starts_with("1.4.0 is still live; no visitor saw the new one."));
  for (const char* why : {"watch: it crashed; the rollback failed: no space",
           "check: no; not all of it could be undone: no space",
           "watch: it crashed; 2.0.0 stays live anyway, because 1.4.0 was withdrawn"})
    CHECK(still_live(before, {Code::failure, why}, "j", "web1")
            .starts_with("See what is live now: chillboxctl status -H web1. "));
  CHECK(
      still_live(before, {Code::rolled_back, ""}, "j", "web1").starts_with("1.4.0 is live again."));
  before.version.clear();
  CHECK(still_live(before, {Code::preflight, ""}, "j", "web1").starts_with("Nothing is live"));
}
