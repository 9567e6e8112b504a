// What there is to tell: crashes as the launchers tell of them, and the facts that rules look at.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/monitor.hpp"
#include "notices/rules.hpp"
#include "openrc/restart_news.hpp"

#include <sys/stat.h>

#include <set>

namespace chillbox::daemon {
namespace {

// Its site should run, and this is the slot that visitors get.
bool is_live(rollout::HostContext& host, const openrc::SlotName& slot) {
  const auto row = host.store.site(slot.site);
  if (!row || !*row || (*row)->stopped || (*row)->live.empty())
    return false;
  const auto release = host.store.release(slot.site, (*row)->live);
  return slot.slot == Slot::none || (release && *release && (*release)->slot == slot.slot);
}

std::vector<notices::DiskFacts> disks_of(rollout::HostContext& host) {
  std::vector<notices::DiskFacts> disks;
  std::set<dev_t> seen;
  for (const auto& path : {host.paths.state(), host.paths.sites(), host.paths.logs()}) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || !seen.insert(info.st_dev).second)
      continue;
    if (const auto space = host.disk.space(path))
      disks.push_back(
          {path, space->free_bytes, space->total_bytes, space->free_inodes, space->total_inodes});
  }
  return disks;
}

std::vector<notices::ServicePlace> down_services(rollout::HostContext& host) {
  std::vector<notices::ServicePlace> down;
  for (const auto& slot : host.slots.all()) {
    const auto state = host.slots.state(slot);
    if (state && *state == openrc::SlotState::crashed && is_live(host, slot))
      down.push_back({slot.site.str(), slot.service.str()});
  }
  return down;
}

} // namespace

NoticeRequests Monitor::notice_requests() {
  return {.look = [this] { look_for_notices(); },
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
  notices::Facts facts{.now_ms = m_host.clock.wall_ms()};
  facts.locked = !m_vault.unsealed() && m_host.disk.exists(m_host.paths.identity());
  facts.disks = disks_of(m_host);
  const auto known = m_facts.facts();
  if (!known)
    return log::error(cat("notices: ", known.error().message));
  facts.certificates = (*known)->certificates;
  facts.backups = (*known)->backups;
  if (const auto sound = m_store.verify_audit("", store::Store::AuditLook::newer);
      !sound && sound.error().code == Code::corrupt)
    facts.audit = sound.error().message;
  facts.unfinished = m_store.unfinished().value_or(std::vector<store::Job>{});
  facts.down = down_services(m_host);
  if (const auto written = notices::apply_rules(m_store, facts); !written)
    log::error(cat("notices: ", written.error().message));
}

void Monitor::services_restarted() {
  store::Notices notices(m_store);
  while (const auto news = openrc::next_restart(m_restarts)) {
    const auto& slot = news->slot;
    if (!is_live(m_host, slot))
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
}

} // namespace chillbox::daemon
