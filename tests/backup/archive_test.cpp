#include "catch.hpp"

#include "artifact/scratch.hpp"
#include "backup/archive.hpp"
#include "crypto/hash.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::backup;
using namespace chillbox::test;

namespace {

SiteName site(std::string_view name) {
  return SiteName::parse(name).value();
}

struct Signed {
  Scratch scratch;
  os::Paths paths{scratch.path};
  crypto::MinisignSecretKey key = [this] {
    (void)os::real_disk().make_dir(paths.state(), 0755);
    return signing_key(os::real_disk(), paths).value();
  }();
  std::array<uint8_t, 64> blake2b{};
  Digest sha256 = crypto::sha256_of(bytes_of("archive"));
  ArchiveName name{"host", site("blog"), 1'764'386'220'000, 42};

  std::string minisig(const std::string& of, uint64_t serial) const {
    return key.sign(blake2b, statement_text({site(of), serial, sha256, "1.0.0-1"}));
  }
  Result<Statement> verify(const std::string& text) const {
    return verify_archive(key.public_key(), text, blake2b, sha256, name);
  }
};

} // namespace

TEST_CASE("a backup's name says host, site, time and serial, and nothing else is one") {
  const ArchiveName name{"web1.example", site("blog"), 1'764'386'220'000, 29'406'437};
  CHECK(name.str() == "web1.example/blog/20251129T031700Z-29406437.data.tar.zst.age");
  const auto back = ArchiveName::parse(name.str());
  REQUIRE(back);
  CHECK(back->str() == name.str());
  for (const char* bad : {"", "a/b", "h/blog/20251129T031700Z-.data.tar.zst.age",
           "h/blog/20251129T031700-1.data.tar.zst.age", "h/../20251129T031700Z-1.data.tar.zst.age",
           "../blog/20251129T031700Z-1.data.tar.zst.age",
           "h/blog/20251329T031700Z-1.data.tar.zst.age",
           "h/blog/20251129T031700Z-1.data.tar.zst.age.minisig",
           "h/blog/20251129T031700Z-01.data.tar.zst.age"}) {
    INFO(bad);
    CHECK_FALSE(ArchiveName::parse(bad));
  }
}

TEST_CASE("the signing key is made once, is root's alone, and its public half lies next to it") {
  Signed made;
  const auto again = signing_key(os::real_disk(), made.paths);
  REQUIRE(again);
  CHECK(again->public_key().key == made.key.public_key().key);
  struct stat st{};
  REQUIRE(::stat(signing_key_file(made.paths).c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(public_key(os::real_disk(), made.paths)->key == made.key.public_key().key);
}

TEST_CASE("[attack-Z2] only what the host signed as this site's backup of that serial is one [fault-639]") {
  Signed one;
  CHECK(one.verify(one.minisig("blog", 42))->release == "1.0.0-1");
  CHECK_SAYS(one.verify(one.minisig("shop", 42)).error().message, "is for site 'shop'");
  CHECK_SAYS(one.verify(one.minisig("blog", 41)).error().message, "is for serial 41, not 42");
  const auto other = crypto::MinisignSecretKey::generate();
  const auto stranger = one.verify(
      other.sign(one.blake2b, statement_text({site("blog"), 42, one.sha256, "1.0.0-1"})));
  CHECK(stranger.error().code == Code::denied);
  auto flipped = one.blake2b;
  flipped[0] = 1;
  CHECK_FALSE(
      verify_archive(one.key.public_key(), one.minisig("blog", 42), flipped, one.sha256, one.name));
  // A release's signature by the same key would be no backup.
  CHECK_SAYS(one.verify(one.key.sign(one.blake2b, "chillbox site=blog version=1.0.0 serial=42"))
                 .error()
                 .message,
      "not one of a backup");
}
