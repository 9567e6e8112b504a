#include "backup/retention.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <set>

namespace chillbox::backup {
namespace {

constexpr int64_t k_day_s = 24 * 3600;
constexpr int64_t k_thursday = 3; // 1970-01-01, counted from Monday

std::array<int64_t, 3> periods_of(int64_t taken_ms) { // day, week, month
  const int64_t seconds = taken_ms / 1000;
  const auto at = static_cast<std::time_t>(seconds);
  std::tm tm{};
  ::gmtime_r(&at, &tm);
  return {seconds / k_day_s, (seconds / k_day_s + k_thursday) / 7, tm.tm_year * 12LL + tm.tm_mon};
}

} // namespace

std::vector<uint64_t> superfluous(
    const std::vector<control::Backup>& newest_first, const config::Keep& keep) {
  std::array<uint32_t, 3> left{keep.days, keep.weeks, keep.months};
  std::array<std::set<int64_t>, 3> seen;
  bool proven = false, newest = true;
  std::vector<uint64_t> may_go;
  for (const auto& b : newest_first) {
    if (b.stored_ms == 0 || b.gone_ms != 0)
      continue;
    bool kept = std::exchange(newest, false);
    if (b.proven_ms != 0 && !std::exchange(proven, true))
      kept = true;
    const auto periods = periods_of(b.taken_ms);
    for (size_t i = 0; i < periods.size(); ++i)
      if (left[i] > 0 && seen[i].insert(periods[i]).second) {
        --left[i];
        kept = true;
      }
    if (!kept)
      may_go.push_back(b.serial);
  }
  return may_go;
}

} // namespace chillbox::backup
