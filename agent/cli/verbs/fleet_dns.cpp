// fleet dns: names lead to these hosts of the fleet, by a program failover/NAME, which runs here.
// It needs to know neither zones nor hosts. The fence is the epoch of the roster, which the zone
// has as well: it refuses a laptop with an older one.
#include "cli/core/options.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/fleet_roster.hpp"
#include "cli/pack/kinds.hpp"

#include "base/text.hpp"
#include "config/site.hpp"
#include "os/runner.hpp"

#include <arpa/inet.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_dns_settings = 64 * 1024;

constexpr std::array k_fleet_dns_options{
    Option{"NAME", ArgKind::list, "", "host names of DNS, with commas between"},
    Option{"--to", ArgKind::list, "HOST[=ADDRESS][,..]",
        "hosts of the fleet (required), with their addresses for visitors (default: those of the "
        "roster)"},
    Option{"--settings", ArgKind::text, "FILE",
        "the name server and its key (default: config/chillbox/dns in your home)"},
    Option{"--file", ArgKind::text, "FILE",
        "the signed roster (default: config/chillbox/fleet.json in your home)"},
};

// As a name server writes it, which compares text: 2001:DB8:0::1 is 2001:db8::1.
std::optional<std::string> written_as_dns(const std::string& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  in6_addr binary{};
  for (const int family : {AF_INET, AF_INET6})
    if (::inet_pton(family, address.c_str(), &binary) == 1 &&
        ::inet_ntop(family, &binary, text.data(), text.size()) != nullptr)
      return text.data();
  return std::nullopt;
}

Result<std::string> roster_address(const control::Roster& roster, const std::string& word) {
  const auto at = word.find('=');
  const std::string name = word.substr(0, at);
  const auto host = std::ranges::find(roster.hosts, name, &control::FleetHost::name);
  if (host == roster.hosts.end())
    return fail(Code::not_found,
        cat("fleet '", roster.fleet, "' has no host '", printable(name, 80),
            "': chillboxctl fleet show"));
  const std::string address = at == std::string::npos ? host->address : word.substr(at + 1);
  if (const auto written = written_as_dns(address))
    return *written;
  return fail(Code::usage,
      cat("--to ", name, ": '", printable(address, 100), "' is no IP address: --to ", name,
          "=ADDRESS"));
}

// The value of the first line that is the word and a value, as hooks/lib/settings reads it.
std::string_view setting_of(std::string_view text, std::string_view word) {
  for (const auto line : split(text, '\n')) {
    const auto words = trim(line);
    const size_t blank = words.find_first_of(" \t");
    if (blank != words.npos && words.substr(0, blank) == word)
      return trim(words.substr(blank));
  }
  return {};
}

// The program that the settings name with a line "hook NAME".
Result<std::string> hook_of(const std::string& file) {
  struct stat st{};
  if (::stat(file.c_str(), &st) != 0)
    return fail(Code::not_found,
        cat("no name server is known: write the lines server ADDRESS, key FILE, zone NAME to ",
            file, ", with mode 0600"));
  if ((st.st_mode & 077) != 0)
    return fail(Code::denied, cat(file, " can be read by others: chmod 0600 ", file));
  auto text = TRY(read_own_file(file, k_max_dns_settings));
  const auto name = setting_of(text, "hook");
  const std::string hook = cat("failover/", name.empty() ? "rfc2136" : name);
  wipe(text.data(), text.size());
  if (std::ranges::find(shipped_hooks(), hook, &HookFile::path) == shipped_hooks().end())
    return fail(Code::not_found,
        cat(file, ": hook ", printable(hook.substr(9), 80), ": must be rfc2136 or powerdns"));
  return hook;
}

// What failover/NAME says by its exit code (chillbox-hooks(7)).
Code code_of(int exit) {
  switch (exit) {
  case 2: return Code::usage;
  case 3: return Code::not_found;
  case 4:
  case 5: return Code::conflict;
  default: return Code::failure;
  }
}

Result<void> run_fleet_dns(Call& call) {
  const Places places = Places::find();
  const auto file = TRY(read_roster(call.args.text("file", places.config + "/fleet.json")));
  const std::string settings = call.args.text("settings", places.config + "/dns");
  const std::string hook = TRY(hook_of(settings));
  std::vector<std::string> addresses;
  for (const auto& word : call.args.list("to"))
    addresses.push_back(TRY(roster_address(file.roster, word)));
  if (addresses.empty())
    return fail(Code::usage, "--to: the hosts that the names shall lead to");
  for (const auto& name : call.args.list("NAME"))
    if (!config::is_host_name(name))
      return fail(Code::usage, cat("'", printable(name, 100), "' is no host name"));
  const auto hooks = TRY(TemporaryDir::for_hooks());
  TRY(write_shipped_hooks(hooks.path()));
  for (const auto& name : call.args.list("NAME")) {
    os::Command c;
    c.argv = {"sh", cat(hooks.path(), "/", hook), "point", name + ".", file.roster.fleet,
        std::to_string(file.roster.epoch)};
    c.argv.insert(c.argv.end(), addresses.begin(), addresses.end());
    c.env = {{"CHILLBOX_DNS_CREDENTIALS", settings}};
    const auto exit = TRY(os::real_runner().run(c));
    if (!exit.ok())
      return fail(code_of(exit.code), printable(trim(exit.err), 500));
    call.terminal.print(cat(name, " leads to ", join(addresses, ", ")));
  }
  return {};
}

} // namespace

extern constinit const Verb k_fleet_dns{"fleet dns", Group::laptop, Where::laptop,
    "have host names lead to these hosts of the fleet", k_fleet_dns_options, run_fleet_dns};

} // namespace chillbox::cli
