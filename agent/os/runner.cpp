#include "os/runner.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/control_group.hpp"
#include "os/io.hpp"
#include "os/soft_files.hpp"
#include "os/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace chillbox::os {
namespace {

constexpr size_t k_grows_until = 1024 * 1024;
constexpr std::string_view k_path = "/usr/sbin:/usr/bin:/sbin:/bin";
constexpr Millis k_look{200}; // how often `cancelled` is asked
constexpr Millis k_giving_up{
    10'000}; // from SIGKILL to leaving it: it waits in the kernel, for a dead disk perhaps
constexpr size_t k_drain = 1 << 20; // what a pipe can hold at most
constexpr size_t k_longest_output_line =
    64 * 1024; // of output that is not kept; a longer one is split

Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return name;
  for (const std::string_view dir : split(k_path, ':')) {
    std::string path = cat(dir, "/", name);
    if (!name.empty() && is_program(path))
      return path;
  }
  return fail(Code::not_found, cat("run ", printable(name), ": no such program in ", k_path));
}

// Standard input as a file in memory: no pipe to fill while the other two are emptied, and no
// SIGPIPE.
Result<Fd> input_file(const std::string& input) {
  if (input.empty())
    return open_null(O_RDONLY);
  return memory_file(input);
}

// One of stdout and stderr.
class Stream {
public:
  explicit Stream(const Command& command)
      : m_limit(command.output_limit), m_on_line(command.on_line) {
    if (m_limit > k_grows_until)
      m_kept.reserve(m_limit); // only what is written of it becomes memory, and none of it twice
  }

  Result<Fd> open() { // the child's end
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      return fail_errno("pipe", errno);
    m_fd = Fd(ends[0]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return Fd(ends[1]);
  }

  int fd() const { return m_fd.get(); }

  // What can be read now; false: nothing more for the moment, or for ever (then fd() is -1).
  bool pump() {
    std::array<char, 65536> buffer;
    const ssize_t n = read_some(m_fd.get(), buffer.data(), buffer.size());
    if (n > 0)
      take({buffer.data(), static_cast<size_t>(n)});
    else if (n == 0 || errno != EAGAIN)
      m_fd.reset();
    return n > 0;
  }

  void drain() {
    for (size_t rounds = k_drain / 65536; rounds > 0 && m_fd && pump(); --rounds) {}
    m_fd.reset();
    end_line();
  }

  std::string_view last_line() const {
    const std::string_view text = trim(m_kept);
    return text.substr(text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1);
  }
  std::string take_all() { return std::move(m_kept); }

private:
  void take(std::string_view bytes) {
    if (m_limit == 0) {
      split_lines(bytes);
      if (m_line.size() > k_longest_output_line)
        emit();
      return;
    }
    const size_t room = m_limit - m_kept.size();
    const bool over = bytes.size() > room;
    bytes = bytes.substr(0, room);
    m_kept += bytes;
    if (m_on_line)
      split_lines(bytes);
    if (over && !m_cut && m_on_line) {
      end_line();
      m_on_line(cat("[more than ", m_limit, " bytes of output: the rest is dropped]"));
    }
    m_cut = m_cut || over;
  }

  void split_lines(std::string_view bytes) {
    for (size_t end; (end = bytes.find('\n')) != std::string_view::npos;
        bytes.remove_prefix(end + 1)) {
      m_line += bytes.substr(0, end);
      emit();
    }
    m_line += bytes;
  }

  void end_line() {
    if (!m_line.empty())
      emit();
  }

  void emit() {
    if (m_line.ends_with('\r'))
      m_line.pop_back();
    m_on_line(m_line);
    m_line.clear();
  }

  Fd m_fd;
  size_t m_limit;
  bool m_cut = false;
  std::string m_kept, m_line;
  const std::function<void(std::string_view)>& m_on_line;
};

// One program from its start to its end. Whatever happens in between, nothing of its process group
// outlives this.
class Run {
  static constexpr int k_secrets = 3;

public:
  explicit Run(const Command& command)
      : m_command(command), m_out(command), m_err(command), m_until(command.timeout) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { end(); }

  Result<Exit> go() {
    TRY(start());
    TRY(watch());
    m_ended = true;
    Exit exit = end();
    if (std::optional<Error> error = start_error(m_plan, m_child.status, &exit))
      return std::unexpected(std::move(*error));
    if (m_verdict)
      return std::unexpected(std::move(*m_verdict));
    return Exit{exit.code, exit.signal, m_out.take_all(), m_err.take_all(), m_group.reached()};
  }

private:
  enum class Phase { running, asked, killed };

  Result<void> start() {
    if (m_command.argv.empty())
      return fail(Code::invalid, "run: no program named");
    if (m_command.output_limit == 0 && !m_command.on_line && !m_command.streams)
      return fail(Code::invalid, "run: nobody takes the output");
    m_plan.program = TRY(find_program(m_command.argv[0]));
    m_plan.argv = m_command.argv;
    m_plan.env = m_command.env;
    if (std::none_of(
            m_plan.env.begin(), m_plan.env.end(), [](const auto& e) { return e.first == "PATH"; }))
      m_plan.env.emplace_back("PATH", k_path);
    m_plan.cwd = m_command.cwd;
    m_plan.user = m_command.user;
    m_plan.groups = m_command.groups;
    m_plan.contained = m_command.contained;
    m_plan.no_network = m_command.no_network;
    m_plan.no_new_privs = m_command.no_new_privs;
    m_plan.view = m_command.view;
    m_plan.view.own_proc |= m_command.contained;
    m_plan.limits = m_command.limits;
    m_plan.soft_files = SoftFiles::most();
    m_plan.ends_with_thread = true; // which waits for it in here
    m_plan.terminal = m_command.terminal;
    const auto standard = TRY(standard_streams());
    for (int i = 0; i < 3; ++i)
      m_plan.fds.emplace_back(m_command.streams ? (*m_command.streams)[static_cast<size_t>(i)]
                                                : standard[static_cast<size_t>(i)].get(),
          i);
    Fd secrets; // until the child has its own copy
    if (!m_command.secrets.empty()) {
      secrets = TRY(input_file(m_command.secrets));
      m_plan.fds.emplace_back(secrets.get(), k_secrets);
    }
    for (const int fd : m_command.inherit) {
      if (fd <= 2)
        return fail(Code::invalid,
            cat("run ", m_plan.program, ": descriptor ", fd, " is a standard stream"));
      m_plan.fds.emplace_back(fd, fd);
    }
    if (m_command.contained)
      m_group = TRY_IN(cat("run ", printable(m_plan.program)),
          ControlGroup::make(m_command.group, m_command.limits));
    Fd joined; // until the child has its own copy
    if (!m_command.join_group.empty()) {
      joined = Fd(::open(m_command.join_group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!joined)
        return fail_errno(cat("open ", m_command.join_group), errno);
    }
    m_plan.group = joined ? joined.get() : m_group.directory();
    m_child = TRY(spawn(m_plan));
    return {};
  }

  // The child's ends; none when the caller has given his own.
  Result<std::array<Fd, 3>> standard_streams() {
    std::array<Fd, 3> ends;
    if (!m_command.streams) {
      ends[0] = TRY(input_file(m_command.input));
      ends[1] = TRY(m_out.open());
      ends[2] = TRY(m_err.open());
    }
    return ends;
  }

  // Until the program has ended. Sleeps in poll; wakes up unasked only for the deadline and to
  // ask `cancelled`.
  Result<void> watch() {
    for (;;) {
      const int cancel = m_phase == Phase::running ? m_command.cancel : -1;
      std::array<pollfd, 4> fds{pollfd{m_child.pidfd.get(), POLLIN, 0},
          pollfd{m_out.fd(), POLLIN, 0}, pollfd{m_err.fd(), POLLIN, 0}, pollfd{cancel, POLLIN, 0}};
      int wait = m_until.poll_ms();
      if (m_command.cancelled && m_phase == Phase::running)
        wait = wait < 0 ? static_cast<int>(k_look.count())
                        : std::min(wait, static_cast<int>(k_look.count()));
      if (::poll(fds.data(), fds.size(), wait) < 0 && errno != EINTR)
        return fail_errno("poll", errno);
      if (fds[1].revents != 0)
        m_out.pump();
      if (fds[2].revents != 0)
        m_err.pump();
      if (fds[0].revents != 0)
        return {};
      TRY(look(fds[3].revents != 0));
    }
  }

  Result<void> look(bool cancel) {
    if (m_phase == Phase::running && (cancel || (m_command.cancelled && m_command.cancelled()))) {
      m_verdict = Error{Code::interrupted, cat("run ", m_plan.program, ": cancelled")};
      ask();
    }
    if (!m_until.passed())
      return {};
    switch (m_phase) {
    case Phase::running:
      m_verdict = Error{Code::timed_out, timeout_text()};
      ask();
      return {};
    case Phase::asked:
      m_phase = Phase::killed;
      m_until = Deadline(k_giving_up);
      signal_all(SIGKILL);
      return {};
    case Phase::killed: break;
    }
    m_lost = true;
    return fail(Code::failure,
        cat("run ", m_plan.program, ": process ", m_child.pid,
            " does not end after SIGKILL; it waits in the kernel"));
  }

  void ask() {
    m_phase = Phase::asked;
    m_until = Deadline(m_command.grace);
    signal_all(SIGTERM);
  }

  std::string timeout_text() const {
    std::string text = cat(
        "run ", m_plan.program, ": not finished after ", m_command.timeout.count(), " ms, stopped");
    const std::string_view words =
        m_err.last_line().empty() ? m_out.last_line() : m_err.last_line();
    if (!words.empty())
      text += cat("; its last line: ", printable(words));
    return text;
  }

  // Its group too; and by the pidfd, for the moment before it has a group. Not yet reaped, so the
  // number is nobody else's (faults 110). Of one that is contained both mean the namespace's first
  // process, which passes TERM on and takes all others with it.
  void signal_all(int number) {
    pidfd_signal(m_child.pidfd.get(), number);
    ::kill(-m_child.pid, number);
  }

  Exit end() {
    if (!m_child.pidfd)
      return {};
    // What the program left behind in its group goes with it, and so do the ends of our pipes that
    // it held. A grandchild that made itself a session of its own (a daemon) lives on, unless it is
    // contained; we do not wait for its end of the pipe.
    if (!m_command.leaves_daemon || !m_ended || m_verdict)
      signal_all(SIGKILL);
    const Exit exit = m_lost ? Exit{} : reap(m_child.pidfd.get());
    m_child.pidfd.reset();
    m_out.drain();
    m_err.drain();
    return exit;
  }

  const Command& m_command;
  Spawn m_plan;
  ControlGroup m_group;
  Spawned m_child;
  Stream m_out, m_err;
  Phase m_phase = Phase::running;
  Deadline m_until;
  std::optional<Error> m_verdict;
  bool m_ended = false, m_lost = false;
};

class RealRunner final : public Runner {
public:
  Result<Exit> run(const Command& command) override { return Run(command).go(); }
};

} // namespace

std::function<bool()> when_set(const std::atomic<bool>* stop) {
  return stop == nullptr ? std::function<bool()>() : [stop] { return stop->load(); };
}

Code hook_code(int exit) {
  switch (exit) {
  case 3: return Code::not_found;
  case 4: return Code::denied;
  case 5: return Code::unreachable;
  case 6: return Code::no_space;
  default: return Code::failure;
  }
}

bool is_program(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

View view_of(const std::vector<std::string>& readable) {
  View view{.read_only = true};
  for (const char* dir :
      {"/dev/shm", "/home", "/mnt", "/media", "/root", "/run", "/srv", "/usr/local/src",
          "/var/cache", "/var/lib", "/var/log", "/var/mail", "/var/spool", "/var/tmp", "/var/www"})
    view.hidden.emplace_back(dir);
  view.scratch.push_back({"/tmp", 64ULL << 20});
  for (const auto& dir : readable)
    view.binds.push_back({dir, dir});
  return view;
}

void sandbox(Command& c, const std::vector<std::string>& readable) {
  const auto at_most = [](auto& limit, auto value) {
    if (limit == 0)
      limit = value;
  };
  c.contained = c.no_network = c.no_new_privs = true;
  c.view = view_of(readable);
  at_most(c.limits.memory_max, 512ULL << 20);
  at_most(c.limits.tasks_max, 64U);
  at_most(c.limits.user_tasks_max, 64U);
  at_most(c.limits.address_space, 1ULL << 30);
  at_most(c.limits.file_size, 64ULL << 20);
  at_most(c.limits.cpu_seconds, 60U);
}

Runner& real_runner() {
  static RealRunner runner;
  return runner;
}

} // namespace chillbox::os
