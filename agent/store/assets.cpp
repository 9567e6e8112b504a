#include "store/store_internal.hpp"

namespace chillbox::store {
namespace {

Result<Asset> read_asset(const Db& db, Stmt& row) {
  SiteName site = TRY(site_in(db, row, 0));
  return Asset{
      .site = std::move(site), .kind = row.text(1), .name = row.text(2), .id = row.text(3)};
}

} // namespace

Result<std::vector<Asset>> Store::assets(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<Asset>(
      "SELECT site, kind, name, id FROM assets WHERE site = ?1 ORDER BY kind, name",
      [&](Stmt& row) { return read_asset(db, row); }, site.str());
}

Result<std::optional<Asset>> Store::asset(
    const SiteName& site, const std::string& kind, const std::string& name) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.one<Asset>(
      "SELECT site, kind, name, id FROM assets WHERE site = ?1 AND kind = ?2 AND name = ?3",
      [&](Stmt& row) { return read_asset(db, row); }, site.str(), kind, name);
}

Result<void> Store::put_assets(const std::vector<Asset>& assets) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  for (const Asset& asset : assets)
    TRY(db.run("INSERT OR REPLACE INTO assets VALUES(?1, ?2, ?3, ?4)", asset.site.str(), asset.kind,
        asset.name, asset.id));
  return txn.commit();
}

Result<void> Store::delete_asset(const Asset& asset) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.run("DELETE FROM assets WHERE site = ?1 AND kind = ?2 AND name = ?3",
      asset.site.str(), asset.kind, asset.name);
}

Result<std::vector<SiteName>> Store::sites_without_assets() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<SiteName>(
      "SELECT site FROM sites UNION SELECT site FROM secret_sets UNION SELECT site FROM counters WHERE what IN ('site', 'release')"
      " EXCEPT SELECT site FROM assets",
      [&](Stmt& row) { return site_in(db, row, 0); });
}

} // namespace chillbox::store
