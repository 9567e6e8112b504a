#include "store/site_database.hpp"

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

constexpr off_t k_versions = 18; // of the file format, to write and to read: 2 is a WAL
constexpr char k_wal = 2;

struct CloseDb {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};
using Handle = std::unique_ptr<sqlite3, CloseDb>;

std::unexpected<Error> failed(sqlite3* db, int rc, const std::string& path) {
  const int primary = rc & 0xff;
  const Code code = primary == SQLITE_BUSY || primary == SQLITE_LOCKED ? Code::busy
      : primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB          ? Code::corrupt
      : primary == SQLITE_FULL                                         ? Code::no_space
                                                                       : Code::failure;
  return fail(
      code, cat(printable(path), ": ", printable(db ? sqlite3_errmsg(db) : sqlite3_errstr(rc))));
}

Result<Handle> open(const std::string& path, int flags) {
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Handle db(raw);
  if (rc != SQLITE_OK)
    return failed(db.get(), rc, path);
  // Nothing of the file's schema runs, and its log is left as it is.
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_limit(db.get(), SQLITE_LIMIT_ATTACHED, 0);
  return db;
}

// The first rows of a pragma as one line; "" when it has none.
Result<std::string> rows_of(sqlite3* db, const char* pragma, const std::string& path) {
  constexpr size_t k_rows = 5, k_text = 200;
  sqlite3_stmt* raw = nullptr;
  int rc = sqlite3_prepare_v2(db, pragma, -1, &raw, nullptr);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> stmt(raw, sqlite3_finalize);
  std::string text;
  for (size_t row = 0; rc == SQLITE_OK || rc == SQLITE_ROW; ++row) {
    rc = sqlite3_step(stmt.get());
    if (rc != SQLITE_ROW || row == k_rows)
      break;
    const auto* cell = reinterpret_cast<const char*>(sqlite3_column_text(stmt.get(), 0));
    text += cat(row == 0 ? "" : "; ", printable(cell ? cell : "", k_text));
  }
  if (rc == SQLITE_DONE || rc == SQLITE_ROW)
    return text;
  return failed(db, rc, path);
}

// A name for a URI, in which these three mean something.
std::string uri_of(const std::string& path) {
  std::string out = "file:";
  for (const char c : path)
    out += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
  return out + "?immutable=1";
}

Result<std::array<char, 2>> versions_of(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  std::array<char, 2> versions{};
  if (!file || ::pread(file.get(), versions.data(), versions.size(), k_versions) != 2)
    return fail_errno(cat("read the header of ", printable(path)), errno);
  return versions;
}

// A copy is no WAL database at first: what opens it next would not know that it was one.
Result<void> keep_wal(const std::string& from, const std::string& to) {
  const auto versions = TRY(versions_of(from));
  if (versions[0] != k_wal || versions[1] != k_wal)
    return {};
  const Fd file(::open(to.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file || ::pwrite(file.get(), versions.data(), versions.size(), k_versions) != 2)
    return fail_errno(cat("write the header of ", printable(to)), errno);
  return {};
}

Result<void> copy_pages(
    sqlite3* source, sqlite3* target, const std::string& from, std::chrono::milliseconds patience) {
  constexpr int k_all = -1, k_pause_ms = 50;
  sqlite3_backup* backup = sqlite3_backup_init(target, "main", source, "main");
  if (backup == nullptr)
    return failed(target, sqlite3_errcode(target), from);
  int rc = SQLITE_BUSY;
  for (auto left = patience; left.count() > 0; left -= std::chrono::milliseconds(k_pause_ms)) {
    rc = sqlite3_backup_step(backup, k_all);
    if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
      break;
    sqlite3_sleep(k_pause_ms);
  }
  const int end = sqlite3_backup_finish(backup);
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
    return fail(
        Code::busy, cat(printable(from), ": it was locked for ", patience.count() / 1000, " s"));
  if (rc != SQLITE_DONE || end != SQLITE_OK)
    return failed(nullptr, rc == SQLITE_DONE ? end : rc, from);
  return {};
}

} // namespace

bool is_sqlite(int fd) {
  constexpr std::string_view k_magic("SQLite format 3\0", 16);
  std::array<char, k_magic.size()> head{};
  return ::pread(fd, head.data(), head.size(), 0) == ssize_t{head.size()} &&
      std::string_view(head.data(), head.size()) == k_magic;
}

Result<void> copy_site_database(
    const std::string& from, const std::string& to, std::chrono::milliseconds patience) {
  {
    // To write, too: what a crash left in its journal is rolled back before it is read.
    const Handle source = TRY(open(from, SQLITE_OPEN_READWRITE));
    const Handle target = TRY(open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    sqlite3_exec(target.get(),
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE",
        nullptr, nullptr, nullptr);
    TRY(copy_pages(source.get(), target.get(), from, patience));
  }
  return keep_wal(from, to);
}

Result<Examined> examine_site_database(const std::string& path, bool whole) {
  const Handle db = TRY(open(uri_of(path), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI));
  const auto said =
      rows_of(db.get(), whole ? "PRAGMA integrity_check(5)" : "PRAGMA quick_check(5)", path);
  if (!said && said.error().code != Code::corrupt)
    return std::unexpected(said.error());
  if (!said || *said != "ok")
    return Examined{.damage = said ? *said : said.error().message, .remark = {}};
  if (!whole)
    return Examined{};
  const auto foreign = rows_of(db.get(), "PRAGMA foreign_key_check", path);
  if (!foreign) // a schema that does not hold together
    return Examined{.damage = {}, .remark = foreign.error().message};
  return Examined{.damage = {},
      .remark =
          foreign->empty() ? "" : cat("rows that refer to rows that are missing, in: ", *foreign)};
}

} // namespace chillbox::store
