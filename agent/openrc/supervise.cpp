#include "openrc/supervise.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "openrc/cgroup.hpp"
#include "os/control_group.hpp"
#include "os/soft_files.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace chillbox::openrc {

const std::string_view k_shipped_script =
    R"(description="A service of a chillbox site"
supervisor=supervise-daemon
command=/usr/sbin/chillboxd
command_args="--slot $RC_SVCNAME"
: "${respawn_delay:=1}" "${respawn_max:=0}"
: "${retry:=TERM/35/KILL/5}"
rc_cgroup_cleanup=yes
depend() {
before chillboxd
}
)";

namespace {

constexpr size_t k_max_conf = 256 * 1024;
constexpr std::string_view k_daemon = "chillboxd"; // its own service

std::string text_of(os::Disk& disk, const std::string& path) {
  return disk.read(path, k_max_conf).value_or(std::string());
}

// Settings of rc.conf that say how the machine boots and what OpenRC prints. Any variable of an
// init script can be set there for all services (respawn_delay, retry, capabilities, directory), so
// every other name counts as one of those.
constexpr std::array<std::string_view, 19> k_of_the_boot{"rc_parallel", "rc_interactive",
    "rc_loopsolver_enable", "rc_loopsolver_warnings", "rc_shell", "rc_depend_strict", "rc_hotplug",
    "rc_plug_services", "rc_logger", "rc_log_path", "rc_verbose", "rc_quiet", "rc_tty_number",
    "rc_sys", "rc_cgroup_mode", "rc_default_runlevel", "unicode", "net_fs_list",
    "extra_net_fs_list"};

// One word, or words in quotes, in which a shell expands nothing.
bool is_value(std::string_view text) {
  const bool quoted =
      text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  if (quoted)
    text = text.substr(1, text.size() - 2);
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        std::string_view("_-./:,+").contains(c) || (quoted && c == ' ');
  });
}

// As openrc-run makes it: what the kernel or the host lacks is left out.
Result<void> prepare_group(const std::string& group, const os::Limits& limits) {
  TRY(os::make_group(group));
  for (const auto& [file, value] : os::group_settings(limits)) {
    const Fd fd(::open(cat(group, "/", file).c_str(), O_WRONLY | O_CLOEXEC));
    if (fd && ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
      log::warn(cat(group, ": set ", file, " to ", value, ": ", std::strerror(errno)));
  }
  return {};
}

std::string retry_of(const SlotSpec& spec) {
  return spec.stop_timeout == k_stop_timeout
      ? "TERM/35/KILL/5"
      : cat("TERM/", (spec.stop_timeout.count() + 999) / 1000 + 5, "/KILL/5");
}

} // namespace

// A command line in /proc, its words separated by NUL. The service's own name in it is what
// distinguishes a supervisor from another process that got its number meanwhile (faults 110).
bool supervisor_lives(
    os::Disk& disk, const os::Paths& paths, const std::string& name, std::string_view pid) {
  const auto number = parse_u64(trim(pid));
  if (!number)
    return false;
  const auto line = disk.read(cat(paths.root, "/proc/", *number, "/cmdline"), 64 * 1024);
  if (!line)
    return false;
  const auto words = split(*line, '\0');
  return words[0].ends_with("supervise-daemon") && std::ranges::find(words, name) != words.end();
}

bool supervisor_lives(os::Disk& disk, const os::Paths& paths, const std::string& name) {
  const auto pid = disk.read(cat(paths.root, "/run/supervise-", name, ".pid"), 64);
  return pid && supervisor_lives(disk, paths, name, *pid);
}

std::string settings_in(std::string_view shell_text) {
  std::string out;
  for (const auto line : split(shell_text, '\n'))
    if (const auto words = trim(line); !words.empty() && words[0] != '#')
      out += cat(words, "\n");
  return out;
}

bool leaves_services_alone(std::string_view rc_conf) {
  const std::string settings = settings_in(rc_conf);
  return std::ranges::all_of(split(trim(settings), '\n'), [](std::string_view line) {
    const auto name = line.substr(0, line.find('='));
    return line.empty() ||
        (name.size() < line.size() && is_value(line.substr(name.size() + 1)) &&
            std::ranges::find(k_of_the_boot, name) != k_of_the_boot.end());
  });
}

// What openrc-run holds while it starts or stops the service. Its file goes in forget(), as there.
Result<Fd> Supervise::lock() const {
  const std::string path = in_openrc("exclusive");
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0664));
  if (!fd)
    return fail_errno(cat("open ", path), errno);
  struct stat info{};
  // A file without a name was the lock of one that has just ended; another may hold the next one.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd.get(), &info) != 0 ||
      info.st_nlink == 0)
    return fail(Code::busy, cat("openrc-run is starting or stopping ", m_name));
  return fd;
}

std::string Supervise::in_openrc(std::string_view what) const {
  return cat(m_s.paths.root, "/run/openrc/", what, "/", m_name);
}

std::string Supervise::group() const {
  const auto& paths = m_s.paths;
  const auto ours = cgroups_of(m_s.disk, paths, std::string(k_daemon));
  if (ours.size() != 1)
    return {};
  const auto all = members(m_s.disk, ours[0]);
  const std::string etc = paths.root + "/etc/";
  const std::string level = text_of(m_s.disk, paths.root + "/run/openrc/softlevel");
  if (std::ranges::find(all, ::getpid()) == all.end() ||
      settings_in(text_of(m_s.disk, paths.init_d() + "/chillbox-service")) != k_shipped_script ||
      !settings_in(text_of(m_s.disk, paths.conf_d() + "/chillbox")).empty() ||
      m_s.disk.exists(cat(paths.conf_d(), "/chillbox.", trim(level))) ||
      !leaves_services_alone(text_of(m_s.disk, etc + "rc.conf")))
    return {};
  for (const auto& file : m_s.disk.list(etc + "rc.conf.d").value_or(std::vector<std::string>{}))
    if (!leaves_services_alone(text_of(m_s.disk, cat(etc, "rc.conf.d/", file))))
      return {};
  return cat(ours[0].substr(0, ours[0].size() - k_daemon.size()), m_name);
}

Result<os::Exit> Supervise::start(const SlotSpec& spec, const std::string& group) const {
  const std::string script = cat(m_s.paths.init_d(), "/", m_name);
  const Fd locked = TRY(lock());
  TRY(prepare_group(group, spec.limits));
  const std::string starting = in_openrc("starting"), started = in_openrc("started");
  if (::symlink(script.c_str(), starting.c_str()) != 0 && errno != EEXIST)
    return fail_errno(cat("symlink ", starting), errno);
  os::Command c;
  c.argv = {"supervise-daemon", m_name, "--start", "--retry", retry_of(spec), "--stdout", spec.log,
      "--stderr", spec.log, "--respawn-delay", "1", "--respawn-max", "0", "/usr/sbin/chillboxd",
      "--", "--slot", m_name};
  c.env = {{"RC_SVCNAME", m_name}, {"RC_SERVICE", script}, {"EINFO_QUIET", "YES"}};
  c.timeout = os::Millis{30'000};
  c.no_new_privs = false; // would be inherited by every service
  c.leaves_daemon = true;
  c.join_group = group;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0)
    c.env.emplace_back(k_files_variable, std::to_string(files.rlim_cur));
  const os::SoftFiles few(files.rlim_cur > k_supervisor_files ? k_supervisor_files : 0);
  auto exit = m_s.runner.run(c);
  if (!exit || !exit->ok()) {
    TRY(forget());
    return exit;
  }
  if (::rename(starting.c_str(), started.c_str()) != 0)
    return fail_errno(cat("rename ", starting), errno);
  ::unlink(in_openrc("exclusive").c_str());
  return exit;
}

Fd Supervise::ask_to_stop() const {
  const auto text = m_s.disk.read(cat(m_s.paths.root, "/run/supervise-", m_name, ".pid"), 64);
  const auto pid = text ? parse_u64(trim(*text)) : std::nullopt;
  Fd supervisor(
      pid ? static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0)) : -1);
  // The number may be somebody else's by now; the pidfd pins the process before it is looked at.
  if (!supervisor || !supervisor_lives(m_s.disk, m_s.paths, m_name))
    return Fd();
  ::rename(in_openrc("started").c_str(), in_openrc("stopping").c_str());
  ::syscall(SYS_pidfd_send_signal, supervisor.get(), SIGTERM, nullptr, 0);
  return supervisor;
}

bool Supervise::stop(os::Millis most, const std::function<bool()>& leave) const {
  const Fd supervisor = ask_to_stop();
  constexpr int k_look = 200; // how often `leave` is asked; the end itself is an event
  const auto deadline = m_s.clock.mono() + most;
  if (supervisor)
    for (pollfd fd{supervisor.get(), POLLIN, 0};
        ::poll(&fd, 1, k_look) <= 0 && m_s.clock.mono() < deadline;)
      if (leave())
        return false;
  return true;
}

Result<void> Supervise::forget() const {
  for (const std::string_view state : {"starting", "started", "stopping", "failed"})
    ::unlink(in_openrc(state).c_str());
  for (const std::string_view kept : {"options", "daemons"})
    TRY(m_s.disk.remove_tree(in_openrc(kept)));
  ::unlink(cat(m_s.paths.root, "/run/openrc/supervise-", m_name, ".ctl").c_str());
  ::unlink(cat(m_s.paths.root, "/run/supervise-", m_name, ".pid").c_str());
  ::unlink(in_openrc("exclusive").c_str());
  return {};
}

} // namespace chillbox::openrc
