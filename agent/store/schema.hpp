// The state file: opened only when it is ours, whole and not from the future, then brought to the
// schema of this program.
//
// A schema is a number (user_version): entry N-1 of a table of SQL texts leads from N-1 to N. Each
// is one transaction together with its number, so that a file is never between two. Before an
// existing file is changed, a copy of it is left next to it ("state.db.vN").
#pragma once

#include "store/sql.hpp"

#include <atomic>
#include <cstdint>
#include <span>

namespace chillbox::store {

inline constexpr int64_t k_application_id = 0x43684278; // "ChBx" in the file's header, see file(1)

std::span<const std::string_view> migrations();

// Creates an absent or empty file (0600, its directory synced). denied: not a regular file, of
// another user, not writable, of another program. conflict: a newer schema. corrupt: not a
// database, or quick_check fails. Whether open_database would take the file as far as that can be
// seen without a change to it or a long read. An absent one is fine.
Result<void> check_database(const std::string& path);
Result<Db> open_database(
    const std::string& path, std::span<const std::string_view> steps = migrations());

// quick_check reads the whole file: of a large one open_database leaves that to check_later, which
// has a connection of its own. Where that finds damage it leaves a note next to the file, for which
// the next open_database looks at all of it whatever its size.
inline constexpr uint64_t k_checked_at_once = 32ULL << 20;
bool is_checked_later(const std::string& path);
Result<void> check_later(const std::string& path, const std::atomic<bool>& stop);

} // namespace chillbox::store
