#include "cli/fleet/merged_logs.hpp"

#include "base/text.hpp"
#include "cli/logs/line_time.hpp"
#include "control/log_news.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <queue>

namespace chillbox::cli {
namespace {

constexpr size_t k_most = 9 << 20; // more than is kept of a host's output

struct Next {
  int64_t key;
  size_t host, line;
  // For a queue that has its greatest in front: the earliest, of the first host.
  bool operator<(const Next& other) const {
    return key != other.key ? key > other.key : host > other.host;
  }
};

std::string shown(const control::LogEntry& line, bool times, bool name_service) {
  const bool own = time_of_line(line.line, line.time_ms).has_value();
  return cat(times && !own && line.time_ms > 0 ? cat(format_time_ms(line.time_ms), " ") : "",
      name_service ? cat(line.service, ": ") : "", line.line);
}

} // namespace

Result<void> merge_logs(const std::vector<HostLog>& logs, bool times, bool name_service,
    const std::function<void(const std::string&, const std::string&)>& print) {
  std::vector<std::vector<control::LogEntry>> lines;
  std::priority_queue<Next> queue;
  for (const auto& log : logs) {
    const Json json = TRY_IN(log.host, parse_json(log.answer, k_most));
    auto read = TRY_IN(log.host, control::from_json<control::LogEntries>(json));
    lines.push_back(std::move(read.lines).value_or(std::vector<control::LogEntry>{}));
    if (!lines.back().empty())
      queue.push({lines.back()[0].time_ms, lines.size() - 1, 0});
  }
  while (!queue.empty()) {
    const Next next = queue.top();
    queue.pop();
    const auto& of_host = lines[next.host];
    print(logs[next.host].host, shown(of_host[next.line], times, name_service));
    if (const size_t after = next.line + 1; after < of_host.size())
      queue.push({std::max(next.key, of_host[after].time_ms), next.host, after});
  }
  return {};
}

} // namespace chillbox::cli
