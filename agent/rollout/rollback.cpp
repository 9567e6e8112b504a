// Releases that are installed already: the one to go back to, and the one that is live.
#include "rollout/job_context.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"
#include "rollout/tmpfs_release.hpp"
#include "rollout/trust.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

Slot idle_slot(const JobContext& r) {
  return other_slot(r.old ? r.old->slot : Slot::none);
}

// The release that the job names by id or by version; the newest of several.
const store::Release* choose(
    const std::vector<store::Release>& releases, const std::string& wanted) {
  for (const auto& release : releases)
    if (release.id == wanted || release.version == wanted)
      return &release;
  return nullptr;
}

std::string targets(
    HostContext& host, const std::vector<store::Release>& releases, const std::string& live) {
  std::vector<std::string> names;
  for (const auto& release : releases)
    if (release.id != live && check_release(host, release))
      names.push_back(cat(release.version, " (", release.id, ")"));
  return names.empty() ? "there is no other good release" : cat("there are ", join(names, ", "));
}

// Of what cannot be gone back to: that it was withdrawn says more than that it does not exist.
Result<void> check_name(HostContext& host, const SiteName& site, const std::string& wanted) {
  if (const auto named = TRY(host.store.release(site, wanted)))
    TRY(check_withdrawn(host, site, named->sha256, 0));
  for (const auto& withdrawn : TRY(host.store.withdrawn(site)))
    if (withdrawn.version == wanted)
      TRY(check_withdrawn(host, site, withdrawn.sha256, 0));
  return {};
}

// Its processes still run in the slot that it had. Files alone are never warm: what keeps them
// unchanged is nothing but their digest.
bool is_warm(JobContext& r) {
  bool any = false;
  for (const auto& p : r.release.services) {
    if (p.files_only())
      continue;
    if (r.host.slots.release_in(slot_name(r.release, p)) != r.release.row.id)
      return false;
    any = true;
  }
  return any;
}

// It was asked for while another job watched the release that shall go, and that job was faster: a
// second step back is not what was asked for.
Result<bool> was_rolled_back(JobContext& r) {
  if (!r.job.version.empty() || r.asked_when_live.empty() || r.asked_when_live == r.old->id)
    return false;
  const auto then = TRY(r.host.store.release(r.job.site, r.asked_when_live));
  return then && then->state == store::ReleaseState::failed;
}

// The newest that was live after it and is passed by because nobody saw its watch end well.
void note_passed_by(
    JobContext& r, const std::vector<store::Release>& releases, const store::Release& target) {
  for (const auto& other : releases)
    if (other.state == store::ReleaseState::unproven && other.id != r.old->id &&
        other.id != target.id && other.live_ms >= target.live_ms)
      return r.info(cat(other.version, " (", other.id,
          ") was live after it, but its watch did not end: `chillboxctl rollback ",
          r.job.site.str(), " ", other.id, "` goes there"));
  if (target.state == store::ReleaseState::unproven)
    r.info(cat("the watch of ", target.version, " did not end, but there is no good release"));
}

// After a rollback the newest good release is the one that it left.
void note_forward(JobContext& r, const store::Release& target) {
  if (target.serial > r.old->serial)
    r.info(cat(target.version, " is newer than ", r.old->version,
        ": this goes forward; `chillboxctl rollback ", r.job.site.str(),
        " VERSION` goes further back"));
}

// It goes back to programs that knew the data as they were before.
void warn_of_data(JobContext& r, const store::Release& target) {
  if (r.job.options.with_data || target.serial >= r.old->serial)
    return;
  const auto left = load(r.host, *r.old);
  if (!left || std::ranges::all_of(left->site.services, [](const auto& service) {
        return service.release_command.empty();
      }))
    return;
  const auto before = snapshot_for(r.host, r.job.site, target.id).value_or(std::nullopt);
  const std::string text =
      cat("the data stay as the release_command of ", r.old->version, " left them",
          before ? cat("; snapshot ", before->number, " is from before: `chillboxctl rollback ",
                       r.job.site.str(), " ", target.id, " --with-data`")
                 : std::string(", and no snapshot is from before"));
  r.job.kind == store::JobKind::rollback ? r.warn(text) : r.info(text);
}

Result<Next> run_select(JobContext& r) {
  if (!r.old)
    return fail(Code::not_found, cat("site '", r.job.site.str(), "' has no live release"));
  if (TRY(was_rolled_back(r))) {
    r.job.release = r.old->id;
    r.job.message = cat("rolled back already: ", r.old->version, " is live again");
    return Next::finished;
  }
  const auto releases = TRY(r.host.store.kept_releases(r.job.site));
  const std::string wanted = r.job.version.empty() ? r.row.previous_good : r.job.version;
  if (wanted.empty())
    return fail(Code::not_found,
        cat("no earlier good release of '", r.job.site.str(),
            "' to roll back to: ", targets(r.host, releases, r.row.live)));
  const auto* target = choose(releases, wanted);
  if (target == nullptr)
    TRY(check_name(r.host, r.job.site, wanted));
  if (target == nullptr)
    return fail(Code::not_found,
        cat("no good release '", printable(wanted), "' of '", r.job.site.str(),
            "': ", targets(r.host, releases, r.row.live)));
  if (target->id == r.old->id && !r.job.options.with_data && !r.row.stopped) {
    r.job.release = r.old->id;
    r.job.message = cat("already live: ", r.old->version, " (release ", r.old->id, ")");
    return Next::finished;
  }
  if (const auto good = check_release(r.host, *target); !good)
    return fail(
        good.error().code, cat(good.error().message, "; ", targets(r.host, releases, r.row.live)));
  if (r.job.version.empty()) {
    note_passed_by(r, releases, *target);
    note_forward(r, *target);
  }
  warn_of_data(r, *target);
  r.release.row = *target;
  r.job.release = r.release.row.id;
  r.job.version = r.release.row.version;
  TRY(rebuild_release(r));
  r.release = TRY(load(r.host, r.release.row));
  if (target->slot != r.old->slot && !r.job.options.with_data && is_warm(r)) {
    r.info("its slot is still warm");
  } else {
    if (TRY(r.host.disk.tree_digest(r.release_dir())) != r.release.row.digest)
      return fail(Code::corrupt,
          cat("release ", r.release.row.id,
              " was changed on disk since it was built: deploy it again"));
    r.release.row.slot = idle_slot(r);
  }
  return Next::proceed;
}

Result<Next> run_current(JobContext& r) {
  if (!r.old) {
    if (r.job.kind != store::JobKind::secrets)
      return fail(Code::not_found, cat("site '", r.job.site.str(), "' has no live release"));
    r.job.message = "stored; the site has no release yet";
    return Next::finished;
  }
  r.release.row = *r.old;
  r.job.release = r.release.row.id;
  r.job.version = r.release.row.version;
  TRY(rebuild_release(r));
  r.release = TRY(load(r.host, r.release.row));
  if (const auto set = TRY(r.host.store.secret_set(r.job.site)))
    r.release.row.secrets = set->sha256;
  if (r.job.kind == store::JobKind::start) {
    TRY(share_data(r.host, r.release)); // that may have been put back by hand
    return Next::proceed;               // in the slot that it had
  }
  const bool uses = uses_secrets(r.release.site);
  if (r.job.kind == store::JobKind::secrets && (!uses || r.row.stopped)) {
    TRY(r.host.store.put_release(r.release.row));
    r.job.message =
        uses ? "staged; the site is stopped" : "staged; the live release uses no secrets";
    return Next::finished;
  }
  r.release.row.slot = idle_slot(r);
  return Next::proceed;
}

} // namespace

extern const Step k_select{.name = "select", .run = run_select, .old_name = "target"};
extern const Step k_current{.name = "current", .run = run_current, .old_name = "same"};

} // namespace chillbox::rollout
