#include "store/schema.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace chillbox::store {
namespace {

Result<void> sync_path(const std::string& path, int flags) {
  const Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return fail_errno(cat("sync ", path), errno);
  return {};
}

Result<void> sync_parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return sync_path(
      slash == std::string::npos ? "." : path.substr(0, slash + 1), O_RDONLY | O_DIRECTORY);
}

Result<void> make_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd)
    return fail_errno(cat("create ", path), errno);
  return sync_parent(path);
}

// The file is ours alone, or it is made. SQLite gives -wal and -shm the same owner and mode.
Result<void> own_file(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT)
      return make_file(path);
    return fail_errno(cat("look at ", path), errno);
  }
  if (!S_ISREG(info.st_mode))
    return fail(Code::denied, cat(path, ": not a regular file; move it away"));
  if (info.st_uid != ::geteuid())
    return fail(Code::denied,
        cat(path, ": belongs to uid ", info.st_uid, ", not to uid ", ::geteuid(),
            "; chown it, or move it away"));
  const int err = ::access(path.c_str(), W_OK) == 0 ? 0 : errno;
  if (err == EROFS)
    return fail(Code::denied, cat(path, ": on a read-only file system; mount it writable"));
  if (err != 0 ||
      (info.st_mode & S_IWUSR) ==
          0) // root may write anything: a mode that somebody chose still counts
    return fail(Code::denied, cat(path, ": not writable; chmod it to 0600"));
  if ((info.st_mode & 077) != 0 && ::chmod(path.c_str(), 0600) != 0)
    return fail_errno(cat("chmod ", path), errno);
  return {};
}

// Ours and from no newer program; returns its schema (0: empty).
Result<int64_t> examine(Db& db, int64_t newest) {
  const int64_t schema = TRY(db.number("PRAGMA user_version"));
  const int64_t application = TRY(db.number("PRAGMA application_id"));
  const int64_t objects = TRY(db.number("SELECT count(*) FROM sqlite_schema"));
  if (application != k_application_id && (application != 0 || schema != 0 || objects != 0))
    return fail(Code::denied,
        cat(db.path(), ": a database of another program (application id ", application,
            "); move it away"));
  if (schema > newest)
    return fail(Code::conflict,
        cat(db.path(), ": has schema ", schema, ", this program knows up to ", newest,
            "; install the newer chillbox again, or restore ", db.path(), ".v", newest));
  return schema;
}

Result<void> check_whole(Db& db) {
  Stmt check = TRY(db.query("PRAGMA quick_check(1)"));
  if (!TRY(check.row()) || check.bytes(0) != "ok")
    return db.corrupt(cat("quick_check: ", printable(check.bytes(0))));
  return {};
}

Result<void> settle(Db& db) {
  {
    Stmt mode = TRY(db.query("PRAGMA journal_mode = WAL"));
    if (!TRY(mode.row()) || mode.bytes(0) != "wal")
      return fail(Code::failure,
          cat(db.path(), ": no write-ahead log here (", mode.bytes(0),
              "); is it on a network file system?"));
  }
  // 1 MiB of cache and no mapping keep the daemon small; a log over 4 MiB is cut back after a
  // checkpoint.
  return db.script(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
      "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 4194304");
}

std::string note_of_damage(const std::string& path) {
  return path + ".unsound";
}

// A copy as of now, under its name only when it is on disk.
Result<void> copy_beside(Db& db, int64_t schema) {
  const std::string copy = cat(db.path(), ".v", schema);
  const std::string draft = copy + ".part";
  if (::unlink(draft.c_str()) != 0 && errno != ENOENT)
    return fail_errno(cat("remove ", draft), errno);
  TRY(make_file(draft)); // ours first, because VACUUM would make it by the umask
  TRY_IN("copy before migration", db.run("VACUUM INTO ?1", draft));
  TRY(sync_path(draft, O_RDONLY));
  if (::rename(draft.c_str(), copy.c_str()) != 0)
    return fail_errno(cat("rename ", draft), errno);
  return sync_parent(copy);
}

Result<void> migrate(Db& db, int64_t schema, std::span<const std::string_view> steps) {
  if (schema > 0 && static_cast<size_t>(schema) < steps.size())
    TRY(copy_beside(db, schema));
  for (auto at = static_cast<size_t>(schema); at < steps.size(); ++at) {
    const std::string context = cat("migration to schema ", at + 1);
    Txn txn = TRY_IN(context, Txn::begin(db));
    TRY_IN(context, db.script(steps[at]));
    // A pragma takes no parameters; the two values are numbers of ours.
    TRY_IN(context,
        db.script(
            cat("PRAGMA application_id = ", k_application_id, "; PRAGMA user_version = ", at + 1)));
    TRY_IN(context, txn.commit());
  }
  return {};
}

} // namespace

Result<void> check_database(const std::string& path) {
  if (::access(path.c_str(), R_OK | W_OK) != 0)
    return {}; // absent, or the question of somebody who is not its owner
  Db db = TRY(Db::open(path));
  TRY(db.script("PRAGMA busy_timeout = 2000"));
  const auto schema = examine(db, static_cast<int64_t>(migrations().size()));
  if (!schema && schema.error().code != Code::corrupt) // a damaged one is moved aside at the start
    return std::unexpected(schema.error());
  return {};
}

bool is_checked_later(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 &&
      static_cast<uint64_t>(info.st_size) > k_checked_at_once &&
      ::access(note_of_damage(path).c_str(), F_OK) != 0;
}

Result<void> check_later(const std::string& path, const std::atomic<bool>& stop) {
  constexpr int k_often = 100'000; // steps of SQLite's machine
  Db db = TRY(Db::open(path));
  TRY(db.script("PRAGMA busy_timeout = 2000; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;"
                "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0"));
  sqlite3_progress_handler(
      db.handle(), k_often,
      [](void* asked) { return static_cast<const std::atomic<bool>*>(asked)->load() ? 1 : 0; },
      const_cast<std::atomic<bool>*>(&stop));
  auto whole = check_whole(db);
  if (stop)
    return {};
  if (!whole && whole.error().code == Code::corrupt)
    TRY(make_file(note_of_damage(path)));
  return whole;
}

Result<Db> open_database(const std::string& path, std::span<const std::string_view> steps) {
  TRY(own_file(path));
  Db db = TRY(Db::open(path));
  TRY(db.script("PRAGMA busy_timeout = 2000; PRAGMA cell_size_check = ON"));
  const int64_t schema = TRY(examine(db, static_cast<int64_t>(steps.size())));
  if (!is_checked_later(path)) {
    TRY(check_whole(db));
    (void)::unlink(note_of_damage(path).c_str());
  }
  TRY(settle(db));
  TRY(migrate(db, schema, steps));
  return db;
}

} // namespace chillbox::store
