// A host as a folder of the laptop, from which another one can be made when the host is lost:
//
//   host.json          its sites, their releases and projects, the key that signs its backups
//   target/NAME        where its backups are, with the credentials
//   jobs.json          its history
//   HOST/SITE/FILE     the newest backup of each site, under the names of a target
//
// All of it is the laptop's user's alone. A host that is dead needs the first two: what it stored
// at its target since then is found there.
#pragma once

#include "cli/core/host_answers.hpp"
#include "cli/core/verb.hpp"

#include <string>

namespace chillbox::cli {

inline constexpr const char* k_export_file = "host.json";
inline constexpr const char* k_export_target = "target";
inline constexpr const char* k_export_jobs = "jobs.json";
inline constexpr size_t k_max_export = 16 << 20;

// What a host that may have no record is called in a list of jobs: "root@web1.example" is no name.
std::string name_of_exported(std::string_view host);
Result<void> export_host(Call& call);
// `host import`: everything that is in such a folder, and what is at the target, to another host.
// Each step looks first whether it was done, so that the same command again goes on after it was
// cut.
Result<void> import_host(Call& call);

} // namespace chillbox::cli
