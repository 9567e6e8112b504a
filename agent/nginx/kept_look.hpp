// What NGINX printed of a configuration that passed its test, kept as long as all that it read for
// it is unchanged: on a host with a hundred sites it takes a tenth of a second to print it again.
//
// Kept with a stamp of each file that NGINX read, of the directories in which it looked for them,
// of each file that a directive names (certificates, keys, modules), of NGINX itself, of the users,
// the names and the libraries of this machine; and with the directories that it writes to. What was
// changed less than a second before NGINX read it is not kept: it may change again without another
// time. The file is in /run/chillbox and counts only if root alone can have written it. For this
// room only.
#pragma once

#include "nginx/scan.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::nginx {

struct Look {
  int64_t at_ms = 0;                 // Unix, when NGINX was asked
  std::vector<Directive> directives; // as scan_host() has them
};

std::string look_file(const os::Paths& paths);
// nullopt: there is none, or something of it changed.
std::optional<Look> kept_look(os::Disk& disk, const os::Paths& paths);
// Unless it cannot be known when it changes: then an older one is removed.
void keep_look(os::Disk& disk, const os::Paths& paths, int64_t asked_ms, const Printed& printed);

} // namespace chillbox::nginx
