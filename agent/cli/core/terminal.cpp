#include "cli/core/terminal.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/core/style.hpp"
#include "os/io.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace chillbox::cli {
namespace {

bool say_all = false; // -v of this run

std::string_view code_of(Style style) {
  switch (style) {
  case Style::bold: return "\x1b[1m";
  case Style::dim: return "\x1b[2m";
  case Style::good: return "\x1b[32m";
  case Style::bad: return "\x1b[31m";
  case Style::warn: return "\x1b[33m";
  case Style::plain: break;
  }
  return "";
}

void write_or_end(int fd, std::string_view text) {
  const int err = os::write_fully(fd, text);
  if (err == EPIPE)
    ::_exit(141); // as if SIGPIPE had ended the program; it is ignored because sockets raise it too
  if (err == 0 || fd == STDERR_FILENO)
    return; // nothing is left on which to report an error of standard error
  const std::string message =
      cat("chillboxctl: ", fail_errno("write standard output", err).error().message, "\n");
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(exit_code(Code::failure));
}

} // namespace

std::string styled(bool color, Style style, std::string_view text) {
  if (!color || style == Style::plain)
    return std::string(text);
  return cat(code_of(style), text, "\x1b[0m");
}

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool wants_color(const Environment& env, bool no_color_flag, bool is_terminal) {
  if (no_color_flag || !env("NO_COLOR").empty())
    return false;
  if (const std::string force = env("CLICOLOR_FORCE"); !force.empty() && force != "0")
    return true;
  const std::string term = env("TERM");
  return is_terminal && env("CLICOLOR") != "0" && !term.empty() && term != "dumb";
}

bool wants_live(const Environment& env, bool is_terminal) {
  const std::string term = env("TERM");
  return is_terminal && !term.empty() && term != "dumb" && env("CI").empty();
}

Terminal::Terminal(const TerminalOptions& options)
    : m_options(options), m_out_terminal(::isatty(STDOUT_FILENO) == 1),
      m_out_color(wants_color(environment, options.no_color, m_out_terminal)),
      m_err_color(wants_color(environment, options.no_color, ::isatty(STDERR_FILENO) == 1)),
      m_live(!options.quiet && wants_live(environment, ::isatty(STDERR_FILENO) == 1)) {}

size_t Terminal::width() const {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
    return size.ws_col;
  return 80;
}

size_t Terminal::out_width() const {
  winsize size{};
  if (!m_out_terminal)
    return std::string::npos;
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

void Terminal::print(std::string_view line) {
  write_or_end(STDOUT_FILENO, cat(line, '\n'));
}

void Terminal::print_line_of(std::string_view line) {
  if (!m_out_terminal)
    return print(line);
  std::string clean;
  for (const std::string_view part :
      split(line, '\t')) // tabs are harmless and keep columns aligned
    clean += cat(clean.empty() ? "" : "\t", printable(part, 4096));
  print(clean);
}

void Terminal::print_status(std::string_view line) {
  if (!m_options.quiet)
    write_or_end(STDERR_FILENO, cat(line, '\n'));
}

void Terminal::print_unfinished(std::string_view text) {
  if (!m_options.quiet)
    write_or_end(STDERR_FILENO, text);
}

void Terminal::print_error(std::string_view line) {
  write_or_end(STDERR_FILENO, cat(line, '\n'));
}

std::string Terminal::out(Style style, std::string_view text) const {
  return styled(m_out_color, style, text);
}
std::string Terminal::err(Style style, std::string_view text) const {
  return styled(m_err_color, style, text);
}

void say_commands(bool wanted) {
  say_all = wanted;
}

void say_command(std::string_view line) {
  if (say_all)
    Terminal({}).print_error(cat("+ ", printable(line, 2000)));
}

} // namespace chillbox::cli
