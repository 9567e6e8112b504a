#include "cli/laptop/machine_facts.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"

#include <sys/utsname.h>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_os_release = 16 * 1024;
constexpr os::Millis k_facts_patience{5'000};

std::string first_line(const std::string& text) {
  return printable(trim(std::string_view(text).substr(0, text.find('\n'))), 60);
}

// "glibc 2.36" by getconf; musl's loader says its version on standard error.
std::string libc_of(os::Runner& runner, const std::string& arch) {
  const std::string musl = cat("/lib/ld-musl-", arch, ".so.1");
  if (os::real_disk().exists(musl)) {
    const auto exit = runner.run({.argv = {musl}, .env = {}, .timeout = k_facts_patience});
    const std::string said = exit ? exit->err : "";
    for (const auto line : split(said, '\n'))
      if (line.starts_with("Version "))
        return cat("musl ", printable(trim(line.substr(8)), 20));
    return "musl 1.2";
  }
  const auto exit =
      runner.run({.argv = {"getconf", "GNU_LIBC_VERSION"}, .env = {}, .timeout = k_facts_patience});
  const std::string said = exit && exit->ok() ? first_line(exit->out) : "";
  return said.starts_with("glibc ") ? said : "";
}

std::string python_of(os::Runner& runner) {
  const auto exit = runner.run({.argv = {"python3", "-I", "-S", "-B", "-c",
                                    "import platform; print(platform.python_version())"},
      .env = {},
      .timeout = k_facts_patience});
  return exit && exit->ok() ? first_line(exit->out) : "";
}

} // namespace

std::string os_name(std::string_view os_release) {
  for (auto line : split(os_release, '\n')) {
    if (!line.starts_with("PRETTY_NAME="))
      continue;
    line = trim(line.substr(12));
    if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') &&
        line.back() == line.front())
      line = line.substr(1, line.size() - 2);
    return printable(line, 80);
  }
  return "";
}

std::string wheel_platform(const std::string& libc, const std::string& arch) {
  const auto space = libc.find(' ');
  if (space == std::string::npos || arch.empty())
    return "";
  const auto numbers = split(std::string_view(libc).substr(space + 1), '.');
  if (numbers.size() < 2 || !parse_u64(numbers[0]) || !parse_u64(numbers[1]))
    return "";
  const std::string_view family = libc.starts_with("glibc") ? "manylinux" : "musllinux";
  return cat(family, "_", numbers[0], "_", numbers[1], "_", arch);
}

void add_machine_facts(control::Facts& facts, os::Runner& runner) {
  utsname name{};
  if (::uname(&name) == 0)
    facts.arch = name.machine;
  facts.os = os_name(os::real_disk().read("/etc/os-release", k_max_os_release).value_or(""));
  facts.libc = libc_of(runner, facts.arch);
  facts.python = python_of(runner);
}

} // namespace chillbox::cli
