// Rotates what grows: the daemon's own log and NGINX's of each site, by size (limits.log_size,
// limits.log_files). Services' logs are rotated by who writes them (openrc/service_log.hpp).
// Without a daemon of its own and without waking up for nothing: the kernel says once that
// something was written to a directory, then there is one look some seconds later, and only then
// the next word of the kernel is asked for. A host whose sites say nothing sleeps.
#pragma once

#include "base/fd.hpp"
#include "rollout/host_context.hpp"

#include <functional>
#include <optional>
#include <string>

namespace chillbox::daemon {

class LogRotation {
public:
  // looked: after each look.
  explicit LogRotation(rollout::HostContext& host, std::function<void()> looked = {});
  int fd() const { return m_events.get(); } // readable: something was written
  void written();                           // a look is due soon
  os::Millis look_if_due();                 // the time until the next one; negative: none is due

private:
  void look();
  bool rotate(const std::string& file, bool of_nginx); // true: NGINX must open its logs again
  bool drop_answers();
  void listen(const std::string& dir);

  rollout::HostContext& m_host;
  std::function<void()> m_looked;
  Fd m_events;
  std::optional<os::Millis> m_due;
};

} // namespace chillbox::daemon
