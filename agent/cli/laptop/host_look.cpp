#include "cli/laptop/host_look.hpp"

#include "base/text.hpp"

#include <cstdlib>

namespace chillbox::cli {
namespace {

constexpr uint64_t k_least_memory_kib =
    96 * 1024; // an unlock takes 16 MiB, NGINX and a small site the rest
constexpr uint64_t k_least_disk_kib = 300 * 1024;
constexpr int64_t k_most_skew = 120; // webhooks are refused from 300 s on

std::unexpected<Error> refused(std::string why) {
  return fail(Code::preflight, cat(why, ". Nothing was changed"));
}

Result<void> check_system(const HostLook& look, const std::string& target) {
  if (look.get("uid") != "0")
    return refused(cat("you are ", look.get("user"), " on ", target,
        ", and setup needs root there: chillboxctl setup root@HOST"));
  if (look.get("init") != "openrc")
    return refused(cat(target,
        look.get("init") == "systemd" ? " runs systemd" : " does not run OpenRC",
        ", and chillboxd needs OpenRC: use Alpine (chillboxctl bootstrap prints its user-data), or "
        "Debian with the package openrc"));
  if (const auto arch = look.get("arch"); arch != "x86_64" && arch != "aarch64")
    return refused(cat(target, " is ", arch, ": chillbox is made for x86_64 and aarch64"));
  if (const auto libc = look.get("libc"); libc != "musl" && !libc.starts_with("glibc"))
    return refused(
        cat(target, " has neither the C library of Alpine (musl) nor that of Debian (glibc)"));
  if (look.get("packages").empty())
    return refused(cat(target, " has neither apk nor dpkg: use Alpine, or Debian with OpenRC"));
  return {};
}

Result<void> check_room(const HostLook& look, const std::string& target, int64_t now) {
  const auto size = [](uint64_t kib) { return human_size(kib * 1024); };
  if (const auto there = look.number("memory_kib"); there < k_least_memory_kib)
    return refused(cat(
        target, " has ", size(there), " of memory, and chillbox needs ", size(k_least_memory_kib)));
  if (const auto there = look.number("disk_kib"); there < k_least_disk_kib)
    return refused(cat(target, " has ", size(there),
        " free on the disk of /var, and chillbox needs ", size(k_least_disk_kib)));
  const int64_t skew = static_cast<int64_t>(look.number("clock")) - now;
  if (std::abs(skew) > k_most_skew)
    return refused(cat("the clock of ", target, " is ", std::abs(skew), " s ",
        skew < 0 ? "behind" : "ahead of",
        " yours: set it right there (rc-service chronyd restart, or date -s)"));
  return {};
}

Result<void> check_nginx(const HostLook& look, const std::string& target) {
  const std::string by = look.get("port80_by");
  if (look.has("port80") && !by.starts_with("nginx "))
    return refused(cat("port 80 of ", target, " is used by ",
        by.empty() ? std::string("another program")
                   : cat(by.substr(0, by.find(' ')), " (pid ", by.substr(by.find(' ') + 1), ")"),
        ": stop it and keep it from starting, and run this again"));
  if (look.has("foreign"))
    return refused(cat(
        look.get("foreign"), " on ", target, " is not chillbox's: rename it, and run this again"));
  return {};
}

} // namespace

std::string HostLook::get(const std::string& word) const {
  const auto found = facts.find(word);
  return found == facts.end() ? "" : found->second;
}

uint64_t HostLook::number(const std::string& word) const {
  return parse_u64(get(word)).value_or(0);
}

HostLook parse_look(std::string_view text) {
  HostLook look;
  for (const auto line : split(text, '\n')) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos)
      continue;
    const std::string word(line.substr(0, space)),
        value = printable(trim(line.substr(space + 1)), 300);
    if (word == "trusted")
      look.trusted.emplace_back(
          value.substr(0, value.find(' ')), value.substr(value.find(' ') + 1));
    else
      look.facts[word] = value;
  }
  return look;
}

Result<void> can_be_host(const HostLook& look, const std::string& target, int64_t now) {
  if (const auto system = check_system(look, target); !system)
    return system;
  if (const auto room = check_room(look, target, now); !room)
    return room;
  return check_nginx(look, target);
}

std::string look_text(const HostLook& look) {
  const std::string os = look.get("os_name"), python = look.get("python"),
                    nginx = look.get("nginx");
  return cat(os.substr(0, os.find(' ')), " ", look.get("os_version"), ", ", look.get("arch"), ", ",
      human_size(look.number("memory_kib") * 1024), ", ",
      python.empty() ? "no Python" : cat("Python ", python), " (", look.get("libc"), "); ",
      nginx.empty() ? "NGINX is not installed" : cat("NGINX ", nginx),
      look.has("port80") ? " on port 80" : "; port 80 is free");
}

} // namespace chillbox::cli
