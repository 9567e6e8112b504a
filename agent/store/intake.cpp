#include "base/text.hpp"
#include "store/rows.hpp"

#include <algorithm>

namespace chillbox::store {
namespace {

struct Known {
  std::string body;
  std::string job;
};
Result<Known> read_known(Stmt& row) { return Known{row.text(0), row.text(1)}; }

// `room`: how many more jobs the queue takes. `flooded`: no new delivery can be remembered.
Result<IntakeAnswer> accept_one(Db& db, const Intake& intake, int64_t& room, bool flooded, int64_t now_ms) {
  const auto by_id = TRY(db.one<Known>("SELECT body, job FROM deliveries WHERE sender = ?1 AND id = ?2", read_known, intake.sender,
                                       intake.id));
  if (by_id && by_id->body != intake.body_hash)
    return IntakeAnswer{.verdict = IntakeVerdict::conflict, .job = {}, .superseded = {}};
  if (by_id)
    return IntakeAnswer{.verdict = IntakeVerdict::repeated, .job = by_id->job, .superseded = {}};
  if (intake.by_body) {
    const auto by_body = TRY(db.one<Known>("SELECT body, job FROM deliveries WHERE by_body = 1 AND sender = ?1 AND body = ?2",
                                           read_known, intake.sender, intake.body_hash));
    if (by_body)
      return IntakeAnswer{.verdict = IntakeVerdict::repeated, .job = by_body->job, .superseded = {}};
  }
  if (flooded)
    return IntakeAnswer{.verdict = IntakeVerdict::flooded, .job = {}, .superseded = {}};
  if (room <= 0)
    return IntakeAnswer{.verdict = IntakeVerdict::full, .job = {}, .superseded = {}};
  IntakeAnswer answer{.verdict = IntakeVerdict::accepted, .job = intake.job.id, .superseded = {}};
  TRY(supersede(db, intake.job, now_ms, answer.superseded));
  TRY(insert_job(db, intake.job));
  TRY(db.run("INSERT INTO deliveries VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6)", intake.sender, intake.id, intake.body_hash,
             intake.by_body, intake.job.id, now_ms));
  room += static_cast<int64_t>(answer.superseded.size()) - 1;
  return answer;
}

// How many are remembered, at most. Two questions: SQLite answers each from one end of the table, both in one from the whole of it.
Result<int64_t> remembered(Db& db) {
  const int64_t oldest = TRY(db.number("SELECT coalesce(min(seq), 1) FROM deliveries"));
  return TRY(db.number("SELECT coalesce(max(seq), 0) FROM deliveries")) - oldest + 1;
}

// Those over the number that is kept go, oldest first, unless they could come again. A time in the future is that of a clock that was wrong.
Result<void> forget_old_deliveries(Db& db, int64_t now_ms) {
  const int64_t over = TRY(remembered(db)) - k_deliveries_kept;
  if (over < k_lot)
    return {};
  // One lot at a time: what is looked at for one batch of webhooks is bounded too.
  const int64_t oldest = TRY(db.number("SELECT min(seq) FROM deliveries"));
  return db.run("DELETE FROM deliveries WHERE seq < ?1 AND time_ms NOT BETWEEN ?2 AND ?3", oldest + std::min(over, k_lot),
                now_ms - k_replay_window_ms, now_ms + k_replay_window_ms);
}

} // namespace

Result<std::vector<IntakeAnswer>> Store::accept(const std::vector<Intake>& batch, uint32_t queue_max, int64_t now_ms) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  int64_t room = queue_max - TRY(db.number("SELECT count(*) FROM jobs WHERE open = 1"));
  const bool flooded = TRY(remembered(db)) >= k_deliveries_most;
  std::vector<IntakeAnswer> answers;
  answers.reserve(batch.size());
  for (const Intake& intake : batch)
    answers.push_back(TRY_IN("accept", accept_one(db, intake, room, flooded, now_ms)));
  TRY(forget_old_jobs(db));
  TRY(forget_old_deliveries(db, now_ms));
  TRY_IN("accept", txn.commit());
  return answers;
}

} // namespace chillbox::store
