// Links to the report, "UNTIL.MAC", which open it for anyone who has one. UNTIL is in seconds since
// 1970, MAC the first 32 hex digits of HMAC-SHA256 of the links' secret over "chillbox report " and
// UNTIL. The secret is a file of its own, made with the first link and removed with all links: what
// was signed with another one, another host's too, opens nothing.
#pragma once

#include "base/error.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::daemon {

class ReportLinks {
public:
  ReportLinks(os::Disk& disk, const os::Paths& paths)
      : m_disk(disk), m_file(paths.state() + "/report_links") {}
  Result<std::string> make(int64_t until_s);
  // Takes the same time however much of the link is right.
  bool admits(std::string_view link, int64_t now_s);
  Result<void> revoke(); // all of them

private:
  os::Disk& m_disk;
  std::string m_file;
};

} // namespace chillbox::daemon
