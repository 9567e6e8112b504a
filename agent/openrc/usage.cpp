#include "openrc/usage.hpp"

#include "base/text.hpp"
#include "openrc/cgroup.hpp"

#include <string_view>

namespace chillbox::openrc {
namespace {

constexpr size_t k_most = 16 * 1024; // of a control file

std::optional<uint64_t> number_in(os::Disk& disk, const std::string& file) {
  const auto text = disk.read(file, k_most);
  return text ? parse_u64(trim(*text)) : std::nullopt;
}

// "usage_usec 12345" among the lines of a flat keyed file.
std::optional<uint64_t> entry_in(os::Disk& disk, const std::string& file, std::string_view key) {
  const auto text = disk.read(file, k_most);
  if (!text)
    return std::nullopt;
  for (const auto line : split(*text, '\n'))
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ')
      return parse_u64(line.substr(key.size() + 1));
  return std::nullopt;
}

void add(std::optional<uint64_t>& sum, const std::optional<uint64_t>& more) {
  if (more)
    sum = sum.value_or(0) + *more;
}

} // namespace

Usage& Usage::operator+=(const Usage& other) {
  add(cpu_us, other.cpu_us);
  add(memory, other.memory);
  add(memory_limit, other.memory_limit);
  add(oom_kills, other.oom_kills);
  add(tasks, other.tasks);
  return *this;
}

Usage usage_of(os::Disk& disk, const os::Paths& paths, const std::string& service) {
  const auto groups = cgroups_of(disk, paths, service);
  if (groups.empty())
    return {};
  const std::string& group = groups.front();
  return {.cpu_us = entry_in(disk, group + "/cpu.stat", "usage_usec"),
      .memory = number_in(disk, group + "/memory.current"),
      .memory_limit = number_in(disk, group + "/memory.max"),
      .oom_kills = entry_in(disk, group + "/memory.events", "oom_kill"),
      .tasks = number_in(disk, group + "/pids.current")};
}

} // namespace chillbox::openrc
