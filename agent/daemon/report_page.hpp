// The report for who opens a link to it. The command line makes it, from what the control socket
// says; the newest page is kept for a moment, so that many readers cost one.
#pragma once

#include "rollout/host_context.hpp"

#include <memory>
#include <mutex>
#include <string>

namespace chillbox::daemon {

class ReportPage {
public:
  Result<std::shared_ptr<const std::string>> html(rollout::HostContext& host); // any thread

private:
  std::mutex m_mutex; // who comes while it is made waits for that one
  std::shared_ptr<const std::string> m_last;
  os::Millis m_last_at{};
};

} // namespace chillbox::daemon
