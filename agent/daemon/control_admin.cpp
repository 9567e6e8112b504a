// Verbs that keep the host in order: hold, release_hold, withdraw, trust_keep, prune.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/control_server.hpp"
#include "rollout/bring_up.hpp"
#include "rollout/manifest.hpp"
#include "rollout/trust.hpp"

#include <future>
#include <memory>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr os::Millis k_turn_wait{25'000}; // below the time that chillboxctl waits for an answer
constexpr os::Millis k_pause{100};

void add(rollout::Pruned& to, rollout::Pruned more) {
  to.bytes += more.bytes;
  to.paths.insert(to.paths.end(), more.paths.begin(), more.paths.end());
}

} // namespace

Result<Json> ControlServer::hold(const Call& call) {
  constexpr size_t k_longest = 500;
  const auto site = TRY(SiteName::parse(TRY(control::string_at(call.args, "site"))));
  const std::string why = printable(trim(TRY(control::string_at(call.args, "why"))), k_longest);
  if (why.empty())
    return fail(Code::invalid, "a hold needs a reason: whoever is refused wants to know");
  if (!TRY(m_world.store.site(site)))
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  TRY(m_world.store.put_hold({{call.actor, why, m_world.clock.wall_ms()}, site}));
  TRY(rollout::write_manifest(m_world, site));
  log::info(cat("site '", site.str(), "': is held by ", call.actor, ": ", why));
  return Json::object();
}

Result<Json> ControlServer::release_hold(const Call& call) {
  const auto site = TRY(SiteName::parse(TRY(control::string_at(call.args, "site"))));
  const bool was = TRY(m_world.store.delete_hold(site));
  TRY(rollout::write_manifest(m_world, site));
  return Json{{"was_held", was}};
}

// Of all releases that the text names. One that is live goes on, and is named in the answer.
Result<Json> ControlServer::withdraw(const Call& call) {
  constexpr size_t k_longest = 500;
  const auto site = TRY(site_of(call.args));
  const std::string wanted = TRY(control::string_at(call.args, "version"));
  const auto row = TRY(m_world.store.site(site));
  Json list = Json::array();
  std::string live;
  std::vector<std::string> known;
  for (const auto& release : TRY(m_world.store.releases(site))) {
    known.push_back(cat(release.version, " (", release.id, ")"));
    if (release.version != wanted && release.id != wanted)
      continue;
    TRY(m_world.store.withdraw({site, release.sha256, release.version, release.serial, call.actor,
        printable(trim(control::string_or(call.args, "why", "")), k_longest),
        m_world.clock.wall_ms()}));
    list.push_back(release.id);
    if (row && row->live == release.id)
      live = release.id;
  }
  if (list.empty())
    return fail(Code::not_found,
        cat("no release '", printable(wanted, 60), "' of '", site.str(),
            "': ", known.empty() ? "there is none" : cat("there are ", join(known, ", "))));
  TRY(rollout::write_manifest(m_world, site));
  log::warn(cat("site '", site.str(), "': ", wanted, " was withdrawn by ", call.actor));
  return Json{{"site", site.str()}, {"releases", std::move(list)}, {"live", live}};
}

Result<Json> ControlServer::secrets_withdraw(const Call& call) {
  const auto site = TRY(site_of(call.args));
  const auto done =
      TRY(rollout::withdraw_sets(m_world, site, control::u64_or(call.args, "serial", 0)));
  log::warn(cat("site '", site.str(), "': secret sets up to ", done.serial, " were withdrawn by ",
      call.actor));
  return Json{{"site", site.str()}, {"serial", done.serial}, {"sets", done.sets}};
}

Result<Json> ControlServer::key_uses(const Call& call) {
  Json list = Json::array();
  for (const auto& use :
      TRY(rollout::uses_of_key(m_world, TRY(control::string_at(call.args, "name")),
          TRY(control::string_at(call.args, "fingerprint")))))
    list.push_back({{"site", use.site.str()}, {"version", use.version}});
  return Json{{"uses", std::move(list)}};
}

// It is root who says whose signatures this host takes, so it is root who may do without one. A
// site that is down for it comes up.
Result<Json> ControlServer::trust_keep(const Call& call) {
  if (call.uid != 0 && !m_world.paths.testing())
    return fail(Code::denied, "only root may keep what a key signed that is not trusted");
  const auto site = TRY(site_of(call.args));
  const std::string version = TRY(rollout::keep_live(m_world, site, call.actor));
  m_engine.alone(site, [&world = m_world, site] {
    if (const auto up = rollout::bring_up(world, site, true); !up)
      log::error(cat("site '", site.str(), "': ", up.error().message));
  });
  log::warn(cat("site '", site.str(), "': ", version, " is kept by ", call.actor));
  return Json{{"site", site.str()}, {"version", version}};
}

// In the site's turn: what a job is about to use must not go. A copy of what the task needs,
// because it may outlive this call.
Result<rollout::Pruned> ControlServer::prune_in_turn(const SiteName& site) {
  const auto promise = std::make_shared<std::promise<Result<rollout::Pruned>>>();
  auto outcome = promise->get_future();
  m_engine.alone(site,
      [promise, &world = m_world, site] { promise->set_value(rollout::prune_site(world, site)); });
  const os::Millis end = m_world.clock.mono() + k_turn_wait;
  while (outcome.wait_for(k_pause) != std::future_status::ready && m_world.clock.mono() < end &&
      !m_stopping) {}
  if (outcome.wait_for(os::Millis{0}) != std::future_status::ready)
    return fail(Code::busy,
        cat("site '", site.str(),
            "' has a job that runs: it is pruned behind that one; `chillboxctl jobs ", site.str(),
            "`"));
  return outcome.get();
}

Result<Json> ControlServer::prune(const Call& call) {
  const std::string only = control::string_or(call.args, "site", "");
  const bool dry_run = control::bool_or(call.args, "dry_run", false);
  std::vector<SiteName> sites;
  for (const auto& site : TRY(rollout::sites_with_files(m_world)))
    if (only.empty() || site.str() == only)
      sites.push_back(site);
  if (sites.empty() && !only.empty())
    return fail(Code::not_found, cat("no site '", printable(only, 40), "' on this host"));
  rollout::Pruned pruned;
  for (const auto& site : sites)
    add(pruned, TRY(dry_run ? rollout::prune_site(m_world, site, true) : prune_in_turn(site)));
  if (only.empty())
    add(pruned, TRY(rollout::prune_artifacts(m_world, dry_run)));
  return Json{{"dry_run", dry_run}, {"bytes", pruned.bytes}, {"paths", pruned.paths}};
}

} // namespace chillbox::daemon
