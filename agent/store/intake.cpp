#include "base/text.hpp"
#include "store/store_internal.hpp"

#include <algorithm>
#include <map>

namespace chillbox::store {
namespace {

struct Known {
  std::string body;
  std::string job;
};
Result<Known> read_known(Stmt& row) {
  return Known{row.text(0), row.text(1)};
}

// Of a sender, while a batch is accepted: asked for once, because the transaction is the only
// writer.
struct Remembered {
  int64_t newest = 0;   // number of a delivery
  bool flooded = false; // no new one can be remembered
};
using Newest = std::map<std::string, int64_t>; // number of a job, by source

Result<IntakeAnswer> accept_one(Db& db, const Intake& intake, uint32_t queue_max,
    Remembered& sender, Newest& newest, int64_t now_ms) {
  const auto by_id =
      TRY(db.one<Known>("SELECT body, job FROM deliveries WHERE sender = ?1 AND id = ?2",
          read_known, intake.sender, intake.id));
  if (by_id && by_id->body != intake.body_hash)
    return IntakeAnswer{.verdict = IntakeVerdict::conflict, .job = {}, .superseded = {}};
  if (by_id)
    return IntakeAnswer{.verdict = IntakeVerdict::repeated, .job = by_id->job, .superseded = {}};
  if (intake.by_body) {
    const auto by_body = TRY(db.one<Known>(
        "SELECT body, job FROM deliveries WHERE by_body = 1 AND sender = ?1 AND body = ?2",
        read_known, intake.sender, intake.body_hash));
    if (by_body)
      return IntakeAnswer{
          .verdict = IntakeVerdict::repeated, .job = by_body->job, .superseded = {}};
  }
  if (sender.flooded)
    return IntakeAnswer{.verdict = IntakeVerdict::flooded, .job = {}, .superseded = {}};
  const std::string source = source_of(intake.job);
  const auto [job, is_first] = newest.try_emplace(source, 0);
  if (is_first)
    job->second = TRY(newest_job(db, source));
  if (is_open(intake.job.state) &&
      TRY(db.number(
          "SELECT count(*) FROM jobs INDEXED BY jobs_open_source WHERE open = 1 AND source = ?1",
          source)) >= queue_max)
    return IntakeAnswer{.verdict = IntakeVerdict::full, .job = {}, .superseded = {}};
  IntakeAnswer answer{.verdict = IntakeVerdict::accepted, .job = intake.job.id, .superseded = {}};
  TRY(supersede(db, intake.job, supersedes_at_once(intake.job), now_ms, answer.superseded));
  TRY(insert_job(db, intake.job, source, ++job->second));
  TRY(db.run("INSERT INTO deliveries VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)", intake.sender,
      ++sender.newest, intake.id, intake.body_hash, intake.by_body, intake.job.id, now_ms));
  return answer;
}

// Two questions: SQLite answers each from one end of the sender's, both in one from the whole of
// them.
Result<int64_t> newest_delivery(Db& db, const std::string& sender) {
  return db.number("SELECT coalesce(max(number), 0) FROM deliveries WHERE sender = ?1", sender);
}
Result<int64_t> oldest_delivery(Db& db, const std::string& sender) {
  return db.number("SELECT coalesce(min(number), 1) FROM deliveries WHERE sender = ?1", sender);
}

Result<Remembered> remembered(Db& db, const std::string& sender) {
  const int64_t newest = TRY(newest_delivery(db, sender));
  const int64_t most = newest - TRY(oldest_delivery(db, sender)) + 1;
  return Remembered{.newest = newest, .flooded = most >= k_deliveries_most};
}

// Those over the number that is kept go, oldest first, unless they could come again. A time in the
// future is that of a clock that was wrong.
Result<void> forget_old_deliveries(Db& db, const std::string& sender, int64_t now_ms) {
  const int64_t oldest = TRY(oldest_delivery(db, sender));
  const int64_t over = TRY(newest_delivery(db, sender)) - oldest + 1 - k_deliveries_kept;
  if (over < k_lot)
    return {};
  // One lot at a time: what is looked at for one batch of webhooks is bounded too.
  return db.run(
      "DELETE FROM deliveries WHERE sender = ?1 AND number < ?2 AND time_ms NOT BETWEEN ?3 AND ?4",
      sender, oldest + std::min(over, k_lot), now_ms - k_replay_window_ms,
      now_ms + k_replay_window_ms);
}

} // namespace

Result<std::vector<IntakeAnswer>> Store::accept(
    const std::vector<Intake>& batch, uint32_t queue_max, int64_t now_ms) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  std::map<std::string, Remembered> senders;
  Newest newest;
  std::vector<IntakeAnswer> answers;
  answers.reserve(batch.size());
  for (const Intake& intake : batch) {
    const auto [sender, is_first] = senders.try_emplace(intake.sender);
    if (is_first)
      sender->second = TRY(remembered(db, intake.sender));
    answers.push_back(
        TRY_IN("accept", accept_one(db, intake, queue_max, sender->second, newest, now_ms)));
  }
  for (const auto& [source, number] : newest)
    TRY(forget_old_jobs(db, source));
  for (const auto& [sender, known] : senders)
    TRY(forget_old_deliveries(db, sender, now_ms));
  TRY_IN("accept", txn.commit());
  return answers;
}

} // namespace chillbox::store
