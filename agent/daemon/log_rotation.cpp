#include "daemon/log_rotation.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "nginx/counts.hpp"
#include "os/log_file.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace chillbox::daemon {
namespace {

constexpr uint64_t k_answers = 1'000'000;      // bytes
constexpr os::Millis k_rotation_pause{10'000}; // between the first word of the kernel and the look

} // namespace

LogRotation::LogRotation(rollout::HostContext& host, std::function<void()> looked)
    : m_host(host), m_looked(std::move(looked)),
      m_events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  m_due = host.clock.mono(); // what grew while nobody looked
}

void LogRotation::written() {
  std::array<char, 4096> events;
  while (::read(m_events.get(), events.data(), events.size()) > 0) {}
  if (!m_due)
    m_due = m_host.clock.mono() + k_rotation_pause;
}

os::Millis LogRotation::look_if_due() {
  if (!m_due)
    return os::Millis{-1};
  if (const os::Millis left = *m_due - m_host.clock.mono(); left > os::Millis{0})
    return left;
  m_due.reset();
  look();
  if (m_looked)
    m_looked();
  return os::Millis{-1};
}

// One event, then the kernel forgets the directory until the next look.
void LogRotation::listen(const std::string& dir) {
  (void)::inotify_add_watch(
      m_events.get(), dir.c_str(), IN_MODIFY | IN_CREATE | IN_ONESHOT | IN_ONLYDIR);
}

bool LogRotation::rotate(const std::string& file, bool of_nginx) {
  const auto& limits = m_host.config;
  if (m_host.disk.size(file) <= limits.log_size)
    return false;
  if (of_nginx) {
    if (auto done = os::rotate_by_name(file, limits.log_files); !done)
      log::warn(cat("rotate: ", done.error().message));
    else if (auto made = m_host.disk.write(file, "", 0640);
        !made) // else NGINX makes it readable for everybody
      log::warn(cat("rotate: ", made.error().message));
    return true;
  }
  const auto dropped = os::rotate_by_copy(file, limits.log_files, limits.log_size * 2);
  if (!dropped)
    log::warn(cat("rotate: ", dropped.error().message));
  else if (*dropped > 0)
    log::warn(cat("rotate ", file, ": ", human_size(*dropped),
        " were dropped: it grew too fast, or there was no room for the copy"));
  return false;
}

// Texts of sites that were deployed before there were counts still write to this log of theirs,
// which nobody reads any more.
bool LogRotation::drop_answers() {
  const std::string dir = nginx::answers_dir(m_host.paths);
  bool dropped = false;
  for (const auto& name : m_host.disk.list(dir).value_or(std::vector<std::string>{}))
    if (const std::string file = cat(dir, "/", name); m_host.disk.size(file) > k_answers)
      dropped = os::rotate_by_name(file, 0).has_value() || dropped;
  return dropped;
}

void LogRotation::look() {
  auto& disk = m_host.disk;
  bool reopen = drop_answers();
  const std::string of_nginx = m_host.paths.root + "/var/log/nginx";
  std::vector<std::pair<std::string, bool>> dirs{{m_host.paths.logs(), false}};
  for (const auto& row : m_host.store.sites().value_or(std::vector<store::SiteRow>{}))
    dirs.emplace_back(cat(of_nginx, "/", row.site.str()), true);
  for (const auto& [dir, nginx] : dirs) {
    listen(dir); // first: what is written while it is looked at is reported again
    for (const auto& name : disk.list(dir).value_or(std::vector<std::string>{}))
      if (name.ends_with(".log"))
        reopen = rotate(cat(dir, "/", name), nginx) || reopen;
  }
  listen(nginx::counts_dir(m_host.paths));
  reopen = nginx::counts(m_host.paths).rotate() || reopen;
  if (reopen)
    if (auto done = m_host.nginx.reopen_logs(); !done)
      log::warn(cat("rotate: ", done.error().message));
}

} // namespace chillbox::daemon
