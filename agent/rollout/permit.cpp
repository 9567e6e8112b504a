#include "rollout/permit.hpp"
#include "rollout/acquire.hpp"
#include "rollout/trust.hpp"

namespace chillbox::rollout {
namespace {

using store::JobKind;

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
  if (r.job.actor.starts_with(store::k_webhook_actor))
    TRY(check_hold(r.host, r.job.site));
  return step.checks_signers ? check_signed(r) : Result<void>{};
}

} // namespace chillbox::rollout
