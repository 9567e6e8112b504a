// The copier (`chillboxd --copier ORDER`): it looks at the data of a site, or copies them into a
// directory next to nobody else's. It is a process of its own, contained, as the site's user,
// without a network, which sees of the file system the data, that directory and what every program
// needs: what the site put into its data cannot lead it anywhere, and is parsed by nobody who could
// do more than the site itself.
//
// Copied are directories and files with their modes and times, and symbolic links as links; nothing
// is followed, another file system not entered, and holes stay holes. A file is cloned where the
// file system can; else its bytes are read up to the size that it had when it was opened. A SQLite
// database is copied by SQLite (store/site_database.hpp), and what that keeps beside it is left
// out. The dump of a Redis is one that it makes now. Sockets, fifos and devices, and what the
// site's user may not read, are left out and counted.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::rollout {

struct CopyOrder {
  std::string from, to;     // to "": only look
  uint64_t bytes_max = 0;   // of what cannot be cloned
  uint64_t entries_max = 0; // files, directories and links
  int64_t since_ms = 0;     // what was changed after this is counted; 0: nothing is
  std::string redis;        // redis-cli, "": there is no Redis, or it does not run
};
std::string to_text(const CopyOrder& order);

struct CopyReport {
  uint64_t bytes = 0, entries = 0; // of what was copied, or is there
  uint64_t cloned = 0;             // bytes that take no room of their own
  uint64_t databases = 0;          // bytes of SQLite's, which are never cloned
  uint64_t left_out = 0;
  uint64_t changed = 0; // files that were written since then
  int64_t newest_ms = 0;
  std::vector<std::string> damaged; // databases that SQLite cannot read, copied byte by byte
  std::vector<std::string> notes;
};
// too_large, no_space, busy, failure: as the copier says.
Result<CopyReport> parse_report(const std::string& text);

// What the copier does, in this process. too_large: over a limit; busy: a database is locked for
// too long.
Result<CopyReport> copy_data(const CopyOrder& order);
// The role's main: one line of JSON on standard output.
int copier_main(const std::string& order);
// That line, for the tests' runner.
std::string copier_answer(const std::string& order);

} // namespace chillbox::rollout
