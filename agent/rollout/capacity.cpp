#include "rollout/capacity.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// What the kernel could give without swapping (proc(5), MemAvailable).
std::optional<uint64_t> memory_available(HostContext& host) {
  const auto text = host.disk.read("/proc/meminfo", 16 * 1024);
  const auto at = text ? text->find("MemAvailable:") : std::string::npos;
  if (at == std::string::npos)
    return std::nullopt;
  const auto line = split(std::string_view(*text).substr(at + 13), '\n')[0];
  const auto number = parse_u64(split(trim(line), ' ')[0]);
  return number ? std::optional(*number * 1024) : std::nullopt;
}

// A service that stops first never has two copies.
uint64_t memory_of_second(JobContext& r, const PlannedService& p) {
  if (p.files_only())
    return 0;
  if (r.old && p.service.strategy == config::Strategy::stop_first)
    return 0;
  if (p.service.resources.memory_max != 0)
    return p.service.resources.memory_max * p.service.count;
  uint64_t sum = 0;
  for (const auto& name : r.host.slots.all())
    if (r.old && name.site == r.job.site && name.service == p.service.name &&
        name.slot == r.old->slot)
      sum += r.host.slots.memory(name);
  return sum;
}

} // namespace

uint64_t Capacity::entries_needed(uint32_t reserve_percent) const {
  return entries * 2 + space.total_inodes / 100 * reserve_percent;
}

Capacity capacity_of(JobContext& r, const os::TreeSize& size) {
  Capacity capacity{
      .bytes = size.bytes, .entries = size.entries, .space = {}, .memory_available = {}};
  if (const auto space = r.host.disk.space(r.host.paths.sites()))
    capacity.space = *space;
  capacity.reserve = capacity.space.total_bytes / 100 * r.host.config.reserve_percent;
  for (const auto& p : r.release.services)
    capacity.memory += memory_of_second(r, p);
  if (r.release.site.confidential) { // store: tmpfs
    capacity.memory += capacity.bytes * 2;
    capacity.bytes = capacity.entries = 0;
  }
  capacity.memory_available = memory_available(r.host);
  return capacity;
}

std::vector<std::string> capacity_problems(
    const Capacity& c, const os::Paths& paths, uint32_t reserve_percent) {
  std::vector<std::string> problems;
  const bool known = c.space.total_bytes != 0; // else the step that needs it reports it
  if (known && c.space.free_bytes < c.bytes_needed())
    problems.push_back(cat("no space on the disk of ", paths.sites(), ": need ",
        human_size(c.bytes_needed()), " (twice the release and ", reserve_percent,
        " % reserve), have ", human_size(c.space.free_bytes)));
  if (known && c.space.total_inodes != 0 && c.space.free_inodes < c.entries_needed(reserve_percent))
    problems.push_back(cat("no inodes on the disk of ", paths.sites(), ": need ",
        c.entries_needed(reserve_percent), " (twice the release and ", reserve_percent,
        " % reserve), have ", c.space.free_inodes));
  if (c.memory_available && *c.memory_available < c.memory)
    problems.push_back(cat("no memory for a second copy: the services may use ",
        human_size(c.memory),
        " (resources.memory_max, else what they use now; with store: tmpfs twice the release itself, too), available are ",
        human_size(*c.memory_available)));
  return problems;
}

} // namespace chillbox::rollout
