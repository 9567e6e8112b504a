#include "store/store_internal.hpp"

namespace chillbox::store {

Result<uint64_t> count_up(Db& db, const SiteName& site, std::string_view what) {
  const auto number = TRY(db.one<uint64_t>(
      "INSERT INTO counters VALUES(?1, ?2, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
      [](Stmt& row) -> Result<uint64_t> { return row.u64(0); }, site.str(), what));
  return number.value_or(1);
}

Result<void> raise_number(Db& db, const SiteName& site, std::string_view what, uint64_t serial) {
  return db.run(
      "INSERT INTO counters VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = max(value, ?3)",
      site.str(), what, serial);
}

Result<uint64_t> Store::next_number(const SiteName& site, const std::string& what) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  return count_up(m_state->db, site, what);
}

Result<uint64_t> Store::serial(const SiteName& site, const std::string& what) {
  const std::scoped_lock lock(m_state->mutex);
  const auto value = TRY(m_state->db.one<uint64_t>(
      "SELECT value FROM counters WHERE site = ?1 AND what = ?2",
      [](Stmt& row) -> Result<uint64_t> { return row.u64(0); }, site.str(), what));
  return value.value_or(0);
}

Result<std::map<std::string, uint64_t>> Store::serials(const std::string& what) {
  const std::scoped_lock lock(m_state->mutex);
  Stmt row = TRY(m_state->db.query("SELECT site, value FROM counters WHERE what = ?1", what));
  std::map<std::string, uint64_t> all;
  while (TRY(row.row()))
    all.emplace(row.text(0), row.u64(1));
  return all;
}

Result<void> Store::raise_serial(const SiteName& site, const std::string& what, uint64_t serial) {
  const std::scoped_lock lock(m_state->mutex);
  return raise_number(m_state->db, site, what, serial);
}

} // namespace chillbox::store
