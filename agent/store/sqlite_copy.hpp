// A copy of somebody else's SQLite database while its programs write: SQLite's own backup in one
// step, so a copy is what the database was between two transactions, and no writer waits for longer
// than one reading. (In several steps it begins again at each write, and never ends under a busy
// writer.) Looks at pages only, at no schema. For a process that is the database's owner, never
// root.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>

namespace chillbox::store {

// The first bytes of each database file that is not empty.
inline constexpr std::string_view k_sqlite_magic{"SQLite format 3\0", 16};
// What SQLite keeps beside one; a copy needs none of them.
inline constexpr std::string_view k_sqlite_companions[] = {"-wal", "-shm", "-journal"};

// `to` is an empty file. busy: somebody holds the lock for too long; corrupt: it is damaged.
Result<void> copy_database(const std::string& from, const std::string& to);

} // namespace chillbox::store
