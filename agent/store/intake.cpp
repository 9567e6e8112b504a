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

// `room`: how many more jobs the queue takes.
Result<IntakeAnswer> accept_one(Db& db, const Intake& intake, int64_t& room, int64_t now_ms) {
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

Result<void> forget_over(Db& db, int64_t keep, int64_t slack) {
  const int64_t newest = TRY(db.number("SELECT coalesce(max(seq), 0) FROM deliveries"));
  if (newest - TRY(db.number("SELECT coalesce(min(seq), 0) FROM deliveries")) < keep + slack)
    return {};
  return db.run("DELETE FROM deliveries WHERE seq <= ?1", newest - keep);
}

} // namespace

Result<std::vector<IntakeAnswer>> Store::accept(const std::vector<Intake>& batch, uint32_t queue_max, int64_t now_ms) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  int64_t room = queue_max - TRY(db.number("SELECT count(*) FROM jobs WHERE open = 1"));
  std::vector<IntakeAnswer> answers;
  answers.reserve(batch.size());
  for (const Intake& intake : batch)
    answers.push_back(TRY_IN("accept", accept_one(db, intake, room, now_ms)));
  TRY(forget_old_jobs(db));
  TRY(forget_over(db, k_deliveries_kept, k_lot));
  TRY_IN("accept", txn.commit());
  return answers;
}

Result<void> Store::forget_deliveries(int64_t older_than_ms, size_t keep_at_most) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  TRY(forget_over(db, static_cast<int64_t>(std::min<size_t>(keep_at_most, k_deliveries_kept)), 0));
  // They lie in the order in which they came, so only the old ones are looked at.
  TRY(db.run("DELETE FROM deliveries WHERE seq < coalesce((SELECT seq FROM deliveries WHERE time_ms >= ?1 ORDER BY seq LIMIT 1),"
             " (SELECT max(seq) + 1 FROM deliveries))",
             older_than_ms));
  return txn.commit();
}

} // namespace chillbox::store
