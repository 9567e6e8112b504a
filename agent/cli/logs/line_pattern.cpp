#include "cli/logs/line_pattern.hpp"

#include "base/text.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace chillbox::cli {
namespace {

constexpr rlim_t k_memory = rlim_t{512} << 20;
constexpr suseconds_t k_tick_us = 500'000; // of processor time
constexpr unsigned k_ticks = 120;
constexpr size_t k_longest_pattern = 1000;

volatile sig_atomic_t s_line = 0, s_line_of_tick = -1; // lines that were begun; odd: in one
volatile sig_atomic_t s_ticks = 0;

[[noreturn]] void give_up(std::string_view why) {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, why.data(), why.size());
  ::_exit(exit_code(Code::failure));
}

void tick(int) {
  s_ticks = s_ticks + 1;
  if ((s_line & 1) != 0 && s_line == s_line_of_tick)
    give_up(
        "chillboxctl: -g: the expression takes more than a second for one line: write a simpler one\n");
  if (s_ticks >= static_cast<sig_atomic_t>(k_ticks))
    give_up("chillboxctl: -g: a minute of searching is over: search less, with -s, -u or -n\n");
  s_line_of_tick = s_line;
}

void limit_process() {
  const rlimit memory{k_memory, k_memory};
  (void)::setrlimit(RLIMIT_AS, &memory);
  struct sigaction action{};
  action.sa_handler = tick;
  action.sa_flags = SA_RESTART;
  (void)::sigaction(SIGPROF, &action, nullptr);
  const itimerval every{{0, k_tick_us}, {0, k_tick_us}};
  (void)::setitimer(ITIMER_PROF, &every, nullptr);
}

} // namespace

void LinePattern::Free::operator()(regex_t* regex) const {
  ::regfree(regex);
  delete regex;
}

Result<LinePattern> LinePattern::create(const std::string& text, bool ignore_case) {
  if (text.empty() || text.size() > k_longest_pattern || text.contains('\0'))
    return fail(Code::usage, cat("-g: an expression has 1 to ", k_longest_pattern, " characters"));
  limit_process();
  auto regex = std::make_unique<regex_t>();
  s_line = s_line + 1; // compiling may take for ever, too
  const int err = ::regcomp(
      regex.get(), text.c_str(), REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0));
  s_line = s_line + 1;
  if (err != 0) {
    std::array<char, 200> why{};
    ::regerror(err, regex.get(), why.data(), why.size());
    return fail(Code::usage, cat("-g '", printable(text, 100), "': ", why.data()));
  }
  return LinePattern(std::unique_ptr<regex_t, Free>(regex.release()));
}

bool LinePattern::matches(const std::string& line) const {
  std::string copy; // regexec ends at a zero byte
  if (line.contains('\0')) {
    copy = line;
    std::ranges::replace(copy, '\0', ' ');
  }
  s_line = (s_line + 1) & 0xffffff;
  const int found =
      ::regexec(m_regex.get(), copy.empty() ? line.c_str() : copy.c_str(), 0, nullptr, 0);
  s_line = s_line + 1;
  return found == 0;
}

} // namespace chillbox::cli
