#include "store/store.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "store/schema.hpp"
#include "store/store_internal.hpp"

namespace chillbox::store {

// A pragma acts when it is compiled, so it is no statement that is kept.
Relaxed::Relaxed(Db& db) : m_db(Unsynced::active() ? &db : nullptr) {
  if (m_db != nullptr && !m_db->script("PRAGMA synchronous = NORMAL"))
    m_db = nullptr;
}

Relaxed::~Relaxed() {
  if (m_db != nullptr)
    m_db->sync_again();
}

Store::Store(std::unique_ptr<State> state) : m_state(std::move(state)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<void> Store::check(const std::string& path) {
  return check_database(path);
}

bool Store::is_checked_later(const std::string& path) {
  return store::is_checked_later(path);
}

Result<void> Store::check_later(const std::string& path, const std::atomic<bool>& stop) {
  return store::check_later(path, stop);
}

Result<Store> Store::open(const std::string& path, int64_t now_ms) {
  auto state = std::make_unique<State>(TRY(open_database(path)));
  TRY(state->db.run(
      "INSERT INTO meta VALUES('created_ms', ?1) ON CONFLICT DO NOTHING", std::to_string(now_ms)));
  return Store(std::move(state));
}

Result<std::string> Store::host_secret() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run(
      "INSERT INTO meta VALUES('host_secret', ?1) ON CONFLICT DO NOTHING", random_token(32)));
  auto secret = TRY(db.one<std::string>("SELECT value FROM meta WHERE key = 'host_secret'",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }));
  TRY(txn.commit());
  return *secret;
}

Result<std::optional<Hold>> Store::hold(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.one<Hold>(
      "SELECT actor, why, time_ms FROM holds WHERE site = ?1",
      [&](Stmt& row) -> Result<Hold> { return Hold{{row.text(0), row.text(1), row.i64(2)}, site}; },
      site.str());
}

Result<std::vector<Hold>> Store::holds() {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.all<Hold>(
      "SELECT actor, why, time_ms, site FROM holds", [](Stmt& row) -> Result<Hold> {
        auto site = TRY_IN("holds", SiteName::parse(row.text(3)));
        return Hold{{row.text(0), row.text(1), row.i64(2)}, std::move(site)};
      });
}

Result<void> Store::put_hold(const Hold& hold) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.run("INSERT OR REPLACE INTO holds VALUES(?1, ?2, ?3, ?4)", hold.site.str(),
      hold.actor, hold.why, hold.time_ms);
}

Result<bool> Store::delete_hold(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  TRY(m_state->db.run("DELETE FROM holds WHERE site = ?1", site.str()));
  return m_state->db.changes() > 0;
}

Result<Store::Attempts> Store::attempts(uint64_t uid) {
  const std::scoped_lock lock(m_state->mutex);
  auto found = TRY(m_state->db.one<Attempts>(
      "SELECT failures, last_ms FROM unlock_failures WHERE uid = ?1",
      [](Stmt& row) -> Result<Attempts> {
        return Attempts{static_cast<uint32_t>(row.u64(0)), row.i64(1)};
      },
      uid));
  return found.value_or(Attempts{});
}

Result<void> Store::set_attempts(uint64_t uid, const Attempts& attempts) {
  const std::scoped_lock lock(m_state->mutex);
  constexpr uint32_t k_told = 3; // fewer are somebody's who mistyped it
  Db& db = m_state->db;
  if (attempts.failures == 0)
    return db.run("DELETE FROM unlock_failures WHERE uid = ?1", uid);
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("INSERT OR REPLACE INTO unlock_failures VALUES(?1, ?2, ?3)", uid, attempts.failures,
      attempts.last_ms));
  if (attempts.failures >= k_told)
    TRY(raise(db,
        {.event = "unlock.refused",
            .site = {},
            .subject = cat("uid ", uid),
            .text = cat("an unlock was tried with ", k_told, " or more wrong passphrases in a row"),
            .time_ms = attempts.last_ms}));
  TRY(txn.commit());
  ++m_state->notices_changed;
  return {};
}

Result<uint64_t> Store::unlock_failures() {
  const std::scoped_lock lock(m_state->mutex);
  return static_cast<uint64_t>(
      TRY(m_state->db.number("SELECT coalesce(sum(failures), 0) FROM unlock_failures")));
}

Result<std::optional<std::string>> Store::meta(const std::string& key) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.one<std::string>(
      "SELECT value FROM meta WHERE key = ?1",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }, key);
}

Result<void> Store::set_meta(const std::string& key, const std::string& value) {
  const std::scoped_lock lock(m_state->mutex);
  if (value.empty())
    return m_state->db.run("DELETE FROM meta WHERE key = ?1", key);
  return m_state->db.run("INSERT OR REPLACE INTO meta VALUES(?1, ?2)", key, value);
}

} // namespace chillbox::store
