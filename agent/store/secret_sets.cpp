#include "store/store_internal.hpp"

namespace chillbox::store {
namespace {

// Who kept it stays, as with a release.
Result<void> write_used_set(Db& db, const SecretSet& set) {
  return db.run(
      "INSERT INTO used_sets VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
      " ON CONFLICT(site, sha256) DO UPDATE SET serial = ?3, signer = ?4, signer_key = ?5,"
      " kept_by = CASE ?6 WHEN '' THEN kept_by ELSE ?6 END",
      set.site.str(), set.sha256, set.serial, set.signer, set.signer_key, set.kept_by);
}

Result<SecretSet> read_used_set(const Db& db, Stmt& row) {
  SiteName site = TRY(site_in(db, row, 0));
  return SecretSet{.site = std::move(site),
      .sha256 = row.text(1),
      .serial = row.u64(2),
      .signer = row.text(3),
      .signer_key = row.text(4),
      .kept_by = row.text(5)};
}

} // namespace

Result<std::optional<SecretSet>> Store::secret_set(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.one<SecretSet>(
      "SELECT site, sha256, serial, received_ms, signer FROM secret_sets WHERE site = ?1",
      [&](Stmt& row) -> Result<SecretSet> {
        SiteName owner = TRY(site_in(db, row, 0));
        return SecretSet{.site = std::move(owner),
            .sha256 = row.text(1),
            .serial = row.u64(2),
            .received_ms = row.i64(3),
            .signer = row.text(4)};
      },
      site.str());
}

Result<void> Store::put_secret_set(const SecretSet& set) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("INSERT OR REPLACE INTO secret_sets VALUES(?1, ?2, ?3, ?4, ?5)", set.site.str(),
      set.sha256, set.serial, set.received_ms, set.signer));
  TRY(write_used_set(db, set));
  TRY(raise_number(db, set.site, "secrets", set.serial));
  return txn.commit();
}

Result<std::optional<SecretSet>> Store::used_set(const SiteName& site, const std::string& sha256) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.one<SecretSet>(
      "SELECT site, sha256, serial, signer, signer_key, kept_by FROM used_sets WHERE site = ?1 AND sha256 = ?2",
      [&](Stmt& row) { return read_used_set(db, row); }, site.str(), sha256);
}

Result<std::vector<SecretSet>> Store::used_sets(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<SecretSet>(
      "SELECT site, sha256, serial, signer, signer_key, kept_by FROM used_sets WHERE site = ?1 ORDER BY serial, sha256",
      [&](Stmt& row) { return read_used_set(db, row); }, site.str());
}

Result<std::vector<SecretSet>> Store::sets_in_use() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<SecretSet>(
      "SELECT s.site, s.sha256, u.serial, u.signer, u.signer_key, u.kept_by FROM secret_sets s"
      " LEFT JOIN used_sets u ON u.site = s.site AND u.sha256 = s.sha256",
      [&](Stmt& row) { return read_used_set(db, row); });
}

Result<void> Store::keep_used_set(
    const SiteName& site, const std::string& sha256, const std::string& by) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.run(
      "UPDATE used_sets SET kept_by = ?3 WHERE site = ?1 AND sha256 = ?2", site.str(), sha256, by);
}

Result<void> Store::put_used_set(const SecretSet& set) {
  const std::scoped_lock lock(m_state->mutex);
  return write_used_set(m_state->db, set);
}

} // namespace chillbox::store
