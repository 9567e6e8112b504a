#include "config/metrics.hpp"

#include "config/host_rules.hpp"
#include "config/network.hpp"
#include "config/toml.hpp"

#include <algorithm>

namespace chillbox::config {

const Table<HostMetrics>& metrics_table() {
  using M = HostMetrics;
  static const Table<M> k_metrics{{"allow", each(&M::allow, 100, Text{k_network})},
      {"series_max", into(&M::series_max, Integer{100, 1'000'000})}};
  return k_metrics;
}

bool HostMetrics::admits(std::string_view address) const {
  return std::ranges::any_of(allow, [&](const std::string& text) {
    const auto network = Network::parse(text);
    return network && network->contains(address);
  });
}

Result<HostMetrics> parse_host_metrics(std::string_view toml, std::string_view file_name) {
  Lines lines;
  const Json json = TRY(parse_toml(toml, file_name, lines));
  HostMetrics metrics;
  const auto section = json.find("metrics");
  if (section == json.end())
    return metrics;
  Problems problems(file_name, &lines);
  read_object({problems, "metrics"}, *section, metrics_table(), metrics);
  if (!problems.empty())
    return problems.error();
  return metrics;
}

} // namespace chillbox::config
