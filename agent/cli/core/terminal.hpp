// Output: results go to standard output, everything else to standard error. Colours appear on
// terminals only; NO_COLOR, --no-color, CLICOLOR=0 and TERM=dumb turn them off, CLICOLOR_FORCE
// turns them on. Text from elsewhere is printed without control characters. If the reader of the
// output is gone the program ends quietly, if the disk is full it ends with an error: output is
// never lost silently.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace chillbox::cli {

enum class Style { plain, bold, dim, good, bad, warn };

struct TerminalOptions {
  bool json = false;
  bool quiet = false;
  bool no_color = false;
  bool verbose = false;
};

// -v: what is run and asked on the way, a line "+ ..." each on standard error. No secret is in it:
// none is in an argument.
void say_commands(bool wanted);
void say_command(std::string_view line);

// The value of an environment variable, "" when it is not set.
using Environment = std::function<std::string(const char*)>;
std::string environment(const char* name);

// colour: whether a stream gets colours. live: whether lines may be rewritten (on a terminal that
// can, and not in CI).
bool wants_color(const Environment& env, bool no_color_flag, bool is_terminal);
bool wants_live(const Environment& env, bool is_terminal);

class Terminal {
public:
  explicit Terminal(const TerminalOptions& options);

  bool json() const { return m_options.json; }
  bool quiet() const { return m_options.quiet; }
  bool live() const { return m_live; } // whether lines of standard error may be rewritten
  bool out_is_terminal() const { return m_out_terminal; }
  size_t width() const;     // the columns of standard error; 80 when unknown
  size_t out_width() const; // those of standard output; unlimited when it is no terminal

  void print(std::string_view line); // to standard output, with a line end
  void print_line_of(
      std::string_view line); // a line from elsewhere: without control characters on a terminal
  void print_status(std::string_view line); // to standard error, unless quiet
  void print_unfinished(
      std::string_view text); // the same without a line end, for lines that are rewritten
  void print_error(std::string_view line);                   // to standard error, always
  std::string out(Style style, std::string_view text) const; // for standard output
  std::string err(Style style, std::string_view text) const; // for standard error

private:
  TerminalOptions m_options;
  bool m_out_terminal;
  bool m_out_color;
  bool m_err_color;
  bool m_live;
};

} // namespace chillbox::cli
