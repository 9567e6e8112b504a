#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/raw_tar.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct Random {
  uint64_t state;
  size_t below(size_t n) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<size_t>(state >> 33) % n;
  }
};

const std::string& sample() {
  static const std::string tar = pax(record("comment", "x"), 'g') + dir("b") +
      file("b/a", std::string(600, 'a')) +
      pax(record("path", "b/" + std::string(120, 'n')) + record("size", "3")) + file("b/n", "123") +
      gnu_long("b/gnu") + Header{.name = "g", .size = 1, .gnu = true}.bytes() + padded("g") +
      alias("b/l", "a") + dir("b/c") + file("b/c/run", "#!", 0755) + alias("b/c/up", "../a") +
      end();
  return tar;
}

// One to three bytes changed, dropped or doubled. Checksums are made right again for half of them:
// else nothing passes the first header.
std::string mutant(Random& random) {
  std::string tar = sample();
  for (size_t n = 1 + random.below(3); n > 0; --n) {
    const size_t at = random.below(tar.size());
    switch (random.below(8)) {
    case 0: tar.erase(at - at % 512, 512); break;
    case 1: tar.insert(at - at % 512, tar.substr(at - at % 512, 512)); break;
    case 2: tar[at] = static_cast<char>(random.below(256)); break;
    default: tar[at - at % 512 + random.below(200)] = "0123457LKxgSVD/.\0 \xff"[random.below(19)];
    }
  }
  if (random.below(2) == 0)
    for (size_t at = 0; at + 512 <= tar.size(); at += 512)
      if (std::string block = tar.substr(at, 512); block.compare(257, 5, "ustar") == 0) {
        Header::seal(block);
        tar.replace(at, 512, block);
      }
  return tar;
}

} // namespace

TEST_CASE("[fault-57] [fault-58] hundreds of damaged archives are refused, or make a tree that the policy allows") {
  REQUIRE(Unpacked(sample()).error() == "");
  Random random{42};
  int taken = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string tar = mutant(random);
    const Unpacked u(tar, {.bytes = 1 << 20, .entries = 50});
    if (!u.ok())
      continue;
    ++taken;
    INFO("mutant " << i);
    const auto seen = artifact::verify_tree(u.tree, geteuid(), {.bytes = 1 << 20, .entries = 50});
    REQUIRE(seen);
    CHECK(seen->files == u.result->files);
    CHECK(seen->directories == u.result->directories);
    CHECK(seen->links == u.result->links);
    CHECK(seen->bytes == u.result->bytes);
    CHECK(os::real_disk().list(u.scratch.path).value() == std::vector<std::string>{"tree"});
  }
  INFO(taken << " were taken");
  CHECK(taken > 25); // else the mutants prove nothing
}
