#include "notices/rules.hpp"

#include "base/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace chillbox::notices {
namespace {

using store::Happening;

// What is open already needs more to end than it needed to begin, so that what stands on the border
// is one notice.
struct Look {
  const Facts& facts;
  std::set<std::string> open; // "EVENT SUBJECT"
  uint64_t border(std::string_view event, const std::string& subject, uint64_t low) const {
    return open.contains(cat(event, " ", subject)) ? low + low / 5 : low;
  }
};
using Found = std::vector<Happening>;

Found locked(const Look& look) {
  if (!look.facts.locked)
    return {};
  return {{.event = "host.locked",
      .site = {},
      .subject = {},
      .text = "what needs a secret does not start, and deploys wait",
      .time_ms = look.facts.now_ms}};
}

Found disk_low(const Look& look) {
  constexpr uint64_t k_enough = 5ULL << 30; // of a large disk, a tenth is much
  Found found;
  for (const auto& disk : look.facts.disks) {
    const uint64_t free = disk.space.free_bytes, total = disk.space.total_bytes;
    const uint64_t low = look.border("disk.low", disk.path, std::min(total / 10, k_enough));
    if (free < low)
      found.push_back({.event = "disk.low",
          .site = {},
          .subject = disk.path,
          .text = cat(human_size(free), " of ", human_size(total), " are free"),
          .time_ms = look.facts.now_ms});
  }
  return found;
}

Found inode_low(const Look& look) {
  Found found;
  for (const auto& disk : look.facts.disks) {
    const uint64_t free = disk.space.free_inodes, total = disk.space.total_inodes;
    if (total > 0 && free < look.border("inode.low", disk.path, total / 10))
      found.push_back({.event = "inode.low",
          .site = {},
          .subject = disk.path,
          .text = cat(free, " of ", total, " inodes are free"),
          .time_ms = look.facts.now_ms});
  }
  return found;
}

// Before a certificate that somebody else has to renew ends.
bool is_ours_to_renew(const control::Certificate& c) {
  return c.mode != "provided";
}

Found certificates(const Look& look, std::string_view event, auto concerns) {
  Found found;
  for (const auto& c : look.facts.certificates)
    if (concerns(c))
      found.push_back({.event = event,
          .site = c.site == control::k_host_certificate ? std::string() : c.site,
          .subject = c.id,
          .text = cat(
              c.not_after_ms > 0 && c.not_after_ms <= look.facts.now_ms ? "ended at " : "ends at ",
              rfc3339(c.not_after_ms / 1000), c.problem.empty() ? "" : cat(": ", c.problem)),
          .time_ms = look.facts.now_ms});
  return found;
}

Found expiring(const Look& look) {
  return certificates(look, "cert.expiring", [&](const control::Certificate& c) {
    return c.alert == control::AlertLevel::error || c.alert == control::AlertLevel::expired ||
        (!is_ours_to_renew(c) && c.not_after_ms > 0 &&
            c.not_after_ms < look.facts.now_ms + 14 * k_day_ms);
  });
}

Found not_renewed(const Look& look) {
  return certificates(look, "cert.failed",
      [](const control::Certificate& c) { return c.alert == control::AlertLevel::warning; });
}

Found waiting(const Look& look) {
  Found found;
  for (const auto& job : look.facts.unfinished)
    if (job.state == store::JobState::waiting_unlock &&
        std::ranges::find(found, job.site.str(), &Happening::site) == found.end())
      found.push_back({.event = "job.waits",
          .site = job.site.str(),
          .subject = {},
          .text = cat(store::name(job.kind), job.version.empty() ? "" : " of ", job.version, " by ",
              job.actor, " waits for an unlock"),
          .time_ms = look.facts.now_ms});
  return found;
}

Found down(const Look& look) {
  Found found;
  for (const auto& place : look.facts.down)
    found.push_back({.event = "service.gave_up",
        .site = place.site,
        .subject = place.service,
        .text = "nothing starts it again: its supervisor has ended",
        .time_ms = look.facts.now_ms});
  return found;
}

Found backups(const Look& look, std::string_view event, std::string control::BackupState::* why) {
  Found found;
  for (const auto& backup : look.facts.backups)
    if (!(backup.*why).empty())
      found.push_back({.event = event,
          .site = backup.site.str(),
          .subject = {},
          .text = backup.*why,
          .time_ms = look.facts.now_ms});
  return found;
}

Found backup_failed(const Look& look) {
  return backups(look, "backup.failed", &control::BackupState::problem);
}

Found backup_overdue(const Look& look) {
  return backups(look, "backup.overdue", &control::BackupState::stale);
}

Found backup_unproven(const Look& look) {
  return backups(look, "backup.unproven", &control::BackupState::unproven);
}

Found audit_broken(const Look& look) {
  if (look.facts.audit.empty())
    return {};
  return {{.event = "audit.broken",
      .site = {},
      .subject = {},
      .text = look.facts.audit,
      .time_ms = look.facts.now_ms}};
}

Found engine_away(const Look& look) {
  if (look.facts.engine.empty())
    return {};
  return {{.event = "fleet.away",
      .site = {},
      .subject = {},
      .text = look.facts.engine,
      .time_ms = look.facts.now_ms}};
}

struct Rule {
  std::string_view event;
  Found (*find)(const Look& look);
};
constexpr std::array k_rules{
    Rule{"host.locked", locked},
    Rule{"disk.low", disk_low},
    Rule{"inode.low", inode_low},
    Rule{"cert.expiring", expiring},
    Rule{"cert.failed", not_renewed},
    Rule{"job.waits", waiting},
    Rule{"service.gave_up", down},
    Rule{"backup.failed", backup_failed},
    Rule{"backup.overdue", backup_overdue},
    Rule{"backup.unproven", backup_unproven},
    Rule{"audit.broken", audit_broken},
    Rule{"fleet.away", engine_away},
};

} // namespace

Result<void> apply_rules(store::Store& store, const Facts& facts) {
  store::Notices notices(store);
  Look look{facts, {}};
  for (const auto& notice : TRY(notices.list(store::k_notices_open)).notices)
    if (notice.state == "open")
      look.open.insert(cat(notice.event, " ", notice.subject));
  for (const auto& rule : k_rules)
    TRY(notices.set(rule.event, rule.find(look), facts.now_ms));
  for (const auto& place : facts.down)
    TRY(notices.resolve("service.crashed", place.site, place.service, facts.now_ms, true));
  return facts.locked ? Result<void>{}
                      : notices.resolve("vault.died", std::nullopt, std::nullopt, facts.now_ms);
}

} // namespace chillbox::notices
