// Who may read /metrics from any address: a token each, of which /etc/chillbox/metrics/NAME has the
// SHA-256. The files are read at each request, so a removed token stops working at once.
#pragma once

#include "base/error.hpp"
#include "control/metrics.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::daemon {

class MetricsTokens {
public:
  MetricsTokens(os::Disk& disk, const os::Paths& paths)
      : m_disk(disk), m_dir(paths.etc() + "/metrics") {}
  // conflict: the name is taken. Returns the token, which nobody can find out again.
  Result<std::string> add(const std::string& name, int64_t now_ms);
  Result<std::vector<control::MetricsToken>> list();
  Result<void> remove(const std::string& name); // not_found
  // In a time that does not tell how much of it is right.
  bool admits(std::string_view token);

private:
  Result<std::string> path_of(const std::string& name) const;
  os::Disk& m_disk;
  std::string m_dir;
};

} // namespace chillbox::daemon
