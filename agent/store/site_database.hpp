// A SQLite file that a site made, which may be damaged or made to do harm. For processes of the
// site's user and of nobody's, never for root's. Its schema is not trusted, and nothing of it is
// executed but what the checks themselves read.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace chillbox::store {

// What SQLite keeps beside a database; a copy needs none of them.
inline constexpr std::string_view k_sqlite_companions[] = {"-wal", "-shm", "-journal"};

// Looks at its first 16 bytes, so an empty database counts as any other empty file.
bool is_sqlite(int fd);

// A copy as of one moment, whatever others write meanwhile: the backup API, in one step, because in
// several it starts again whenever somebody writes. Who writes waits at most as a reader makes it
// wait. `to` is empty, or is not there yet. A database with a write-ahead log stays one. busy:
// somebody had it locked for so long; corrupt: it cannot be copied.
Result<void> copy_site_database(
    const std::string& from, const std::string& to, std::chrono::milliseconds patience);

// What was found in a file that nobody writes to; "": nothing. `whole`: integrity_check, and
// foreign_key_check, whose finds are the application's and no damage; else quick_check.
struct Examined {
  std::string damage, remark;
};
Result<Examined> examine_site_database(const std::string& path, bool whole);

} // namespace chillbox::store
