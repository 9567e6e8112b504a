// What `logs --json` of several hosts printed, as one log.
#pragma once

#include "base/error.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct HostLog {
  std::string host;
  std::string answer; // "chillbox.logs.v1", as it came
};

// By time; lines of one host keep their order, and one without a time follows the line before it.
// `times`: before lines that have none of their own. corrupt: an answer is none.
Result<void> merge_logs(const std::vector<HostLog>& logs, bool times, bool name_service,
    const std::function<void(const std::string& host, const std::string& line)>& print);

} // namespace chillbox::cli
