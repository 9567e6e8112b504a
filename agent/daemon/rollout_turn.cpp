#include "daemon/rollout_walk.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "daemon/orders.hpp"
#include "nginx/nginx.hpp"
#include "rollout/acquire.hpp"
#include "rollout/fetch.hpp"
#include "rollout/plan.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::daemon {
namespace {

using control::EngineCondition;
using control::HostTurn;

constexpr int64_t k_busy_ms = 2'000, k_fetch_again_ms = 20'000;
constexpr size_t k_nonce = 8;

bool is_good(const store::Job& job) {
  return job.state == store::JobState::done;
}

} // namespace

Result<void> RolloutWalk::stage(const Rollouts::Change& seen) {
  const auto later = [&](const Error& error, int64_t ms) -> Result<void> {
    if (walked().mine.message != error.message)
      return report(walked().mine.state, error.message, std::string(code_name(error.code)));
    m_all.wait(seen, host().clock.wall_ms() + ms);
    return {};
  };
  const auto digest = TRY(Digest::parse(order().sha256));
  const rollout::FetchOrder file{digest, order().size, cat("rollout:", m_file->taken.signer),
      [&] { return m_all.stopping(); }};
  if (!host().disk.exists(host().paths.artifact(digest)))
    if (const auto got = rollout::fetch(host(), file, [](const std::string&) {}); !got)
      return later(got.error(), k_fetch_again_ms);
  const Fd fd(::open(host().paths.artifact(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd)
    return fail_errno("open the artifact", errno);
  const auto plan = rollout::plan_artifact(host(), fd.get(), order().signature);
  if (!plan && plan.error().code == Code::sealed)
    return report(HostTurn::skipped_sealed, "locked: it continues after chillboxctl unlock");
  if (!plan && (plan.error().code == Code::busy || plan.error().code == Code::interrupted))
    return later(plan.error(), k_busy_ms);
  if (!plan)
    return report(
        HostTurn::failed, plan.error().message, std::string(code_name(plan.error().code)));
  if (!plan->problems.empty())
    return report(
        HostTurn::failed, join(plan->problems, "; "), std::string(code_name(Code::preflight)));
  return report(HostTurn::staged, "");
}

// A slot of this host's that it does not know of: the answer to who took it never came. Its lease
// is kept alive, so that nobody else would ever get it.
Result<void> RolloutWalk::give_back_forgotten() {
  const std::string mine = cat(walked().mine.host, " ");
  for (const auto& one : TRY(m_all.engine().read(slots_key(m_site.str()), k_engine_wait)))
    if (one.text.starts_with(mine))
      (void)TRY(m_all.engine().change(
          {{.kind = EngineCondition::Kind::held, .key = one.key, .fence = one.fence}},
          {{.key = one.key, .text = {}, .removes = true}}, k_engine_wait));
  return {};
}

// False: none is free, or it was stopped.
Result<bool> RolloutWalk::has_slot(uint64_t slots, bool unless_stopped) {
  m_all.took_slot(m_site);
  auto taken = take_first(slots, unless_stopped);
  if (walked().fence == 0)
    m_all.gave_slot(m_site);
  return taken;
}

// The first of the site's slots that is free.
Result<bool> RolloutWalk::take_first(uint64_t slots, bool unless_stopped) {
  const std::string nonce = random_token(k_nonce); // of this try alone
  auto begun = walked().mine;
  begun.state = unless_stopped ? HostTurn::begun : begun.state;
  begun.message = "";
  begun.before = unless_stopped ? live() : begun.before;
  ++begun.seq;
  const std::string text = TRY(rollout::signed_report(host(), begun));
  TRY(give_back_forgotten());
  for (uint64_t n = 0; n < slots; ++n) {
    const std::string slot = slot_key(m_site.str(), n);
    std::vector<EngineCondition> free{{.kind = EngineCondition::Kind::absent, .key = slot}};
    if (unless_stopped)
      free.push_back({.kind = EngineCondition::Kind::absent, .key = stop_key(order())});
    const auto change = TRY(m_all.engine().change(free,
        {{.key = slot, .text = cat(begun.host, " ", nonce), .leased = true},
            {.key = cat(reports_key(order()), begun.host), .text = text, .kept = k_said_kept}},
        k_engine_wait));
    if (!change.made)
      continue;
    walked().slot = n;
    walked().fence = change.fence;
    walked().mine = begun;
    walked().told = begun.seq;
    TRY(save());
    return true;
  }
  return false;
}

Result<void> RolloutWalk::take_slot(uint64_t slots) {
  walked().job.clear();
  const auto before = m_all.changes();
  if (TRY(has_slot(slots, true)))
    return {};
  m_waits = "waits for a slot";
  m_all.wait(before, order().deadline_ms);
  return {};
}

// As a majority of the engine has it.
Result<bool> RolloutWalk::holds_slot() {
  const std::string slot = slot_key(m_site.str(), walked().slot);
  for (const auto& one : TRY(m_all.engine().read(slots_key(m_site.str()), k_engine_wait)))
    if (one.key == slot)
      return one.fence == walked().fence;
  return false;
}

// What it does not know to be its turn any more takes no visitors from it.
Result<bool> RolloutWalk::drain() {
  const auto holds = holds_slot();
  if (!holds)
    TRY(undrain());
  if (!TRY(holds) || order().drain_ms == 0 || walked().mine.before.empty())
    return holds;
  const std::string flag = nginx::drain_flag(host().paths, m_site);
  if (!host().disk.exists(flag)) {
    walked().drained = true;
    TRY(save());
    TRY(host().disk.write(flag, "", 0644));
  }
  const int64_t until = host().clock.wall_ms() + static_cast<int64_t>(order().drain_ms);
  while (!m_all.stopping() && host().clock.wall_ms() < until)
    m_all.wait(m_all.changes(), until);
  if (m_all.stopping())
    return false;
  auto held = holds_slot();
  if (!held)
    TRY(undrain());
  return held;
}

Result<void> RolloutWalk::undrain() {
  if (walked().drained)
    TRY(host().disk.remove(nginx::drain_flag(host().paths, m_site)));
  walked().drained = false;
  return {};
}

// Its id is on disk before the job is in the store, so that it is made once.
Result<store::Job> RolloutWalk::begin_deploy() {
  auto job = new_job(host(), store::JobKind::deploy, m_site, cat("rollout:", m_file->taken.signer));
  const auto digest = TRY(Digest::parse(order().sha256));
  job.version = order().version;
  job.sha256 = order().sha256;
  job.size = order().size;
  walked().job = job.id;
  TRY(save());
  TRY(host().disk.write(
      rollout::uploaded_signature(host(), digest, job.id), order().signature, 0600));
  TRY(host().store.add_job(job));
  m_all.jobs().submit(job.id);
  return job;
}

Result<std::optional<store::Job>> RolloutWalk::ended(const std::string& id) {
  for (;;) {
    const auto now = m_all.changes();
    auto job = TRY(host().store.job(id));
    if (!job)
      return fail(Code::not_found, cat("no job ", id));
    if (!control::is_open(job->state))
      return job;
    if (m_all.stopping())
      return std::optional<store::Job>();
    m_all.wait(now, 0);
  }
}

Result<void> RolloutWalk::carry_on() {
  if (walked().job.empty() || !TRY(host().store.job(walked().job))) {
    if (!TRY(drain())) {
      if (m_all.stopping())
        return {};
      TRY(undrain());
      walked().fence = 0;
      m_all.gave_slot(m_site);
      return report(HostTurn::staged, "its slot was taken away before it had begun");
    }
    (void)TRY(begin_deploy());
  }
  const auto job = TRY(ended(walked().job));
  if (!job)
    return {};
  TRY(undrain());
  walked().live_ms = host().clock.wall_ms();
  if (is_good(*job))
    return report(HostTurn::live, job->message);
  if (job->state == store::JobState::superseded)
    return report(HostTurn::outside, cat("outside the rollout: ", job->message));
  return report(
      HostTurn::failed, job->message, std::string(code_name(job->code.value_or(Code::failure))));
}

Result<void> RolloutWalk::go_back(const std::string& why) {
  const std::string before = walked().mine.before;
  if (before.empty())
    return report(HostTurn::stuck, "nothing was live here before: it keeps the new release");
  if (walked().back.empty()) {
    const auto seen = m_all.changes();
    if (walked().fence == 0 && !TRY(has_slot(order().max_unavailable, false))) {
      m_all.wait(seen, host().clock.wall_ms() + k_busy_ms);
      return {};
    }
    walked().mine.message = why;
  }
  if (walked().back.empty() || !TRY(host().store.job(walked().back))) {
    auto job =
        new_job(host(), store::JobKind::rollback, m_site, cat("rollout:", m_file->taken.signer));
    job.version = before;
    walked().back = job.id;
    TRY(save());
    TRY(host().store.add_job(job));
    m_all.jobs().submit(job.id);
  }
  const auto job = TRY(ended(walked().back));
  if (!job)
    return {};
  walked().back.clear();
  return is_good(*job)
      ? report(HostTurn::rolled_back, cat("back to ", before, ": ", walked().mine.message))
      : report(HostTurn::stuck, cat("rollback: ", job->message),
            std::string(code_name(job->code.value_or(Code::failure))));
}

} // namespace chillbox::daemon
