#include "store/sqlite_copy.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace chillbox::store {
namespace {

constexpr int k_busy_ms = 5'000;
constexpr off_t k_versions = 18; // of the file format, to write and to read: 2 is a WAL
constexpr char k_wal = 2;

struct Close {
  void operator()(sqlite3* db) const { ::sqlite3_close(db); }
};
using Database = std::unique_ptr<sqlite3, Close>;

std::unexpected<Error> fail_sqlite(std::string_view what, int rc) {
  const int kind = rc & 0xff;
  const Code code = kind == SQLITE_BUSY || kind == SQLITE_LOCKED ? Code::busy
      : kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB          ? Code::corrupt
      : kind == SQLITE_FULL                                      ? Code::no_space
                                                                 : Code::failure;
  return fail(code, cat(what, ": ", ::sqlite3_errstr(rc)));
}

Result<Database> open_database(const std::string& path) {
  sqlite3* opened = nullptr;
  const int rc = ::sqlite3_open_v2(
      path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database db(opened);
  if (rc != SQLITE_OK)
    return fail_sqlite("open", rc);
  ::sqlite3_busy_timeout(db.get(), k_busy_ms);
  // The last one who leaves writes the WAL back: that is for the site's own programs to do.
  (void)::sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return db;
}

Result<std::array<char, 2>> versions_of(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  std::array<char, 2> versions{};
  if (!file || ::pread(file.get(), versions.data(), versions.size(), k_versions) != 2)
    return fail_errno("read its header", errno);
  return versions;
}

// A copy is no WAL database at first: what opens it next would not know that it was one.
Result<void> keep_wal(const std::string& from, const std::string& to) {
  const auto versions = TRY(versions_of(from));
  if (versions[0] != k_wal || versions[1] != k_wal)
    return {};
  const Fd file(::open(to.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file || ::pwrite(file.get(), versions.data(), versions.size(), k_versions) != 2)
    return fail_errno("write its header", errno);
  return {};
}

} // namespace

Result<void> copy_database(const std::string& from, const std::string& to) {
  const auto source = TRY(open_database(from));
  {
    const auto target = TRY(open_database(to));
    const int rc = ::sqlite3_exec(target.get(),
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE", nullptr,
        nullptr, nullptr);
    if (rc != SQLITE_OK)
      return fail_sqlite("make the copy", rc);
    sqlite3_backup* backup = ::sqlite3_backup_init(target.get(), "main", source.get(), "main");
    if (backup == nullptr)
      return fail_sqlite("begin the copy", ::sqlite3_errcode(target.get()));
    const int step = ::sqlite3_backup_step(backup, -1);
    const int finish = ::sqlite3_backup_finish(backup);
    if (step != SQLITE_DONE)
      return fail_sqlite("copy", step == SQLITE_OK ? finish : step);
  }
  return keep_wal(from, to);
}

} // namespace chillbox::store
