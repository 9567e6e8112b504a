// What a restore asks of the backups. A header of its own, for those who know nothing else of them.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "control/backups.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::backup {

// Makes the data of a backup in `tree`/SITE/data, the user's: fetched, its signature and each
// digest verified, unpacked. `tree` is made, root's alone, and removed when this fails. sealed: the
// host is locked; preflight: there is no room; denied, corrupt: it is not what was stored.
// The result: what the application may want to know, a line each.
using PutBack = std::function<Result<std::vector<std::string>>(
    const control::Backup& backup, const std::string& tree, const os::User& owner)>;

} // namespace chillbox::backup
