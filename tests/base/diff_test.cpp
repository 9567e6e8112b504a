// Unified diffs, held to what patch(1) and diff(1) say.
#include "base/diff.hpp"
#include "base/text.hpp"
#include "catch.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

using namespace chillbox;

namespace {

std::string numbered(int from, int to) {
  std::string text;
  for (int i = from; i <= to; ++i)
    text += cat("line ", i, "\n");
  return text;
}

} // namespace

TEST_CASE("equal texts have no difference, and an empty one is the other whole") {
  CHECK(unified_diff("a\nb\n", "a\nb\n", "x", "y") == "");
  CHECK(unified_diff("", "a\nb\n", "x", "y") == "--- x\n+++ y\n@@ -0,0 +1,2 @@\n+a\n+b\n");
  CHECK(unified_diff("a\n", "", "x", "y") == "--- x\n+++ y\n@@ -1 +0,0 @@\n-a\n");
}

TEST_CASE("a changed line has three lines around it, two far apart are two hunks") {
  std::string after = numbered(1, 30);
  after.replace(after.find("line 5\n"), 7, "five\n");
  after.replace(after.find("line 25\n"), 8, "");
  CHECK(unified_diff(numbered(1, 30), after, "x", "y") ==
      "--- x\n+++ y\n@@ -2,7 +2,7 @@\n line 2\n line 3\n line 4\n-line 5\n+five\n line 6\n line 7\n line 8\n"
      "@@ -22,7 +22,6 @@\n line 22\n line 23\n line 24\n-line 25\n line 26\n line 27\n line 28\n");
}

TEST_CASE("a last line without its end is said to be so") {
  CHECK(unified_diff("a\nb", "a\nb\n", "x", "y") ==
      "--- x\n+++ y\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
}

TEST_CASE("patch makes the one of the other, whatever the two are") {
  if (std::system("command -v patch >/dev/null") != 0)
    return;
  std::string dir = "/tmp/chillbox-diff-XXXXXX";
  REQUIRE(::mkdtemp(dir.data()));
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const auto text = [&] {
      std::string out;
      for (auto n = random() % 40; n > 0; --n)
        out += cat(static_cast<char>('a' + random() % 4), "\n");
      if (random() % 4 == 0)
        out += "end";
      return out;
    };
    const std::string before = text(), after = text();
    std::ofstream(dir + "/old") << before;
    std::ofstream(dir + "/diff") << unified_diff(before, after, "old", "old");
    const std::string command = cat("cd ", dir, " && patch -s -p0 <diff >out 2>&1");
    if (before != after)
      REQUIRE(std::system(command.c_str()) == 0);
    std::ifstream in(dir + "/old");
    const std::string now{std::istreambuf_iterator<char>(in), {}};
    CHECK((now == after || (after.empty() && !std::filesystem::exists(dir + "/old"))));
  }
  std::filesystem::remove_all(dir);
}
