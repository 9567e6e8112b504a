// What a host does now, from two moments of its counters, and how it went in the last minutes.
#pragma once

#include "control/usage.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct ServiceRates {
  control::ServiceUsage now;
  std::optional<double> cpu_percent; // of one processor
};
struct SiteRates {
  control::SiteUsage now;
  std::optional<double> per_second, error_percent;
  std::optional<double> p95_ms; // nothing without requests
  std::optional<double> cpu_percent;
  std::optional<uint64_t> memory;
  std::vector<double> history; // requests a second, ten seconds each, the newest last
  std::vector<ServiceRates> services;
};

// One host's moments in order.
class HostRates {
public:
  static constexpr size_t k_points = 30;
  static constexpr int64_t k_point_ms = 10'000;

  void add(control::Usage now);
  void lost(std::string why) { m_trouble = std::move(why); }
  const std::optional<control::Usage>& usage() const { return m_now; }
  const std::string& trouble() const { return m_trouble; } // "": the last answer was good
  const std::vector<SiteRates>& sites() const { return m_sites; }

private:
  struct Point {
    int64_t slot = 0; // time / k_point_ms
    uint64_t requests = 0;
  };
  SiteRates rates_of(const control::SiteUsage& site);
  std::optional<control::Usage> m_now, m_before;
  std::string m_trouble;
  std::vector<SiteRates> m_sites;
  std::map<std::string, std::deque<Point>> m_points;
};

} // namespace chillbox::cli
