// Facts as metrics. Names, labels and their number: chillboxd(8), "Metrics". Labels come from
// configuration only, never from a visitor; a service has 120 series at most.
#pragma once

#include "control/exposition.hpp"
#include "rollout/facts.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace chillbox::daemon {

// With more than series_max samples, those of sites are left out and counted.
std::string render_metrics(
    const rollout::Facts& facts, control::MetricsFormat format, uint64_t series_max);

// The text of the newest facts in each format, made once however many read it.
class MetricsText {
public:
  std::shared_ptr<const std::string> of(std::shared_ptr<const rollout::Facts> facts,
      control::MetricsFormat format, uint64_t series_max);

private:
  struct Kept {
    std::shared_ptr<const rollout::Facts> facts;
    std::shared_ptr<const std::string> text;
  };
  std::mutex m_mutex;
  std::array<Kept, 2> m_kept; // by format
};

} // namespace chillbox::daemon
