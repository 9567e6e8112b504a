#include "openrc/cgroup.hpp"

#include "base/fd.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>

namespace chillbox::openrc {
namespace {

// One process, unless its number went to somebody else meanwhile: the descriptor pins the process,
// the second look proves the group.
void kill_member(os::Disk& disk, const std::string& cgroup, pid_t pid) {
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd)
    return;
  const auto still = members(disk, cgroup);
  if (std::ranges::find(still, pid) != still.end())
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

// cgroup.kill (Linux 5.14) gets every process at once, also one that forks meanwhile; without it,
// one by one until nobody is left.
void kill_all(os::Disk& disk, const std::string& cgroup) {
  const Fd kill(::open(cat(cgroup, "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  if (kill && ::write(kill.get(), "1", 1) == 1)
    return;
  for (const pid_t pid : members(disk, cgroup))
    kill_member(disk, cgroup, pid);
}

// proc_pid_stat(5): the parent is the second field after the name, which is in brackets and may
// have any character. 0: no such process.
uint64_t parent_of(os::Disk& disk, const os::Paths& paths, pid_t pid) {
  const std::string text = disk.read(cat(paths.root, "/proc/", pid, "/stat"), 4096).value_or("");
  const size_t name_end = text.rfind(')');
  const auto fields =
      split(std::string_view(text).substr(name_end == std::string::npos ? 0 : name_end + 1), ' ');
  return fields.size() > 2 ? parse_u64(fields[2]).value_or(0) : 0;
}

} // namespace

std::vector<std::string> cgroup_places(const os::Paths& paths, const std::string& service) {
  const std::string base = paths.root + "/sys/fs/cgroup/";
  std::vector<std::string> out;
  for (const char* prefix : {"openrc.", "", "unified/openrc.", "unified/", "openrc/"})
    out.push_back(cat(base, prefix, service));
  return out;
}

std::vector<std::string> cgroups_of(
    os::Disk& disk, const os::Paths& paths, const std::string& service) {
  auto out = cgroup_places(paths, service);
  std::erase_if(out, [&](const auto& path) { return !disk.exists(path + "/cgroup.procs"); });
  return out;
}

std::vector<pid_t> members(os::Disk& disk, const std::string& cgroup) {
  std::vector<pid_t> out;
  const auto text = disk.read(cgroup + "/cgroup.procs", 1024 * 1024);
  if (!text)
    return out;
  for (const auto line : split(*text, '\n'))
    if (const auto pid = parse_u64(line); pid && *pid > 1)
      out.push_back(static_cast<pid_t>(*pid));
  return out;
}

Result<void> kill_leftovers(os::Disk& disk, os::Clock& clock, const os::Paths& paths,
    const std::string& service, os::Millis timeout) {
  const auto deadline = clock.mono() + timeout;
  for (const auto& cgroup : cgroups_of(disk, paths, service)) {
    for (auto left = members(disk, cgroup); !left.empty(); left = members(disk, cgroup)) {
      kill_all(disk, cgroup);
      if (clock.mono() >= deadline)
        return fail(Code::timed_out,
            cat(service, ": process ", left[0], " cannot be killed (", cgroup, ")"));
      // after SIGKILL: the end of processes that are not ours is no event
      clock.sleep(os::Millis{2});
    }
    // Not by Disk, which would try to empty it first; a group of version 1 goes by its release
    // agent.
    ::rmdir(cgroup.c_str());
  }
  return {};
}

size_t kill_orphans(
    os::Disk& disk, os::Clock& clock, const os::Paths& paths, const std::string& service) {
  constexpr int k_generations = 50; // the children of one that ended are init's then
  size_t killed = 0;
  for (const auto& cgroup : cgroups_of(disk, paths, service))
    for (int i = 0; i < k_generations; ++i) {
      const auto all = members(disk, cgroup);
      bool any = false;
      if (std::ranges::find(all, ::getpid()) != all.end())
        for (const pid_t pid : all)
          if (pid != ::getpid() && pid != ::getppid() && parent_of(disk, paths, pid) == 1) {
            kill_member(disk, cgroup, pid);
            any = true;
            ++killed;
          }
      if (!any)
        break;
      clock.sleep(os::Millis{2}); // as above
    }
  return killed;
}

void move_members(
    os::Disk& disk, const os::Paths& paths, const std::string& service, const std::string& other) {
  for (const auto& group : cgroups_of(disk, paths, service)) {
    const std::string to = group.substr(0, group.size() - service.size()) + other;
    (void)::mkdir(to.c_str(), 0755);
    const Fd procs(::open(cat(to, "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    for (const pid_t pid : members(disk, group)) {
      const auto name = disk.read(cat(paths.root, "/proc/", pid, "/comm"), 64);
      const std::string number = std::to_string(pid);
      if (name && trim(*name) == other &&
          ::write(procs.get(), number.data(), number.size()) != static_cast<ssize_t>(number.size()))
        log::warn(cat(other, ": process ", pid, " stays in the control group of ", service));
    }
  }
}

} // namespace chillbox::openrc
