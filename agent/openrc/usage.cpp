#include "openrc/usage.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "openrc/cgroup.hpp"
#include "os/io.hpp"

#include <fcntl.h>

#include <array>
#include <string_view>

namespace chillbox::openrc {
namespace {

// Of a control group: what the kernel writes into one page, and so in one read. A scrape of many
// sites is mostly these calls, which are less with a descriptor of the directory than by its path.
class GroupFiles {
public:
  explicit GroupFiles(const std::vector<std::string>& candidates) {
    for (const auto& dir : candidates)
      if (!m_dir)
        m_dir = Fd(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  std::optional<uint64_t> number(const char* file) {
    const auto text = read(file);
    return text ? parse_u64(trim(*text)) : std::nullopt;
  }
  // "usage_usec 12345" among the lines of a flat keyed file.
  std::optional<uint64_t> entry(const char* file, std::string_view key) {
    const auto text = read(file);
    if (!text)
      return std::nullopt;
    for (const auto line : split(*text, '\n'))
      if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ')
        return parse_u64(line.substr(key.size() + 1));
    return std::nullopt;
  }

private:
  std::optional<std::string_view> read(const char* file) {
    if (!m_dir)
      return std::nullopt;
    const Fd fd(::openat(m_dir.get(), file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    const ssize_t got = fd ? os::read_some(fd.get(), m_page.data(), m_page.size()) : -1;
    if (got < 0)
      return std::nullopt;
    return std::string_view(m_page.data(), static_cast<size_t>(got));
  }
  Fd m_dir;
  std::array<char, 4096> m_page{};
};

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

Usage usage_of(const os::Paths& paths, const std::string& service) {
  GroupFiles group(cgroup_places(paths, service));
  return {.cpu_us = group.entry("cpu.stat", "usage_usec"),
      .memory = group.number("memory.current"),
      .memory_limit = group.number("memory.max"),
      .oom_kills = group.entry("memory.events", "oom_kill"),
      .tasks = group.number("pids.current")};
}

} // namespace chillbox::openrc
