#include "openrc/slots.hpp"

#include "base/text.hpp"
#include "openrc/cgroup.hpp"
#include "openrc/restarts.hpp"
#include "openrc/spec.hpp"
#include "openrc/supervise.hpp"
#include "os/known_files.hpp"

#include <algorithm>
#include <set>

namespace chillbox::openrc {
namespace {

constexpr os::Millis k_supervisor_wait{2'000};

// What openrc-run itself keeps, so that nothing has to be started to ask.
std::string openrc_dir(const os::Paths& paths, std::string_view what, const std::string& name) {
  return cat(paths.root, "/run/openrc/", what, "/", name);
}

std::string pid_file(const os::Paths& paths, const std::string& name) {
  return cat(paths.root, "/run/supervise-", name, ".pid");
}

std::string init_script(const os::Paths& paths, const std::string& name) {
  return cat(paths.init_d(), "/", name);
}

// For looks at all services again and again; what acts on a slot reads its files each time.
std::string known(os::Disk& disk, const std::string& path, size_t limit) {
  static os::KnownFiles files;
  return files.text(path, [&] { return disk.read(path, limit); }).value_or(std::string());
}

SlotState state_of(os::Disk& disk, const os::Paths& paths, const std::string& name,
    const std::function<bool()>& lives) {
  for (const auto seen : {SlotState::started, SlotState::stopping})
    if (disk.exists(openrc_dir(paths, openrc::name(seen), name)))
      return lives() ? seen : SlotState::crashed;
  if (disk.exists(openrc_dir(paths, "starting", name)))
    return SlotState::starting;
  if (disk.exists(openrc_dir(paths, "failed", name)))
    return SlotState::crashed;
  return SlotState::stopped;
}

uint32_t count_of(std::string_view text) {
  return static_cast<uint32_t>(parse_u64(trim(text)).value_or(0));
}

std::string count_file(const os::Paths& paths, const std::string& name) {
  return openrc_dir(paths, "options", name) + "/start_count";
}

// The last line that OpenRC said, without its " * ".
std::string reason_of(const os::Exit& exit) {
  std::string_view said = trim(exit.err.empty() ? exit.out : exit.err);
  said = said.substr(said.rfind('\n') + 1);
  said.remove_prefix(std::min(said.find_first_not_of(" *"), said.size()));
  return said.empty() ? cat("exit ", exit.code) : printable(said);
}

// Absolute, and nothing in it that a shell would read: conf.d is the one file here that one does.
bool is_plain_path(std::string_view path) {
  return path.starts_with('/') && std::ranges::all_of(path, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
        c == '.' || c == '-' || c == '_';
  });
}

Result<std::string> conf_text(const SlotSpec& spec) {
  if (!is_plain_path(spec.log))
    return fail(Code::invalid,
        cat("log file '", printable(spec.log), "': must be an absolute path of plain characters"));
  const std::string& cpus = spec.limits.cpus;
  if (cpus.find_first_not_of("0123456789,-") != std::string::npos)
    return fail(
        Code::invalid, cat("resources.cpus '", printable(cpus), "': must be numbers like 0-1,3"));
  std::string limits;
  for (const auto& [file, value] : os::group_settings(spec.limits))
    limits += cat(file, " ", value, "\n");
  // A little longer than chillboxd waits, which ends it by itself.
  const auto seconds = (spec.stop_timeout.count() + 999) / 1000 + 5;
  return cat("# Written by chillboxd at every start.\noutput_log=\"", spec.log, "\"\nerror_log=\"",
      spec.log, "\"\n",
      spec.stop_timeout == k_stop_timeout ? std::string()
                                          : cat("retry=\"TERM/", seconds, "/KILL/5\"\n"),
      limits.empty() ? std::string() : cat("rc_cgroup_settings=\"", limits, "\"\n"));
}

Result<os::Exit> run_script(os::Runner& runner, const os::Paths& paths, const std::string& name,
    const char* verb, os::Millis timeout, std::function<bool()> meanwhile = {}) {
  os::Command c;
  // The script itself instead of rc-service, and without dependencies: there are none, and OpenRC
  // does not read its whole tree for it.
  c.argv = {init_script(paths, name), "--quiet", "--nodeps", verb};
  c.timeout = timeout;
  c.no_new_privs = false; // would be inherited by every service
  c.leaves_daemon = true; // supervise-daemon stays in the group of the script that started it
  c.cancelled = std::move(meanwhile);
  return runner.run(c);
}

} // namespace

std::string_view name(SlotState state) {
  switch (state) {
  case SlotState::starting: return "starting";
  case SlotState::started: return "started";
  case SlotState::crashed: return "crashed";
  case SlotState::stopping: return "stopping";
  case SlotState::stopped: break;
  }
  return "stopped";
}

std::string slot_socket(const os::Paths& paths, const SlotName& slot) {
  return cat(paths.slots_of(slot.site), "/", slot.service.str(), ".", letter(slot.slot), ".sock");
}

Slots::Slots(os::Disk& disk, os::Runner& runner, os::Clock& clock, os::Paths paths)
    : m_disk(disk), m_runner(runner), m_clock(clock), m_paths(std::move(paths)) {}

Result<void> Slots::start(const SlotSpec& spec) {
  const std::string name = spec.name.str();
  const auto now = TRY(state(spec.name));
  if (now == SlotState::started &&
      release_in(spec.name) ==
          spec.release) // should it crash, the next copy is as this agent starts one
    return os::write_if_changed(
        m_disk, spec_path(m_paths, name), TRY_IN(cat("start ", name), spec_text(spec)), 0600);
  if (now != SlotState::stopped)
    TRY_IN(cat("start ", name),
        stop(spec.name, now == SlotState::stopping ? os::Millis::max() : os::Millis{5'000}));

  const auto text = TRY_IN(cat("start ", name), spec_text(spec));
  const auto conf = TRY_IN(cat("start ", name), conf_text(spec));
  const std::string logs = spec.log.substr(0, spec.log.rfind('/'));
  if (!m_disk.exists(logs))
    TRY(m_disk.make_dir(logs, 0750));
  if (!m_disk.exists(m_paths.slots()))
    TRY(m_disk.make_dir(m_paths.slots(), 0755));
  TRY(m_disk.remove(restarts_path(m_paths, name)));
  TRY(m_disk.write(spec_path(m_paths, name), text, 0600));
  if (!m_disk.exists(m_paths.conf_d()))
    TRY(m_disk.make_dir(m_paths.conf_d(), 0755));
  TRY(os::write_if_changed(m_disk, cat(m_paths.conf_d(), "/", name), conf, 0644));
  const auto link = TRY(m_disk.read_link(init_script(m_paths, name)));
  if (link.value_or("") != "chillbox-service")
    TRY(m_disk.set_link("chillbox-service", init_script(m_paths, name)));

  const Supervise directly({m_disk, m_runner, m_clock, m_paths}, name);
  const std::string group = directly.group();
  const auto exit = TRY_IN(cat("start ", name),
      group.empty() ? run_script(m_runner, m_paths, name, "start", os::Millis{30'000})
                    : directly.start(spec, group));
  if (!exit.ok())
    return fail(Code::failure, cat("start ", name, ": ", reason_of(exit)));
  // The first process of supervise-daemon ends before the one that stays has written its pid file:
  // until then it looks as if it had crashed. That takes less than a look at every millisecond is
  // worth an inotify for.
  const auto deadline = m_clock.mono() + k_supervisor_wait;
  while (!supervisor_lives(m_disk, m_paths, name) && m_clock.mono() < deadline)
    m_clock.sleep(os::Millis{1}); // see above
  return {};
}

// Whatever OpenRC says: nothing of it runs any more afterwards, and OpenRC thinks so, too.
Result<void> Slots::end(
    const std::string& name, os::Millis most, const std::function<void()>& meanwhile) {
  const Supervise directly({m_disk, m_runner, m_clock, m_paths}, name);
  if (!directly.group().empty())
    if (const auto locked = directly.lock()) {
      const bool waited = directly.stop(most, [&] {
        meanwhile();
        return m_leaving.load();
      });
      if (!waited)
        return fail(Code::interrupted, "the daemon stops, and does not wait for it");
      TRY(kill_leftovers(m_disk, m_clock, m_paths, name, os::Millis{5'000}));
      return directly.forget();
    }
  const auto exit = run_script(m_runner, m_paths, name, "stop", most, [&] {
    meanwhile();
    return false; // openrc-run that is interrupted says that the service runs
  });
  TRY(kill_leftovers(m_disk, m_clock, m_paths, name, os::Millis{5'000}));
  if (!exit || !exit->ok() || TRY(state(TRY(SlotName::parse(name)))) != SlotState::stopped)
    TRY(run_script(m_runner, m_paths, name, "zap", os::Millis{10'000}));
  return {};
}

void Slots::ask_to_stop(const std::string& name) {
  const Supervise directly({m_disk, m_runner, m_clock, m_paths}, name);
  if (!directly.group().empty())
    if (const auto locked = directly.lock())
      (void)directly.ask_to_stop();
}

Result<void> Slots::stop(
    const SlotName& slot, os::Millis most, const std::function<bool()>& hurry) {
  return stop(slot, Grace{m_clock.mono(), most, hurry});
}

Result<void> Slots::stop_all(const std::vector<SlotName>& names, const std::function<bool()>& hurry,
    const std::function<os::Millis(const SlotName&)>& most) {
  const os::Millis begun = m_clock.mono();
  if (names.size() > 1)
    for (const auto& name : names)
      ask_to_stop(name.str());
  Result<void> all{};
  for (const auto& name : names)
    if (auto stopped = stop(name, Grace{begun, most ? most(name) : os::Millis::max(), hurry});
        !stopped && all)
      all = std::move(stopped);
  return all;
}

Result<void> Slots::stop(const SlotName& slot, const Grace& asked) {
  const std::string name = slot.str();
  const auto spec = spec_of(name);
  const os::Millis grace = std::min(asked.most, spec ? spec->stop_timeout : k_stop_timeout);
  auto link = TRY(m_disk.read_link(init_script(m_paths, name)));
  if (!link &&
      TRY(state(slot)) !=
          SlotState::stopped) { // somebody removed it; OpenRC needs it to forget the service
    TRY(m_disk.set_link("chillbox-service", init_script(m_paths, name)));
    link = "chillbox-service";
  }
  if (link) {
    // supervise-daemon keeps the schedule that it was started with; a shorter grace is ours to
    // enforce, in the middle of its waiting.
    const auto kill_when_over = [&] {
      const auto passed = m_clock.mono() - asked.begun;
      const bool hurried = m_leaving || (asked.hurry && asked.hurry());
      if (passed >= grace || (passed >= k_stop_timeout && hurried))
        static_cast<void>(kill_leftovers(m_disk, m_clock, m_paths, name, os::Millis{1'000}));
    };
    TRY_IN(cat("stop ", name), end(name, grace + os::Millis{15'000}, kill_when_over));
  } else {
    TRY_IN(cat("stop ", name), kill_leftovers(m_disk, m_clock, m_paths, name, os::Millis{5'000}));
  }
  TRY(m_disk.remove(pid_file(m_paths, name)));
  TRY(m_disk.remove(restarts_path(m_paths, name)));
  if (slot.index == 0)
    TRY(m_disk.remove(slot_socket(m_paths, slot)));
  TRY(m_disk.remove(spec_path(m_paths, name)));
  if (link)
    TRY(m_disk.remove(init_script(m_paths, name)));
  return m_disk.remove(cat(m_paths.conf_d(), "/", name));
}

Result<SlotState> Slots::state(const SlotName& slot) {
  const std::string name = slot.str();
  return state_of(m_disk, m_paths, name, [&] { return supervisor_lives(m_disk, m_paths, name); });
}

uint32_t Slots::respawns(const SlotName& slot) {
  const std::string name = slot.str();
  return supervisor_lives(m_disk, m_paths, name) ? start_count(name) : 0;
}

Slots::Look Slots::look(const SlotName& slot) {
  const std::string name = slot.str();
  Look seen{.state = state_of(m_disk, m_paths, name, [&] {
    return supervisor_lives(m_disk, m_paths, name, known(m_disk, pid_file(m_paths, name), 64));
  })};
  if (seen.state == SlotState::started)
    seen.respawns = count_of(known(m_disk, count_file(m_paths, name), 64));
  return seen;
}

uint32_t Slots::start_count(const std::string& name) {
  return count_of(m_disk.read(count_file(m_paths, name), 64).value_or(std::string()));
}

std::optional<os::Millis> Slots::crash_loop(const SlotName& slot) {
  return openrc::crash_loop(
      known(m_disk, restarts_path(m_paths, slot.str()), k_max_starts), m_clock.mono());
}

bool Slots::in_background(const SlotName& slot) {
  const std::string name = slot.str();
  const auto supervisor = m_disk.read(pid_file(m_paths, name), 32);
  const auto pid = supervisor ? parse_u64(trim(*supervisor)) : std::nullopt;
  if (!pid)
    return false;
  bool orphans = false, child = false;
  for (const auto& cgroup : cgroups_of(m_disk, m_paths, name))
    for (const pid_t member : members(m_disk, cgroup)) {
      // "PID (NAME) STATE PARENT ...", where NAME may contain anything
      const auto stat = m_disk.read(cat(m_paths.root, "/proc/", member, "/stat"), 4096);
      const auto end = stat ? stat->rfind(')') : std::string::npos;
      if (end == std::string::npos || static_cast<uint64_t>(member) == *pid)
        continue;
      const auto words = split(trim(std::string_view(*stat).substr(end + 1)), ' ');
      const bool is_log = stat->find("(chillbox-log)") != std::string::npos;
      orphans = orphans || (words.size() > 1 && words[1] == "1" && words[0] != "Z" && !is_log);
      child = child || (words.size() > 1 && parse_u64(words[1]) == pid);
    }
  return orphans && (!child || respawns(slot) > 0);
}

uint64_t Slots::memory(const SlotName& slot) {
  uint64_t kib = 0;
  for (const auto& cgroup : cgroups_of(m_disk, m_paths, slot.str()))
    for (const pid_t pid : members(m_disk, cgroup)) {
      const auto text = m_disk.read(cat(m_paths.root, "/proc/", pid, "/smaps_rollup"), 16 * 1024);
      const auto at = text ? text->find("\nPss:") : std::string::npos;
      if (at != std::string::npos)
        kib += parse_u64(split(trim(std::string_view(*text).substr(at + 5)), ' ')[0]).value_or(0);
    }
  return kib * 1024;
}

std::string Slots::release_in(const SlotName& slot) {
  const auto now = state(slot);
  if (!now || (*now != SlotState::started && *now != SlotState::starting))
    return {};
  const auto spec = spec_of(slot.str());
  return spec ? spec->release : std::string();
}

std::optional<SlotSpec> Slots::spec_of(const std::string& name) {
  const auto text = m_disk.read(spec_path(m_paths, name), k_max_spec);
  auto spec = text ? parse_spec(*text) : Result<SlotSpec>(fail(Code::not_found, ""));
  return spec ? std::optional(std::move(*spec)) : std::nullopt;
}

std::vector<SlotName> Slots::all() {
  std::set<std::string> names;
  const auto look = [&](const std::string& dir, std::string_view ending) {
    for (std::string entry : m_disk.list(dir).value_or(std::vector<std::string>{})) {
      if (!entry.ends_with(ending))
        continue;
      entry.resize(entry.size() - ending.size());
      if (SlotName::parse(entry))
        names.insert(entry);
    }
  };
  look(m_paths.slots(), ".json");
  look(m_paths.init_d(), "");
  look(m_paths.conf_d(), ""); // all that a stop that was interrupted may have left
  for (const char* state : {"started", "starting", "stopping"})
    look(openrc_dir(m_paths, state, ""), "");
  std::vector<SlotName> out;
  for (const auto& name : names)
    out.push_back(*SlotName::parse(name));
  return out;
}

} // namespace chillbox::openrc
