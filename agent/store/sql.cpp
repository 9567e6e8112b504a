#include "store/sql.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <sqlite3.h>

#include <cerrno>

namespace chillbox::store {
namespace {

static_assert(SQLITE_VERSION_NUMBER >= 3037000, "STRICT tables need SQLite 3.37");

Code code_of(sqlite3* db) {
  const int extended = sqlite3_extended_errcode(db);
  switch (extended & 0xFF) {
  case SQLITE_FULL:
  case SQLITE_NOMEM: return Code::no_space;
  case SQLITE_IOERR: {
    const int err = sqlite3_system_errno(db);
    return err == ENOSPC || err == EDQUOT ? Code::no_space : Code::failure;
  }
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return Code::busy;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return Code::corrupt;
  case SQLITE_READONLY:
  case SQLITE_CANTOPEN:
  case SQLITE_PERM:
  case SQLITE_AUTH: return Code::denied;
  case SQLITE_CONSTRAINT: return Code::conflict;
  case SQLITE_TOOBIG: return Code::too_large;
  default: return Code::failure;
  }
}

std::string_view advice(Code code) {
  switch (code) {
  case Code::no_space: return "; make room on this file system";
  case Code::busy: return "; another program holds it, end that one";
  default: return "";
  }
}

constexpr std::string_view k_sync = "PRAGMA synchronous = FULL";

// The first words of a statement say enough: "INSERT INTO jobs".
std::string_view first_words(std::string_view sql) {
  return trim(sql.substr(0, std::min(sql.find_first_of("(\n"), size_t{40})));
}

} // namespace

Stmt::Stmt(Stmt&& other) noexcept
    : m_db(other.m_db), m_handle(std::exchange(other.m_handle, nullptr)), m_rc(other.m_rc),
      m_too_big(other.m_too_big) {}

Stmt::~Stmt() {
  if (m_handle == nullptr)
    return;
  sqlite3_reset(m_handle);
  sqlite3_clear_bindings(m_handle); // what was bound may be gone by now
}

void Stmt::put(int at, std::string_view value) {
  // A null pointer would bind NULL.
  const char* data = value.data() == nullptr ? "" : value.data();
  m_rc |= sqlite3_bind_text64(m_handle, at, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void Stmt::put(int at, ByteView value) {
  m_rc |= sqlite3_bind_blob64(m_handle, at, value.data(), value.size(), SQLITE_STATIC);
}

void Stmt::put_int(int at, int64_t value) {
  m_rc |= sqlite3_bind_int64(m_handle, at, value);
}

void Stmt::put(int at, const std::optional<std::string_view>& value) {
  if (value)
    put(at, *value);
  else
    m_rc |= sqlite3_bind_null(m_handle, at);
}

Result<bool> Stmt::row() {
  if (m_too_big)
    return fail(Code::invalid, cat(m_db->path(), ": a number over 2^63-1 cannot be stored"));
  const int rc = m_rc != SQLITE_OK ? m_rc : sqlite3_step(m_handle);
  if (rc == SQLITE_ROW)
    return true;
  if (rc == SQLITE_DONE)
    return false;
  return m_db->error(first_words(sqlite3_sql(m_handle)));
}

Result<void> Stmt::run() {
  while (TRY(row())) {}
  return {};
}

int64_t Stmt::i64(int column) const {
  return sqlite3_column_int64(m_handle, column);
}

std::string_view Stmt::bytes(int column) const {
  const void* data =
      sqlite3_column_blob(m_handle, column); // first: it may convert, and so change the size
  const auto size = static_cast<size_t>(sqlite3_column_bytes(m_handle, column));
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), size);
}

std::string Stmt::text(int column) const {
  return std::string(bytes(column));
}

bool Stmt::null(int column) const {
  return sqlite3_column_type(m_handle, column) == SQLITE_NULL;
}

Result<Db> Db::open(const std::string& path) {
  // It counts its memory for nobody, with a mutex around each allocation.
  [[maybe_unused]] static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* handle = nullptr;
  // Our own mutex is around every use. SQLite opens with O_CLOEXEC.
  const int rc =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Db db(path, handle); // also a failed open has a handle to close
  if (rc != SQLITE_OK)
    return db.error("open");
  sqlite3_extended_result_codes(handle, 1);
  return db;
}

Db::Db(Db&& other) noexcept
    : m_path(std::move(other.m_path)), m_handle(std::exchange(other.m_handle, nullptr)),
      m_sync_due(other.m_sync_due), m_statements(std::move(other.m_statements)) {}

Db::~Db() {
  for (const auto& [sql, statement] : m_statements)
    sqlite3_finalize(statement);
  sqlite3_close(m_handle);
}

Result<Stmt> Db::prepare(Sql sql) {
  if (m_sync_due && sqlite3_get_autocommit(m_handle) != 0) {
    TRY(script(k_sync));
    m_sync_due = false;
  }
  sqlite3_stmt*& handle = m_statements[sql.text.data()];
  if (handle == nullptr) {
    const int rc = sqlite3_prepare_v3(m_handle, sql.text.data(), static_cast<int>(sql.text.size()),
        SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
    if (rc != SQLITE_OK)
      return error(first_words(sql.text));
  }
  return Stmt(*this, handle);
}

Result<void> Db::script(std::string_view text) {
  const std::string terminated(text);
  if (sqlite3_exec(m_handle, terminated.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return error(first_words(text));
  return {};
}

void Db::sync_again() {
  const auto done = script(k_sync);
  m_sync_due = !done;
  if (!done)
    log::error(cat(done.error().message, "; tried again before the next statement"));
}

Result<int64_t> Db::number_of(Stmt& stmt) const {
  if (!TRY(stmt.row()))
    return corrupt("no row where there is always one");
  return stmt.i64(0);
}

int64_t Db::changes() const {
  return sqlite3_changes64(m_handle);
}
int64_t Db::last_row() const {
  return sqlite3_last_insert_rowid(m_handle);
}

std::unexpected<Error> Db::error(std::string_view statement) const {
  const Code code = code_of(m_handle);
  return fail(code, cat(m_path, ": ", statement, ": ", sqlite3_errmsg(m_handle), advice(code)));
}

std::unexpected<Error> Db::corrupt(std::string_view what) const {
  return fail(Code::corrupt, cat(m_path, ": ", what));
}

Result<Txn> Txn::begin(Db& db) {
  TRY(db.run("BEGIN IMMEDIATE"));
  return Txn(db);
}

Txn::~Txn() {
  // After some errors SQLite has already rolled back; nothing more can be done about a rollback
  // that fails.
  if (m_db != nullptr && sqlite3_get_autocommit(m_db->handle()) == 0)
    (void)m_db->run("ROLLBACK");
}

Result<void> Txn::commit() {
  TRY(m_db->run("COMMIT"));
  m_db = nullptr;
  return {};
}

} // namespace chillbox::store
