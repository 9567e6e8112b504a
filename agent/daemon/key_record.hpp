// Files say who may sign and who may send; an editor changes them as well as `chillboxctl
// trust` and `webhook`. Whatever changed them: at the start and at each reload they are compared
// with what was there before, and every difference becomes an entry of the audit trail.
#pragma once

#include "base/error.hpp"
#include "os/paths.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <string>

namespace chillbox::daemon {

// actor: who asked for the reload. Files that cannot be used are recorded like the others. No key
// is in what is kept or written, only a MAC of each file.
Result<void> record_keys(
    store::Store& store, const os::Paths& paths, int64_t now_ms, const std::string& actor);

} // namespace chillbox::daemon
