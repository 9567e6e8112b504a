#include "cli/laptop/setup_plan.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/laptop/git_facts.hpp"
#include "cli/laptop/key_store.hpp"
#include "config/site.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

bool is_wanted(const HostPackages& packages, const std::string& there, bool named) {
  if (there.empty())
    return true;
  if (named)
    return packages.version != there;
  return !packages.version.empty() && compare_versions(packages.version, there) > 0;
}

void plan_install(SetupPlan& plan, const HostLook& look) {
  const std::string there = look.get("chillbox");
  for (const auto& [fact, package] : {std::pair("nginx", "nginx"), std::pair("python", "python3")})
    if (!look.has(fact))
      plan.missing.emplace_back(package);
  std::vector<std::string> names = plan.missing;
  if (plan.install)
    names.insert(names.begin(),
        cat("chillbox", plan.packages.version.empty() ? "" : " ", plan.packages.version,
            there.empty() ? "" : cat(" in place of ", there)));
  if (!names.empty())
    plan.words.push_back(cat("install ", join(names, ", ")));
}

} // namespace

std::string_view trusted_as(const HostLook& look, const SetupKey& key) {
  for (const auto& [line, name] : look.trusted)
    if (line == key.line && !key.line.empty())
      return name;
  return "";
}

std::string name_to_trust(const HostLook& look, const std::string& key) {
  const std::string name = key_name_of(key);
  const auto taken = [&](const std::string& one) {
    return std::ranges::any_of(look.trusted, [&](const auto& row) { return row.second == one; });
  };
  std::string free = name;
  for (int number = 2; taken(free); ++number)
    free = cat(name, "-", number);
  return free;
}

SetupPlan plan_setup(const HostLook& look, const HostRecord& record,
    const std::optional<HostPackages>& packages, bool named, const SetupKey& key) {
  SetupPlan plan;
  plan.install = packages && is_wanted(*packages, look.get("chillbox"), named);
  plan.upgrade = plan.install && look.has("chillbox");
  if (plan.install)
    plan.packages = *packages;
  plan_install(plan, look);
  plan.new_identity = !look.has("identity");
  if (plan.new_identity)
    plan.words.emplace_back(
        "write /etc/chillbox and make the host key, with a passphrase that you choose");
  const std::string there = look.get("server_name"), wanted = record.server_name;
  if (!wanted.empty() && (there.empty() || there == "_")) {
    plan.server_name = wanted;
    plan.words.push_back(cat("name it ", wanted));
  }
  if (trusted_as(look, key).empty()) {
    const std::string own = key.line.empty() ? default_key_name() : key.name;
    const std::string name = name_to_trust(look, own), usual = name_to_trust({}, own);
    plan.words.push_back(cat(key.line.empty()
            ? cat("make your key '", default_key_name(), "' here and trust it there")
            : cat("trust the key '", key.name, "'"),
        name == usual ? ""
                      : cat(" as '", name, "': '", usual,
                            "' is another key there, which stays trusted until chillboxctl "
                            "trust remove ",
                            usual)));
  }
  if (!look.has("daemon"))
    plan.words.emplace_back("start NGINX and chillboxd, now and at each boot");
  if (look.get("daemon") != "unlocked")
    plan.words.emplace_back("unlock it");
  return plan;
}

Result<HostRecord> record_for_setup(const Places& places, std::string_view target, std::string name,
    const std::string& server_name) {
  const std::string ssh = ssh_destination(target), address = address_of(ssh);
  const bool is_name = config::is_host_name(address) && address.find('.') != std::string::npos &&
      address.find_first_not_of("0123456789.") != std::string::npos;
  const bool named = !name.empty();
  if (!named) {
    name = is_name ? address.substr(0, address.find('.')) : address;
    std::ranges::replace(name, ':', '-');
  }
  if (const auto fine = parse_key_name(name); !fine)
    return fail(Code::usage,
        cat(named ? "--name: " : "HOST makes no name, give one with --name: ",
            fine.error().message));
  HostRecord record;
  if (auto known = load_host(places, name)) {
    record = std::move(*known);
    if (record.ssh != ssh)
      return fail(Code::conflict,
          cat("'", name, "' is ", record.ssh,
              " already: choose another --name, or chillboxctl hosts remove ", name,
              ". Nothing was changed"));
  } else if (known.error().code != Code::not_found) {
    return std::unexpected(known.error());
  }
  record.name = name;
  record.ssh = ssh;
  record.server_name = !server_name.empty() ? server_name : is_name ? address : "";
  if (!record.server_name.empty() && !config::is_host_name(record.server_name))
    return fail(Code::usage,
        cat("--server-name '", printable(record.server_name, 80), "' is not a host name"));
  return record;
}

void take_look(HostRecord& record, const HostLook& look) {
  const std::string name = look.get("server_name");
  record.recipient = look.get("recipient");
  record.server_name = name == "_" ? "" : name;
  if (record.url.empty() && !record.server_name.empty())
    record.url = cat("https://", record.server_name);
  record.python = look.get("python");
  record.os = cat(look.get("os_name"), " ", look.get("os_version"));
  record.libc = look.get("libc");
  record.arch = look.get("arch");
  record.version = look.get("chillbox");
  record.role = "admin";
}

} // namespace chillbox::cli
