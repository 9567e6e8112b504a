// Verbs that order a job, lock and unlock, and what the monitor itself does.
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/carried.hpp"
#include "daemon/control_verbs.hpp"
#include "daemon/orders.hpp"
#include "rollout/acquire.hpp"
#include "rollout/loaded_release.hpp"
#include "store/notices.hpp"

#include <unistd.h>

#include <algorithm>

namespace chillbox::daemon {

using control::JobAnswer;
using control::Json;
using control::Role;

namespace {

constexpr size_t k_max_identity = 64 * 1024;
constexpr size_t k_max_history = 4 << 20;
constexpr size_t k_job_id = 16;
constexpr std::chrono::milliseconds k_history_wait{60'000};
constexpr std::chrono::milliseconds k_passphrase_wait{120'000};
constexpr os::Millis k_bring_up_wait{120'000};
constexpr os::Millis k_unlock_turn{30'000}; // more than a try of somebody else takes

// A service that the live release has not is refused here: restart and start would take its name
// for the whole site's.
Result<void> check_service(
    rollout::HostContext& host, const store::SiteRow& row, const std::string& service) {
  const auto live = TRY(host.store.release(row.site, row.live));
  if (service.empty() || !live)
    return {};
  const auto release = TRY(rollout::load(host, *live));
  std::vector<std::string> names;
  for (const auto& p : release.services)
    names.push_back(p.service.name.str());
  if (release.site.has_redis)
    names.emplace_back("redis");
  if (std::ranges::find(names, service) != names.end())
    return {};
  return fail(Code::not_found,
      cat("no service '", printable(service, 40), "' of '", row.site.str(), "': there is ",
          join(names, ", ")));
}

// One whose first deploy never got to its end can be removed, which ends the notice of that.
Result<store::SiteRow> site_to(const Call& call, store::JobKind kind) {
  const auto site = TRY(site_of(call));
  if (kind == store::JobKind::remove && !TRY(call.host().store.site(site)) &&
      TRY(store::Notices(call.host().store).is_open(store::k_deploy_failed, site)))
    return store::SiteRow{.site = site};
  return known_site(call, site);
}

Result<JobAnswer> order(const Call& call, store::JobKind kind, store::JobOptions options = {}) {
  const auto row = TRY(site_to(call, kind));
  auto job = new_job(call.host(), kind, row.site, call.actor);
  job.version = call.args.version.value_or("");
  job.service = call.args.service.value_or("");
  TRY(check_service(call.host(), row, job.service));
  job.options = options;
  TRY(name_job(call, job));
  TRY(call.host().store.add_job(job));
  return submit(call, job);
}

Result<JobAnswer> rollback(const Call& call) {
  if (!call.args.during_hold.value_or(false)) {
    const auto free = rollout::check_hold(call.host(), TRY(site_of(call)));
    if (!free && free.error().code == Code::busy)
      return fail(Code::busy, cat(free.error().message, "; --during-hold rolls back anyway"));
    TRY(free);
  } else if (call.person && call.person->role != control::Role::admin) {
    return fail(Code::denied,
        cat(call.person->name, " may ", control::name(call.person->role),
            ", and --during-hold needs admin: ask who set the hold"));
  }
  return order(call, store::JobKind::rollback, {.with_data = call.args.with_data.value_or(false)});
}

Result<JobAnswer> restart(const Call& call) {
  return order(call, store::JobKind::restart, {.no_watch = call.args.no_watch.value_or(false)});
}

Result<JobAnswer> start(const Call& call) {
  return order(call, store::JobKind::start);
}

Result<JobAnswer> stop(const Call& call) {
  return order(call, store::JobKind::stop);
}

Result<JobAnswer> remove(const Call& call) {
  return order(call, store::JobKind::remove, {.purge = call.args.purge.value_or(false)});
}

// With what came for the old one, which is the new one's.
Result<store::Job> add_again(const Call& call, const store::Job& old) {
  auto& host = call.host();
  auto job = new_job(host, old.kind, old.site, call.actor);
  job.version = old.version;
  job.sha256 = old.sha256;
  job.size = old.size;
  job.service = old.service;
  job.options = {.allow_downgrade = call.args.allow_downgrade.value_or(false),
      .allow_jump = call.args.allow_jump.value_or(false),
      .no_watch = call.args.no_watch.value_or(false),
      .purge = old.options.purge,
      .with_data = old.options.with_data,
      .retry = true};
  const rollout::ArtifactHolds::Hold hold(host.artifact_holds, job.sha256);
  if (const auto digest = Digest::parse(old.sha256))
    if (const auto signature = rollout::uploaded_signature(host, *digest, old.id);
        host.disk.exists(signature))
      TRY(host.disk.write(rollout::uploaded_signature(host, *digest, job.id),
          TRY(host.disk.read(signature, 4096)), 0600));
  TRY(name_job(call, job));
  TRY(host.store.add_job(job));
  return job;
}

// What the verb of this kind would ask: a retry is no way around it.
Result<void> check_kind(const Call& call, const store::Job& old) {
  using store::JobKind;
  const std::string_view kind = store::name(old.kind);
  const ControlVerb* verb = find_verb(old.kind == JobKind::secrets ? "deploy_secrets" : kind);
  if (verb == nullptr)
    return fail(Code::conflict, cat("a ", kind, " is the agent's own job: nobody orders it"));
  if (call.person && (!verb->people || call.person->role < *verb->people))
    return fail(Code::denied, cat(call.person->name, " may not ", kind, ", by retry either"));
  if (old.kind == JobKind::deploy || old.kind == JobKind::secrets ||
      old.kind == JobKind::rollback || old.kind == JobKind::restore)
    return rollout::check_hold(call.host(), old.site);
  return {};
}

// The same order once more, with what the operator allows. Only from here can a downgrade or a jump
// of the serial be allowed (faults 38, 39).
Result<JobAnswer> retry(const Call& call) {
  auto& host = call.host();
  const std::string id = TRY(required(call.args.job, "job"));
  const auto old = TRY(host.store.job(id));
  if (!old)
    return fail(Code::not_found, cat("no job '", printable(id, 40), "'"));
  if (old->finished_ms == 0)
    return fail(Code::busy, cat("job ", id, " has not ended: it is ", store::name(old->state)));
  if (old->state == store::JobState::done)
    return fail(Code::conflict, cat("job ", id, " succeeded: there is nothing to run again"));
  TRY(check_kind(call, *old));
  return submit(call, TRY(add_again(call, *old)));
}

// One try at a time. After each wrong one the next of the same user has to wait, also over a
// restart (faults 75); another user's waits for nothing.
Result<std::string> open_vault(const Call& call, const SecretBytes& passphrase) {
  auto& host = call.host();
  const std::unique_lock one(call.state.unlocking, k_unlock_turn);
  if (!one)
    return fail(Code::busy, "another unlock is in progress");
  const uid_t uid = call.visit.uid;
  auto attempts = TRY(host.store.attempts(uid));
  const int64_t left = unlock_wait_ms(host, attempts);
  if (left > 0)
    return fail(Code::throttled,
        cat("wrong passphrase (", attempts.failures, " in a row): wait ", (left + 999) / 1000,
            " s, then try again"));
  const auto identity = host.disk.read(host.paths.identity(), k_max_identity);
  if (!identity)
    return fail(
        identity.error().code, cat(identity.error().message, ": `chillboxctl init` makes it"));
  auto recipient = host.vault.unlock(*identity, passphrase, host.config.scrypt_cap);
  if (!recipient && recipient.error().code == Code::denied) {
    ++attempts.failures;
    TRY(host.store.set_attempts(uid, {attempts.failures, host.clock.wall_ms()}));
    log::warn(cat(
        "unlock: wrong passphrase from ", call.actor, ", the ", attempts.failures, ". in a row"));
    return fail(Code::denied,
        cat("wrong passphrase (", attempts.failures, " in a row): the next try is possible in ",
            secrets::unlock_delay_seconds(attempts.failures), " s"));
  }
  if (!recipient)
    return std::unexpected(recipient.error());
  TRY(host.store.set_attempts(uid, {0, 0}));
  return std::move(*recipient);
}

Result<control::Unlocked> unlock(const Call& call) {
  const auto passphrase =
      TRY_IN("passphrase", control::read_secret_frame(call.fd(), k_passphrase_wait));
  auto recipient = TRY(open_vault(call, passphrase));
  call.state.locked = false; // that was another vault, whose end may not have been seen
  log::info(cat("unlocked by ", call.actor));
  auto came =
      call.state.engine.unlocked(k_bring_up_wait, [&] { return call.state.stopping.load(); });
  if (call.state.monitor.certificates.unlocked)
    call.state.monitor.certificates.unlocked();
  if (call.state.monitor.backups.unlocked)
    call.state.monitor.backups.unlocked();
  if (call.state.monitor.notices.refresh)
    call.state.monitor.notices.refresh();
  return control::Unlocked{.changed = std::nullopt,
      .recipient = std::move(recipient),
      .sites = std::move(came.sites),
      .failed = std::move(came.failed),
      .after_boot = std::move(came.after_boot)};
}

Result<control::Locked> lock(const Call& call) {
  auto& host = call.host();
  const bool was = host.vault.unsealed();
  call.state.locked = was;
  host.vault.lock();
  log::info(cat("locked by ", call.actor));
  if (call.state.monitor.notices.refresh)
    call.state.monitor.notices.refresh();
  return control::Locked{.was_unsealed = was};
}

// A flag that NGINX looks at: no job, no reload. The page first, so that the flag never shows an
// older one.
Result<control::Maintenance> maintenance_on(const Call& call) {
  auto& host = call.host();
  constexpr size_t k_longest = 2'000;
  const auto site = TRY(site_of(call));
  const std::string message = call.args.message.value_or("");
  if (message.size() > k_longest)
    return fail(
        Code::too_large, cat("message: ", message.size(), " bytes, the limit is ", k_longest));
  const auto row = TRY(host.store.site(site));
  if (!row || row->live.empty())
    return fail(Code::not_found,
        cat(row ? "no live release of '" : "no site '", site.str(), row ? "'" : "' on this host"));
  const auto release = TRY(host.store.release(site, row->live));
  if (!release || !nginx::has_maintenance(release->nginx))
    return fail(Code::conflict,
        cat("the NGINX template of '", site.str(), "' does not include ", site.str(),
            ".ssl_cert.include, which brings the maintenance page: add it and deploy"));
  const std::string flag = nginx::maintenance_flag(host.paths, site),
                    page = nginx::maintenance_page(message);
  const bool on = host.disk.exists(flag), shows = on && host.disk.exists(flag + ".html");
  const auto shown = host.disk.read(flag + ".html", page.size());
  const bool was = on && shown && *shown == page;
  if (shows && !call.args.message) // it keeps its words
    return control::Maintenance{.site = site.str(), .maintenance = true, .was = true};
  TRY(host.disk.write(flag + ".html", page, 0644));
  TRY(host.disk.write(flag, "", 0644));
  call.state.changes.notify();
  return control::Maintenance{.site = site.str(), .maintenance = true, .was = was};
}

Result<control::Maintenance> maintenance_off(const Call& call) {
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  const std::string flag = nginx::maintenance_flag(host.paths, site);
  const bool was = host.disk.exists(flag);
  TRY(host.disk.remove(flag));
  TRY(host.disk.remove(flag + ".html"));
  call.state.changes.notify();
  return control::Maintenance{.site = site.str(), .maintenance = false, .was = was};
}

Result<control::Done> reload(const Call& call) {
  const auto reloaded = call.state.monitor.reload();
  call.state.record_keys(call.actor); // also of a reload that found faults
  TRY(reloaded);
  return control::Done{};
}

Result<control::Upgraded> upgrade(const Call& call) {
  TRY(call.state.monitor.upgrade());
  log::info(cat("upgrade asked by ", call.actor));
  return control::Upgraded{
      .version = CHILLBOX_VERSION, .from = std::nullopt, .sealed = std::nullopt};
}

Result<std::string> receive_text(const Call& call) {
  for (std::string text;;) {
    const auto frame = TRY_IN("history", control::read_frame(call.fd(), k_history_wait));
    if (frame.empty())
      return text;
    text += frame;
    if (text.size() > k_max_history)
      return fail(Code::too_large, cat("the history has more than ", human_size(k_max_history)));
  }
}

// What follows is the answer of `jobs` on another host. Whoever asked for a job there did not ask
// for one here, so each is marked by that host's name; neither its key nor its artifact is one of
// ours.
Result<control::JobsImported> jobs_import(const Call& call) {
  if (call.visit.door != Door::operators || call.visit.uid != ::geteuid())
    return fail(Code::denied, "the history of another host is taken from root alone");
  const std::string from = TRY(parse_key_name(TRY(required(call.args.name, "name"))));
  auto list = TRY(control::read_answer<control::JobList>(TRY(receive_text(call))));
  std::ranges::reverse(list.jobs);
  std::erase_if(list.jobs, [](const control::Job& job) {
    return job.kind == store::JobKind::ping || job.kind == store::JobKind::unknown ||
        job.state == store::JobState::unknown || job.id.size() != k_job_id ||
        job.id.find_first_not_of("0123456789abcdef") != std::string::npos;
  });
  for (control::Job& job : list.jobs) {
    if (!job.actor.ends_with(cat(" on ", from)))
      job.actor = cat(printable(job.actor, 200), " on ", from);
    job.key.clear();
    job.sha256.clear();
  }
  auto& store = call.host().store;
  std::vector<control::Job> added;
  for (control::Job& job : list.jobs)
    if (!control::is_open(job.state) && !TRY(store.job(job.id)))
      added.push_back(std::move(job));
  for (const control::Job& running : TRY(store.unfinished()))
    for (const control::Job& job : added)
      if (job.site == running.site)
        return fail(Code::busy,
            cat("job ", running.id, " of '", running.site.str(), "' has not ended: try again"));
  for (const control::Job& job : added)
    TRY(store.add_job(job));
  return control::JobsImported{added.size()};
}

constexpr ControlVerb k_jobs_verbs[] = {
    {"rollback", answer<rollback>, false, Role::deploy},
    {"restart", answer<restart>, false, Role::deploy},
    {"start", answer<start>, false, Role::deploy},
    {"stop", answer<stop>, false, Role::deploy},
    {"remove", answer<remove>},
    {"retry", answer<retry>, true, Role::admin},
    {"unlock", answer<unlock>, true, Role::admin, Reach::filtered},
    {"lock", answer<lock>, true, Role::admin, Reach::filtered},
    {"reload", answer<reload>, true},
    {"upgrade", answer<upgrade>, true},
    {"jobs_import", answer<jobs_import>, true},
    {"maintenance_on", answer<maintenance_on>, true, Role::deploy},
    {"maintenance_off", answer<maintenance_off>, true, Role::deploy},
};

} // namespace

std::span<const ControlVerb> job_verbs() {
  return k_jobs_verbs;
}

// A clock that was set back must not lock the operator out for longer than the longest wait.
int64_t unlock_wait_ms(const rollout::HostContext& host, const store::Store::Attempts& attempts) {
  const int64_t wait = secrets::unlock_delay_seconds(attempts.failures) * 1000;
  return attempts.failures == 0
      ? 0
      : std::clamp<int64_t>(attempts.last_ms + wait - host.clock.wall_ms(), 0, wait);
}

Result<void> name_job(const Call& call, const store::Job& job) {
  return send_event(call, {{"job", job.id}});
}

Result<JobAnswer> submit(const Call& call, const store::Job& job) {
  call.state.engine.submit(job.id);
  if (call.args.wait.value_or(true))
    return follow(call, job.id, true, true);
  auto stored = TRY(call.host().store.job(job.id));
  if (!stored)
    return fail(Code::not_found, cat("no job '", job.id, "'"));
  return JobAnswer{.job = std::move(*stored), .events = std::nullopt};
}

} // namespace chillbox::daemon
