#include "cli/top/top_screen.hpp"

#include "base/fd.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/top/top_frame.hpp"
#include "control/messages.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

namespace chillbox::cli {
namespace {

constexpr size_t k_longest_answer = 4 << 20;
constexpr int k_look_ms = 500; // for a new size of the terminal

// A process that asks one host; it ends with us.
class Sampler {
public:
  static Result<Sampler> start(const TopSource& source);
  Sampler(Sampler&& other) noexcept
      : m_pid(std::exchange(other.m_pid, -1)), m_from(std::move(other.m_from)),
        m_begun(std::move(other.m_begun)) {}
  Sampler& operator=(Sampler&&) = delete;
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  ~Sampler() {
    if (m_pid <= 0)
      return;
    m_from.reset();
    ::kill(m_pid, SIGTERM);
    while (::waitpid(m_pid, nullptr, 0) < 0 && errno == EINTR) {}
  }
  int fd() const { return m_from.get(); }
  // Complete lines; false: it has ended.
  bool read_into(HostRates& rates, size_t& answers);

private:
  Sampler(pid_t pid, Fd from) : m_pid(pid), m_from(std::move(from)) {}
  pid_t m_pid;
  Fd m_from;
  std::string m_begun;
};

Result<Sampler> Sampler::start(const TopSource& source) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("make a pipe", errno);
  Fd from(ends[0]);
  const Fd to(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail_errno("fork", errno);
  if (pid == 0) {
    from.reset();
    ::signal(SIGTERM, SIG_DFL);
    ::signal(SIGINT, SIG_IGN);
    source.sample(to.get());
    ::_exit(0);
  }
  ::fcntl(from.get(), F_SETFL, O_NONBLOCK);
  return Sampler(pid, std::move(from));
}

void take_answer(const std::string& line, HostRates& rates, size_t& answers) {
  const auto json = parse_json(line, k_longest_answer);
  if (json && json->contains("trouble")) {
    rates.lost(control::string_or(*json, "trouble", ""));
    ++answers;
    return;
  }
  auto usage = json ? control::from_json<control::Usage>(*json)
                    : Result<control::Usage>(std::unexpected(json.error()));
  if (usage)
    rates.add(std::move(*usage));
  else
    rates.lost(cat("the answer is none: ", usage.error().message));
  ++answers;
}

bool Sampler::read_into(HostRates& rates, size_t& answers) {
  std::array<char, 16 * 1024> bytes;
  for (;;) {
    const ssize_t n = os::read_some(m_from.get(), bytes.data(), bytes.size());
    if (n <= 0)
      return n != 0;
    for (const char c : std::string_view(bytes.data(), static_cast<size_t>(n)))
      if (c == '\n') {
        take_answer(m_begun, rates, answers);
        m_begun.clear();
      } else if (m_begun.size() < k_longest_answer) {
        m_begun += c;
      }
  }
}

struct Size {
  size_t width = 80, height = 24;
  bool operator==(const Size&) const = default;
};

Size size_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

bool is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const std::string value = environment(name); !value.empty()) {
      std::string upper;
      for (const char c : value)
        upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      return upper.contains("UTF-8") || upper.contains("UTF8");
    }
  return false;
}

void put_out(std::string_view text) {
  if (os::write_fully(STDOUT_FILENO, text) != 0)
    ::raise(SIGHUP); // the terminal is gone
}

// The other screen of the terminal, without a cursor, without echo.
class Screen {
public:
  Screen() : m_raw(STDIN_FILENO, true) { put_out("\x1b[?1049h\x1b[?25l"); }
  ~Screen() { put_out("\x1b[0m\x1b[?25h\x1b[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  void draw(const std::vector<std::string>& lines) {
    std::string out = "\x1b[H";
    for (size_t i = 0; i < lines.size(); ++i)
      out += cat(i == 0 ? "" : "\r\n", lines[i], "\x1b[K");
    put_out(out + "\x1b[J");
  }

private:
  DeferInterrupt m_later; // first: a signal ends us when the screen is the old one again
  EchoOff m_raw;
};

class Top {
public:
  Top(const std::vector<TopSource>& sources, TopLook look) : m_look(look) {
    for (const auto& source : sources)
      m_hosts.push_back({.name = source.name, .rates = {}});
    m_answers.assign(sources.size(), 0);
  }
  Result<void> start(const std::vector<TopSource>& sources) {
    for (const auto& source : sources)
      m_samplers.push_back(TRY(Sampler::start(source)));
    return {};
  }
  Result<void> run_once(const Terminal& terminal);
  Result<void> run();

private:
  bool wait(bool keyboard); // false: there is nothing more to wait for
  void take_keys();
  std::vector<std::string> frame() { return top_frame(m_hosts, m_look, &m_lines); }

  TopLook m_look;
  std::vector<TopHost> m_hosts;
  std::vector<size_t> m_answers;
  std::vector<Sampler> m_samplers;
  size_t m_lines = 0;
  bool m_quit = false, m_ctrl_c = false;
};

bool Top::wait(bool keyboard) {
  std::vector<pollfd> polled;
  for (const auto& sampler : m_samplers)
    polled.push_back({sampler.fd(), POLLIN, 0});
  if (keyboard)
    polled.push_back({STDIN_FILENO, POLLIN, 0});
  if (::poll(polled.data(), polled.size(), k_look_ms) < 0)
    return true; // a signal, which is recorded
  bool any = false;
  for (size_t i = 0; i < m_samplers.size(); ++i)
    if (polled[i].revents == 0 || m_samplers[i].read_into(m_hosts[i].rates, m_answers[i]))
      any = true;
  if (keyboard && polled.back().revents != 0)
    take_keys();
  return any;
}

void Top::take_keys() {
  std::array<char, 64> keys;
  const ssize_t n = os::read_some(STDIN_FILENO, keys.data(), keys.size());
  if (n <= 0)
    m_quit = true;
  const std::string_view typed(keys.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
  const size_t page = std::max<size_t>(m_look.height, 2) - 1;
  const size_t last = m_lines - std::min(m_lines, m_look.height);
  const auto up = [&](size_t lines) { m_look.first -= std::min(m_look.first, lines); };
  const auto down = [&](size_t lines) { m_look.first = std::min(m_look.first + lines, last); };
  if (typed == "\x1b[A" || typed == "\x1bOA")
    return up(1);
  if (typed == "\x1b[B" || typed == "\x1bOB")
    return down(1);
  if (typed == "\x1b[5~")
    return up(page);
  if (typed == "\x1b[6~")
    return down(page);
  for (const char key : typed)
    switch (key) {
    case 'q': m_quit = true; break;
    case '\x03': m_quit = m_ctrl_c = true; break;
    case 's': m_look.sort = next(m_look.sort); break;
    case 'k': up(1); break;
    case 'j': down(1); break;
    case ' ': down(page); break;
    case 'g': m_look.first = 0; break;
    default: break;
    }
}

Result<void> Top::run_once(const Terminal& terminal) {
  constexpr size_t k_moments = 2; // of which rates are made
  constexpr std::chrono::seconds k_most{15};
  const auto end = std::chrono::steady_clock::now() + k_most;
  while (std::ranges::any_of(m_answers, [](size_t n) { return n < k_moments; }) &&
      std::chrono::steady_clock::now() < end && wait(false)) {}
  Terminal out = terminal;
  m_look.height = std::string::npos;
  for (const auto& line : frame())
    out.print(line);
  for (const auto& host : m_hosts)
    if (!host.rates.usage())
      return fail(
          Code::unreachable, host.rates.trouble().empty() ? "no answer" : host.rates.trouble());
  return {};
}

Result<void> Top::run() {
  {
    Screen screen;
    for (bool more = true; more && !m_quit && !interrupted(); more = wait(true)) {
      const Size size = size_of_terminal();
      m_look.width = size.width;
      m_look.height = size.height;
      m_look.first = std::min(m_look.first, m_lines - std::min(m_lines, m_look.height));
      screen.draw(frame());
    }
    m_samplers.clear();
  }
  if (m_ctrl_c)
    leave_interrupted(SIGINT);
  return {};
}

} // namespace

Result<void> run_top(const std::vector<TopSource>& sources, const Terminal& terminal, bool once) {
  const bool draws = !once && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 &&
      !environment("TERM").empty() && environment("TERM") != "dumb";
  TopLook look{.color = terminal.out(Style::bold, "x") != "x", .utf8 = is_utf8()};
  const size_t width = terminal.out_width();
  look.width = width == std::string::npos ? 160 : width;
  Top top(sources, look);
  TRY(top.start(sources));
  return draws ? top.run() : top.run_once(terminal);
}

} // namespace chillbox::cli
