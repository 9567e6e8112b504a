// Verbs that keep the host in order: hold, release_hold, prune.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/operator.hpp"
#include "rollout/manifest.hpp"

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

Result<Json> Operator::hold(const Call& call) {
  constexpr size_t k_longest = 500;
  const auto site = TRY(SiteName::parse(TRY(control::string_at(call.args, "site"))));
  const std::string why = printable(trim(TRY(control::string_at(call.args, "why"))), k_longest);
  if (why.empty())
    return fail(Code::invalid, "a hold needs a reason: whoever is refused wants to know");
  if (!TRY(m_world.store.site(site)))
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  TRY(m_world.store.put_hold({site, call.actor, why, m_world.clock.wall_ms()}));
  TRY(rollout::write_manifest(m_world, site));
  log::info(cat("site '", site.str(), "': is held by ", call.actor, ": ", why));
  return Json::object();
}

Result<Json> Operator::release_hold(const Call& call) {
  const auto site = TRY(SiteName::parse(TRY(control::string_at(call.args, "site"))));
  const bool was = TRY(m_world.store.delete_hold(site));
  TRY(rollout::write_manifest(m_world, site));
  return Json{{"was_held", was}};
}

// In the site's turn: what a job is about to use must not go. A copy of what the task needs, because it may outlive this call.
Result<rollout::Pruned> Operator::prune_in_turn(const SiteName& site) {
  const auto promise = std::make_shared<std::promise<Result<rollout::Pruned>>>();
  auto outcome = promise->get_future();
  m_engine.alone(site, [promise, &world = m_world, site] { promise->set_value(rollout::prune_site(world, site)); });
  const os::Millis end = m_world.clock.mono() + k_turn_wait;
  while (outcome.wait_for(k_pause) != std::future_status::ready && m_world.clock.mono() < end && !m_stopping) {
  }
  if (outcome.wait_for(os::Millis{0}) != std::future_status::ready)
    return fail(Code::busy, cat("site '", site.str(), "' has a job that runs: it is pruned behind that one; `chillboxctl jobs ", site.str(), "`"));
  return outcome.get();
}

Result<Json> Operator::prune(const Call& call) {
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
