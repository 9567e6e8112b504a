#include "base/text.hpp"
#include "store/store_internal.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace chillbox::store {
namespace {

struct Known {
  std::string body;
  std::string job;
};
Result<Known> read_known(Stmt& row) {
  return Known{row.text(0), row.text(1)};
}

// `flooded`: no new delivery of the sender can be remembered.
Result<IntakeAnswer> accept_one(
    Db& db, const Intake& intake, uint32_t queue_max, bool flooded, int64_t now_ms) {
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
  if (flooded)
    return IntakeAnswer{.verdict = IntakeVerdict::flooded, .job = {}, .superseded = {}};
  if (is_open(intake.job.state) &&
      TRY(db.number(
          "SELECT count(*) FROM jobs INDEXED BY jobs_open_source WHERE open = 1 AND source = ?1",
          source_of(intake.job))) >= queue_max)
    return IntakeAnswer{.verdict = IntakeVerdict::full, .job = {}, .superseded = {}};
  IntakeAnswer answer{.verdict = IntakeVerdict::accepted, .job = intake.job.id, .superseded = {}};
  TRY(supersede(db, intake.job, supersedes_at_once(intake.job), now_ms, answer.superseded));
  TRY(insert_job(db, intake.job));
  TRY(db.run(
      "INSERT INTO deliveries VALUES(?1, coalesce((SELECT max(number) FROM deliveries WHERE sender = ?1), 0) + 1, ?2, ?3, ?4, ?5, ?6)",
      intake.sender, intake.id, intake.body_hash, intake.by_body, intake.job.id, now_ms));
  return answer;
}

// How many are remembered, at most. Two questions: SQLite answers each from one end of the
// sender's, both in one from the whole of them.
Result<int64_t> remembered(Db& db, const std::string& sender) {
  const int64_t oldest =
      TRY(db.number("SELECT coalesce(min(number), 1) FROM deliveries WHERE sender = ?1", sender));
  return TRY(db.number(
             "SELECT coalesce(max(number), 0) FROM deliveries WHERE sender = ?1", sender)) -
      oldest + 1;
}

// Those over the number that is kept go, oldest first, unless they could come again. A time in the
// future is that of a clock that was wrong.
Result<void> forget_old_deliveries(Db& db, const std::string& sender, int64_t now_ms) {
  const int64_t over = TRY(remembered(db, sender)) - k_deliveries_kept;
  if (over < k_lot)
    return {};
  // One lot at a time: what is looked at for one batch of webhooks is bounded too.
  const int64_t oldest =
      TRY(db.number("SELECT min(number) FROM deliveries WHERE sender = ?1", sender));
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
  std::map<std::string, bool> flooded; // by sender
  std::set<std::string> sources;
  std::vector<IntakeAnswer> answers;
  answers.reserve(batch.size());
  for (const Intake& intake : batch) {
    const auto [sender, is_new] = flooded.try_emplace(intake.sender, false);
    if (is_new)
      sender->second = TRY(remembered(db, intake.sender)) >= k_deliveries_most;
    answers.push_back(TRY_IN("accept", accept_one(db, intake, queue_max, sender->second, now_ms)));
    sources.insert(source_of(intake.job));
  }
  for (const auto& source : sources)
    TRY(forget_old_jobs(db, source));
  for (const auto& [sender, is_flooded] : flooded)
    TRY(forget_old_deliveries(db, sender, now_ms));
  TRY_IN("accept", txn.commit());
  return answers;
}

} // namespace chillbox::store
