#include "catch.hpp"

#include "artifact/artifact_store.hpp"
#include "artifact/scratch.hpp"
#include "base/fd.hpp"
#include "crypto/hash.hpp"
#include "os/clock.hpp"

#include <fcntl.h>
#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;
using namespace chillbox::artifact;

namespace {

struct Inbox {
  Scratch scratch;
  std::string content = std::string(600'000, 'u') + "end";
  Digest digest = crypto::sha256_of(bytes_of(content));
  std::string stored = scratch / "stored.age";
  Fd fd;
  Inbox() {
    write_file(scratch / "upload", content);
    fd = Fd(open((scratch / "upload").c_str(), O_RDWR | O_CLOEXEC));
  }
  // Nothing under the final name, no temporary file left.
  bool clean() const {
    return os::real_disk().list(scratch.path).value() == std::vector<std::string>{"upload"};
  }
};

uint64_t number_after(std::string_view text, std::string_view label) {
  const auto rest = text.substr(text.find(label) + label.size());
  return *parse_u64(rest.substr(0, rest.find('\n')));
}

} // namespace

TEST_CASE("a copy has the content, both digests, mode 0600, and one link") {
  Inbox in;
  lseek(in.fd.get(), 1234, SEEK_SET); // the edge shares the position
  const auto stored = store_copy(in.fd.get(), in.stored, in.digest, 1 << 20);
  REQUIRE(stored);
  CHECK(stored->sha256 == in.digest);
  CHECK(stored->size == in.content.size());
  crypto::Blake2b512 blake;
  blake.update(bytes_of(in.content));
  CHECK(stored->blake2b == blake.finish());
  CHECK(read_file(in.stored) == in.content);
  struct stat st{};
  REQUIRE(lstat(in.stored.c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  const Fd again(open(in.stored.c_str(), O_RDONLY | O_CLOEXEC));
  const auto digests = digest_file(again.get());
  REQUIRE(digests);
  CHECK(digests->sha256 == in.digest);
  CHECK(digests->blake2b == stored->blake2b);
}

TEST_CASE("[fault-41] a file with another digest than announced is not stored") {
  const Inbox in;
  const auto other = Digest::parse(std::string(64, '0')).value();
  const auto stored = store_copy(in.fd.get(), in.stored, other, 1 << 20);
  REQUIRE_FALSE(stored);
  CHECK(stored.error().code == Code::denied);
  CHECK(stored.error().message ==
      cat("sha256 is ", in.digest.str(), ", announced was ", other.str()));
  CHECK(in.clean());
}

TEST_CASE("[fault-42] a file longer than the limit is cut there, nothing is stored") {
  const Inbox in;
  const auto stored = store_copy(in.fd.get(), in.stored, in.digest, in.content.size() - 1);
  REQUIRE_FALSE(stored);
  CHECK(stored.error().code == Code::too_large);
  CHECK(in.clean());
  CHECK(store_copy(in.fd.get(), in.stored, in.digest, in.content.size()));
}

TEST_CASE("[fault-42] what has no end is no file") {
  const Scratch scratch;
  const Fd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const auto stored =
      store_copy(zero.get(), scratch / "x", Digest::parse(std::string(64, '0')).value(), 1 << 20);
  REQUIRE_FALSE(stored);
  CHECK_SAYS(stored.error().message, "not a regular file");
  CHECK(os::real_disk().list(scratch.path)->empty());
}

TEST_CASE("[fault-43] what the edge writes afterwards does not reach the copy that was verified") {
  Inbox in;
  REQUIRE(store_copy(in.fd.get(), in.stored, in.digest, 1 << 20));
  const Fd verified(open(in.stored.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(pwrite(in.fd.get(), "evil", 4, 0) == 4);
  REQUIRE(ftruncate(in.fd.get(), 10) == 0);
  CHECK(digest_file(verified.get())->sha256 == in.digest);
}

TEST_CASE("a stored copy is not read again, until somebody writes to it") {
  const Inbox in;
  const auto stored = store_copy(in.fd.get(), in.stored, in.digest, 1 << 20);
  REQUIRE(stored);
  const Fd file(open(in.stored.c_str(), O_RDWR | O_CLOEXEC));
  const auto read_before = [] { return number_after(read_file("/proc/self/io"), "rchar: "); };
  const auto before = read_before();
  CHECK(digest_file(file.get())->blake2b == stored->blake2b);
  CHECK(read_before() - before < in.content.size());
  os::real_clock().sleep(os::Millis{20}); // the kernel counts change times in ticks
  REQUIRE(pwrite(file.get(), "evil", 4, 0) == 4);
  CHECK(digest_file(file.get())->sha256 != in.digest);
}

TEST_CASE("a stored file is replaced whole, and kept when the new one fails") {
  Inbox in;
  REQUIRE(store_copy(in.fd.get(), in.stored, in.digest, 1 << 20));
  REQUIRE(pwrite(in.fd.get(), "new", 3, 0) == 3);
  CHECK_FALSE(store_copy(in.fd.get(), in.stored, in.digest, 1 << 20));
  CHECK(read_file(in.stored) == in.content);
}

TEST_CASE("what only this process writes is digested while it comes, and goes to the store without a copy") {
  const Inbox in;
  const std::string part = in.scratch / "part";
  write_file(part, in.content.substr(0, 100));
  REQUIRE(chmod(part.c_str(), 0600) == 0);
  Fd file(open(part.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  struct stat before{}, after{};
  REQUIRE(fstat(file.get(), &before) == 0);
  auto incoming = Incoming::open(std::move(file), part).value();
  CHECK(incoming.size() == 100);
  const std::string rest = in.content.substr(100);
  REQUIRE(write(incoming.fd(), rest.data(), rest.size()) == static_cast<ssize_t>(rest.size()));
  incoming.add(bytes_of(rest));
  const auto stored = incoming.store(in.stored, in.digest);
  REQUIRE(stored);
  CHECK(read_file(in.stored) == in.content);
  REQUIRE(stat(in.stored.c_str(), &after) == 0);
  CHECK(after.st_ino == before.st_ino);
  CHECK(after.st_nlink == 1);
  CHECK(access(part.c_str(), F_OK) != 0);
  const Fd again(open(in.stored.c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(digest_file(again.get())->blake2b == stored->blake2b);
}

TEST_CASE("[fault-517] an upload to which somebody else may write is copied as ever; of other bytes nothing is kept") {
  const Inbox in;
  const auto whole = [&](mode_t mode, bool linked) {
    const std::string part = in.scratch / "part", link = in.scratch / "link";
    unlink(part.c_str());
    unlink(link.c_str());
    unlink(in.stored.c_str());
    write_file(part, in.content);
    REQUIRE(chmod(part.c_str(), mode) == 0);
    if (linked)
      REQUIRE(::link(part.c_str(), link.c_str()) == 0);
    struct stat before{}, after{};
    REQUIRE(stat(part.c_str(), &before) == 0);
    auto incoming = Incoming::open(Fd(open(part.c_str(), O_RDWR | O_CLOEXEC)), part).value();
    CHECK(incoming.store(in.stored, in.digest));
    CHECK(read_file(in.stored) == in.content);
    REQUIRE(stat(in.stored.c_str(), &after) == 0);
    return after.st_ino == before.st_ino;
  };
  CHECK(whole(0600, false));
  CHECK_FALSE(whole(0620, false));
  CHECK_FALSE(whole(0600, true));
  const std::string part = in.scratch / "part";
  write_file(part, "other bytes");
  auto incoming = Incoming::open(Fd(open(part.c_str(), O_RDWR | O_CLOEXEC)), part).value();
  unlink(in.stored.c_str());
  CHECK(incoming.store(in.stored, in.digest).error().code == Code::denied);
  CHECK(access(in.stored.c_str(), F_OK) != 0);
}
