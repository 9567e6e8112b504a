// Verbs that act.
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/control_server.hpp"
#include "daemon/views.hpp"
#include "rollout/steps.hpp"

#include <algorithm>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr size_t k_max_identity = 64 * 1024;
constexpr std::chrono::milliseconds k_passphrase_wait{120'000};
constexpr os::Millis k_bring_up_wait{120'000};
constexpr os::Millis k_unlock_turn{30'000}; // more than a try of somebody else takes

// A service that the live release has not is refused here: restart and start would take its name
// for the whole site's.
Result<void> check_service(
    rollout::HostContext& world, const store::SiteRow& row, const std::string& service) {
  const auto live = TRY(world.store.release(row.site, row.live));
  if (service.empty() || !live)
    return {};
  rollout::JobControl signals;
  rollout::JobContext r(world, store::Job{.site = row.site}, signals);
  r.release = *live;
  TRY(rollout::load_release(r));
  std::vector<std::string> names;
  for (const auto& p : r.services)
    names.push_back(p.service.name.str());
  if (r.site.has_redis)
    names.emplace_back("redis");
  if (std::ranges::find(names, service) != names.end())
    return {};
  return fail(Code::not_found,
      cat("no service '", printable(service, 40), "' of '", row.site.str(), "': there is ",
          join(names, ", ")));
}

Json watch_of(const Json& args) {
  return {{"no_watch", control::bool_or(args, "no_watch", false)}};
}

} // namespace

Result<Json> ControlServer::run_job(const Call& call, store::JobKind kind, const Json& options) {
  SiteName site = TRY(SiteName::parse(TRY(control::string_at(call.args, "site"))));
  store::Job job{
      .id = store::new_job_id(m_world.clock.wall_ms()), .kind = kind, .site = std::move(site)};
  const auto row = TRY(m_world.store.site(job.site));
  if (!row)
    return fail(Code::not_found, cat("no site '", job.site.str(), "' on this host"));
  job.version = control::string_or(call.args, "version", "");
  job.service = control::string_or(call.args, "service", "");
  TRY(check_service(m_world, *row, job.service));
  job.actor = call.actor;
  job.options = control::dump(options);
  job.created_ms = m_world.clock.wall_ms();
  TRY(m_world.store.add_job(job));
  m_engine.submit(job.id);
  if (control::bool_or(call.args, "wait", true))
    return follow(call, job.id, true, true);
  const auto stored = TRY(m_world.store.job(job.id));
  return Json{{"job", view(*stored)}};
}

Result<Json> ControlServer::rollback(const Call& call) {
  if (!control::bool_or(call.args, "during_hold", false)) {
    const auto free = rollout::check_hold(m_world, TRY(site_of(call.args)));
    if (!free && free.error().code == Code::busy)
      return fail(Code::busy, cat(free.error().message, "; --during-hold rolls back all the same"));
    TRY(free);
  }
  return run_job(call, store::JobKind::rollback, Json::object());
}
Result<Json> ControlServer::restart(const Call& call) {
  return run_job(call, store::JobKind::restart, watch_of(call.args));
}
Result<Json> ControlServer::start(const Call& call) {
  return run_job(call, store::JobKind::start, Json::object());
}
Result<Json> ControlServer::stop_site(const Call& call) {
  return run_job(call, store::JobKind::stop, Json::object());
}

Result<Json> ControlServer::remove(const Call& call) {
  return run_job(
      call, store::JobKind::remove, {{"purge", control::bool_or(call.args, "purge", false)}});
}

// The same order once more, with what the operator allows. Only from here can a downgrade or a jump
// of the serial be allowed (faults 38, 39).
Result<Json> ControlServer::retry(const Call& call) {
  const std::string id = TRY(control::string_at(call.args, "job"));
  const auto old = TRY(m_world.store.job(id));
  if (!old)
    return fail(Code::not_found, cat("no job '", printable(id, 40), "'"));
  if (old->finished_ms == 0)
    return fail(Code::busy, cat("job ", id, " has not ended: it is ", store::name(old->state)));
  if (old->kind == store::JobKind::deploy || old->kind == store::JobKind::secrets)
    TRY(rollout::check_hold(m_world, old->site));
  store::Job job{
      .id = store::new_job_id(m_world.clock.wall_ms()), .kind = old->kind, .site = old->site};
  job.version = old->version;
  job.sha256 = old->sha256;
  job.size = old->size;
  job.service = old->service;
  job.actor = call.actor;
  job.options = control::dump(
      {{"retry", true}, {"allow_downgrade", control::bool_or(call.args, "allow_downgrade", false)},
          {"allow_jump", control::bool_or(call.args, "allow_jump", false)},
          {"no_watch", control::bool_or(call.args, "no_watch", false)}});
  job.created_ms = m_world.clock.wall_ms();
  if (const auto digest = Digest::parse(old->sha256)) // what came for the old one is the new one's
    if (const auto signature = rollout::uploaded_signature(m_world, *digest, id);
        m_world.disk.exists(signature))
      TRY(m_world.disk.write(rollout::uploaded_signature(m_world, *digest, job.id),
          TRY(m_world.disk.read(signature, 4096)), 0600));
  TRY(m_world.store.add_job(job));
  m_engine.submit(job.id);
  if (control::bool_or(call.args, "wait", true))
    return follow(call, job.id, true, true);
  const auto stored = TRY(m_world.store.job(job.id));
  return Json{{"job", view(*stored)}};
}

// A clock that was set back must not lock the operator out for longer than the longest wait.
int64_t ControlServer::unlock_wait_ms(const store::Store::Attempts& attempts) const {
  const int64_t wait = secrets::unlock_delay_seconds(attempts.failures) * 1000;
  return attempts.failures == 0
      ? 0
      : std::clamp<int64_t>(attempts.last_ms + wait - m_world.clock.wall_ms(), 0, wait);
}

// One try at a time. After each wrong one the next of the same user has to wait, also over a
// restart (faults 75); another user's waits for nothing.
Result<std::string> ControlServer::open_vault(const Call& call, const SecretBytes& passphrase) {
  const std::unique_lock one(m_unlocking, k_unlock_turn);
  if (!one)
    return fail(Code::busy, "somebody else is unlocking right now");
  const uid_t uid = call.visit.uid;
  auto attempts = TRY(m_world.store.attempts(uid));
  const int64_t left = unlock_wait_ms(attempts);
  if (left > 0)
    return fail(Code::throttled,
        cat("wrong passphrase (", attempts.failures, " in a row): wait ", (left + 999) / 1000,
            " s, then try again"));
  const auto identity = m_world.disk.read(m_world.paths.identity(), k_max_identity);
  if (!identity)
    return fail(
        identity.error().code, cat(identity.error().message, ": `chillboxctl init` makes it"));
  auto recipient = m_world.vault.unlock(*identity, passphrase, m_world.config.scrypt_cap);
  if (!recipient && recipient.error().code == Code::denied) {
    ++attempts.failures;
    TRY(m_world.store.set_attempts(uid, {attempts.failures, m_world.clock.wall_ms()}));
    log::warn(cat(
        "unlock: wrong passphrase from ", call.actor, ", the ", attempts.failures, ". in a row"));
    return fail(Code::denied,
        cat("wrong passphrase (", attempts.failures, " in a row): the next try is possible in ",
            secrets::unlock_delay_seconds(attempts.failures), " s"));
  }
  if (!recipient)
    return std::unexpected(recipient.error());
  TRY(m_world.store.set_attempts(uid, {0, 0}));
  return std::move(*recipient);
}

Result<Json> ControlServer::unlock(const Call& call) {
  const auto passphrase =
      TRY_IN("passphrase", control::read_secret_frame(call.fd, k_passphrase_wait));
  auto recipient = TRY(open_vault(call, passphrase));
  log::info(cat("unsealed by ", call.actor));
  Json started = Json::array();
  for (const auto& site : m_engine.unlocked(k_bring_up_wait, [this] { return m_stopping.load(); }))
    started.push_back(site);
  return Json{{"recipient", std::move(recipient)}, {"sites", std::move(started)}};
}

Result<Json> ControlServer::lock(const Call& call) {
  const bool was = m_world.vault.unsealed();
  m_locked = was;
  m_world.vault.lock();
  log::info(cat("sealed by ", call.actor));
  return Json{{"was_unsealed", was}};
}

// A flag that NGINX looks at: no job, no reload. The page first, so that the flag never shows an
// older one.
Result<Json> ControlServer::maintenance_on(const Call& call) {
  constexpr size_t k_longest = 2'000;
  const auto site = TRY(site_of(call.args));
  const std::string message = control::string_or(call.args, "message", "");
  if (message.size() > k_longest)
    return fail(
        Code::too_large, cat("message: ", message.size(), " bytes, the limit is ", k_longest));
  const auto row = TRY(m_world.store.site(site));
  if (!row || row->live.empty())
    return fail(Code::not_found,
        cat(row ? "no live release of '" : "no site '", site.str(), row ? "'" : "' on this host"));
  const auto release = TRY(m_world.store.release(site, row->live));
  if (!release || !nginx::has_maintenance(release->nginx, m_world.paths, site))
    return fail(Code::conflict,
        cat("the NGINX template of '", site.str(), "' does not include ", site.str(),
            ".ssl_cert.include, which brings the maintenance page: add it and deploy"));
  const std::string flag = nginx::maintenance_flag(m_world.paths, site),
                    page = nginx::maintenance_page(message);
  const auto shown = m_world.disk.read(flag + ".html", page.size());
  const bool was = m_world.disk.exists(flag) && shown && *shown == page;
  TRY(m_world.disk.write(flag + ".html", page, 0644));
  TRY(m_world.disk.write(flag, "", 0644));
  return Json{{"site", site.str()}, {"maintenance", true}, {"was", was}};
}

Result<Json> ControlServer::maintenance_off(const Call& call) {
  const auto site = TRY(site_of(call.args));
  if (!TRY(m_world.store.site(site)))
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  const std::string flag = nginx::maintenance_flag(m_world.paths, site);
  const bool was = m_world.disk.exists(flag);
  TRY(m_world.disk.remove(flag));
  TRY(m_world.disk.remove(flag + ".html"));
  return Json{{"site", site.str()}, {"maintenance", false}, {"was", was}};
}

Result<Json> ControlServer::reload(const Call& call) {
  const auto reloaded = m_ask.reload();
  record_keys(call.actor); // also of a reload that found faults
  TRY(reloaded);
  return Json::object();
}

Result<Json> ControlServer::upgrade(const Call& call) {
  TRY(m_ask.upgrade());
  log::info(cat("upgrade asked by ", call.actor));
  return Json{{"version", CHILLBOX_VERSION}};
}

} // namespace chillbox::daemon
