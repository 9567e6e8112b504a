// The process that reads a site's data: `chillboxd --snapshot FD`, as the site's user, contained,
// without a network and with a view of the file system that has little more than these data. It
// writes the encrypted archive to the descriptor FD, in one stream. Nothing of the site's bytes is
// read by anybody else on this host before they are encrypted.
//
// Regular files are read as they are, a SQLite file by its backup API, Redis by redis-cli. Links
// are stored and never followed; sockets, FIFOs and devices are left out. What grows while it is
// read is stored as long as it was, what shrinks is filled up with zeros.
#pragma once

#include "backup/manifest.hpp"
#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::backup {

inline constexpr uint64_t k_max_entries = 200'000;

struct SnapshotOrder {
  ManifestHead head;
  std::string data;         // directory
  std::string work;         // an empty directory of the process's own, for copies
  std::string redis_socket; // "": it has none
  std::string redis_cli;    // a program
  std::vector<std::string> exclude;
  std::vector<std::string> recipients;
  std::string site_json; // the release's site file
  uint64_t data_max = 0;
  std::chrono::milliseconds patience{60'000}; // for a database that somebody has locked
};
std::string order_text(const SnapshotOrder& order);
Result<SnapshotOrder> parse_order(std::string_view text);

struct SnapshotReport {
  uint64_t files = 0, bytes = 0;
  std::vector<std::string> warnings; // one line each: what is not in it as one would expect
};
std::string report_text(const SnapshotReport& report);
Result<SnapshotReport> parse_report(std::string_view text);
std::optional<Error> reported_error(std::string_view text); // "error CODE TEXT", instead

// too_large: over data_max or k_max_entries; busy: a database was locked all the time.
Result<SnapshotReport> snapshot(const SnapshotOrder& order, int out);

int snapshot_main(const std::string& fd); // the order on standard input, the report on its output

} // namespace chillbox::backup
