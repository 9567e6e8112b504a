#include "base/text.hpp"
#include "store/store_internal.hpp"

namespace chillbox::store {
namespace {

constexpr int64_t k_orders_kept_ms = 8LL * 24 * 3600 * 1000; // a CA's longest window is a week

#define CERTIFICATE_COLUMNS "id, site, state, next_ms, wanted, chain, key, pending, facts"

std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> names;
  for (const auto name : split(text, ' '))
    if (!name.empty())
      names.emplace_back(name);
  return names;
}

Result<Certificate> read_certificate(Stmt& row) {
  return Certificate{.id = row.text(0),
      .site = row.text(1),
      .state = row.text(2),
      .next_ms = row.i64(3),
      .wanted = names_in(row.bytes(4)),
      .chain = row.text(5),
      .key = row.text(6),
      .pending = row.text(7),
      .facts = row.text(8)};
}

} // namespace

Result<std::vector<Certificate>> Store::certificates() {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.all<Certificate>(
      "SELECT " CERTIFICATE_COLUMNS " FROM certificates ORDER BY id", read_certificate);
}

Result<std::optional<Certificate>> Store::certificate(const std::string& id) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.one<Certificate>(
      "SELECT " CERTIFICATE_COLUMNS " FROM certificates WHERE id = ?1", read_certificate, id);
}

Result<void> Store::put_certificate(const Certificate& c) {
  const std::scoped_lock lock(m_state->mutex);
  const std::string wanted = join(c.wanted, " ");
  return m_state->db.run(
      "INSERT OR REPLACE INTO certificates VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", c.id,
      c.site, c.state, c.next_ms, wanted, c.chain, c.key, c.pending, c.facts);
}

Result<void> Store::delete_certificate(const std::string& id) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.run("DELETE FROM certificates WHERE id = ?1", id);
}

Result<uint64_t> Store::begin_certificate_order(const CertificateOrder& order) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const std::string names = join(order.names, " ");
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run(
      "DELETE FROM certificate_orders WHERE time_ms < ?1", order.time_ms - k_orders_kept_ms));
  TRY(db.run("INSERT INTO certificate_orders(certificate, names, time_ms, outcome)"
             " VALUES(?1, ?2, ?3, 'begun')",
      order.certificate, names, order.time_ms));
  const auto seq = static_cast<uint64_t>(db.last_row());
  TRY(txn.commit());
  return seq;
}

Result<void> Store::end_certificate_order(uint64_t seq, const std::string& outcome) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.run("UPDATE certificate_orders SET outcome = ?2 WHERE seq = ?1", seq, outcome);
}

Result<std::vector<CertificateOrder>> Store::certificate_orders(int64_t since_ms) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.all<CertificateOrder>(
      "SELECT seq, certificate, names, time_ms, outcome FROM certificate_orders"
      " WHERE time_ms >= ?1 ORDER BY seq",
      [](Stmt& row) -> Result<CertificateOrder> {
        return CertificateOrder{.seq = row.u64(0),
            .certificate = row.text(1),
            .names = names_in(row.bytes(2)),
            .time_ms = row.i64(3),
            .outcome = row.text(4)};
      },
      since_ms);
}

} // namespace chillbox::store
