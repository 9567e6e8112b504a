// Messages to targets: from what is to be told to what was sent. Each step is one transaction.
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "store/notices.hpp"
#include "store/store_internal.hpp"

namespace chillbox::store {
namespace {

constexpr int64_t k_sent_kept_ms = 48 * k_hour_ms, k_given_up_kept_ms = 720 * k_hour_ms;

struct ToTell {
  Notice notice;
  std::string what;
};

Result<std::string> gathering(Db& db, const std::string& target, int64_t gather_ms, int64_t now) {
  const auto open = TRY(db.one<std::string>(
      "SELECT id FROM outbox WHERE target = ?1 AND state = 'gathering'",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }, target));
  if (open)
    return *open;
  const std::string id = cat("msg_", random_token(12));
  TRY(db.run("INSERT INTO outbox VALUES(?1, ?2, 'gathering', ?3, ?4, 0, 0, 0, 0, '', '')", id,
      target, now, now + gather_ms));
  return id;
}

// The oldest of the least is left out of a message that has too many.
Result<void> add(Db& db, const std::string& message, const ToTell& told) {
  TRY(db.run("INSERT OR REPLACE INTO outbox_notices VALUES(?1, ?2, ?3)", message,
      told.notice.number, told.what));
  if (TRY(db.number("SELECT count(*) FROM outbox_notices WHERE message = ?1", message)) <=
      k_notices_open)
    return {};
  TRY(db.run(
      "DELETE FROM outbox_notices WHERE message = ?1 AND notice ="
      " (SELECT number FROM outbox_notices JOIN notices ON number = notice WHERE message = ?1"
      " ORDER BY rank, number LIMIT 1)",
      message));
  return db.run("UPDATE outbox SET more = more + 1 WHERE id = ?1", message);
}

Result<OutboxMessage> read_message(Stmt& row) {
  return OutboxMessage{.id = row.text(0),
      .target = row.text(1),
      .state = row.text(2),
      .body = row.text(3),
      .error = row.text(4),
      .attempt = static_cast<uint32_t>(row.u64(5)),
      .next_ms = row.i64(6)};
}

Result<std::vector<OutboxMessage>> ready(Db& db, int64_t now_ms) {
  return db.all<OutboxMessage>(
      "SELECT id, outbox.target, state, body, outbox.error, attempt, next_ms FROM outbox"
      " LEFT JOIN outbox_targets ON name = outbox.target"
      " WHERE state IN ('gathering', 'waiting') AND next_ms <= ?1 AND coalesce(disabled, '') = ''"
      " ORDER BY next_ms, outbox.rowid",
      read_message, now_ms);
}

// When a target that was told enough within the last hour may be told more; 0: now.
Result<int64_t> free_at(Db& db, const std::string& target, int64_t now_ms) {
  if (TRY(db.number("SELECT count(*) FROM outbox WHERE target = ?1 AND state = 'waiting'",
          target)) >= k_messages_waiting)
    return now_ms + k_hour_ms;
  const auto oldest = TRY(db.one<int64_t>(
      "SELECT first_ms FROM outbox WHERE target = ?1 AND first_ms > ?2 ORDER BY first_ms DESC"
      " LIMIT 1 OFFSET ?3",
      [](Stmt& row) -> Result<int64_t> { return row.i64(0); }, target, now_ms - k_hour_ms,
      k_messages_an_hour - 1));
  return oldest ? *oldest + k_hour_ms : 0;
}

// Its body and its id are the same from here on, however often it is sent.
Result<bool> freeze(
    Db& db, OutboxMessage& message, const Notices::WriteBody& write, int64_t now_ms) {
  const int64_t later = TRY(free_at(db, message.target, now_ms));
  if (later > now_ms) {
    TRY(db.run("UPDATE outbox SET next_ms = ?2 WHERE id = ?1", message.id, later));
    return false;
  }
  const auto told = TRY(db.all<Told>(
      "SELECT number, event, site, subject, state, text, first_ms, last_ms, count, what"
      " FROM outbox_notices JOIN notices ON number = notice WHERE message = ?1"
      " ORDER BY rank DESC, number",
      [](Stmt& row) -> Result<Told> {
        auto notice = TRY(read_notice(row));
        return Told{std::move(notice), row.text(9)};
      },
      message.id));
  const auto more =
      static_cast<uint64_t>(TRY(db.number("SELECT more FROM outbox WHERE id = ?1", message.id)));
  message.body = write(message.target, told, more);
  message.state = "waiting";
  TRY(db.run("UPDATE outbox SET state = 'waiting', body = ?2, first_ms = ?3 WHERE id = ?1",
      message.id, message.body, now_ms));
  return true;
}

} // namespace

Result<void> Notices::forget_untold() {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  return state.db.run("UPDATE notices SET tell = '' WHERE state <> 'open'");
}

Result<void> Notices::fan_out(
    const std::vector<Recipient>& targets, int64_t gather_ms, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run(
      "UPDATE notices SET tell = 'still' WHERE state = 'open' AND tell = '' AND told_ms <= ?1",
      now_ms - k_told_again_ms));
  const auto all = TRY(db.all<ToTell>(
      "SELECT number, event, site, subject, state, text, first_ms, last_ms, count, tell"
      " FROM notices WHERE tell <> '' ORDER BY number",
      [](Stmt& row) -> Result<ToTell> {
        auto notice = TRY(read_notice(row));
        return ToTell{std::move(notice), row.text(9)};
      }));
  if (all.empty())
    return {};
  for (const auto& one : all)
    for (const auto& target : targets)
      if (target.wants(one.notice)) {
        const auto message = TRY(gathering(db, target.name, gather_ms, now_ms));
        TRY(add(db, message, one));
      }
  TRY(db.run("UPDATE notices SET tell = '', told_ms = ?1 WHERE tell <> ''", now_ms));
  return txn.commit();
}

Result<std::vector<OutboxMessage>> Notices::due(const WriteBody& write, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  auto messages = TRY(ready(db, now_ms));
  if (messages.empty())
    return messages;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("DELETE FROM outbox WHERE (state = 'sent' AND sent_ms < ?1)"
             " OR (state = 'exhausted' AND created_ms < ?2)",
      now_ms - k_sent_kept_ms, now_ms - k_given_up_kept_ms));
  std::vector<OutboxMessage> to_send;
  for (auto& message : messages)
    if (message.state == "waiting" || TRY(freeze(db, message, write, now_ms)))
      to_send.push_back(std::move(message));
  TRY(txn.commit());
  return to_send;
}

Result<std::optional<int64_t>> Notices::next_ms() {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  const int64_t next = TRY(state.db.number(
      "SELECT coalesce(min(at), 0) FROM ("
      " SELECT min(next_ms) AS at FROM outbox LEFT JOIN outbox_targets ON name = outbox.target"
      "  WHERE state IN ('gathering', 'waiting') AND coalesce(disabled, '') = ''"
      " UNION ALL SELECT min(calm_ms) FROM notices WHERE state = 'open' AND calm_ms > 0"
      " UNION ALL SELECT min(told_ms) + ?1 FROM notices WHERE state = 'open' AND tell = ''"
      " UNION ALL SELECT 1 FROM notices WHERE tell <> '')",
      k_told_again_ms));
  return next == 0 ? std::nullopt : std::optional(next);
}

Result<void> Notices::sent(const OutboxMessage& message, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("UPDATE outbox SET state = 'sent', sent_ms = ?2, attempt = attempt + 1, error = ''"
             " WHERE id = ?1",
      message.id, now_ms));
  TRY(db.run("INSERT INTO outbox_targets VALUES(?1, '', '', '', ?2)"
             " ON CONFLICT(name) DO UPDATE SET error = '', sent_ms = ?2",
      message.target, now_ms));
  return txn.commit();
}

Result<void> Notices::failed(const OutboxMessage& message, const std::string& error,
    std::optional<int64_t> next_ms, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("UPDATE outbox SET state = ?2, next_ms = ?3, attempt = attempt + 1, error = ?4"
             " WHERE id = ?1",
      message.id, std::string_view(next_ms ? "waiting" : "exhausted"), next_ms.value_or(0), error));
  TRY(db.run("INSERT INTO outbox_targets VALUES(?1, '', '', ?2, 0)"
             " ON CONFLICT(name) DO UPDATE SET error = ?2",
      message.target, error));
  if (!next_ms)
    TRY(store::raise(db,
        {.event = "notify.exhausted",
            .site = {},
            .subject = message.target,
            .text = cat("a message to '", message.target, "' was given up after ",
                message.attempt + 1, " tries"),
            .time_ms = now_ms}));
  TRY(txn.commit());
  ++state.notices_changed;
  return {};
}

Result<void> Notices::later(const OutboxMessage& message, int64_t next_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  return state.db.run("UPDATE outbox SET next_ms = ?2 WHERE id = ?1", message.id, next_ms);
}

Result<void> Notices::disable(
    const std::string& target, const std::string& file, const std::string& why, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("INSERT INTO outbox_targets VALUES(?1, ?2, ?3, ?3, 0)"
             " ON CONFLICT(name) DO UPDATE SET file = ?2, disabled = ?3, error = ?3",
      target, file, why));
  TRY(store::raise(db,
      {.event = "notify.exhausted",
          .site = {},
          .subject = target,
          .text = cat("target '", target, "' is disabled: ", why),
          .time_ms = now_ms}));
  TRY(txn.commit());
  ++state.notices_changed;
  return {};
}

Result<uint64_t> Notices::retry(const std::string& target, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("UPDATE outbox_targets SET disabled = '', error = '' WHERE name = ?1", target));
  TRY(db.run("UPDATE outbox SET state = 'waiting', attempt = 0, next_ms = ?2, error = ''"
             " WHERE target = ?1 AND state IN ('waiting', 'exhausted')",
      target, now_ms));
  const auto again = static_cast<uint64_t>(db.changes());
  TRY(txn.commit());
  ++state.notices_changed;
  return again;
}

Result<Notices::Totals> Notices::totals() {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Totals totals;
  Stmt open =
      TRY(db.query("SELECT rank, count(*) FROM notices WHERE state = 'open' GROUP BY rank"));
  while (TRY(open.row()))
    if (const uint64_t rank = open.u64(0); rank < totals.open.size())
      totals.open.at(rank) = open.u64(1);
  Stmt messages = TRY(db.query("SELECT count(*) FILTER (WHERE state IN ('gathering', 'waiting')),"
                               " count(*) FILTER (WHERE state = 'exhausted') FROM outbox"));
  if (TRY(messages.row())) {
    totals.waiting = messages.u64(0);
    totals.exhausted = messages.u64(1);
  }
  return totals;
}

// Also of targets that were never tried: those that have messages.
Result<std::vector<OutboxTarget>> Notices::targets() {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  return state.db.all<OutboxTarget>(
      "SELECT name, file, disabled, error, sent_ms FROM outbox_targets UNION"
      " SELECT DISTINCT target, '', '', '', 0 FROM outbox"
      "  WHERE target NOT IN (SELECT name FROM outbox_targets) ORDER BY 1",
      [](Stmt& row) -> Result<OutboxTarget> {
        return OutboxTarget{row.text(0), row.text(1), row.text(2), row.text(3), row.i64(4)};
      });
}

Result<Notices::Counts> Notices::counts(const std::string& target) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  auto counts = TRY(state.db.one<Counts>(
      "SELECT count(*) FILTER (WHERE state IN ('gathering', 'waiting')),"
      " count(*) FILTER (WHERE state = 'exhausted'),"
      " coalesce(min(next_ms) FILTER (WHERE state IN ('gathering', 'waiting')), 0),"
      " coalesce(max(attempt) FILTER (WHERE state = 'waiting'), 0) FROM outbox WHERE target = ?1",
      [](Stmt& row) -> Result<Counts> {
        return Counts{row.u64(0), row.u64(1), row.i64(2), static_cast<uint32_t>(row.u64(3))};
      },
      target));
  return counts.value_or(Counts{});
}

Result<void> Notices::shift(int64_t by_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run(
      "UPDATE outbox SET next_ms = next_ms + ?1, first_ms = iif(first_ms = 0, 0, first_ms + ?1)"
      " WHERE state IN ('gathering', 'waiting', 'sent')",
      by_ms));
  TRY(db.run("UPDATE notices SET told_ms = told_ms + ?1,"
             " calm_ms = iif(calm_ms = 0, 0, calm_ms + ?1) WHERE state = 'open'",
      by_ms));
  return txn.commit();
}

Result<void> Notices::clamp(int64_t now_ms) {
  constexpr int64_t k_longest_wait = 27 * k_hour_ms; // the last pause, and its jitter
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run(
      "UPDATE outbox SET next_ms = ?1 WHERE state IN ('gathering', 'waiting') AND next_ms > ?2",
      now_ms, now_ms + k_longest_wait));
  TRY(db.run("UPDATE outbox SET first_ms = ?1 WHERE first_ms > ?1", now_ms));
  TRY(db.run("UPDATE notices SET told_ms = min(told_ms, ?1), calm_ms = min(calm_ms, ?2)"
             " WHERE state = 'open'",
      now_ms, now_ms + k_hour_ms));
  return txn.commit();
}

Result<void> Notices::forget(const std::string& target) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("DELETE FROM outbox WHERE target = ?1", target));
  TRY(db.run("DELETE FROM outbox_targets WHERE name = ?1", target));
  return txn.commit();
}

} // namespace chillbox::store
