// What is said of backups: [backup] of chillboxd.toml, and the member "backup" of a site file. Both
// files are checked as a whole by their own readers; these return that part alone.
#pragma once

#include "config/fields.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

struct HostBackup {
  std::string target;                  // hooks/backup/NAME, "": none is made
  std::string schedule = "17 3 * * *"; // five fields of a crontab; "": only by hand
  std::string keep = "7d 4w 6m";       // see parse_keep()
  std::string prove = "weekly";        // daily, weekly, monthly, never
  std::vector<std::string> recipients; // age1..., each of which can open them without this host
  uint64_t data_max = 2ULL << 30;      // of one site, unpacked
};

// How many are kept: one of each day, week and month that has one, newest first.
struct Keep {
  uint32_t days = 0, weeks = 0, months = 0;
};
// "7d 4w 6m": in this order, any of them left out.
bool parse_keep(std::string_view text, Keep& keep);

struct SiteBackup {
  std::vector<std::string> exclude; // fnmatch(3) patterns of paths in the data, "web/cache/*"
  std::string before;               // a command, as in the crontab; "": none
};

void read_host_backup(const Location& at, const Json& json, HostBackup& backup);
void read_site_backup(const Location& at, const Json& json, SiteBackup& backup);
Result<HostBackup> parse_host_backup(std::string_view toml, std::string_view file_name);
Result<SiteBackup> parse_site_backup(std::string_view site_json);

} // namespace chillbox::config
