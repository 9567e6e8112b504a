// [metrics] of chillboxd.toml: who may read /metrics of the host's own name without a token.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

struct HostMetrics {
  std::vector<std::string> allow; // addresses and networks
  uint64_t series_max = 20'000;   // with more of them, those of sites are left out
  // Is this address one of allow?
  bool admits(std::string_view address) const;
};

// Of the file that parse_host_config() reads, which finds its mistakes, too.
Result<HostMetrics> parse_host_metrics(std::string_view toml, std::string_view file_name);

} // namespace chillbox::config
