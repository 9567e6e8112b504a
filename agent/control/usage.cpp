#include "control/usage.hpp"

#include "control/hours_table.hpp"
#include "control/messages.hpp"
#include "control/usage_table.hpp"

#include <numeric>

namespace chillbox::control {

std::optional<double> percentile_95(
    const std::vector<uint64_t>& counts, const std::vector<uint64_t>& bounds_ms) {
  const uint64_t all = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (all == 0 || bounds_ms.empty())
    return std::nullopt;
  const double wanted = static_cast<double>(all) * 0.95;
  double below = 0, lower = 0;
  for (size_t i = 0; i < counts.size() && i < bounds_ms.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    const auto upper = static_cast<double>(bounds_ms[i]);
    if (here > 0 && below + here >= wanted)
      return lower + (upper - lower) * (wanted - below) / here;
    below += here;
    lower = upper;
  }
  return static_cast<double>(bounds_ms.back());
}

CHILLBOX_MESSAGE(Usage)
CHILLBOX_MESSAGE(Hours)

} // namespace chillbox::control
