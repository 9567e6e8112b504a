// Who asked for a job, and what he may, can change while it waits or runs: what was good when it
// was accepted is looked at again before each step.
#include "rollout/steps.hpp"
#include "rollout/trust.hpp"

#include <algorithm>

namespace chillbox::rollout {

namespace {

using store::JobKind;

// Who signed what this job starts or switches to, and whether that was withdrawn.
Result<void> check_signed(JobContext& r) {
  if (r.verified)
    TRY(check_signer(r.host, r.job.site, r.verified->signer, r.verified->signer_key));
  if (r.release.id.empty() || r.job.kind == JobKind::stop || r.job.kind == JobKind::remove)
    return {};
  TRY(check_release(r.host, r.release));
  const bool needs_set = std::ranges::any_of(
      r.site.services, [](const auto& s) { return s.secrets_config.has_value(); });
  return needs_set ? check_set(r.host, r.job.site, r.release.secrets) : Result<void>{};
}

} // namespace

Result<void> permit(JobContext& r, std::string_view step) {
  if (r.control.switched)
    return {};
  if (r.host.check_sender)
    TRY(r.host.check_sender(r.job));
  if (r.job.actor.starts_with(store::k_webhook_actor))
    TRY(check_hold(r.host, r.job.site));
  return step == "restage" ? Result<void>{}
                           : check_signed(r); // that step may choose another secret set
}

} // namespace chillbox::rollout
