#include "cli/doctor/doctor.hpp"

#include "cli/core/host_setup.hpp"

#include "base/text.hpp"
#include "nginx/nginx.hpp"
#include "os/clock.hpp"
#include "os/host_layout.hpp"
#include "os/job_user.hpp"
#include "os/mount.hpp"
#include "os/probe.hpp"
#include "os/root_owned.hpp"
#include "os/runner.hpp"

#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

namespace chillbox::cli {
namespace {

// The PATH of root's commands; a service's environment may have none.
bool has_program(Doctor& d, const std::string& name) {
  return std::ranges::any_of(
      std::array{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/", "/usr/local/bin/"},
      [&](const char* dir) { return d.disk.exists(dir + name); });
}

void look_at_people(Doctor& d) {
  std::vector<std::string> missing;
  std::string all;
  for (const auto& user : os::k_host_users) {
    all += cat(user.name, ", ");
    if (!os::find_user(std::string(user.name)))
      missing.push_back(cat("user ", user.name));
  }
  if (!os::find_group(std::string(os::k_admin_group)))
    missing.push_back(cat("group ", os::k_admin_group));
  if (!missing.empty())
    return d.fail("users", cat("missing: ", join(missing, ", ")), "chillboxctl init");
  if (const auto numbers = os::check_job_users(); !numbers)
    return d.fail("users", numbers.error().message, "usermod -u, groupmod -g");
  d.ok("users", cat(all, "group ", os::k_admin_group));
}

void look_at_directories(Doctor& d) {
  std::vector<std::string> wrong;
  for (const auto& row : os::host_directories(d.paths)) {
    if (row.kept == os::Kept::until_boot)
      continue;
    struct stat info{};
    if (::lstat(row.path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
      wrong.push_back(cat(row.path, " is missing"));
    else if ((info.st_mode & 07777) != row.mode || info.st_uid != row.owner.uid ||
        info.st_gid != row.owner.gid)
      wrong.push_back(cat(row.path, " has another owner or mode"));
  }
  if (!wrong.empty())
    return d.fail("directories", join(wrong, "; "), "chillboxctl init corrects them");
  d.ok("directories", "owners and modes are right");
}

void look_at_hooks(Doctor& d) {
  const std::string hook = os::host_hook(d.paths, "user-add"),
                    own = d.paths.admin_hooks() + "/host";
  if (::access(hook.c_str(), X_OK) != 0)
    return d.fail(
        "hooks", cat(hook, " does not exist, or may not be run"), "install the package again");
  if (const auto checked = os::check_root_owned(d.paths.etc(), "hooks.d");
      !checked && checked.error().code == Code::denied)
    return d.fail("hooks", checked.error().message, "what others can change is not run");
  if (d.disk.exists(own))
    return d.warn("hooks",
        cat(own, " is not used: users are always made by ", d.paths.shipped_hooks(), "/host"),
        cat("rm -r ", own));
  d.ok("hooks", d.paths.shipped_hooks());
}

// These two hold decrypted data, which must never reach a disk.
void look_at_memory(Doctor& d) {
  const bool swap = os::swap_is_on();
  for (const auto& path : {d.paths.stage(), d.paths.secrets()}) {
    const auto kept_out = os::keeps_out_of_swap(path);
    if (!kept_out)
      return d.fail("tmpfs", cat(path, ": ", kept_out.error().message),
          "rc-service chillboxd restart mounts it");
    if (swap && !*kept_out)
      return d.warn("tmpfs", cat(path, " may be swapped out"),
          "swapoff -a, or a kernel with noswap for tmpfs (6.4)");
  }
  d.ok("tmpfs", swap ? "noswap holds" : "no swap is on");
}

void look_at_cgroups(Doctor& d) {
  const auto text = d.disk.read("/sys/fs/cgroup/cgroup.controllers", 4096);
  if (!text)
    return d.warn("cgroups",
        "no control groups of version 2: `resources` in site files have no effect",
        "set rc_cgroup_mode=\"unified\" in /etc/rc.conf, rc-update add cgroups sysinit, reboot");
  std::vector<std::string> missing;
  const auto there = split(trim(*text), ' ');
  for (const std::string_view name : {"cpu", "cpuset", "memory", "pids"})
    if (std::ranges::find(there, name) == there.end())
      missing.emplace_back(name);
  if (!missing.empty())
    return d.warn("cgroups",
        cat("version 2 without ", join(missing, ", "), ": those of `resources` have no effect"),
        "see the kernel's command line");
  d.ok("cgroups", "version 2 with cpu, cpuset, memory, pids");
}

bool in_a_runlevel(Doctor& d, const std::string& service) {
  const auto levels = d.disk.list("/etc/runlevels").value_or(std::vector<std::string>{});
  return std::ranges::any_of(levels, [&](const auto& level) {
    return d.disk.exists(cat("/etc/runlevels/", level, "/", service));
  });
}

void look_at_openrc(Doctor& d) {
  if (!has_program(d, "openrc-run") || !has_program(d, "supervise-daemon"))
    return d.fail("openrc", "openrc-run or supervise-daemon does not exist",
        "chillbox needs OpenRC: apk add openrc");
  if (!d.disk.exists(d.paths.init_d() + "/chillbox-service"))
    return d.fail("openrc", cat(d.paths.init_d(), "/chillbox-service does not exist"),
        "install the package again");
  for (const char* name : {"chillboxd", "nginx"})
    if (!in_a_runlevel(d, name))
      return d.fail("openrc", cat(name, " is in no runlevel: it does not start at boot"),
          cat("rc-update add ", name, " default"));
  d.ok("openrc", "chillboxd and nginx start at boot");
}

size_t old_workers(Doctor& d) {
  size_t count = 0;
  for (const auto& pid : d.disk.list("/proc").value_or(std::vector<std::string>{}))
    if (parse_u64(pid) &&
        d.disk.read(cat("/proc/", pid, "/cmdline"), 256)
            .value_or("")
            .starts_with("nginx: worker process is shutting down"))
      ++count;
  return count;
}

// Each keeps its memory and its share of the connections, and reloads can leave many of them
// (faults 116).
void look_at_old_workers(Doctor& d, nginx::Nginx& nginx) {
  if (const size_t count = old_workers(d); count > 0 && !nginx.ends_old_workers().value_or(true))
    d.warn("workers",
        cat(count, " old workers of NGINX wait for their last visitors, and nothing ends them"),
        "`worker_shutdown_timeout 10m;` at the top of nginx.conf");
}

void look_at_nginx(Doctor& d) {
  if (!d.nginx)
    return d.fail("nginx", "not installed", "apk add nginx");
  const auto look = d.nginx_look.get();
  if (!look)
    return d.fail("nginx", look.error().message, "nginx -t");
  if (!d.disk.exists(look->directory + "/chillbox.conf"))
    return d.fail("nginx",
        cat(look->directory, "/chillbox.conf does not exist: /v1/ is not served"),
        "rc-service chillboxd restart writes it");
  const auto answer = os::probe(
      {.port = d.config.http_port, .path = "/healthcheck/", .host = d.config.server_name});
  if (!answer)
    return d.fail("nginx", cat("port ", d.config.http_port, ": ", answer.error().message),
        "rc-service nginx start");
  d.ok("nginx",
      cat("includes ", look->directory, ", answers on port ", d.config.http_port,
          look->unchanged_ms == 0
              ? ""
              : cat("; unchanged since it was tested at ", rfc3339(look->unchanged_ms / 1000))));
  look_at_old_workers(d, *d.nginx);
}

void look_at_engine(Doctor& d) {
  const auto& tls = d.config.tls;
  if (!tls.issues())
    return d.ok("tls", "tls.acme is off: no certificate is ordered");
  for (const auto& base : {d.paths.admin_hooks(), d.paths.shipped_hooks()})
    if (const std::string engine = cat(base, "/acme/", tls.engine, "/engine");
        ::access(engine.c_str(), X_OK) == 0)
      return d.ok("tls", cat(engine, " orders at ", tls.directory()));
  d.warn("tls", cat("no engine '", tls.engine, "': no certificate is ordered or renewed"),
      "install the package again, or choose another engine in [tls] of chillboxd.toml");
}

void look_at_clock(Doctor& d) {
  constexpr int64_t k_tolerance = 300; // for webhooks
  constexpr int64_t k_noticeable = 10;
  const int64_t now = os::real_clock().wall();
  if (d.clock) {
    const int64_t skew = now - static_cast<int64_t>(*d.clock);
    if (std::abs(skew) > k_tolerance)
      return d.fail("clock", cat("this host is ", skew_text(skew), ": webhooks are refused"),
          "rc-service chronyd restart, or date -s");
    if (std::abs(skew) > k_noticeable)
      return d.warn("clock", cat("this host is ", skew_text(skew)), "rc-service chronyd restart");
  }
  if (d.status && d.status->host.newest_ms / 1000 > now + 60)
    return d.fail("clock",
        cat("it was set back: the newest audit entry is ",
            skew_text(d.status->host.newest_ms / 1000 - now)),
        "rc-service chronyd restart, or date -s");
  timex state{};
  if (::adjtimex(&state) == TIME_ERROR || (state.status & STA_UNSYNC) != 0)
    return d.warn("clock", cat("no time service keeps it right; it says ", rfc3339(now)),
        "rc-update add chronyd default; rc-service chronyd start");
  d.ok(
      "clock", cat("is kept right, within ", state.esterror / 1000, " ms; it says ", rfc3339(now)));
}

void look_at_disk(Doctor& d, const std::string& path) {
  const auto space = d.disk.space(path);
  if (!space)
    return d.fail("disk", space.error().message, "chillboxctl init");
  const std::string text = cat(
      path, ": ", human_size(space->free_bytes), " of ", human_size(space->total_bytes), " free");
  const std::string todo =
      "chillboxctl prune; see du -xh, and limits.log_size, defaults.keep_releases in chillboxd.toml";
  if (const auto trouble = os::shortage_of({path, *space}, d.config.reserve_percent);
      !trouble.empty())
    return d.fail("disk", trouble, todo);
  if (space->free_bytes < space->total_bytes / 50 * d.config.reserve_percent)
    return d.warn("disk",
        cat(text, ", soon less than the reserve of ", d.config.reserve_percent, " %"), todo);
  d.ok("disk", text);
}

void look_at_disks(Doctor& d) {
  std::set<dev_t> seen;
  for (const auto& path : {d.paths.state(), d.paths.sites(), d.paths.logs()}) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || seen.insert(info.st_dev).second)
      look_at_disk(d, path);
  }
  // SQLite cannot rely on locks and syncs there (faults 125).
  if (const auto kind = os::network_file_system(d.paths.state()); !kind.empty())
    d.warn("disk",
        cat(d.paths.state(), " is on a network file system (", kind,
            "): a lost connection may damage the store"),
        "move it to a disk of this machine");
  for (const auto& path : {d.paths.state(), d.paths.sites()})
    if (os::is_in_memory(path))
      d.warn("disk", cat(path, k_in_memory), std::string(k_keep_on_disk));
}

void look_at_python(Doctor& d) {
  if (!has_program(d, "python3"))
    return d.warn("python",
        "python3 is not installed: sites of kind python and chill cannot be built",
        "apk add python3");
  const auto wheels = names_in(d.paths.wheelhouse(), ".whl");
  d.ok("python",
      cat("python3; ", wheels ? wheels->size() : 0, " wheels for all sites in ",
          d.paths.wheelhouse()));
}

} // namespace

std::string skew_text(int64_t seconds) {
  return cat(std::abs(seconds), " s ", seconds < 0 ? "behind" : "ahead");
}

void ask_nginx(Doctor& d) {
  if (d.paths.testing() || !has_program(d, "nginx"))
    return;
  d.nginx = std::make_unique<nginx::Nginx>(
      d.disk, os::real_runner(), os::real_clock(), d.paths, d.config);
  const int64_t now_ms = os::real_clock().wall_ms();
  d.nginx_look = std::async(
      std::launch::async | std::launch::deferred, [&d, now_ms]() -> Result<Doctor::NginxLook> {
        // It may not read all of it for others.
        const int64_t at_ms = ::geteuid() == 0 ? TRY(d.nginx->tested()) : now_ms;
        const std::string directory = TRY(d.nginx->directory());
        return Doctor::NginxLook{directory, at_ms < now_ms ? at_ms : 0};
      });
}

void examine_host(Doctor& d) {
  if (d.paths.testing())
    return look_at_disks(d); // under test the rest would check this machine
  if (::geteuid() != 0)
    d.warn("doctor", "not root: some of this cannot be seen", "run it as root");
  look_at_people(d);
  look_at_directories(d);
  look_at_hooks(d);
  look_at_memory(d);
  look_at_cgroups(d);
  look_at_openrc(d);
  look_at_nginx(d);
  look_at_engine(d);
  look_at_clock(d);
  look_at_disks(d);
  look_at_python(d);
}

} // namespace chillbox::cli
