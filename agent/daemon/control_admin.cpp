// Verbs that keep the host in order: hold, release_hold, withdraw, trust_keep, prune.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"
#include "rollout/acquire.hpp"
#include "rollout/bring_up.hpp"
#include "rollout/manifest.hpp"
#include "rollout/prune.hpp"
#include "rollout/trust.hpp"

#include <future>
#include <memory>

namespace chillbox::daemon {

using control::Role;

namespace {

constexpr os::Millis k_turn_wait{25'000}; // below the time that chillboxctl waits for an answer
constexpr os::Millis k_pause{100};

void add(rollout::Pruned& to, rollout::Pruned more) {
  to.bytes += more.bytes;
  to.paths.insert(to.paths.end(), more.paths.begin(), more.paths.end());
  to.artifacts.merge(more.artifacts);
}

// The store has it already; the manifest is for a store that is lost, and the next job writes it.
void keep_in_manifest(rollout::HostContext& host, const SiteName& site) {
  if (const auto written = rollout::write_manifest(host, site); !written)
    log::warn(
        cat("site '", site.str(), "': its hold is not in its manifest: ", written.error().message));
}

Result<control::Done> hold(const Call& call) {
  auto& host = call.host();
  constexpr size_t k_longest = 500;
  const auto site = TRY(site_of(call));
  const std::string why = printable(trim(TRY(required(call.args.why, "why"))), k_longest);
  if (why.empty())
    return fail(Code::invalid, "a hold needs a reason: refusals name it");
  (void)TRY(known_site(call, site));
  if (const auto before = TRY(host.store.hold(site)); before && before->actor != call.actor)
    TRY(rollout::check_hold(host, site)); // another's: only release-hold ends it
  TRY(host.store.put_hold({{call.actor, why, host.clock.wall_ms()}, site}));
  keep_in_manifest(host, site);
  log::info(cat("site '", site.str(), "': is held by ", call.actor, ": ", why));
  return control::Done{};
}

Result<control::HoldReleased> release_hold(const Call& call) {
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  const bool was = TRY(host.store.delete_hold(site));
  keep_in_manifest(host, site);
  return control::HoldReleased{.was_held = was};
}

// Of all releases that the text names. A live one keeps running, and is named in the answer.
Result<control::Withdrawal> withdraw(const Call& call) {
  auto& host = call.host();
  constexpr size_t k_longest = 500;
  const auto site = TRY(site_of(call));
  const std::string wanted = TRY(required(call.args.version, "version"));
  const auto row = TRY(host.store.site(site));
  control::Withdrawal done{.site = site.str(), .releases = {}, .live = ""};
  std::vector<std::string> known;
  for (const auto& release : TRY(host.store.releases(site))) {
    known.push_back(cat(release.version, " (", release.id, ")"));
    if (release.version != wanted && release.id != wanted)
      continue;
    TRY(host.store.withdraw({site, release.sha256, release.version, release.serial, call.actor,
        printable(trim(call.args.why.value_or("")), k_longest), host.clock.wall_ms()}));
    done.releases.push_back(release.id);
    if (row && row->live == release.id)
      done.live = release.id;
  }
  if (done.releases.empty())
    return fail(Code::not_found,
        cat("no release '", printable(wanted, 60), "' of '", site.str(),
            "': ", known.empty() ? "there is none" : cat("there are ", join(known, ", "))));
  TRY(rollout::write_manifest(host, site));
  log::warn(cat("site '", site.str(), "': ", wanted, " was withdrawn by ", call.actor));
  return done;
}

Result<control::SecretsWithdrawal> secrets_withdraw(const Call& call) {
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  const auto done = TRY(rollout::withdraw_sets(host, site, call.args.serial.value_or(0)));
  log::warn(cat("site '", site.str(), "': secret sets up to ", done.serial, " were withdrawn by ",
      call.actor));
  return control::SecretsWithdrawal{.site = site.str(), .serial = done.serial, .sets = done.sets};
}

Result<control::KeyUses> key_uses(const Call& call) {
  auto& host = call.host();
  const auto name = TRY(required(call.args.name, "name"));
  const auto fingerprint = TRY(required(call.args.fingerprint, "fingerprint"));
  control::KeyUses all;
  for (const auto& use : TRY(rollout::uses_of_key(host, {name, fingerprint})))
    all.uses.push_back({use.site.str(), use.version});
  return all;
}

// It is root who says whose signatures this host takes, so it is root who may do without one. A
// site that is down for it comes up.
Result<control::Kept> trust_keep(const Call& call) {
  auto& host = call.host();
  if (call.visit.uid != 0 && !host.paths.testing())
    return fail(Code::denied, "only root may keep what a key signed that is not trusted");
  const auto site = TRY(site_of(call));
  std::optional<rollout::Signer> who; // whose key is about to go
  if (call.args.name)
    who = rollout::Signer{*call.args.name, call.args.fingerprint.value_or("")};
  const std::string version = TRY(rollout::keep_live(host, site, call.actor, who));
  call.state.engine.alone(site, [&host, site] {
    if (const auto up = rollout::bring_up(host, site, true); !up)
      log::error(cat("site '", site.str(), "': ", up.error().message));
  });
  log::warn(cat("site '", site.str(), "': ", version, " is kept by ", call.actor));
  return control::Kept{.site = site.str(), .version = version};
}

// In the site's turn: what a job is about to use must not go. A copy of what the task needs,
// because it may outlive this call.
Result<rollout::Pruned> prune_in_turn(const Call& call, const SiteName& site) {
  auto& host = call.host();
  const auto promise = std::make_shared<std::promise<Result<rollout::Pruned>>>();
  auto outcome = promise->get_future();
  call.state.engine.alone(
      site, [promise, &host, site] { promise->set_value(rollout::prune_site(host, site)); });
  const os::Millis end = host.clock.mono() + k_turn_wait;
  while (outcome.wait_for(k_pause) != std::future_status::ready && host.clock.mono() < end &&
      !call.state.stopping) {}
  if (outcome.wait_for(os::Millis{0}) != std::future_status::ready) // only a look
    return fail(Code::busy,
        cat("site '", site.str(),
            "' has a running job: it is pruned after that one; `chillboxctl jobs ", site.str(),
            "`"));
  return outcome.get();
}

Result<control::Pruned> prune(const Call& call) {
  auto& host = call.host();
  const std::string only = call.args.site.value_or("");
  const bool dry_run = call.args.dry_run.value_or(false);
  std::vector<SiteName> sites;
  for (const auto& site : TRY(rollout::sites_with_files(host)))
    if (only.empty() || site.str() == only)
      sites.push_back(site);
  if (sites.empty() && !only.empty())
    return fail(Code::not_found, cat("no site '", printable(only, 40), "' on this host"));
  rollout::Pruned pruned;
  for (const auto& site : sites)
    add(pruned, TRY(dry_run ? rollout::prune_site(host, site, true) : prune_in_turn(call, site)));
  if (only.empty())
    add(pruned, TRY(rollout::prune_artifacts(host, dry_run, pruned.artifacts)));
  return control::Pruned{.dry_run = dry_run, .bytes = pruned.bytes, .paths = pruned.paths};
}

constexpr ControlVerb k_admin_verbs[] = {
    {"hold", answer<hold>, true, Role::admin},
    {"release_hold", answer<release_hold>, true, Role::admin},
    {"withdraw", answer<withdraw>, true, Role::admin},
    {"secrets_withdraw", answer<secrets_withdraw>, true},
    {"key_uses", answer<key_uses>},
    {"trust_keep", answer<trust_keep>, true},
    {"prune", answer<prune>, true},
};

} // namespace

std::span<const ControlVerb> admin_verbs() {
  return k_admin_verbs;
}

} // namespace chillbox::daemon
