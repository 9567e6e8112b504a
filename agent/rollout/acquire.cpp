#include "rollout/acquire.hpp"
#include "rollout/bring_up.hpp"
#include "rollout/fetch.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/slots.hpp"
#include "rollout/trust.hpp"

#include "artifact/age_input.hpp"
#include "artifact/artifact_store.hpp"
#include "artifact/stager.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace chillbox::rollout {

extern const Step k_replace_secrets; // secret_set.cpp

namespace {

Result<Fd> open_artifact(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd)
    return fail_errno(cat("open ", path), errno);
  return fd;
}

// Where a kept signature goes that does not hold any more: the same artifact signed again is then
// asked for again, and a retry finds this one here.
std::string refused(const std::string& signature) {
  return signature + ".refused";
}

// Something of this digest is on the host, or another job is about to take it: then its signature
// is not this job's to judge.
bool is_needed(HostContext& host, const store::Job& job) {
  const auto unfinished = host.store.unfinished();
  if (!unfinished || std::ranges::any_of(*unfinished, [&](const auto& other) {
        return other.id != job.id && other.sha256 == job.sha256;
      }))
    return true;
  if (const auto needed = host.store.needed_artifacts(); !needed || needed->contains(job.sha256))
    return true;
  for (const auto& row : host.store.sites().value_or(std::vector<store::SiteRow>{}))
    if (const auto set = host.store.used_set(row.site, job.sha256); !set || *set)
      return true;
  return false;
}

// It held: kept for the artifact, unless there is another site's, of whose artifacts nobody else's
// key may speak.
Result<void> keep_signature(JobContext& r, const Digest& digest, const std::string& path) {
  const std::string kept = r.host.paths.artifact_signature(digest);
  if (path == kept || (r.host.disk.exists(kept) && is_needed(r.host, r.job)))
    return {};
  std::optional<Unsynced> later;
  if (r.job.kind == store::JobKind::deploy)
    later.emplace(); // build_tree() makes it durable
  return r.host.disk.rename(path, kept);
}

// It did not: what came for this job alone stays, for a retry.
void put_aside(JobContext& r, const Digest& digest, const std::string& path) {
  if (path != r.host.paths.artifact_signature(digest) || is_needed(r.host, r.job))
    return;
  if (auto moved = r.host.disk.rename(path, refused(path)); !moved)
    r.output(cat("the refused signature stays: ", moved.error().message));
}

// After a crash of the daemon: what is in use may be this job's own work, which it has not watched
// yet.
bool begun_again(JobContext& r) {
  const auto events = r.host.store.events(r.job.id, 0);
  return events && std::ranges::any_of(*events, [](const auto& event) {
    return event.kind == store::EventKind::undo;
  });
}

// A crash interrupted it after that, and a rollback to other secrets came before it continues: the
// serial that is installed is its own.
bool had_replaced_secrets(JobContext& r) {
  const auto events = r.host.store.events(r.job.id, 0);
  return events && std::ranges::any_of(*events, [](const auto& event) {
    return k_replace_secrets.is(event.step);
  });
}

bool is_live_already(JobContext& r) {
  if (r.job.kind == store::JobKind::deploy)
    return r.old && r.old->sha256 == r.job.sha256;
  const auto set = r.host.store.secret_set(r.job.site);
  return set && *set && (*set)->sha256 == r.job.sha256 &&
      (!r.old || r.old->secrets == r.job.sha256) && !begun_again(r);
}

// A clock that was set back does not make fresh what had expired when the site's newest release
// came (faults 98).
Result<int64_t> latest_time(JobContext& r) {
  return std::max(r.host.clock.wall(), TRY(r.host.store.newest_release_ms(r.job.site)) / 1000);
}

} // namespace

Result<void> check_hold(HostContext& host, const SiteName& site) {
  const auto hold = TRY(host.store.hold(site));
  if (!hold)
    return {};
  return fail(Code::busy,
      cat("'", site.str(), "' is held by ", hold->actor, " since ", rfc3339(hold->time_ms / 1000),
          ": ", printable(hold->why), "; `chillboxctl release-hold ", site.str(),
          "` ends the hold"));
}

std::string uploaded_signature(
    const HostContext& host, const Digest& digest, const std::string& job) {
  return cat(host.paths.artifact_signature(digest), ".", job);
}

std::string signature_of(HostContext& host, const store::Job& job) {
  const auto digest = Digest::parse(job.sha256);
  if (!digest)
    return "";
  for (const auto& path :
      {uploaded_signature(host, *digest, job.id), host.paths.artifact_signature(*digest)})
    if (host.disk.exists(path))
      return path;
  return "";
}

namespace {

Result<void> check_wait(JobContext& r, const Digest& digest) {
  const int64_t waited =
      r.control.waited ? r.control.waited->count() : r.host.clock.wall_ms() - r.job.created_ms;
  const int64_t limit = std::chrono::milliseconds(r.host.config.upload_wait).count();
  if (waited <= limit)
    return {};
  return fail(Code::timed_out,
      cat("no upload of ", digest.str(), " and its signature within ", limit / 1000,
          " s: send it again"));
}

// A deploy starts a site that somebody stopped, one of what is live already as well.
Result<std::string> start_stopped(JobContext& r) {
  r.control.turn().take_slots();
  r.row.stopped = false;
  TRY(r.host.store.set_stopped(r.job.site, false));
  const auto up = bring_up(r.host, r.job.site, true, r.control);
  if (up)
    return up->waiting.empty() ? std::string("; the site was stopped, and is started")
                               : cat("; started, except what waits for ", join(up->waiting, ", "),
                                     ": `chillboxctl unlock`");
  (void)stop_slots(r.host, r.job.site, Slot::none);
  r.row.stopped = true;
  TRY(r.host.store.set_stopped(r.job.site, true));
  return std::unexpected(up.error());
}

artifact::StageJob stage_job(JobContext& r) {
  const auto& limits = r.host.config;
  return {.artifact_fd = r.artifact.get(),
      .tree = r.stage_dir(),
      .limits = {limits.unpacked_max, limits.entries_max, limits.ratio_max},
      .own_user = r.host.as_root,
      .cancelled = [&r] { return r.control.cancelled(); }};
}

Result<Next> run_obtain(JobContext& r) {
  const Digest digest = TRY(Digest::parse(r.job.sha256));
  TRY(check_withdrawn(r.host, r.job.site, r.job.sha256, 0));
  if (r.job.kind == store::JobKind::secrets && r.old &&
      !r.row.stopped) // before its secrets are changed: it is started again with them
    if (const auto good = check_release(r.host, *r.old); !good)
      return fail(good.error().code,
          cat(good.error().message,
              "; new secrets are taken while the site is stopped: `chillboxctl stop ",
              r.job.site.str(), "`"));
  if (is_live_already(r)) {
    r.job.release = r.old ? r.old->id : "";
    const bool deploy = r.job.kind == store::JobKind::deploy;
    const std::string started = deploy && r.row.stopped ? TRY(start_stopped(r)) : "";
    r.job.message = deploy
        ? cat("already live: ", r.old->version, " (release ", r.old->id, ")", started)
        : "these secrets are already in use";
    return Next::finished;
  }
  const std::string signature = r.host.paths.artifact_signature(digest);
  if (r.job.options.retry && signature_of(r.host, r.job).empty() &&
      r.host.disk.exists(refused(signature)))
    TRY(r.host.disk.rename(refused(signature), signature));
  const auto is_here = [&] {
    return r.host.disk.exists(r.host.paths.artifact(digest)) &&
        !signature_of(r.host, r.job).empty();
  };
  if (!is_here()) {
    TRY(check_wait(r, digest));
    TRY(fetch_missing(r, digest));
  }
  if (!is_here())
    return Next::wait_upload;
  r.artifact = TRY(open_artifact(r.host.paths.artifact(digest)));
  if (r.job.kind == store::JobKind::deploy)
    r.stager = artifact::Stager::start(stage_job(r)).value_or(nullptr); // else unpack() says why
  return Next::proceed;
}

Result<Next> run_verify(JobContext& r) {
  const Digest announced = TRY(Digest::parse(r.job.sha256));
  const auto stored = TRY(artifact::digest_file(r.artifact.get()));
  const std::string signature_file = signature_of(r.host, r.job);
  const auto signature = TRY(r.host.disk.read(signature_file, 4096));
  const auto trusted = TRY(artifact::load_trusted_keys(r.host.paths.trusted()));
  const bool secrets = r.job.kind == store::JobKind::secrets;
  artifact::Expected wanted{.site = r.job.site,
      .secrets = secrets,
      .version = secrets ? "" : r.job.version,
      .sha256 = announced};
  const auto set = TRY(r.host.store.secret_set(r.job.site));
  const bool again =
      secrets && set && set->sha256 == r.job.sha256; // after a crash: it is the installed one
  wanted.installed_serial =
      again ? 0 : TRY(r.host.store.serial(r.job.site, secrets ? "secrets" : "site"));
  if (wanted.installed_serial > 0 && secrets && had_replaced_secrets(r))
    --wanted.installed_serial;
  wanted.serial_jump_max = r.host.config.serial_jump_max;
  wanted.allow_downgrade = r.job.options.allow_downgrade;
  wanted.allow_jump = r.job.options.allow_jump || wanted.installed_serial == 0;
  wanted.now_unix = TRY(latest_time(r));
  auto verified = artifact::verify(trusted, signature, stored.blake2b, stored.sha256, wanted);
  if (!verified) {
    put_aside(r, announced, signature_file);
    return std::unexpected(std::move(verified).error());
  }
  const auto serial = verified->statement.serial;
  TRY(check_withdrawn(r.host, r.job.site, secrets ? "" : r.job.sha256, secrets ? 0 : serial));
  if (const uint64_t floor = TRY(r.host.store.serial(r.job.site, k_secrets_floor));
      secrets && serial <= floor)
    return fail(Code::denied,
        cat("serial ", serial, ": secret sets up to ", floor, " were withdrawn: pack it again"));
  TRY(keep_signature(r, announced, signature_file));
  if (!secrets)
    for (const auto& older : TRY(r.host.store.supersede_older(r.job, r.host.clock.wall_ms())))
      r.host.changed(older);
  r.verified = std::move(*verified);
  r.info(cat("signed by '", r.verified->signer, "', serial ", r.verified->statement.serial, ", ",
      human_size(stored.size)));
  return Next::proceed;
}

} // namespace

Result<Next> open_artifact_key(JobContext& r) {
  const auto input = TRY_IN("artifact", artifact::open_age(r.artifact.get()));
  auto key = r.host.vault.file_key(input.header_text);
  if (!key && key.error().code == Code::sealed) {
    r.stager.reset(); // a job that waits leaves nothing in the stage
    return Next::wait_unlock;
  }
  if (!key && key.error().code == Code::not_found)
    return fail(Code::preflight,
        cat("artifact: ", key.error().message, ": ", other_key_remedy(r.host, key.error())));
  if (!key)
    return within("artifact", std::move(key).error());
  r.file_key = std::move(*key);
  return Next::proceed;
}

namespace {

// The unlock brings the site up in its turn, which may come after this job; and only a site that
// has a release.
Result<Next> run_unseal_all(JobContext& r) {
  const Next next = TRY(open_artifact_key(r));
  auto staged = next == Next::proceed ? load_current_set(r.host, r.job.site) : Result<void>{};
  if (!staged && staged.error().code == Code::sealed) {
    r.stager.reset();
    return Next::wait_unlock;
  }
  TRY(std::move(staged));
  return next;
}

} // namespace

Result<void> unpack(JobContext& r) {
  if (!r.stager)
    r.stager = TRY(artifact::Stager::start(stage_job(r)));
  const auto stats = TRY(std::exchange(r.stager, nullptr)->run(r.file_key));
  r.staged_stamp = stats.stamp;
  r.staged_size = {stats.bytes, stats.files + stats.directories + stats.links};
  r.info(cat(stats.files, " files, ", human_size(stats.bytes)));
  r.file_key = SecretBytes();

  const std::string slug = r.job.site.str();
  const auto top = TRY(r.host.disk.list(r.stage_dir()));
  if (top != std::vector<std::string>{slug})
    return fail(Code::invalid,
        cat("artifact: must have one top folder '", slug, "', has: ", printable(join(top, ", "))));
  r.release.site = TRY_IN(
      cat(slug, ".site.json"), read_site(r.host.disk, cat(r.stage_dir(), "/", slug), r.job.site));
  TRY_IN(cat(slug, ".site.json"), config::require_resolved(r.release.site));
  return {};
}

Result<Next> run_stage(JobContext& r) {
  if (r.old)
    r.layers.begin(r.host, r.job.site, r.old->id);
  TRY(unpack(r));
  const std::string slug = r.job.site.str();
  if (!r.release.site.version || r.release.site.version->str() != r.verified->statement.version)
    return fail(Code::denied,
        cat(slug, ".site.json says version ",
            r.release.site.version ? r.release.site.version->str() : "(none)",
            ", the signature says ", r.verified->statement.version));
  return Next::proceed;
}

Result<void> undo_stage(JobContext& r) {
  return r.host.disk.remove_tree(r.stage_dir());
}

extern const Step k_obtain{.name = "obtain", .run = run_obtain, .touches_site = false};
extern const Step k_verify{.name = "verify", .run = run_verify, .touches_site = false};
extern const Step k_unseal{.name = "unseal", .run = open_artifact_key, .touches_site = false};
extern const Step k_unseal_all{.name = "unseal", .run = run_unseal_all, .touches_site = false};
extern const Step k_stage{
    .name = "stage", .run = run_stage, .undo = undo_stage, .touches_site = false};

} // namespace chillbox::rollout
