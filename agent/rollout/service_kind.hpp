// A kind of service is a folder handlers/LANG (chillbox-hooks(7)), the administrator's before the
// shipped one: kind.json says what it is, and the hooks `preflight`, `build` and `command` do what
// it needs, in a fixed environment with a time limit, contained and within the service's limits.
// None of them runs as root.
#pragma once

#include "base/error.hpp"
#include "config/expand.hpp"
#include "config/kind.hpp"
#include "config/site.hpp"
#include "rollout/host_context.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::rollout {

using Environment = std::vector<std::pair<std::string, std::string>>;
// The site's variables that name a port which moves with the slot (ports.cpp), and the port.
using PortVariables = std::map<std::string, uint16_t>;

// A kind, and the folder of its hooks.
struct ServiceKind : config::Kind {
  std::string directory;
};

// Reads what kind.json says of this service, whose variables may decide. Starts nothing. preflight:
// "no handler for lang 'x'" with the names that exist, or one that is for the other list of the
// site file; invalid: its kind.json.
Result<ServiceKind> find_kind(
    HostContext& host, const config::Site& site, const config::Service& service);
std::vector<std::string> known_kinds(HostContext& host);

// Where a service is being built or run.
struct ServiceContext {
  const config::Site* site;
  const config::Service* service;
  std::string version;
  std::string release_dir;
  Slot slot = Slot::none; // while building
  uint16_t port = 0;      // of the slot, when it listens on TCP
  os::User user;
  PortVariables ports = {};          // of all services in this slot
  const ServiceKind* kind = nullptr; // whose programs are found
  uint32_t index = 0;                // of a worker's copy
};
// "/immutable/NAME/HASH/" when this release has one HASH of that immutable service (immutable.cpp).
std::optional<std::string> immutable_path(
    HostContext& host, const std::string& release_dir, const std::string& service);
// What releases share, root's (tmpfs_release.cpp); nothing is shared with a release in memory.
std::string cache_dir(
    const HostContext& host, const config::Site& site, const std::string& release_dir);

// What a service, its build and its release_command may use up, each on its own: its `resources`,
// and the host's default for what they leave open.
os::Limits limits_of(
    const HostContext& host, const config::Site& site, const config::Service& service);
// Limits of the site file that this host cannot keep, one a line.
std::vector<std::string> limit_warnings(const config::Site& site);

// What its optional hook `preflight` finds in the unpacked artifact at place.release_dir. Runs as
// place.user, without a network, and changes nothing.
struct Findings {
  std::vector<std::string> problems; // one a line
  std::string layer;                 // of the cache, which the build can use as it is; "": none
};
Findings preflight(HostContext& host, const ServiceKind& kind, const ServiceContext& place);
// What a build may write to, next to its build folder, and the group that may read the release.
struct BuildDirectories {
  std::string layers; // new layers go there, below `home`
  std::string layer;  // that `preflight` found
  std::string home;   // HOME and TMPDIR
  gid_t readers;
};
// on_line: each line of output, for the job's log. failure carries the exit code and the last line.
Result<void> build(HostContext& host, const ServiceKind& kind, const ServiceContext& place,
    const BuildDirectories& work, const std::function<void(std::string_view)>& on_line,
    const std::function<bool()>& cancelled);
// The argv of a copy: its run-cmd, or what its kind's `command` prints and its args.
Result<std::vector<std::string>> command(
    HostContext& host, const ServiceKind& kind, const ServiceContext& place);
Result<void> release_command(HostContext& host, const ServiceContext& place,
    Environment environment, const std::function<void(std::string_view)>& on_line,
    const std::function<bool()>& cancelled);

// Runs a lifecycle event of the administrator's own, events/NAME, as root; a missing one is fine.
Result<void> run_event(HostContext& host, const std::string& name, const Environment& environment,
    const std::function<void(std::string_view)>& on_line);

// A line for people whose program could not write where a release is: "" when that is not what it
// says.
std::string_view read_only_hint(std::string_view said);

} // namespace chillbox::rollout
