#include "rollout/permit.hpp"
#include "rollout/acquire.hpp"
#include "rollout/data_exchange.hpp"
#include "rollout/trust.hpp"

namespace chillbox::rollout {
namespace {

using store::JobKind;

constexpr size_t k_jobs_looked_at = 1'000;

// Who signed what this job starts or switches to, and whether that was withdrawn.
Result<void> check_signed(JobContext& r) {
  if (r.verified)
    TRY(check_signer(r.host, r.job.site, r.verified->signer, r.verified->signer_key));
  if (r.release.row.id.empty() || r.job.kind == JobKind::stop || r.job.kind == JobKind::remove)
    return {};
  TRY(check_release(r.host, r.release.row));
  return uses_secrets(r.release.site) ? check_set(r.host, r.job.site, r.release.row.secrets)
                                      : Result<void>{};
}

} // namespace

Result<void> permit(JobContext& r, const Step& step) {
  if (r.control.switched)
    return {};
  if (r.host.check_sender)
    TRY(r.host.check_sender(r.job));
  // Of what an administrator asks for, the rest may be meant for the time of a hold.
  if (r.job.kind == JobKind::deploy || r.job.kind == JobKind::secrets ||
      r.job.actor.starts_with(store::k_webhook_actor))
    TRY(check_hold(r.host, r.job.site));
  return step.checks_signers ? check_signed(r) : Result<void>{};
}

Result<std::string> overtaken_by(HostContext& host, const store::Job& job) {
  store::JobEvent last;
  for (uint64_t seen = 0;; seen = last.number) {
    const auto more = TRY(host.store.events(job.id, seen));
    if (more.empty())
      break;
    last = more.back();
  }
  if (last.step != job.step)
    return ""; // it waited, and had just begun again: that has no event
  for (const auto& newer : TRY(host.store.jobs(job.site.str(), k_jobs_looked_at))) {
    if (newer.id == job.id)
      break;
    const auto steps = steps_of(newer);
    const auto at = find_step(steps, newer.step);
    if (newer.state == store::JobState::done && newer.finished_ms > last.time_ms && at &&
        (steps[*at]->ends_watch || steps[*at]->phase != Step::Phase::before_commit))
      return newer.id;
  }
  return "";
}

} // namespace chillbox::rollout
