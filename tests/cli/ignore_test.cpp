#include "catch.hpp"

#include "cli/pack/ignore.hpp"

#include "base/text.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

struct Case {
  const char* lines;
  const char* path; // a folder when it ends with /
  bool out;
};

bool left_out(const IgnoreList& list, std::string_view path) {
  const bool directory = path.ends_with('/');
  if (directory)
    path.remove_suffix(1);
  return list.leaves_out_whole(path, directory);
}

} // namespace

// Each answer is git's: `git check-ignore --no-index`.
TEST_CASE("the lines of .chillboxignore mean what they mean to git") {
  const Case cases[] = {
      {"*.log", "a.log", true},
      {"*.log", "x/y/a.log", true},
      {"*.log", "a.logs", false},
      {"/a", "a", true},
      {"/a", "b/a", false},
      {"a/b", "a/b", true},
      {"a/b", "x/a/b", false},
      {"doc/", "doc", false},
      {"doc/", "doc/", true},
      {"doc/", "x/doc/a", true},
      {"a/**", "a/", false},
      {"a/**", "a/x", true},
      {"a/**", "a/x/y", true},
      {"**/a", "a", true},
      {"**/a", "x/y/a", true},
      {"**/a/b", "x/a/b", true},
      {"a/**/b", "a/b", true},
      {"a/**/b", "a/x/y/b", true},
      {"a/*/b", "a/x/b", true},
      {"a/*/b", "a/x/y/b", false},
      {"a*", "ab/c", true},
      {"*.txt\n!keep.txt", "keep.txt", false},
      {"*.txt\n!keep.txt", "x/keep.txt", false},
      {"x/\n!x/keep.txt", "x/keep.txt", true},
      {"x/*\n!x/keep.txt", "x/keep.txt", false},
      {"!keep.txt\n*.txt", "keep.txt", true},
      {"# a\n\n#b", "# a", false},
      {"\\#b", "#b", true},
      {"\\!b", "!b", true},
      {"a  ", "a", true},
      {"a\\ ", "a ", true},
      {"a\r\nb\r", "b", true},
      {"[a-c].py", "b.py", true},
      {"[!a-c].py", "b.py", false},
      {"?.py", "ab.py", false},
      {"a?b", "a/b", false},
      {"", ".git/", true},
      {"", "api/__pycache__/x.pyc", true},
      {"!.venv", "api/.venv/bin/x", false},
      {"", "api/.env", true},
      {"", "api/.env.production", true},
      {"", "api/.env.example", false},
      {"", "api/env", false},
      {"!.env", "api/.env", false},
      {".env.example", ".env.example", true},
      {"", "out/blog-1.0.0.tar.zst.age", true},
      {"", "out/blog-1.0.0.tar.zst.age.minisig", true},
  };
  for (const auto& c : cases) {
    const auto list = IgnoreList::parse(c.lines);
    REQUIRE(list);
    INFO("'" << c.lines << "' and " << c.path);
    CHECK(left_out(*list, c.path) == c.out);
  }
}

TEST_CASE("a line that can match nothing is refused with its number") {
  for (const char* bad : {"a//b", "../a", "a/./b", "/", "!", "a\\"}) {
    const auto list = IgnoreList::parse(cat("x\n", bad, "\n"));
    INFO(bad);
    REQUIRE_FALSE(list);
    CHECK(list.error().message.starts_with("line 2 '"));
  }
}

TEST_CASE("what a line takes back by name is wanted, also by the folder that it lies in") {
  const auto list = IgnoreList::parse("!keys/\n!*.pem\n/secret.pem\n");
  REQUIRE(list);
  for (const char* path : {"a.pem", "x/a.pem", "keys/a", "x/keys/y/a"})
    CHECK(list->takes_back(path, false));
  for (const char* path : {"secret.pem", "keys", "a.key", ".env.example"})
    CHECK_FALSE(list->takes_back(path, false));
}
