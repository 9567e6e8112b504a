#include "control/notices.hpp"

#include "base/time.hpp"

#include <algorithm>
#include <array>

namespace chillbox::control {
namespace {

constexpr std::array k_events{
    NoticeEvent{
        "deploy.failed", "deploy.ok", "error", "deploy failed", "see `chillboxctl jobs $SITE`"},
    NoticeEvent{"deploy.rolled_back", "deploy.ok", "error", "was rolled back",
        "see `chillboxctl jobs $SITE`, and deploy what is repaired"},
    NoticeEvent{"service.crashed", "service.recovered", "error", "service crashed",
        "see `chillboxctl logs $SITE/$SUBJECT`", 5 * k_minute_ms},
    NoticeEvent{"service.gave_up", "service.recovered", "error", "service is down",
        "see `chillboxctl logs $SITE/$SUBJECT`, then `chillboxctl restart $SITE`"},
    NoticeEvent{"cron.failed", "cron.ok", "warning", "crontab entry failed",
        "see `chillboxctl cron history $SITE`"},
    NoticeEvent{"job.waits", "job.continued", "warning", "job waits", "`chillboxctl unlock`"},
    NoticeEvent{"host.locked", "host.unlocked", "error", "host is locked", "`chillboxctl unlock`"},
    NoticeEvent{"unlock.refused", "", "warning", "wrong passphrases",
        "if it was none of you, see `chillboxctl audit` for who it was"},
    NoticeEvent{"vault.died", "host.unlocked", "error", "vault ended",
        "`chillboxctl unlock`, and see /var/log/chillbox/chillboxd.log for why"},
    NoticeEvent{"cert.expiring", "cert.renewed", "error", "certificate expires",
        "see `chillboxctl tls $SITE`"},
    NoticeEvent{"cert.failed", "cert.renewed", "warning", "certificate is not renewed",
        "see `chillboxctl tls $SITE`"},
    NoticeEvent{"disk.low", "disk.ok", "error", "disk is nearly full",
        "`chillboxctl prune` removes what is not needed, `du -x $SUBJECT` finds the rest"},
    NoticeEvent{"inode.low", "inode.ok", "error", "file system has few inodes left",
        "`chillboxctl prune` removes what is not needed; many small files use them up"},
    NoticeEvent{"memory.oom", "", "error", "killed for want of memory",
        "raise resources.memory_max of the service, or use less"},
    NoticeEvent{"backup.failed", "backup.ok", "error", "backup failed",
        "see `chillboxctl backup list $SITE`, then `chillboxctl backup create $SITE`"},
    NoticeEvent{"backup.overdue", "backup.recent", "error", "backups are not as they should be",
        "see `chillboxctl backup list $SITE`"},
    NoticeEvent{"backup.unproven", "backup.proven", "error", "backup could not be restored",
        "see `chillboxctl backup verify $SITE`"},
    NoticeEvent{"audit.broken", "audit.ok", "error", "audit trail was changed",
        "see `chillboxctl audit verify`, and find out who was root"},
    NoticeEvent{"fleet.away", "fleet.back", "error", "the fleet's engine is away",
        "see `chillboxctl doctor`, and etcd's members"},
    NoticeEvent{"clock.set", "", "info", "clock was set", "see `chillboxctl doctor --clock`"},
    NoticeEvent{"trust.changed", "", "warning", "trusted keys changed",
        "if it was none of you, see `chillboxctl audit` and `chillboxctl trust list`"},
    NoticeEvent{"notify.exhausted", "", "error", "notices are not delivered",
        "see `chillboxctl notify list`, then `chillboxctl notify retry $SUBJECT`"},
    NoticeEvent{"site.notice", "", "info", "says", ""},
    NoticeEvent{"notify.test", "", "info", "this is a test", ""},
};

constexpr std::array<std::string_view, 3> k_severities{"info", "warning", "error"};

} // namespace

std::span<const NoticeEvent> notice_events() {
  return k_events;
}

const NoticeEvent* find_notice_event(std::string_view name) {
  for (const auto& event : k_events)
    if (event.name == name || (!event.resolved.empty() && event.resolved == name))
      return &event;
  return nullptr;
}

std::optional<int> severity_rank(std::string_view severity) {
  const auto found = std::ranges::find(k_severities, severity);
  return found == k_severities.end()
      ? std::nullopt
      : std::optional(static_cast<int>(found - k_severities.begin()));
}

} // namespace chillbox::control
