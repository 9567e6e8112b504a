#include "config/validators.hpp"

#include "base/text.hpp"
#include "config/site.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace chillbox::config {
namespace {

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool alnum(char c) {
  return lower(c) || upper(c) || digit(c);
}
bool word(char c) {
  return alnum(c) || c == '_';
}
bool control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
bool one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

template <class Test> bool all(std::string_view s, Test test) {
  return std::ranges::all_of(s, test);
}

bool no_control(std::string_view s) {
  return std::ranges::none_of(s, control);
}
bool no_nul(std::string_view s) {
  return s.find('\0') == std::string_view::npos;
}
bool filled(std::string_view s) {
  return !s.empty() && no_control(s);
}
bool filled_command(std::string_view s) {
  return !s.empty() && no_nul(s);
}

// A name in a folder that is neither hidden nor an option: [A-Za-z0-9_][A-Za-z0-9._-]*
bool path_part(std::string_view s) {
  return !s.empty() && word(s[0]) && all(s, [](char c) { return word(c) || one_of(c, ".-"); });
}
bool relative_path(std::string_view s) {
  return std::ranges::all_of(split(s, '/'), path_part);
}

bool absolute_path(std::string_view s) {
  return s.starts_with('/') && s.find("..") == std::string_view::npos &&
      all(s, [](char c) { return word(c) || one_of(c, "/.-"); });
}

// MODULE.PATH, PATH/PROGRAM, MODULE:CALLABLE or MODULE:FACTORY(ARGUMENTS), as gunicorn takes it.
bool app(std::string_view s) {
  if (s.empty() || !word(s[0]) || s.find("..") != std::string_view::npos)
    return false;
  const auto colon = s.find(':');
  if (!all(s.substr(0, colon), [](char c) { return word(c) || one_of(c, "./-"); }))
    return false;
  if (colon == std::string_view::npos)
    return true;
  const auto callable = s.substr(colon + 1);
  const auto open = callable.find('(');
  const auto name = callable.substr(0, open);
  if (name.empty() || digit(name[0]) || name[0] == '.' ||
      !all(name, [](char c) { return word(c) || c == '.'; }))
    return false;
  return open == std::string_view::npos || (callable.ends_with(')') && no_control(callable));
}

bool health_path(std::string_view s) {
  return s.starts_with('/') && all(s, [](char c) { return c > ' ' && c < 0x7f; });
}

// "/" or "/a/b/", of parts that are neither hidden nor written in another way.
bool web_path(std::string_view s) {
  if (s == "/")
    return true;
  if (s.size() < 3 || s.front() != '/' || s.back() != '/' || s.starts_with("/immutable/"))
    return false;
  return std::ranges::all_of(split(s.substr(1, s.size() - 2), '/'), [](std::string_view part) {
    return !part.empty() && (word(part[0]) || part[0] == '-') &&
        all(part, [](char c) { return word(c) || one_of(c, ".~-"); });
  });
}

// "SERVICE/FOLDER" of the release, "data:FOLDER" of the service's data.
bool web_folder(std::string_view s) {
  return relative_path(s.starts_with("data:") ? s.substr(5) : s);
}

// No site has all names of a top-level domain. A browser takes every name below localhost for its
// own machine.
bool served_name(std::string_view s) {
  if (!s.starts_with("*."))
    return is_host_name(s);
  const auto below = s.substr(2);
  return s.size() <= 253 && is_host_name(below) &&
      (below.find('.') != below.npos || below == "localhost");
}

// 0-3,5
bool cpu_list(std::string_view s) {
  for (const auto part : split(s, ',')) {
    const auto ends = split(part, '-');
    if (ends.size() > 2)
      return false;
    for (const auto end : ends)
      if (end.empty() || end.size() > 3 || !all(end, digit))
        return false;
  }
  return true;
}

} // namespace

const TextRule k_title{
    "1 to 200 characters without line breaks or control characters", 200, filled};
const TextRule k_line{
    "at most 4096 characters without line breaks or control characters", 4096, no_control};
const TextRule k_value{"at most 32768 characters, none of them NUL", 32768, no_nul};
const TextRule k_command{"1 to 4096 characters, none of them NUL", 4096, filled_command};
const TextRule k_host_name{
    "a host name in lower case: letters, digits and inner '-' in labels of at most 63, 253 in all; other letters as xn--..., no port, no wildcard, no IP address",
    253, is_host_name};
const TextRule k_folder{
    "a relative path: letters, digits, '.', '_', '-' between '/', no part that begins with '.' or '-'",
    200, relative_path};
const TextRule k_handler{
    "'.' or a relative path: letters, digits, '.', '_', '-' between '/', no part that begins with '.' or '-'",
    200, [](std::string_view s) { return s == "." || relative_path(s); }};
const TextRule k_file_name{
    "a file name: a letter, digit or '_', then letters, digits, '.', '_', '-'", 100, path_part};
const TextRule k_app{
    "MODULE:CALLABLE, MODULE:FACTORY() or a relative path, without '..'", 200, app};
const TextRule k_health_path{"a path that begins with '/', without spaces", 1000, health_path};
const TextRule k_cpu_list{"a list of processors such as 0-3,5", 100, cpu_list};
const TextRule k_web_path{
    "\"/\" or a path that begins and ends with '/', such as /api/: letters, digits, '_', '-', '.', '~', no part that begins with '.', not below /immutable/",
    200, web_path};
const TextRule k_web_folder{
    "SERVICE/FOLDER of the release, or data:FOLDER of the service's data: letters, digits, '.', '_', '-' between '/', no part that begins with '.' or '-'",
    200, web_folder};
const TextRule k_served_name{
    "a host name in lower case without a port, or *.NAME for all names below one that has two labels at least",
    253, served_name};
const TextRule k_where{
    "all, first, once, or the name of a host of the fleet: letters, digits, inner '.', '_', '-'",
    64, [](std::string_view s) { return parse_key_name(s).has_value(); }};
const TextRule k_absolute_path{
    "an absolute path of letters, digits, '.', '_', '-', without '..'", 1000, absolute_path};

size_t characters(std::string_view utf8) {
  return static_cast<size_t>(std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_host_name(std::string_view s) {
  if (s.empty() || s.size() > 253)
    return false;
  const auto labels = split(s, '.');
  for (const auto label : labels)
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-' ||
        !all(label, [](char c) { return lower(c) || digit(c) || c == '-'; }))
      return false;
  return !all(labels.back(), digit); // an address is not a name
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, bool zero) {
  if (zero && text == "0")
    return std::chrono::milliseconds(0);
  struct Unit {
    std::string_view name;
    size_t digits;
    int64_t millis;
  };
  static constexpr std::array k_units{
      Unit{"ms", 6, 1}, Unit{"s", 5, 1000}, Unit{"m", 4, 60'000}, Unit{"h", 2, 3'600'000}};
  const auto count = static_cast<size_t>(std::ranges::find_if_not(text, digit) - text.begin());
  const auto number = parse_u64(text.substr(0, count));
  const auto unit = std::ranges::find(k_units, text.substr(count), &Unit::name);
  if (!number || (*number == 0 && !zero) || unit == k_units.end() || count > unit->digits)
    return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(*number) * unit->millis);
}

std::optional<uint64_t> parse_size(std::string_view text) {
  if (text.empty())
    return std::nullopt;
  const auto digits = text.substr(0, text.size() - 1);
  const auto number = all(digits, digit) ? parse_u64(digits) : std::nullopt;
  if (!number || *number == 0)
    return std::nullopt;
  switch (text.back() & ~0x20) {
  case 'K':
    return digits.size() >= 4 && digits.size() <= 9 ? std::optional(*number << 10) : std::nullopt;
  case 'M': return digits.size() <= 6 ? std::optional(*number << 20) : std::nullopt;
  case 'G': return digits.size() <= 3 ? std::optional(*number << 30) : std::nullopt;
  default: return std::nullopt;
  }
}

// Variables that make a loader, a shell, an interpreter or pip run or find something that the
// release does not name, and those that the agent sets itself.
std::optional<std::string> variable_name_problem(std::string_view name) {
  static constexpr std::array<std::string_view, 4> k_prefixes{
      "LD_", "CHILLBOX_", "PIP_", "BASH_FUNC_"};
  static constexpr std::array<std::string_view, 31> k_denied{"PATH", "IFS", "ENV", "BASH_ENV",
      "SHELLOPTS", "BASHOPTS", "CDPATH", "PS4", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP",
      "PYTHONUSERBASE", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONWARNINGS", "PYTHONEXECUTABLE",
      "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "GUNICORN_CMD_ARGS", "PERL5LIB", "PERL5OPT",
      "RUBYLIB", "RUBYOPT", "NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS", "GCONV_PATH",
      "LOCPATH", "GLIBC_TUNABLES", "HOSTALIASES", "OPENSSL_CONF"};
  if (name.empty() || name.size() > 64 || digit(name[0]) || !all(name, word))
    return "must be a letter or '_', then at most 63 letters, digits or '_'";
  if (name.starts_with("CHILLBOX_"))
    return "the names that begin with CHILLBOX_ are set by the agent itself: choose another";
  if (std::ranges::find(k_denied, name) != k_denied.end() ||
      std::ranges::any_of(
          k_prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); }))
    return cat("is denied, because it changes which code is run: ",
        name == "GUNICORN_CMD_ARGS" ? "gunicorn's options go into the service's args"
            : name == "PYTHONPATH"  ? "the service's folder and its src/ are on the path"
                                    : "choose another name");
  return std::nullopt;
}

std::optional<std::string> redis_option_problem(std::string_view name) {
  struct Denied {
    std::string_view name; // a final '*' matches the rest
    std::string_view why;
  };
  static constexpr std::string_view k_socket =
      "the site's Redis listens on /run/redis/SLUG.sock only";
  static constexpr std::string_view k_access = "redis/users.acl says who may do what";
  static constexpr std::string_view k_place = "the agent chooses where its files are";
  static constexpr std::string_view k_code = "it would load code or settings from elsewhere";
  static constexpr std::string_view k_process = "the agent supervises the process";
  static constexpr std::string_view k_single = "the site's Redis stands alone";
  static constexpr std::array k_denied{Denied{"port", k_socket}, Denied{"bind*", k_socket},
      Denied{"unixsocket*", k_socket}, Denied{"protected-mode", k_socket},
      Denied{"tls-*", k_socket}, Denied{"socket-mark-id", k_socket}, Denied{"aclfile", k_access},
      Denied{"user", k_access}, Denied{"requirepass", k_access},
      Denied{"acl-pubsub-default", k_access}, Denied{"rename-command", k_access},
      Denied{"dir", k_place}, Denied{"dbfilename", k_place}, Denied{"append*name", k_place},
      Denied{"logfile", k_place}, Denied{"pidfile", k_place}, Denied{"include", k_code},
      Denied{"loadmodule", k_code}, Denied{"module*", k_code}, Denied{"enable-*", k_code},
      Denied{"daemonize", k_process}, Denied{"supervised", k_process},
      Denied{"syslog-*", k_process}, Denied{"crash-*", k_process},
      Denied{"proc-title-template", k_process}, Denied{"set-proc-title", k_process},
      Denied{"oom-score-adj*", k_process}, Denied{"replica*", k_single}, Denied{"slave*", k_single},
      Denied{"master*", k_single}, Denied{"cluster-*", k_single}, Denied{"sentinel*", k_single}};
  if (name.empty() || name.size() > 64 || !lower(name[0]) ||
      !all(name, [](char c) { return lower(c) || digit(c) || c == '-'; }))
    return "must be a lower-case letter, then at most 63 lower-case letters, digits or '-'";
  for (const auto& denied : k_denied) {
    const auto star = denied.name.find('*');
    const bool hit = star == std::string_view::npos
        ? name == denied.name
        : name.starts_with(denied.name.substr(0, star)) &&
            name.ends_with(denied.name.substr(star + 1));
    if (hit)
      return cat("is not for a site to set: ", denied.why);
  }
  return std::nullopt;
}

} // namespace chillbox::config
