// Secret sets in tmpfs: /run/chillbox/secrets/SITE/SERVICE/FILE, root:SITE 0440 in directories
// root:SITE 0750. A new set replaces the old one by one exchange of the site's directory, so that a
// service sees either the whole old or the whole new set. Both fit side by side, or the old one
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
// Also when only part of a set is there. The bytes are overwritten, then the names go: a service
// that still reads a file reads zeros.
Result<void> wipe_secrets(const os::Paths& paths, const SiteName& site);
bool secrets_loaded(const os::Paths& paths, const SiteName& site);
std::vector<std::string> loaded_files(
    const os::Paths& paths, const SiteName& site); // "SERVICE/FILE", sorted

} // namespace chillbox::secrets
