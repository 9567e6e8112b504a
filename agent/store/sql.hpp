// SQLite as owned types: Db (a connection and its prepared statements), Stmt (one use of a
// statement), Txn (all or nothing). A statement is prepared once and reset when its Stmt goes. SQL
// is text that the compiler saw: none is ever put together at run time. Errors name the file and
// the statement: no_space for a full disk, busy for a held lock, corrupt for damage, denied for a
// file that cannot be written, conflict for a violated constraint, else failure.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace chillbox::store {

struct Sql {
  template <size_t N> consteval Sql(const char (&literal)[N])
      : text(literal, N - 1) {} // NOLINT: a literal is the only way in
  std::string_view text;
};

class Db;

// Bound, stepped, read; then it goes and the next use may begin. Never two at once of the same SQL.
class Stmt {
public:
  Stmt(Stmt&& other) noexcept;
  Stmt& operator=(Stmt&&) = delete;
  ~Stmt();

  Result<bool> row(); // true: there is a row to read
  Result<void> run(); // to its end

  int64_t i64(int column) const;
  uint64_t u64(int column) const { return static_cast<uint64_t>(i64(column)); }
  std::string text(int column) const;
  std::string_view bytes(int column) const; // until the next row()
  bool null(int column) const;

private:
  friend class Db;
  Stmt(Db& db, sqlite3_stmt* handle) : m_db(&db), m_handle(handle) {}
  void put(int at, std::string_view value);
  void put(int at, const std::string& value) { put(at, std::string_view(value)); }
  void put(int at, ByteView value);
  void put_int(int at, int64_t value);
  void put(int at, bool value) { put_int(at, value ? 1 : 0); }
  template <std::signed_integral T> void put(int at, T value) { put_int(at, value); }
  template <std::unsigned_integral T> void put(int at, T value) {
    m_too_big = m_too_big || static_cast<uint64_t>(value) > INT64_MAX; // SQLite counts to 2^63-1
    put_int(at, static_cast<int64_t>(value));
  }
  void put(int at, const std::optional<std::string_view>& value);

  Db* m_db;
  sqlite3_stmt* m_handle;
  int m_rc = 0;
  bool m_too_big = false;
};

class Db {
public:
  static Result<Db> open(const std::string& path); // the file exists
  Db(Db&& other) noexcept;
  Db& operator=(Db&&) = delete;
  ~Db();

  // Arguments in the order of ?1, ?2, ...: integers, text, bytes, optional text. Text must live
  // until the statement was stepped.
  template <class... Args> Result<Stmt> query(Sql sql, const Args&... args) {
    Stmt stmt = TRY(prepare(sql));
    int at = 0;
    (stmt.put(++at, args), ...);
    return stmt;
  }
  template <class... Args> Result<void> run(Sql sql, const Args&... args) {
    return TRY(query(sql, args...)).run();
  }
  // Every row through `read`, which returns a Result.
  template <class Row, class Read, class... Args>
  Result<std::vector<Row>> all(Sql sql, Read read, const Args&... args) {
    Stmt stmt = TRY(query(sql, args...));
    std::vector<Row> rows;
    while (TRY(stmt.row()))
      rows.push_back(TRY(read(stmt)));
    return rows;
  }
  template <class Row, class Read, class... Args>
  Result<std::optional<Row>> one(Sql sql, Read read, const Args&... args) {
    Stmt stmt = TRY(query(sql, args...));
    if (!TRY(stmt.row()))
      return std::optional<Row>();
    return std::optional<Row>(TRY(read(stmt)));
  }
  // A script of several statements (migrations, pragmas); not kept.
  Result<void> script(std::string_view text);
  // From here on each transaction is on disk when it ends. If SQLite refuses, it is tried again
  // before the next statement outside a transaction, which fails if that fails.
  void sync_again();
  // The one integer of the one row.
  template <class... Args> Result<int64_t> number(Sql sql, const Args&... args) {
    Stmt stmt = TRY(query(sql, args...));
    return number_of(stmt);
  }

  int64_t changes() const; // of the last statement
  int64_t last_row() const;
  sqlite3* handle() const { return m_handle; }
  const std::string& path() const { return m_path; }
  std::unexpected<Error> error(std::string_view statement) const;
  std::unexpected<Error> corrupt(std::string_view what) const;

private:
  friend class Stmt;
  friend class Txn;
  Db(std::string path, sqlite3* handle) : m_path(std::move(path)), m_handle(handle) {}
  Result<Stmt> prepare(Sql sql);
  Result<int64_t> number_of(Stmt& stmt) const;

  std::string m_path;
  sqlite3* m_handle;
  bool m_sync_due = false;                                     // sync_again() has not happened yet
  std::unordered_map<const char*, sqlite3_stmt*> m_statements; // by the literal
};

// BEGIN IMMEDIATE: its holder is the only writer. Rolled back when it goes without commit().
class Txn {
public:
  static Result<Txn> begin(Db& db);
  Txn(Txn&& other) noexcept : m_db(std::exchange(other.m_db, nullptr)) {}
  Txn& operator=(Txn&&) = delete;
  ~Txn();
  Result<void> commit(); // on disk when it returns

private:
  explicit Txn(Db& db) : m_db(&db) {}
  Db* m_db;
};

} // namespace chillbox::store
