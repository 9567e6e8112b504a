// A control group of version 2 for one run of a program: made before it, emptied and removed after
// it. Its limits hold as far as the host has the controllers (OpenRC's service `cgroups` turns them
// on).
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/limits.hpp"

#include <string>
#include <string_view>

namespace chillbox::os {

inline constexpr std::string_view k_run_groups =
    "chillbox.run."; // those whose names nobody has to know

// "/sys/fs/cgroup", or its directory `unified`; "" where there is no tree of version 2 that we may
// write to.
std::string control_groups_root();
// A limit that this host cannot keep, by the name that it has in a site file: "memory_max", ...
std::vector<std::string> limits_without_effect(const Limits& limits);
// The groups of runs that did not live to remove theirs. Nothing of them is alive: the kernel ended
// it with them.
void remove_stale_groups();

// An empty group without a past. One of this name is emptied and removed first, because Linux 6.14
// and the stable kernels since then (commit "cgroup: fix race between fork and cgroup.kill") kill
// at once whatever is cloned into a group to which cgroup.kill was ever written; and a group cannot
// be removed before those that were killed in it have ended.
Result<void> make_group(const std::string& path);

class ControlGroup {
public:
  ControlGroup() = default; // none
  // "": a name is made up. None where the host has no tree for it; limits without a controller are
  // left out.
  static Result<ControlGroup> make(std::string name, const Limits& limits);
  ControlGroup(ControlGroup&& other) noexcept;
  ControlGroup& operator=(ControlGroup&& other) noexcept;
  ~ControlGroup();
  bool there() const { return !m_path.empty(); }
  int directory() const { return m_directory.get(); } // -1: none
  // Which limit something of it came up against: "memory_max", "tasks_max", or "".
  std::string reached() const;

private:
  std::string m_path;
  Fd m_directory;
};

} // namespace chillbox::os
