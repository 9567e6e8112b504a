// Loads secret sets into tmpfs: /run/chillbox/secrets/SITE/SERVICE/FILE, root:SITE 0440 in
// directories root:SITE 0750. One exchange of the site's directory replaces the old set, so that a
// service sees either the whole old or the whole new set. If there is no room for both, the old one
// stays.
#pragma once

#include "artifact/stager.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "base/secret.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::secrets {

// Decrypts and unpacks (by a stager) the set in `artifact_fd` and puts it in place. A file outside
// SERVICE/FILE: denied. no_space names the size of the tmpfs; what was begun is removed (faults
// 82).
Result<void> load_secrets(const os::Paths& paths, const SiteName& site, int artifact_fd,
    const SecretBytes& file_key, bool own_user, gid_t site_group, uint64_t size_limit);
// Works for a part of a set too. The bytes are overwritten, then the names removed: a service
// that still reads a file reads zeros.
Result<void> wipe_secrets(const os::Paths& paths, const SiteName& site);
bool secrets_loaded(const os::Paths& paths, const SiteName& site);
std::vector<std::string> loaded_files(
    const os::Paths& paths, const SiteName& site); // "SERVICE/FILE", sorted

} // namespace chillbox::secrets
