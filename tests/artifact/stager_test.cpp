// The stager as a process of its own: this program again, in that role (tests/catch_main.cpp).
#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/raw_tar.hpp"
#include "artifact/secret_packet.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

using namespace chillbox;
using namespace chillbox::test;
using namespace chillbox::artifact;

int run_role(const std::string& role, const std::string&);

static Bytes bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

static bool leave_file(int tree) {
  return Fd(openat(tree, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)).get() >= 0;
}

// A stager that was taken over: leaves "x" in the tree, which the policy forbids, and tells the
// truth about the rest.
struct Evil {
  const char* word;
  bool (*leave)(int tree);
  mode_t mode;               // set at the end, since a change of the owner takes setuid away
  const char *files, *links; // that it reports
  const char* refusal;
};
static const Evil k_evils[] = {
    {"link", [](int tree) { return symlinkat("/etc/passwd", tree, "x") == 0; }, 0, "0", "1",
        "'x': absolute link target"},
    {"hard", [](int tree) { return leave_file(tree) && linkat(tree, "x", tree, "y", 0) == 0; }, 0,
        "2", "0", "has 2 hard links"},
    {"char", [](int tree) { return mknodat(tree, "x", S_IFCHR | 0644, makedev(1, 3)) == 0; }, 0,
        "1", "0", "'x' is neither file, folder nor symlink"},
    {"bloc", [](int tree) { return mknodat(tree, "x", S_IFBLK | 0644, makedev(7, 0)) == 0; }, 0,
        "1", "0", "'x' is neither file, folder nor symlink"},
    {"fifo", [](int tree) { return mknodat(tree, "x", S_IFIFO | 0644, 0) == 0; }, 0, "1", "0",
        "'x' is neither file, folder nor symlink"},
    {"suid", leave_file, 04755, "1", "0", "'x' has mode 4755"},
};

// An artifact that begins with one of these words gets a stager that somebody broke.
int run_role(const std::string& role, const std::string&) {
  char word[5] = {};
  if (role != "--stager" || pread(4, word, 4, 0) != 4)
    return 99;
  const std::string broken = word;
  if (broken == "dies")
    return 3;
  if (broken == "hang")
    pause();
  if (broken == "lies" || broken == "junk") {
    (void)os::receive_packet(3, 4096);
    (void)os::send_packet(3,
        broken == "junk"
            ? bytes("junk")
            : control::make_packet(control::PacketVerb::stage_done, 0, {"1", "0", "0", "1", "0"}));
    return 0;
  }
  if (const auto evil = std::find_if(
          std::begin(k_evils), std::end(k_evils), [&](const Evil& e) { return broken == e.word; });
      evil != std::end(k_evils)) {
    (void)os::receive_packet(3, 4096);
    struct stat st{};
    if (fstat(5, &st) != 0 || !evil->leave(5) ||
        fchownat(5, "x", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
        (evil->mode != 0 && fchmodat(5, "x", evil->mode, 0) != 0))
      return 98;
    (void)os::send_packet(3,
        control::make_packet(
            control::PacketVerb::stage_done, 0, {evil->files, "0", evil->links, "0", "0"}));
    return 0;
  }
  return stager_main();
}

namespace {

struct Staging {
  Scratch scratch;
  std::string tree = scratch / "stage";
  bool own_user = geteuid() == 0;
  Result<StageStats> result = StageStats{};

  Staging& run(const Encrypted& encrypted, const StageLimits& limits = {}) {
    result = stage(
        {.artifact_fd = encrypted.fd.get(), .tree = tree, .limits = limits, .own_user = own_user},
        encrypted.key);
    return *this;
  }
  std::string says() const {
    return result ? "" : cat(code_name(result.error().code), ": ", result.error().message);
  }
  bool gone() const { return !os::real_disk().exists(tree); }
};

const std::string& good() {
  static const std::string tar = dir("blog") + file("blog/a", "hello") +
      file("blog/größe", std::string(100'000, 'g')) + alias("blog/l", "a") + end();
  return tar;
}

} // namespace

TEST_CASE("a stager unpacks as a user of its own into a tree that is the caller's afterwards, with a stamp [attack-A1][attack-A3]") {
  NEEDS_CONFINEMENT();
  for (const std::string& plain : {zstd(good()), gzip(good()), good()}) {
    Staging s;
    s.run(Encrypted(plain));
    REQUIRE(s.says() == "");
    CHECK(s.result->files == 2);
    CHECK(read_file(s.tree + "/blog/l") == "hello");
    struct stat st{};
    REQUIRE(lstat(s.tree.c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == 0700);
    REQUIRE(lstat((s.tree + "/blog/a").c_str(), &st) == 0);
    CHECK(st.st_uid == geteuid());
    CHECK(s.result->stamp ==
        must(
            os::real_disk().copy_tree(s.tree + "/blog", s.tree + "/copy", {geteuid(), getegid()})));
  }
}

TEST_CASE("what a crash left in the tree is gone before the next attempt") {
  NEEDS_CONFINEMENT();
  Staging s;
  ::mkdir(s.tree.c_str(), 0700);
  write_file(s.tree + "/old", "left behind");
  s.run(Encrypted(good()));
  CHECK(s.says() == "");
  CHECK_FALSE(os::real_disk().exists(s.tree + "/old"));
}

TEST_CASE(
    "[fault-45] [fault-48] [fault-60] a refused archive leaves no tree, and the reason comes back with its code") {
  NEEDS_CONFINEMENT();
  Encrypted cut(good());
  cut.store(cut.bytes.substr(0, cut.bytes.size() - 1));
  Encrypted bad(file("blog/a") + file("../x") + end());
  Encrypted bomb(zstd(file("b", std::string(80 << 20, '\0')) + end()));
  Staging s;
  CHECK_SAYS(s.run(cut).says(), "corrupt: age payload");
  CHECK(s.gone());
  CHECK_SAYS(s.run(bad).says(), "denied: '../x': '..' component");
  CHECK(s.gone());
  CHECK_SAYS(s.run(bomb).says(), "too_large: unpacks to more than 200 times");
  CHECK(s.gone());
}

TEST_CASE("the wrong file key is refused") {
  NEEDS_CONFINEMENT();
  Encrypted encrypted(good());
  encrypted.key = SecretBytes(16);
  Staging s;
  CHECK_SAYS(s.run(encrypted).says(), "corrupt: artifact: the age header was changed");
  CHECK(s.gone());
}

TEST_CASE("staging can be cancelled, and ends at its deadline, without leaving anything") {
  Encrypted hangs(good());
  hangs.store("hang");
  Staging s;
  StageJob job{.artifact_fd = hangs.fd.get(), .tree = s.tree, .limits = {}, .own_user = s.own_user};
  job.timeout = os::Millis{300};
  s.result = stage(job, hangs.key);
  CHECK_SAYS(s.says(), "timed_out: the stager was not done after");
  CHECK(s.gone());
  job.timeout = os::Millis{60'000};
  job.cancelled = [] { return true; };
  s.result = stage(job, hangs.key);
  CHECK_SAYS(s.says(), "interrupted: staging was cancelled");
  CHECK(s.gone());
}

TEST_CASE("a stager that has no order yet makes nothing, and goes with its tree") {
  NEEDS_CONFINEMENT();
  const Encrypted encrypted(good());
  Staging s;
  auto waits = Stager::start(
      {.artifact_fd = encrypted.fd.get(), .tree = s.tree, .limits = {}, .own_user = s.own_user});
  REQUIRE(waits);
  CHECK(os::real_disk().list(s.tree).value().empty());
  waits->reset();
  CHECK(s.gone());
  waits = Stager::start(
      {.artifact_fd = encrypted.fd.get(), .tree = s.tree, .limits = {}, .own_user = s.own_user});
  REQUIRE(waits);
  CHECK((*waits)->run(encrypted.key)->files == 2);
  waits->reset();
  CHECK_FALSE(s.gone());
}

TEST_CASE("a stager that dies, lies or leaves what is forbidden is not believed, and its tree is removed") {
  NEEDS_CONFINEMENT();
  Encrypted encrypted(good());
  Staging s;
  const auto with = [&](const std::string& word) {
    encrypted.store(word);
    return s.run(encrypted).says();
  };
  CHECK_SAYS(with("dies"), "failure: the stager ended without an answer, exit code 3");
  CHECK(s.gone());
  CHECK_SAYS(with("lies"),
      "corrupt: the stager reported 1 files, 0 folders, 0 links, but there are 0, 0, 0");
  CHECK(s.gone());
  CHECK_SAYS(with("junk"), "answer of the stager");
  CHECK(s.gone());
}

TEST_CASE("[fault-49] [fault-50] [fault-51] [fault-52] what a stager that was taken over leaves is found when the tree is verified, and is gone") {
  NEEDS_CONFINEMENT();
  Encrypted encrypted(good());
  Staging s;
  for (const Evil& evil : k_evils) {
    CAPTURE(evil.word);
    if (geteuid() != 0 &&
        (evil.word == std::string_view("char") || evil.word == std::string_view("bloc")))
      continue;
    encrypted.store(evil.word);
    const std::string says = s.run(encrypted).says();
    CHECK_SAYS(says, "denied: staged tree: ");
    CHECK_SAYS(says, evil.refusal);
    CHECK(s.gone());
  }
}

TEST_CASE("secret packets are what every packet is") {
  const auto packet = make_secret_packet(control::PacketVerb::unlock, 7, {"identity", "", "18"});
  CHECK(text_of(packet.view()) ==
      text_of(control::make_packet(control::PacketVerb::unlock, 7, {"identity", "", "18"})));
  CHECK(
      make_secret_packet(control::PacketVerb::unlock, 7, {std::string(control::k_max_packet, 'x')})
          .empty());

  auto [a, b] = os::packet_pair().value();
  REQUIRE(os::send_packet(a.get(), packet.view()));
  CHECK(text_of(receive_secret_packet(b.get(), 1000, os::Millis{1000})->view()) == packet.text());
  REQUIRE(os::send_packet(a.get(), packet.view()));
  CHECK(receive_secret_packet(b.get(), packet.size() - 1, os::Millis{1000}).error().code ==
      Code::too_large);
  CHECK(receive_secret_packet(b.get(), 1000, os::Millis{1}).error().code == Code::timed_out);
  a.reset();
  CHECK(receive_secret_packet(b.get(), 1000, os::Millis{1000}).error().code == Code::not_found);
}
