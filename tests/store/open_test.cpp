#include "scratch.hpp"

#include "store/schema.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

using namespace chillbox;
using namespace chillbox::store;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat info{};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void fill(const Scratch& scratch, int jobs) {
  Store store = scratch.open();
  for (int i = 0; i < jobs; ++i)
    must(store.add_job(new_job(cat("j", i), JobKind::restart)));
}

void change(const std::string& file, std::string_view sql) {
  Db db = must(Db::open(file));
  must(db.script(sql));
}

int64_t number_in(const std::string& file, Sql sql) {
  return must(must(Db::open(file)).number(sql));
}

bool says(const Error& error, std::string_view part) {
  UNSCOPED_INFO(error.message);
  return error.message.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a new file is 0600 whatever the umask, with its log too, and says whose it is") {
  const Scratch scratch;
  const mode_t before = ::umask(0);
  {
    Store store = scratch.open();
    must(store.set_meta("a", "b"));
    CHECK(mode_of(scratch.file()) == 0600);
    CHECK(mode_of(scratch.file("state.db-wal")) == 0600);
    CHECK(mode_of(scratch.file("state.db-shm")) == 0600);
  }
  ::umask(before);
  CHECK(number_in(scratch.file(), "PRAGMA application_id") == k_application_id);
  CHECK(number_in(scratch.file(), "PRAGMA user_version") ==
      static_cast<int64_t>(migrations().size()));
}

TEST_CASE("a file that others may read is closed to them; one that a crash left empty is made") {
  const Scratch scratch;
  write_file(scratch.file(), "");
  ::chmod(scratch.file().c_str(), 0644);
  scratch.open();
  CHECK(mode_of(scratch.file()) == 0600);
}

TEST_CASE("[fault-93] a lock that is let go in time is waited for") {
  const Scratch scratch;
  Store store = scratch.open();
  Db other = must(Db::open(scratch.file()));
  must(other.script("BEGIN IMMEDIATE"));
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    must(other.script("COMMIT"));
  });
  const auto answer = store.accept({delivery("m1", "b", "j1")}, 1'000, 6'000);
  release.join();
  CHECK(answer);
}

TEST_CASE("[fault-20] [fault-93] a lock that stays is busy with the file's name, and nothing is accepted") {
  const Scratch scratch;
  Store store = scratch.open();
  Db other = must(Db::open(scratch.file()));
  must(other.script("BEGIN IMMEDIATE"));
  const auto answer = store.accept({delivery("m1", "b", "j1")}, 1'000, 6'000);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Code::busy);
  CHECK(says(answer.error(), scratch.file()));
  must(other.script("COMMIT"));
  CHECK_FALSE(must(store.job("j1")));
  CHECK(accept_one(store, delivery("m1", "b", "j1")).verdict == IntakeVerdict::accepted);
}

TEST_CASE("[fault-94] a damaged file is corrupt and left as it is") {
  const Scratch scratch;
  fill(scratch, 200);
  const auto size = std::filesystem::file_size(scratch.file());
  REQUIRE(size > 10 * 4096);
  {
    std::fstream file(scratch.file(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size / 2 / 4096 * 4096));
    file << std::string(8192, '\x5a');
  }
  const Error error = scratch.refusal();
  CHECK(error.code == Code::corrupt);
  CHECK(says(error, scratch.file()));
  CHECK(std::filesystem::file_size(scratch.file()) == size);
}

TEST_CASE("[fault-94] a file that is no database is corrupt") {
  const Scratch scratch;
  write_file(scratch.file(), std::string(9'000, 'x'));
  CHECK(scratch.refusal().code == Code::corrupt);
}

TEST_CASE("[fault-94] a log cut short gives the state at a transaction's end, a missing or a foreign one never a half") {
  const Scratch scratch;
  const Scratch image;
  {
    Store store = scratch.open();
    for (int i = 0; i < 50; ++i)
      must(store.accept({delivery(cat("a", i), "b", cat("a", i), "one"),
                            delivery(cat("b", i), "b", cat("b", i), "two")},
          1'000, 6'000));
    for (const char* name : {"state.db", "state.db-wal"}) // as a power cut would leave them
      std::filesystem::copy_file(scratch.file(name), image.file(name));
  }
  const auto whole = std::filesystem::file_size(image.file("state.db-wal"));
  SECTION("cut short") {
    std::filesystem::resize_file(image.file("state.db-wal"), whole - whole / 3);
    Store store = image.open();
    int together = 0;
    for (int i = 0; i < 50; ++i) {
      const bool a = must(store.job(cat("a", i))).has_value();
      CHECK(a == must(store.job(cat("b", i))).has_value());
      together += a ? 1 : 0;
    }
    CHECK(together > 0);
    CHECK(together < 50);
  }
  SECTION("missing") {
    std::filesystem::remove(image.file("state.db-wal"));
    Store store = image.open();
    CHECK(must(store.job("a0")).has_value() == must(store.job("b0")).has_value());
  }
  SECTION("foreign") {
    write_file(image.file("state.db-wal"), std::string(whole, 'y'));
    Store store = image.open();
    CHECK(must(store.job("a0")).has_value() == must(store.job("b0")).has_value());
  }
}

TEST_CASE("[fault-95] a file of another user is denied, with its name and what to do") {
  if (::geteuid() != 0)
    return; // only root can give a file away
  const Scratch scratch;
  fill(scratch, 1);
  REQUIRE(::chown(scratch.file().c_str(), 65534, 65534) == 0);
  const Error error = scratch.refusal();
  CHECK(error.code == Code::denied);
  CHECK(says(error, cat(scratch.file(), ": belongs to uid 65534")));
  CHECK(says(error, "chown"));
}

TEST_CASE("[fault-95] a read-only file, a link and a directory are denied") {
  const Scratch scratch;
  SECTION("read-only") {
    fill(scratch, 1);
    REQUIRE(::chmod(scratch.file().c_str(), 0400) == 0);
    CHECK(says(scratch.refusal(), "not writable"));
  }
  SECTION("link") {
    write_file(scratch.file("elsewhere"), "");
    std::filesystem::create_symlink(scratch.file("elsewhere"), scratch.file());
    CHECK(says(scratch.refusal(), "not a regular file"));
  }
  SECTION("directory") {
    std::filesystem::create_directory(scratch.file());
    CHECK(says(scratch.refusal(), "not a regular file"));
  }
  CHECK(scratch.refusal().code == Code::denied);
}

TEST_CASE("[fault-95] a database of another program is denied and not touched") {
  const Scratch scratch;
  write_file(scratch.file(), "");
  change(scratch.file(), "CREATE TABLE theirs(a)");
  SECTION("without an application id") {}
  SECTION("with one") {
    change(scratch.file(), "PRAGMA application_id = 7");
  }
  const Error error = scratch.refusal();
  CHECK(error.code == Code::denied);
  CHECK(says(error, "another program"));
  CHECK(number_in(scratch.file(), "SELECT count(*) FROM sqlite_schema") == 1);
}

TEST_CASE("[fault-96] no descriptor of the store survives an exec") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.set_meta("a", "b"));
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone; // the iterator's own descriptor
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (gone || !target.starts_with(scratch.dir))
      continue;
    ++found;
    CHECK((::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(found >= 2);
}

TEST_CASE("the changelog names the newest schema") {
  std::ifstream page("docs/changelog.md");
  const std::string text(std::istreambuf_iterator<char>(page), {});
  CHECK(text.contains(cat("has schema ", migrations().size(), ".")));
}

TEST_CASE("[fault-97] a newer schema is a conflict that names both numbers, and the file stays as it is") {
  const Scratch scratch;
  fill(scratch, 1);
  change(scratch.file(), "PRAGMA user_version = 99");
  const Error error = scratch.refusal();
  CHECK(error.code == Code::conflict);
  CHECK(says(error, cat("has schema 99, this program knows up to ", migrations().size())));
  CHECK(number_in(scratch.file(), "PRAGMA user_version") == 99);
}

TEST_CASE("[fault-97] a look before the start tells a newer schema, and neither makes nor changes a file") {
  const Scratch scratch;
  CHECK(Store::check(scratch.file()));
  CHECK_FALSE(std::filesystem::exists(scratch.file()));
  fill(scratch, 1);
  CHECK(Store::check(scratch.file()));
  const Store running = scratch.open();
  CHECK(Store::check(scratch.file()));
  change(scratch.file(), "PRAGMA user_version = 4096");
  const auto refused = Store::check(scratch.file());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::conflict);
  CHECK(number_in(scratch.file(), "PRAGMA user_version") == 4096);
}

TEST_CASE("a migration leaves a copy of the old file beside the new one") {
  const Scratch scratch;
  fill(scratch, 3);
  const auto now = static_cast<int64_t>(migrations().size());
  const std::string copy = scratch.file(cat("state.db.v", now));
  write_file(copy + ".part", "what an earlier attempt left");
  std::vector<std::string_view> steps(migrations().begin(), migrations().end());
  steps.emplace_back("ALTER TABLE jobs ADD COLUMN mood TEXT; UPDATE jobs SET mood = 'good'");
  must(open_database(scratch.file(), steps));
  CHECK(number_in(scratch.file(), "PRAGMA user_version") == now + 1);
  CHECK(number_in(scratch.file(), "SELECT count(*) FROM jobs WHERE mood = 'good'") == 3);
  CHECK(mode_of(copy) == 0600);
  CHECK(number_in(copy, "PRAGMA user_version") == now);
  CHECK(number_in(copy, "SELECT count(*) FROM jobs") == 3);
  CHECK_FALSE(std::filesystem::exists(copy + ".part"));
}

TEST_CASE("a migration that fails leaves the file at the schema that it had") {
  const Scratch scratch;
  fill(scratch, 1);
  const auto now = static_cast<int64_t>(migrations().size());
  std::vector<std::string_view> steps(migrations().begin(), migrations().end());
  steps.emplace_back("CREATE TABLE half(a); INSERT INTO nowhere VALUES(1)");
  const auto db = open_database(scratch.file(), steps);
  REQUIRE_FALSE(db);
  CHECK(says(db.error(), cat("migration to schema ", now + 1)));
  CHECK(number_in(scratch.file(), "PRAGMA user_version") == now);
  CHECK(number_in(scratch.file(), "SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == 0);
  CHECK(must(scratch.open().job("j0")));
}

TEST_CASE("[fault-400] a large file is opened unread; damage that is found later is refused at the next open") {
  const Scratch scratch;
  fill(scratch, 10);
  const std::atomic<bool> go_on{false};
  CHECK_FALSE(Store::is_checked_later(scratch.file())); // it is small
  {
    Db db = must(Db::open(scratch.file()));
    must(db.script(
        "CREATE TABLE big(b BLOB); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 40)"
        " INSERT INTO big SELECT zeroblob(1000000) FROM c; PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  REQUIRE(Store::is_checked_later(scratch.file()));
  must(Store::check_later(scratch.file(), go_on));
  const auto size = std::filesystem::file_size(scratch.file());
  {
    std::fstream file(scratch.file(), std::ios::in | std::ios::out | std::ios::binary);
    for (const uintmax_t at : {size / 4, size / 2, size / 3})
      file.seekp(static_cast<std::streamoff>(at / 4096 * 4096)) << std::string(8192, '\x5a');
    file.seekp(3 * 4096) << std::string(8 * 4096, '\x5a');
  }
  { const Store store = scratch.open(); }
  SECTION("a stop ends the look") {
    const std::atomic<bool> stop{true};
    CHECK(Store::check_later(scratch.file(), stop).has_value());
    CHECK(Store::is_checked_later(scratch.file()));
  }
  const auto found = Store::check_later(scratch.file(), go_on);
  REQUIRE_FALSE(found);
  CHECK(found.error().code == Code::corrupt);
  CHECK_FALSE(Store::is_checked_later(scratch.file()));
  CHECK(scratch.refusal().code == Code::corrupt);
}
