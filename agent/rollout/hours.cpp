#include "rollout/hours.hpp"

#include "base/unsynced.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr int64_t k_write_ms = 300'000;

store::SiteHour counted(const nginx::SiteCounts& counts) {
  store::SiteHour sum{.times = std::vector<uint64_t>(nginx::Histogram::k_bounds.size() + 1)};
  for (const auto& [service, requests] : counts.services) {
    const auto& all = requests.seconds.counts;
    for (size_t i = 0; i < all.size(); ++i) {
      sum.times[i] += all[i];
      sum.requests += all[i];
    }
    for (const auto& [code, count] : requests.codes)
      sum.errors += code / 100 == 5 ? count : 0;
    sum.sent += requests.sent;
  }
  return sum;
}

// A counter that fell began again.
uint64_t grown(uint64_t before, uint64_t now) {
  return now >= before ? now - before : now;
}

store::SiteHour grown(const store::SiteHour& before, const store::SiteHour& now) {
  store::SiteHour more{.requests = grown(before.requests, now.requests),
      .errors = grown(before.errors, now.errors),
      .sent = grown(before.sent, now.sent),
      .times = now.times};
  for (size_t i = 0; i < more.times.size() && i < before.times.size(); ++i)
    more.times[i] = grown(before.times[i], now.times[i]);
  return more;
}

} // namespace

void HourBook::add(const SiteFacts& site, int64_t now_ms) {
  Before& before = m_before[site.site.str()];
  auto now = counted(site.counts);
  auto more = grown(before.counted, now);
  // What was used over a night without visitors belongs to none of its hours.
  const bool recent = now_ms - before.time_ms < k_hour_ms;
  std::map<std::string, uint64_t> cpu_us;
  uint64_t used_us = 0;
  for (const auto& service : site.services) {
    more.memory += service.usage.memory.value_or(0);
    if (!service.usage.cpu_us)
      continue;
    cpu_us[service.name] = *service.usage.cpu_us;
    if (const auto was = before.cpu_us.find(service.name); recent && was != before.cpu_us.end())
      used_us += grown(was->second, *service.usage.cpu_us);
  }
  more.cpu_ms = used_us / 1000;
  before = {now_ms, std::move(now), std::move(cpu_us)};
  if (more.requests == 0)
    return;
  more.site = site.site.str();
  more.hour = (site.counts.last_ms > 0 ? site.counts.last_ms : now_ms) / k_hour_ms;
  auto& row = m_rows[{more.site, more.hour}];
  row.site = more.site;
  row.hour = more.hour;
  row += more;
}

Result<void> HourBook::look() {
  const std::scoped_lock lock(m_mutex); // first, so that nobody adds older facts after newer ones
  // Of now: who visits after facts of a moment ago may be the last for long.
  const auto facts = TRY(m_facts.facts(os::Millis{0}));
  std::erase_if(m_before, [&](const auto& known) {
    return std::ranges::none_of(
        facts->sites, [&](const SiteFacts& site) { return site.site.str() == known.first; });
  });
  for (const auto& site : facts->sites)
    add(site, facts->time_ms);
  const bool other_hour = facts->time_ms / k_hour_ms != m_written_ms / k_hour_ms;
  const int64_t since = facts->time_ms - m_written_ms;
  return other_hour || since >= k_write_ms || since < 0 ? write_locked() : Result<void>{};
}

Result<void> HourBook::write_locked() {
  std::vector<store::SiteHour> rows;
  for (const auto& [key, row] : m_rows)
    rows.push_back(row);
  const Unsynced later; // a cut of the power may cost minutes of it
  TRY(store::add_hours(m_host.store, rows));
  m_rows.clear();
  m_written_ms = m_host.clock.wall_ms();
  return {};
}

Result<void> HourBook::write() {
  const auto looked = look(); // what was counted before is written if this one fails, too
  const std::scoped_lock lock(m_mutex);
  TRY(write_locked());
  return looked;
}

Result<std::vector<store::SiteHour>> HourBook::week() {
  TRY(write());
  const int64_t hour = m_host.clock.wall_ms() / k_hour_ms;
  return store::hours_since(m_host.store, hour - store::k_hours_kept + 1);
}

} // namespace chillbox::rollout
