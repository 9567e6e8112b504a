#include "os/control_group.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

namespace chillbox::os {
namespace {

constexpr int k_most_tries =
    500; // of a millisecond, until a group whose processes have ended can go
constexpr size_t k_small = 64 * 1024;

bool write_to(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool has_word(const std::string& path, std::string_view word) {
  const auto text = real_disk().read(path, k_small).value_or("");
  const auto words = split(trim(text), ' ');
  return std::ranges::find(words, word) != words.end();
}

// A number in a file of lines "name number".
uint64_t count_in(const std::string& path, std::string_view name) {
  const auto text = real_disk().read(path, k_small).value_or("");
  for (const auto line : split(text, '\n'))
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ')
      return parse_u64(line.substr(name.size() + 1)).value_or(0);
  return 0;
}

std::string_view controller_of(std::string_view file) {
  return file.substr(0, file.find('.'));
}

// Whether groups below the root have this controller, after we asked for it.
bool has_controller(const std::string& root, std::string_view controller) {
  const std::string turned_on = root + "/cgroup.subtree_control";
  return has_word(turned_on, controller) ||
      (has_word(root + "/cgroup.controllers", controller) &&
          write_to(turned_on, cat("+", controller)));
}

void remove_group(const std::string& path) {
  for (int i = 0; i < k_most_tries && ::rmdir(path.c_str()) != 0 && errno == EBUSY; ++i) {
    write_to(path + "/cgroup.kill", "1");
    real_clock().sleep(Millis{1}); // after the kill: when the group is empty is no event here
  }
}

} // namespace

Result<void> make_group(const std::string& path) {
  int made = ::mkdir(path.c_str(), 0755);
  if (made != 0 && errno == EEXIST) {
    remove_group(path);
    made = ::mkdir(path.c_str(), 0755);
  }
  if (made == 0)
    return {};
  if (errno != EEXIST)
    return fail_errno(cat("make control group ", path), errno);
  const auto members = real_disk().read(path + "/cgroup.procs", k_small).value_or("");
  return fail(Code::busy,
      cat("control group ", path, " cannot be emptied: ",
          members.empty() ? "it has groups of somebody else below it"
                          : cat("process ", trim(split(members, '\n')[0]), " does not end")));
}

std::vector<std::pair<std::string, std::string>> group_settings(const Limits& limits) {
  std::vector<std::pair<std::string, std::string>> out;
  if (limits.memory_max != 0)
    out.emplace_back("memory.max", std::to_string(limits.memory_max));
  if (limits.cpu_max != 0) // of 100 ms
    out.emplace_back("cpu.max", cat(static_cast<uint64_t>(limits.cpu_max) * 1000, " 100000"));
  if (!limits.cpus.empty())
    out.emplace_back("cpuset.cpus", limits.cpus);
  if (limits.tasks_max != 0)
    out.emplace_back("pids.max", std::to_string(limits.tasks_max));
  return out;
}

std::string control_groups_root() {
  for (const char* dir : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
    if (::access(cat(dir, "/cgroup.procs").c_str(), W_OK) == 0)
      return dir;
  return {};
}

std::vector<std::string> limits_without_effect(const Limits& limits) {
  std::vector<std::string> out;
  const std::string root = control_groups_root();
  const auto look = [&](bool set, const char* name, std::string_view controller) {
    if (set && (root.empty() || !has_controller(root, controller)))
      out.emplace_back(name);
  };
  look(limits.memory_max != 0, "memory_max", "memory");
  look(limits.cpu_max != 0, "cpu_max", "cpu");
  look(!limits.cpus.empty(), "cpus", "cpuset");
  return out; // tasks_max holds by user_tasks_max, too
}

void remove_stale_groups() {
  const std::string root = control_groups_root();
  if (root.empty())
    return;
  for (const auto& name : real_disk().list(root).value_or(std::vector<std::string>{}))
    if (name.starts_with(k_run_groups))
      ::rmdir(cat(root, "/", name).c_str());
}

Result<ControlGroup> ControlGroup::make(std::string name, const Limits& limits) {
  static std::atomic<uint64_t> s_number{0};
  ControlGroup group;
  const std::string root = control_groups_root();
  if (root.empty())
    return group;
  if (name.empty())
    name = cat(k_run_groups, ::getpid(), ".", ++s_number);
  const std::string path = cat(root, "/", name);
  TRY(make_group(path));
  group.m_path = path; // removed from here on
  for (const auto& [file, value] : group_settings(limits))
    if (has_controller(root, controller_of(file)) && !write_to(cat(path, "/", file), value))
      return fail_errno(
          cat("control group ", path, ": set ", file, " to ", printable(value)), errno);
  write_to(path + "/memory.oom.group", "1"); // half a build is none
  group.m_directory = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!group.m_directory)
    return fail_errno(cat("open ", path), errno);
  return group;
}

ControlGroup::ControlGroup(ControlGroup&& other) noexcept
    : m_path(std::exchange(other.m_path, {})), m_directory(std::move(other.m_directory)) {}

ControlGroup& ControlGroup::operator=(ControlGroup&& other) noexcept {
  std::swap(m_path, other.m_path);
  std::swap(m_directory, other.m_directory);
  return *this;
}

ControlGroup::~ControlGroup() {
  if (there())
    remove_group(m_path);
}

std::string ControlGroup::reached() const {
  if (!there())
    return {};
  if (count_in(m_path + "/memory.events", "oom_kill") > 0)
    return "memory_max";
  return count_in(m_path + "/pids.events", "max") > 0 ? "tasks_max" : "";
}

} // namespace chillbox::os
