// What there is to tell: crashes as the launchers tell of them, and the facts that rules look at.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/monitor.hpp"
#include "notices/rules.hpp"
#include "openrc/restart_news.hpp"

#include <algorithm>

namespace chillbox::daemon {
namespace {

// Its site should run, and this is the slot that visitors get.
bool is_live(const rollout::Facts& facts, const openrc::SlotName& slot) {
  return std::ranges::any_of(facts.sites, [&](const rollout::SiteFacts& site) {
    return site.site == slot.site && !site.stopped &&
        std::ranges::any_of(site.services, [&](const rollout::ServiceFacts& service) {
          return service.name == slot.service.str() && service.slot == slot.slot;
        });
  });
}

std::vector<notices::ServicePlace> down_services(const rollout::Facts& facts) {
  std::vector<notices::ServicePlace> down;
  for (const auto& site : facts.sites)
    for (const auto& service : site.services)
      if (service.state == control::ServiceState::crashed && !site.stopped)
        down.push_back({site.site.str(), service.name});
  return down;
}

// While members agree on whom to follow they are away for a second: nobody needs to know, unless
// something was missed.
std::string engine_notice(const control::EngineStatus& engine, int64_t now_ms) {
  constexpr int64_t k_away_ms = 300'000;
  const bool briefly = !engine.reachable && !engine.missed && now_ms - engine.since_ms < k_away_ms;
  return briefly ? "" : control::engine_trouble(engine, now_ms);
}

} // namespace

NoticeRequests Monitor::notice_requests() {
  return {.look =
              [this] {
                look_for_notices();
                m_notifier.refresh(); // so that targets get it, too
              },
      .refresh = [this] { m_notifier.refresh(true); },
      .targets = [this] { return m_notifier.targets(); },
      .test = [this](const std::string& name) { return m_notifier.test(name); },
      .retry = [this](const std::string& name) { return m_notifier.retry(name); }};
}

notices::Notifier::Host Monitor::notifier_host() {
  return {m_store, m_host.disk, m_host.runner, m_host.clock, m_host.paths, m_host.config,
      m_host.as_root, [this] { look_for_notices(); }, [this] { m_changes.notify(); }};
}

void Monitor::look_for_notices() {
  const auto known = m_facts.facts(os::Millis{0}); // what a look misses nobody looks for again
  if (!known)
    return log::error(cat("notices: ", known.error().message));
  const auto& now = **known;
  notices::Facts facts{.now_ms = now.time_ms,
      .locked = now.agent.sealed && m_host.disk.exists(m_host.paths.identity()),
      .disks = now.machine.disks,
      .certificates = now.certificates,
      .unfinished = now.agent.unfinished,
      .down = down_services(now),
      .backups = now.backups,
      .audit = {}};
  if (m_fleet)
    facts.engine = engine_notice(m_fleet->status(), now.time_ms);
  if (const auto sound = m_store.verify_audit("", store::Store::AuditLook::newer);
      !sound && sound.error().code == Code::corrupt)
    facts.audit = sound.error().message;
  if (const auto written = notices::apply_rules(m_store, facts); !written)
    log::error(cat("notices: ", written.error().message));
}

void Monitor::services_restarted() {
  store::Notices notices(m_store);
  // At most a second old: who crashes all the time must not have every site looked at each time,
  // and a job looks at what was switched just now.
  const auto facts = m_facts.facts();
  if (!facts)
    log::error(cat("notices: ", facts.error().message));
  while (const auto news = openrc::next_restart(m_restarts)) {
    const auto& slot = news->slot;
    if (facts && !is_live(**facts, slot))
      continue; // a job looks at it
    const int64_t now = m_host.clock.wall_ms();
    const auto raise = [&](std::string_view event, std::string text) {
      const auto raised = notices.raise({.event = event,
          .site = slot.site.str(),
          .subject = slot.service.str(),
          .text = std::move(text),
          .time_ms = now,
          .pause_ms = news->pause.count()});
      if (!raised)
        log::error(cat("notices: ", raised.error().message));
    };
    const uint64_t kills = openrc::out_of_memory(m_host.disk, m_host.paths, slot);
    if (kills > std::exchange(m_out_of_memory[slot.str()], kills))
      raise("memory.oom",
          "the kernel ended a process of it, because it reached its memory_max or the host has no memory left");
    raise("service.crashed",
        news->pause.count() < 1'000 ? std::string("it ended without a stop and was started again")
                                    : cat("it ends again and again: its next start is in ",
                                          news->pause.count() / 1'000, " s"));
  }
  m_notifier.refresh();
  m_status_pages.happened();
}

} // namespace chillbox::daemon
