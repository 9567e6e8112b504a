// The control group that OpenRC makes for each service: who is still in it, and the end of all of
// them. Found under every name that OpenRC 0.45 to 0.63 use: [unified/]NAME, [unified/]openrc.NAME,
// openrc/NAME (version 1).
#pragma once

#include "base/error.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <sys/types.h>

#include <string>
#include <vector>

namespace chillbox::openrc {

// Empty where there is no control group, or none mounted.
std::vector<std::string> cgroups_of(
    os::Disk& disk, const os::Paths& paths, const std::string& service);
// Where it could be.
std::vector<std::string> cgroup_places(const os::Paths& paths, const std::string& service);
std::vector<pid_t> members(os::Disk& disk, const std::string& cgroup);
// KILL to everything in the service's groups until they are empty, then the empty groups go.
// timed_out: something cannot be killed.
Result<void> kill_leftovers(os::Disk& disk, os::Clock& clock, const os::Paths& paths,
    const std::string& service, os::Millis timeout);
// For the service that the caller is: KILL to those in its groups whose parent is gone, so that
// they belong to init; its supervisor, which does too, is left. What an earlier process of the
// service started, uncontained (a script of OpenRC), and did not live to wait for. How many.
size_t kill_orphans(
    os::Disk& disk, os::Clock& clock, const os::Paths& paths, const std::string& service);

// Members of the service's groups that are called `other` get into the group that OpenRC makes for
// a service of that name: a script of the distribution that the caller ran leaves its daemon in the
// caller's group, whose end would be the daemon's.
void move_members(
    os::Disk& disk, const os::Paths& paths, const std::string& service, const std::string& other);

} // namespace chillbox::openrc
