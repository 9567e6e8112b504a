#include "rollout/steps.hpp"
#include "rollout/trust.hpp"

#include "artifact/age_input.hpp"
#include "artifact/artifact_store.hpp"
#include "artifact/stager.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace chillbox::rollout {
namespace {

Result<Fd> open_artifact(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd)
    return fail_errno(cat("open ", path), errno);
  return fd;
}

// Where a kept signature goes that does not hold any more: the same artifact signed anew is then
// asked for again, and a retry finds this one here.
std::string refused(const std::string& signature) {
  return signature + ".refused";
}

// Something of this digest is on the host, or another job is about to take it: then its signature
// is not this job's to judge.
bool is_needed(World& world, const store::Job& job) {
  const auto unfinished = world.store.unfinished();
  if (!unfinished || std::ranges::any_of(*unfinished, [&](const auto& other) {
        return other.id != job.id && other.sha256 == job.sha256;
      }))
    return true;
  for (const auto& row : world.store.sites().value_or(std::vector<store::SiteRow>{})) {
    if (const auto set = world.store.used_set(row.site, job.sha256); !set || *set)
      return true;
    for (const auto& release :
        world.store.releases(row.site).value_or(std::vector<store::Release>{}))
      if (release.sha256 == job.sha256 &&
          (release.state == store::ReleaseState::good ||
              release.state == store::ReleaseState::staged))
        return true;
  }
  return false;
}

// It held: kept for the artifact, unless there is another site's, of whose artifacts nobody else's
// key may speak.
Result<void> keep_signature(Rollout& r, const Digest& digest, const std::string& path) {
  const std::string kept = r.world.paths.artifact_signature(digest);
  if (path == kept || (r.world.disk.exists(kept) && is_needed(r.world, r.job)))
    return {};
  return r.world.disk.rename(path, kept);
}

// It did not: what came for this job alone stays, for a retry.
void put_aside(Rollout& r, const Digest& digest, const std::string& path) {
  if (path != r.world.paths.artifact_signature(digest) || is_needed(r.world, r.job))
    return;
  if (auto moved = r.world.disk.rename(path, refused(path)); !moved)
    r.output(cat("the refused signature stays: ", moved.error().message));
}

// Behind a crash of the daemon: what is in use may be this job's own work, which it has not watched
// yet.
bool begun_again(Rollout& r) {
  const auto events = r.world.store.events(r.job.id, 0);
  return events &&
      std::ranges::any_of(*events, [](const auto& event) { return event.kind == "undo"; });
}

// A crash interrupted it behind that, and a rollback to other secrets came before it goes on: the
// serial that is installed is its own.
bool had_exchanged(Rollout& r) {
  const auto events = r.world.store.events(r.job.id, 0);
  return events &&
      std::ranges::any_of(*events, [](const auto& event) { return event.step == "exchange"; });
}

bool is_live_already(Rollout& r) {
  if (r.allows("restore"))
    return false;
  if (r.job.kind == store::JobKind::deploy)
    return r.old && r.old->sha256 == r.job.sha256;
  const auto set = r.world.store.secret_set(r.job.site);
  return set && *set && (*set)->sha256 == r.job.sha256 &&
      (!r.old || r.old->secrets == r.job.sha256) && !begun_again(r);
}

// A clock that was set back does not make fresh what had expired when the site's newest release
// came (faults 98).
Result<int64_t> latest_time(Rollout& r) {
  int64_t latest = r.world.clock.wall();
  for (const auto& release : TRY(r.world.store.releases(r.job.site)))
    latest = std::max({latest, release.created_ms / 1000, release.live_ms / 1000});
  return latest;
}

} // namespace

Result<void> check_hold(World& world, const SiteName& site) {
  const auto hold = TRY(world.store.hold(site));
  if (!hold)
    return {};
  return fail(Code::busy,
      cat("'", site.str(), "' is held by ", hold->actor, " since ", rfc3339(hold->time_ms / 1000),
          ": ", printable(hold->why), "; `chillboxctl release-hold ", site.str(),
          "` ends the hold"));
}

std::string uploaded_signature(const World& world, const Digest& digest, const std::string& job) {
  return cat(world.paths.artifact_signature(digest), ".", job);
}

std::string signature_of(World& world, const store::Job& job) {
  const auto digest = Digest::parse(job.sha256);
  if (!digest)
    return "";
  for (const auto& path :
      {uploaded_signature(world, *digest, job.id), world.paths.artifact_signature(*digest)})
    if (world.disk.exists(path))
      return path;
  return "";
}

Result<Next> run_obtain(Rollout& r) {
  TRY(check_hold(r.world, r.job.site)); // also what waited since before the hold
  const Digest digest = TRY(Digest::parse(r.job.sha256));
  TRY(check_withdrawn(r.world, r.job.site, r.job.sha256, 0));
  if (r.job.kind == store::JobKind::secrets && r.old &&
      !r.row.stopped) // before its secrets are changed: it is started again with them
    if (const auto good = check_release(r.world, *r.old); !good)
      return fail(good.error().code,
          cat(good.error().message,
              "; new secrets are taken while the site is stopped: `chillboxctl stop ",
              r.job.site.str(), "`"));
  if (is_live_already(r)) {
    r.job.release = r.old ? r.old->id : "";
    r.job.message = r.job.kind == store::JobKind::deploy
        ? cat("already live: ", r.old->version, " (release ", r.old->id, ")")
        : "these secrets are already in use";
    return Next::finished;
  }
  const std::string signature = r.world.paths.artifact_signature(digest);
  if (r.allows("retry") && signature_of(r.world, r.job).empty() &&
      r.world.disk.exists(refused(signature)))
    TRY(r.world.disk.rename(refused(signature), signature));
  if (r.world.disk.exists(r.world.paths.artifact(digest)) &&
      !signature_of(r.world, r.job).empty()) {
    r.artifact = TRY(open_artifact(r.world.paths.artifact(digest)));
    return Next::go_on;
  }
  const int64_t waited =
      r.signals.waited ? r.signals.waited->count() : r.world.clock.wall_ms() - r.job.created_ms;
  const int64_t limit = std::chrono::milliseconds(r.world.config.upload_wait).count();
  if (waited > limit)
    return fail(Code::timed_out,
        cat("no upload of ", digest.str(), " and its signature within ", limit / 1000,
            " s: send it again"));
  return Next::wait_upload;
}

Result<Next> run_verify(Rollout& r) {
  const Digest announced = TRY(Digest::parse(r.job.sha256));
  const auto stored = TRY(artifact::digest_file(r.artifact.get()));
  const std::string signature_file = signature_of(r.world, r.job);
  const auto signature = TRY(r.world.disk.read(signature_file, 4096));
  const auto trusted = TRY(artifact::load_trusted_keys(r.world.paths.trusted()));
  const bool secrets = r.job.kind == store::JobKind::secrets;
  artifact::Expected wanted{.site = r.job.site,
      .secrets = secrets,
      .version = secrets ? "" : r.job.version,
      .sha256 = announced};
  const auto set = TRY(r.world.store.secret_set(r.job.site));
  const bool again = r.allows("restore") ||
      (secrets && set && set->sha256 == r.job.sha256); // after a crash: it is the installed one
  wanted.installed_serial =
      again ? 0 : TRY(r.world.store.serial(r.job.site, secrets ? "secrets" : "site"));
  if (wanted.installed_serial > 0 && secrets && had_exchanged(r))
    --wanted.installed_serial;
  wanted.serial_jump_max = r.world.config.serial_jump_max;
  wanted.allow_downgrade = r.allows("allow_downgrade");
  wanted.allow_jump = r.allows("allow_jump") || wanted.installed_serial == 0;
  wanted.now_unix = TRY(latest_time(r));
  auto verified = artifact::verify(trusted, signature, stored.blake2b, stored.sha256, wanted);
  if (!verified) {
    put_aside(r, announced, signature_file);
    return std::unexpected(std::move(verified).error());
  }
  const auto serial = verified->statement.serial;
  TRY(check_withdrawn(r.world, r.job.site, secrets ? "" : r.job.sha256, secrets ? 0 : serial));
  if (const uint64_t floor = TRY(r.world.store.serial(r.job.site, k_secrets_floor));
      secrets && serial <= floor)
    return fail(Code::denied,
        cat("serial ", serial, ": secret sets up to ", floor, " were withdrawn: pack it again"));
  TRY(keep_signature(r, announced, signature_file));
  r.verified = std::move(*verified);
  r.info(cat("signed by '", r.verified->signer, "', serial ", r.verified->statement.serial, ", ",
      human_size(stored.size)));
  return Next::go_on;
}

Result<Next> run_unseal(Rollout& r) {
  const auto input = TRY_IN("artifact", artifact::open_age(r.artifact.get()));
  auto key = r.world.vault.file_key(input.header_text);
  if (!key && key.error().code == Code::sealed)
    return Next::wait_unlock;
  if (!key)
    return within("artifact", std::move(key).error());
  r.file_key = std::move(*key);
  return Next::go_on;
}

// The unlock brings the site up in its turn, which may come behind this job; and only a site that
// has a release.
Result<Next> run_unseal_all(Rollout& r) {
  const Next next = TRY(run_unseal(r));
  auto staged = next == Next::go_on ? stage_current_set(r.world, r.job.site) : Result<void>{};
  if (!staged && staged.error().code == Code::sealed)
    return Next::wait_unlock;
  TRY(std::move(staged));
  return next;
}

Result<void> unpack(Rollout& r) {
  const auto& limits = r.world.config;
  artifact::StageJob job{.artifact_fd = r.artifact.get(),
      .file_key = &r.file_key,
      .tree = r.stage_dir(),
      .limits = {limits.unpacked_max, limits.entries_max, limits.ratio_max},
      .own_user = r.world.as_root,
      .cancelled = [&r] { return r.signals.cancelled(); }};
  const auto stats = TRY(artifact::stage(job));
  r.staged_digest = stats.digest;
  r.info(cat(stats.files, " files, ", human_size(stats.bytes)));
  r.file_key = SecretBytes();

  const std::string slug = r.job.site.str();
  const auto top = TRY(r.world.disk.list(r.stage_dir()));
  if (top != std::vector<std::string>{slug})
    return fail(Code::invalid,
        cat("artifact: must have one top folder '", slug, "', has: ", printable(join(top, ", "))));
  const auto text = TRY(r.world.disk.read(
      cat(r.stage_dir(), "/", slug, "/", slug, ".site.json"), config::k_max_site_json));
  r.site = TRY_IN(cat(slug, ".site.json"), config::parse_site(text, r.job.site));
  TRY_IN(cat(slug, ".site.json"), config::require_resolved(r.site));
  return {};
}

Result<Next> run_stage(Rollout& r) {
  TRY(unpack(r));
  const std::string slug = r.job.site.str();
  if (!r.site.version || r.site.version->str() != r.verified->statement.version)
    return fail(Code::denied,
        cat(slug, ".site.json says version ", r.site.version ? r.site.version->str() : "(none)",
            ", the signature says ", r.verified->statement.version));
  return Next::go_on;
}

void undo_stage(Rollout& r) {
  (void)r.world.disk.remove_tree(r.stage_dir());
}

} // namespace chillbox::rollout
