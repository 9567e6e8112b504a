// The audit trail: each entry's hash covers the one before it, so that none can be changed, taken
// out or put in between unseen. There is no key in it, since root could use any that is on the
// host: against root only a head that was kept elsewhere helps.
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "store/store_internal.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace chillbox::store {
namespace {

using ChainHash = std::array<uint8_t, 32>; // BLAKE2b-512, its first half

void update(crypto::Blake2b512& hash, int64_t number) {
  std::array<uint8_t, 8> little{};
  for (size_t i = 0; i < little.size(); ++i)
    little[i] = static_cast<uint8_t>(static_cast<uint64_t>(number) >> (8 * i));
  hash.update(little);
}

// Each text after its length, so that no two entries are the same bytes.
ChainHash link(ByteView previous, const AuditEntry& entry) {
  crypto::Blake2b512 hash;
  hash.update(previous);
  update(hash, static_cast<int64_t>(entry.number));
  update(hash, entry.time_ms);
  for (const std::string* text :
      {&entry.actor, &entry.verb, &entry.site, &entry.text, &entry.outcome}) {
    update(hash, static_cast<int64_t>(text->size()));
    hash.update(bytes_of(*text));
  }
  ChainHash result{};
  std::copy_n(hash.finish().begin(), result.size(), result.begin());
  return result;
}

Result<AuditEntry> read_entry(Stmt& row) {
  return AuditEntry{
      row.u64(0), row.i64(1), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6)};
}

// Number and hash of the newest entry; a new file starts from 0 and no hash.
struct Head {
  uint64_t number = 0;
  std::string hash;
};
Result<Head> head(Db& db) {
  auto found = TRY(db.one<Head>("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1",
      [](Stmt& row) -> Result<Head> { return Head{row.u64(0), row.text(1)}; }));
  return found.value_or(Head{});
}

Result<void> forget_oldest(Db& db, uint64_t newest) {
  if (TRY(db.number("SELECT coalesce(min(number), 0) FROM audit")) + k_audit_kept + k_lot >
      static_cast<int64_t>(newest))
    return {};
  const int64_t first = static_cast<int64_t>(newest) - k_audit_kept + 1;
  TRY(db.run("INSERT OR REPLACE INTO meta VALUES('audit_first', ?1)", std::to_string(first)));
  return db.run("DELETE FROM audit WHERE number < ?1", first);
}

} // namespace

Result<void> write_audit(Db& db, const AuditEntry& given) {
  const Head last = TRY(head(db));
  AuditEntry entry = given;
  entry.number = last.number + 1;
  const ChainHash hash = link(bytes_of(last.hash), entry);
  TRY(db.run("INSERT INTO audit VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", entry.number,
      entry.time_ms, entry.actor, entry.verb, entry.site, entry.text, entry.outcome,
      ByteView(hash)));
  return forget_oldest(db, entry.number);
}

Result<void> Store::audit(const AuditEntry& entry) {
  const std::scoped_lock lock(m_state->mutex);
  Txn txn = TRY(Txn::begin(m_state->db));
  TRY(write_audit(m_state->db, entry));
  TRY(tell_of_audit(m_state->db, entry));
  TRY(txn.commit());
  ++m_state->notices_changed;
  return {};
}

Result<std::vector<AuditEntry>> Store::audit_entries(size_t limit, const control::Period& period) {
  const std::scoped_lock lock(m_state->mutex);
  if (period.any())
    return m_state->db.all<AuditEntry>(
        "SELECT number, time_ms, actor, verb, site, text, outcome FROM audit"
        " WHERE time_ms BETWEEN ?1 AND ?2 ORDER BY time_ms DESC, number DESC LIMIT ?3",
        read_entry, period.since_ms, period.until_ms, limit);
  return m_state->db.all<AuditEntry>(
      "SELECT number, time_ms, actor, verb, site, text, outcome FROM audit ORDER BY number DESC LIMIT ?1",
      read_entry, limit);
}

namespace {

using Walk = AuditWalk;
using Look = std::function<Result<void>(const Walk&)>;

// The next lot: each entry follows from the one before it. False: there was none left.
Result<bool> walk_on(Db& db, Walk& w, const Look& look) {
  const auto first = static_cast<uint64_t>(TRY(db.number(
      "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_first'), 1)")));
  Stmt row =
      TRY(db.query("SELECT number, time_ms, actor, verb, site, text, outcome, hash FROM audit"
                   " WHERE number > ?1 ORDER BY number LIMIT ?2",
          w.last, k_lot));
  const uint64_t before = w.entries;
  while (TRY(row.row())) {
    const AuditEntry entry = TRY(read_entry(row));
    // Those before the first were forgotten by age, perhaps since the last lot: its own hash is
    // taken as it is, unless it is the very first of all.
    const bool anchor = entry.number == first && first > w.last + 1;
    const bool in_order = anchor || (entry.number == w.last + 1 && entry.number >= first);
    if (!in_order || (!anchor && row.bytes(7) != text_of(link(bytes_of(w.hash), entry))))
      return db.corrupt(cat("audit entry ", entry.number,
          " does not follow from the one before it: the trail was changed"));
    w = {w.entries + 1, w.entries == 0 ? entry.number : w.first, entry.number, row.text(7)};
    TRY(look(w));
  }
  return w.entries > before;
}

Result<void> check_end(Db& db, const Walk& w) {
  const int64_t given =
      TRY(db.number("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0)"));
  return static_cast<uint64_t>(given) == w.last
      ? Result<void>{}
      : db.corrupt(
            cat("audit entry ", w.last + 1, " is missing: the trail was cut off at its end"));
}

// Where the last look ended, if all before is as it was then: entries were only added, by this
// connection, and the oldest are still there.
Result<Walk> resume(Db& db, const Walk& done, int64_t& data_version) {
  const int64_t version = TRY(db.number("PRAGMA data_version"));
  const bool same = std::exchange(data_version, version) == version;
  const auto hash = TRY(db.one<std::string>(
      "SELECT hash FROM audit WHERE number = ?1",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }, done.last));
  const auto oldest = TRY(db.number("SELECT coalesce(min(number), 0) FROM audit"));
  return same && done.last != 0 && hash == done.hash && static_cast<uint64_t>(oldest) == done.first
      ? done
      : Walk{};
}

} // namespace

// In lots, so that nobody who writes waits for the whole trail.
Result<AuditHead> Store::verify_audit(std::string_view kept, AuditLook how) {
  Db& db = m_state->db;
  const auto parts = split(kept, ':');
  const auto wanted = parse_u64(parts[0]);
  if (!kept.empty() && (!wanted || parts.size() != 2))
    return fail(Code::invalid,
        cat("'", printable(kept, 100),
            "' is no head of an audit trail: NUMBER:HASH, as `audit verify` prints it"));
  bool met = kept.empty();
  const auto look = [&](const Walk& w) -> Result<void> {
    if (kept.empty() || w.last != *wanted)
      return {};
    met = hex(bytes_of(w.hash)) == parts[1];
    return met ? Result<void>{}
               : db.corrupt(cat("audit entry ", w.last,
                     " is not the one of the head that was kept: another trail was written"));
  };
  Walk w;
  if (const std::scoped_lock lock(m_state->mutex); true) {
    const auto known = TRY(resume(db, m_state->verified, m_state->data_version));
    if (how == AuditLook::newer)
      w = known;
  }
  for (bool more = true; more;) {
    const std::scoped_lock lock(m_state->mutex);
    more = TRY(walk_on(db, w, look));
    if (more)
      continue;
    TRY(check_end(db, w));
    m_state->verified = w;
  }
  if (met)
    return AuditHead{w.entries, w.last, w.last == 0 ? "" : hex(bytes_of(w.hash))};
  if (*wanted < w.first)
    return fail(Code::not_found,
        cat("audit entry ", *wanted, " was forgotten by age, the oldest is ", w.first,
            ": keep a newer head"));
  return db.corrupt(
      cat("audit entry ", *wanted, " is missing: the head that was kept is newer than the trail"));
}

} // namespace chillbox::store
