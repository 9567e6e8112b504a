#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/pack.hpp"
#include "crypto/hash.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;
using namespace chillbox::artifact;

namespace {

// A folder with everything that a site may have in it.
struct Source {
  Scratch scratch;
  std::string dir = scratch / "src";
  crypto::AgeIdentity identity = crypto::AgeIdentity::generate();
  Source() {
    for (const char* d : {"/", "/api", "/api/static", "/empty", "/.git"})
      ::mkdir((dir + d).c_str(), 0700);
    write_file(dir + "/blog.site.json", "{}");
    write_file(dir + "/api/app.py", std::string(300'000, 'p'));
    write_file(dir + "/api/none", "");
    write_file(dir + "/api/static/größe und " + std::string(120, 'n') + ".txt", "long name");
    write_file(dir + "/.git/config", "never");
    write_file(dir + "/run", "#!/bin/sh\n");
    ::chmod((dir + "/run").c_str(), 0750);
    REQUIRE(::symlink("../run", (dir + "/api/start").c_str()) == 0);
  }
  std::vector<PackEntry> entries() const {
    return must(
        folder_entries(dir, "blog", [](const std::string& path, bool) { return path == ".git"; }));
  }
  PackRequest request(const std::string& name = "out.age") const {
    return {.entries = entries(),
        .recipients = {identity.recipient()},
        .mtime = 0,
        .output = scratch / name,
        .progress = {}};
  }
  Unpacked unpack(const std::string& name = "out.age") const {
    Encrypted encrypted("");
    encrypted.store(read_file(scratch / name));
    encrypted.key =
        must(identity.file_key(must(crypto::parse_age_header(bytes_of(encrypted.bytes)))));
    return Unpacked(encrypted);
  }
};

std::string says(const Result<Packed>& r) {
  return r ? "packed" : cat(code_name(r.error().code), ": ", r.error().message);
}
std::string collected(const std::string& dir) {
  const auto r = folder_entries(dir, "blog", {});
  return r ? "collected" : r.error().message;
}

} // namespace

TEST_CASE("what is packed comes out byte for byte, with links, empty folders and long names") {
  const Source source;
  const auto packed = pack(source.request());
  REQUIRE(says(packed) == "packed");
  const Unpacked out = source.unpack();
  REQUIRE(out.error() == "");
  CHECK(out.read("blog/blog.site.json") == "{}");
  CHECK(out.read("blog/api/app.py") == std::string(300'000, 'p'));
  CHECK(out.read("blog/api/static/größe und " + std::string(120, 'n') + ".txt") == "long name");
  CHECK(out.exists("blog/api/none"));
  CHECK(out.exists("blog/empty"));
  CHECK(out.read("blog/api/start") == "#!/bin/sh\n");
  CHECK_FALSE(out.exists("blog/.git"));
  struct stat st{};
  REQUIRE(lstat((out.tree + "/blog/run").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0755);
  CHECK(out.result->masked == 0);
  CHECK(out.result->files == packed->files);
  CHECK(out.result->bytes == packed->unpacked);
}

TEST_CASE("the same input makes the same tar, whatever order, times and owners it has") {
  const Source one, two;
  struct timespec old[2] = {{1, 0}, {1, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (two.dir + "/run").c_str(), old, 0) == 0);
  ::chmod((two.dir + "/blog.site.json").c_str(), 0600);
  auto shuffled = two.request();
  std::reverse(shuffled.entries.begin(), shuffled.entries.end());
  const auto a = must(pack(one.request())), b = must(pack(shuffled)),
             c = must(pack(one.request("again.age")));
  CHECK(a.tar_sha256 == b.tar_sha256);
  CHECK(a.tar_sha256 == c.tar_sha256);
  CHECK(a.sha256 != c.sha256); // age makes a new key each time
  auto later = one.request();
  later.mtime = 1'700'000'000;
  CHECK(must(pack(later)).tar_sha256 != a.tar_sha256);
  write_file(one.dir + "/blog.site.json", "{ }");
  CHECK(must(pack(one.request())).tar_sha256 != a.tar_sha256);
}

TEST_CASE("the tar of given entries has the bytes that it had in every version") {
  const Source source;
  const auto digest = [&](std::vector<PackEntry> entries, int64_t mtime = 0) {
    auto request = source.request();
    request.entries = std::move(entries);
    request.mtime = mtime;
    return must(pack(request)).tar_sha256.str();
  };
  const auto named = [](std::string name, std::string target = {}, bool directory = false) {
    return PackEntry{.name = std::move(name),
        .source = {},
        .content = target.empty() && !directory ? "content" : "",
        .executable = false,
        .link_target = std::move(target),
        .directory = directory};
  };
  auto small = std::vector{named("b/a"), named("b/l", "a"), named("b/empty", "", true)};
  small.push_back({.name = "b/run",
      .source = {},
      .content = std::string(512, '#'),
      .executable = true,
      .link_target = {}});
  CHECK(digest(small) == "cda725b315fa6044663e9234a69104a2b202bfd15d26600dcf4c272113974ba2");
  CHECK(digest(small, 1'700'000'000) ==
      "d1de7b54538fedbe715111e475447005e888aa6d93b8c39f1e9ed64e2d6338df");

  // Every length at which a name moves from the name field to the prefix, and from there to a pax
  // record; folders, links and letters beyond ASCII too.
  std::vector<PackEntry> names;
  for (size_t n = 40; n <= 250; ++n)
    for (const std::string& top : {std::string("t"), std::string(90, 't'), std::string(160, 't')}) {
      const auto number = std::to_string(n);
      names.push_back(named(cat(top, "/", number, "/", std::string(n, 'n'))));
      names.push_back(named(cat(top, "/", number, "/", std::string(n / 2, 'm'), "/é")));
      names.push_back(named(cat(top, "/", number, "/", std::string(n, 'd')), "", true));
      names.push_back(named(cat(top, "/l", number), std::string(n, 'l')));
    }
  names.push_back(named("t/größe"));
  names.push_back(named("t/link", "größe"));
  CHECK(digest(names) == "085714ba687c2ef853f1e0d7c62090d97e13d7dfa1b3278db409e13dfc6f6832");
}

TEST_CASE("the digests and the size are those of the file") {
  const Source source;
  const auto packed = must(pack(source.request()));
  const std::string bytes = read_file(source.scratch / "out.age");
  CHECK(packed.sha256 == crypto::sha256_of(bytes_of(bytes)));
  CHECK(packed.size == bytes.size());
  crypto::Blake2b512 blake;
  blake.update(bytes_of(bytes));
  CHECK(packed.blake2b == blake.finish());
}

TEST_CASE("an armored artifact is text, its digests are those of the text, and what is in it is the same") {
  const Source source;
  auto request = source.request();
  const auto binary = must(pack(request));
  request.armor = true;
  const auto packed = must(pack(request));
  const std::string text = read_file(source.scratch / "out.age");
  CHECK(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
  CHECK(packed.sha256 == crypto::sha256_of(bytes_of(text)));
  CHECK(packed.size == text.size());
  CHECK(packed.tar_sha256 == binary.tar_sha256);
  CHECK(must(crypto::decrypt_with_identity(bytes_of(text), source.identity)).size() > 0);
}

TEST_CASE("what the packer makes of any name the stager takes, composed letters and others") {
  const Source source;
  auto request = source.request();
  request.entries = {
      {.name = "b/gro\u0308ße", .source = {}, .content = "decomposed", .link_target = {}},
      {.name = "b/" + std::string(255, 'n'), .source = {}, .content = "long", .link_target = {}},
      {.name = "b/link", .source = {}, .content = {}, .link_target = "gro\u0308ße"}};
  REQUIRE(says(pack(request)) == "packed");
  const Unpacked out = source.unpack();
  REQUIRE(out.error() == "");
  CHECK(out.read("b/gro\u0308ße") == "decomposed");
  CHECK(out.read("b/link") == "decomposed");
  CHECK(out.read("b/" + std::string(255, 'n')) == "long");
}

TEST_CASE("other tools read it: the payload is one zstd frame with one tar") {
  const Source source;
  const auto packed = must(pack(source.request()));
  const auto frame = must(crypto::decrypt_with_identity(
      bytes_of(read_file(source.scratch / "out.age")), source.identity));
  std::string tar(4 << 20, '\0');
  const size_t n = ZSTD_decompress(tar.data(), tar.size(), frame.data(), frame.size());
  REQUIRE_FALSE(ZSTD_isError(n));
  tar.resize(n);
  CHECK(crypto::sha256_of(bytes_of(tar)) == packed.tar_sha256);
  CHECK(tar.size() % 512 == 0);
}

TEST_CASE("content without a file is packed, and progress ends at the whole") {
  Source source;
  auto request = source.request();
  request.entries = {
      {.name = "blog/blog.site.json", .source = {}, .content = "{\"made\": 1}", .link_target = {}},
      {.name = "blog/app",
          .source = source.dir + "/api/app.py",
          .content = {},
          .executable = true,
          .link_target = {}}};
  std::pair<uint64_t, uint64_t> last;
  request.progress = [&](uint64_t done, uint64_t total) { last = {done, total}; };
  REQUIRE(says(pack(request)) == "packed");
  CHECK(last == std::pair<uint64_t, uint64_t>{300'011, 300'011});
  CHECK(source.unpack().read("blog/blog.site.json") == "{\"made\": 1}");
}

TEST_CASE("what the stager would refuse is refused by the packer, and leaves no file") {
  Source source;
  const auto with = [&](PackEntry entry) {
    auto request = source.request();
    request.entries.push_back(std::move(entry));
    return says(pack(request));
  };
  const auto named = [](const std::string& name, const std::string& target = {}) {
    return PackEntry{
        .name = name, .source = {}, .content = target.empty() ? "x" : "", .link_target = target};
  };
  CHECK_SAYS(with(named("blog/../x")), "denied: 'blog/../x': '..' component");
  CHECK_SAYS(with(named("blog/RUN")), "'blog/run': differs from 'blog/RUN' only in case");
  CHECK_SAYS(with(named("blog/run")), "appears twice");
  CHECK_SAYS(with(named("blog/run/x")), "which is a file");
  CHECK_SAYS(with(named("blog/l", "/etc/passwd")), "absolute link target");
  CHECK_SAYS(with(named("blog/l", "../../x")), "leaves the tree");
  CHECK_SAYS(with(named("blog/a\nb")), "control character");
  CHECK_SAYS(with({.name = "blog/gone",
                 .source = source.scratch / "gone",
                 .content = {},
                 .link_target = {}}),
      "not_found: ");
  CHECK_SAYS(with({.name = "blog/d", .source = source.dir, .content = {}, .link_target = {}}),
      "not a regular file");
  auto none = source.request();
  none.entries.clear();
  CHECK_SAYS(says(pack(none)), "nothing to pack");
  auto nobody = source.request();
  nobody.recipients = {"age1notarecipient"};
  CHECK(says(pack(nobody)) != "packed");
  CHECK(os::real_disk().list(source.scratch.path).value() == std::vector<std::string>{"src"});
}

TEST_CASE("collecting refuses what cannot be packed and names it") {
  Source source;
  REQUIRE(::mkfifo((source.dir + "/api/pipe").c_str(), 0600) == 0);
  CHECK_SAYS(collected(source.dir), "/api/pipe: is neither file, folder nor symlink");
  ::unlink((source.dir + "/api/pipe").c_str());
  REQUIRE(::symlink("/etc/passwd", (source.dir + "/api/passwd").c_str()) == 0);
  CHECK_SAYS(collected(source.dir), "'blog/api/passwd': absolute link target");
  ::unlink((source.dir + "/api/passwd").c_str());
  CHECK(collected(source.dir) == "collected");
  CHECK_SAYS(collected(source.dir + "/nowhere"), "nowhere: no such file or directory");
  CHECK(must(folder_entries(source.dir + "/.git", "", {})).front().name == "config");
}
