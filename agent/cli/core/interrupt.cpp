#include "cli/core/interrupt.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace chillbox::cli {
namespace {

// The handler reads this: plain memory that is complete before its flag is set.
std::array<char, 512> g_words{};
std::atomic<size_t> g_words_size{0};
termios g_before{};
std::atomic<int> g_terminal{-1};
std::atomic<int> g_deferred{0};
std::atomic<int> g_signal{0};
static_assert(std::atomic<size_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void restore_terminal() {
  const int fd = g_terminal.exchange(-1);
  if (fd >= 0)
    ::tcsetattr(fd, TCSAFLUSH, &g_before);
}

[[noreturn]] void leave(int number) {
  if (g_terminal.load() >= 0) {
    restore_terminal();
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, "\n", 1);
  }
  const size_t size = g_words_size.load();
  if (size > 0) [[maybe_unused]]
    const ssize_t n = ::write(STDERR_FILENO, g_words.data(), size);
  ::_exit(128 + number);
}

void on_signal(int number) {
  g_signal.store(number);
  if (g_deferred.load() == 0)
    leave(number);
}

} // namespace

void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigfillset(&action.sa_mask);
  action.sa_flags = SA_RESTART; // while deferred, system calls continue
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction before{};
    // A signal that is ignored from the start (nohup) stays ignored.
    if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      ::sigaction(number, &action, nullptr);
  }
  std::at_quick_exit(restore_terminal);
}

void print_on_interrupt(std::string_view text) {
  g_words_size.store(0);
  if (text.empty())
    return;
  text = text.substr(0, 400);
  constexpr std::string_view k_before = "\nchillboxctl: ";
  char* end = std::ranges::copy(k_before, g_words.data()).out;
  end = std::ranges::copy(text, end).out;
  *end++ = '\n';
  g_words_size.store(static_cast<size_t>(end - g_words.data()));
}

DeferInterrupt::DeferInterrupt() {
  ++g_deferred;
}

DeferInterrupt::~DeferInterrupt() {
  if (--g_deferred == 0 && interrupted())
    leave_interrupted();
}

bool interrupted() {
  return g_signal.load() != 0;
}
int take_interrupt() {
  return g_signal.exchange(0);
}
void leave_interrupted(int taken) {
  leave(taken != 0 ? taken : g_signal.load());
}

EchoOff::EchoOff(int terminal, bool raw) {
  if (::tcgetattr(terminal, &g_before) != 0)
    return;
  g_terminal.store(terminal);
  termios quiet = g_before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  quiet.c_lflag |= ECHONL | ICANON | ISIG;
  quiet.c_cc[VSUSP] = _POSIX_VDISABLE; // Ctrl-Z would hand a terminal without echo to the shell
  if (raw)
    ::cfmakeraw(&quiet);
  ::tcsetattr(terminal, raw ? TCSADRAIN : TCSAFLUSH, &quiet);
}

EchoOff::~EchoOff() {
  restore_terminal();
}

} // namespace chillbox::cli
