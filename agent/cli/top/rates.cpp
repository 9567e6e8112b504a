#include "cli/top/rates.hpp"

#include <algorithm>
#include <utility>

namespace chillbox::cli {
namespace {

template <class T> const T* find(const std::vector<T>& all, std::string T::* key, const T& like) {
  const auto found = std::ranges::find(all, like.*key, key);
  return found == all.end() ? nullptr : &*found;
}

// A counter that fell has begun again.
uint64_t grown(uint64_t before, uint64_t now) {
  return now >= before ? now - before : now;
}

} // namespace

SiteRates HostRates::rates_of(const control::SiteUsage& site) {
  SiteRates rates{.now = site, .history = {}, .services = {}};
  const control::SiteUsage* before =
      m_before ? find(m_before->sites, &control::SiteUsage::site, site) : nullptr;
  const double seconds =
      m_before ? static_cast<double>(m_now->time_ms - m_before->time_ms) / 1000 : 0;
  if (before != nullptr && seconds > 0) {
    const uint64_t requests = grown(before->requests, site.requests);
    rates.per_second = static_cast<double>(requests) / seconds;
    if (requests > 0)
      rates.error_percent = static_cast<double>(grown(before->errors, site.errors)) * 100 /
          static_cast<double>(requests);
    std::vector<uint64_t> times = site.times;
    for (size_t i = 0; i < times.size() && i < before->times.size(); ++i)
      times[i] = grown(before->times[i], times[i]);
    rates.p95_ms = control::percentile_95(times, m_now->bounds_ms);
    auto& points = m_points[site.site];
    const int64_t slot = m_now->time_ms / k_point_ms;
    if (points.empty() || points.back().slot != slot)
      points.push_back({slot, 0});
    points.back().requests += requests;
    while (points.front().slot <= slot - static_cast<int64_t>(k_points))
      points.pop_front();
    rates.history.assign(k_points, 0);
    for (const auto& point : points)
      rates.history[k_points - 1 - static_cast<size_t>(slot - point.slot)] =
          static_cast<double>(point.requests) * 1000 / k_point_ms;
  }
  for (const auto& service : site.services) {
    ServiceRates one{.now = service, .cpu_percent = {}};
    const control::ServiceUsage* was =
        before != nullptr ? find(before->services, &control::ServiceUsage::name, service) : nullptr;
    if (was != nullptr && was->cpu_us && service.cpu_us && seconds > 0)
      one.cpu_percent =
          static_cast<double>(grown(*was->cpu_us, *service.cpu_us)) / 10'000 / seconds;
    if (one.cpu_percent)
      rates.cpu_percent = rates.cpu_percent.value_or(0) + *one.cpu_percent;
    if (service.memory)
      rates.memory = rates.memory.value_or(0) + *service.memory;
    rates.services.push_back(std::move(one));
  }
  return rates;
}

void HostRates::add(control::Usage now) {
  m_trouble.clear();
  if (m_now && m_now->time_ms == now.time_ms)
    return; // the same moment again
  m_before = std::exchange(m_now, std::move(now));
  if (m_before && m_before->started_ms != m_now->started_ms)
    m_before.reset(); // another chillboxd: its counters began again
  m_sites.clear();
  for (const auto& site : m_now->sites)
    m_sites.push_back(rates_of(site));
}

} // namespace chillbox::cli
