#include "cli/fleet/inventory.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/fleet/ssh.hpp"
#include "os/disk.hpp"
#include "os/runner.hpp"

#include <nlohmann/json.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_inventory = 8 << 20;

// A string or a number; anything else, such as a vaulted value, counts as missing.
std::string text_at(const Json& vars, std::string_view key) {
  const auto value = vars.find(key);
  if (value == vars.end() || (!value->is_string() && !value->is_number_integer()))
    return "";
  return value->is_string() ? value->get<std::string>() : dump(*value);
}

bool safe_for_ssh(const std::string& text) {
  return !text.empty() && !text.starts_with('-') && text == printable(text, 256) &&
      text.find_first_of(" \t'\"") == std::string::npos;
}

// Splits words as a shell does, with quotes, and without anything else of a shell.
std::vector<std::string> shell_split(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  char quote = 0;
  bool open = false;
  for (const char c : text) {
    if (quote != 0 ? c == quote : c == '\'' || c == '"') {
      quote = quote != 0 ? 0 : c;
      open = true;
    } else if (quote == 0 && (c == ' ' || c == '\t')) {
      if (std::exchange(open, false))
        words.push_back(std::exchange(word, ""));
    } else {
      word += c;
      open = true;
    }
  }
  if (open)
    words.push_back(word);
  return words;
}

// ansible-inventory does not expand templates, so the values that we read must be plain.
Result<void> refuse_templates(const std::string& name, const Json& vars) {
  for (const std::string_view key : {"ansible_host", "ansible_user", "ansible_port",
           "ansible_ssh_private_key_file", "ansible_ssh_common_args", "ansible_ssh_extra_args",
           "chillbox_url", "chillbox_webhook_key"})
    if (text_at(vars, key).find("{{") != std::string::npos)
      return fail(Code::usage,
          cat("host ", printable(name), ": ", key,
              " is a template, and ansible-inventory does not expand it: write it out"));
  return {};
}

// As ssh takes an address of IPv6: without the brackets of a URL.
std::string bare(std::string address) {
  if (address.starts_with('[') && address.ends_with(']'))
    return address.substr(1, address.size() - 2);
  return address;
}

// And as a URL does: in brackets, a zone behind %25 (RFC 6874).
std::string url_of(std::string_view address) {
  if (address.starts_with('[') ||
      std::ranges::count(address, ':') < 2) // a name, perhaps with a port
    return cat("https://", address);
  const auto zone = address.find('%');
  return cat("https://[", address.substr(0, zone),
      zone == std::string_view::npos ? "" : cat("%25", address.substr(zone + 1)), "]");
}

Result<Host> host_of_vars(const std::string& name, const Json& vars) {
  TRY(refuse_templates(name, vars));
  auto either = [&](std::string_view key, std::string_view older) {
    const std::string value = text_at(vars, key);
    return value.empty() ? text_at(vars, older) : value;
  };
  const std::string address = bare(either("ansible_host", "ansible_ssh_host"));
  const std::string user = either("ansible_user", "ansible_ssh_user");
  Host host = TRY_IN(cat("host ", printable(name)),
      host_from(cat(user, user.empty() ? "" : "@", address.empty() ? name : address)));
  host.name = printable(name);
  if (const std::string port = either("ansible_port", "ansible_ssh_port"); !port.empty())
    host.ssh.insert(host.ssh.end(), {"-p", port});
  if (const std::string key = either("ansible_ssh_private_key_file", "ansible_private_key_file");
      !key.empty())
    host.ssh.insert(host.ssh.end(), {"-i", key});
  for (const std::string_view key : {"ansible_ssh_common_args", "ansible_ssh_extra_args"})
    for (auto& word : shell_split(text_at(vars, key)))
      host.ssh.push_back(std::move(word));
  host.url = text_at(vars, "chillbox_url");
  if (host.url.empty())
    host.url = url_of(address.empty() ? name : address);
  host.webhook_key = text_at(vars, "chillbox_webhook_key");
  return host;
}

// The hosts of a group and its children, in their order and each once. A cycle of groups ends.
void collect(const Json& all, const std::string& group, std::set<std::string>& visited,
    std::vector<std::string>& out) {
  const auto found = all.find(group);
  if (found == all.end() || !found->is_object() || !visited.insert(group).second)
    return;
  for (const char* key : {"hosts", "children"}) {
    const auto list = found->find(key);
    if (list == found->end() || !list->is_array())
      continue;
    for (const Json& entry : *list)
      if (!entry.is_string())
        continue;
      else if (key[0] == 'c')
        collect(all, entry.get<std::string>(), visited, out);
      else if (std::ranges::find(out, entry.get<std::string>()) == out.end())
        out.push_back(entry.get<std::string>());
  }
}

std::vector<std::string> hosts_of_group(const Json& all, const std::string& group) {
  std::set<std::string> visited;
  std::vector<std::string> out;
  collect(all, group, visited, out);
  return out;
}

bool matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

// not_found: it names no host and no group.
Result<std::set<std::string>> named_by(const Inventory& inventory, const std::string& pattern) {
  std::set<std::string> names;
  bool anything = pattern == "all" || pattern == "*";
  for (const Host& host : inventory.hosts)
    if (anything || matches(pattern, host.name) || matches(pattern, host.target))
      names.insert(host.name);
  for (const auto& [group, members] : inventory.groups)
    if (matches(pattern, group)) {
      anything = true;
      names.insert(members.begin(), members.end());
    }
  if (names.empty() && !anything) {
    std::vector<std::string> known;
    for (const Host& host : inventory.hosts)
      known.push_back(host.name);
    return fail(Code::not_found,
        cat("--limit: no host or group '", printable(pattern, 80), "': the inventory has ",
            printable(join(known, ", "), 500)));
  }
  return names;
}

// Of "HOST", "HOST:PORT", "[V6]:PORT" in an address with a scheme.
bool is_host_with_port(std::string_view place) {
  const auto end = place.starts_with('[') ? place.find(']') : place.find(':');
  const auto host = place.substr(0, end);
  const auto port = place.substr(std::min(place.find(':', host.size()), place.size()));
  return !host.empty() && host != "[" &&
      (port.empty() || parse_u64(port.substr(1)).value_or(0) - 1 < 65535);
}

// What ssh would be asked in vain.
Result<void> check_destination(std::string_view text) {
  const auto scheme = text.find("://");
  const auto whole = scheme == text.npos ? text : text.substr(scheme + 3);
  const auto at = whole.rfind('@');
  const auto user = whole.substr(0, at == whole.npos ? 0 : at);
  auto place = at == whole.npos ? whole : whole.substr(at + 1);
  if (user.contains(':')) // which is not shown
    return fail(Code::usage,
        cat("the host '", printable(place, 80),
            "' has a password before it, which everybody on this machine would see: leave it out, "
            "ssh asks for it or uses a key"));
  if (scheme != text.npos && place.ends_with('/'))
    place.remove_suffix(1);
  if ((scheme != text.npos && (text.substr(0, scheme) != "ssh" || !is_host_with_port(place))) ||
      place.empty() || at == 0)
    return fail(Code::usage,
        cat("'", printable(text, 80),
            "' is not a host for ssh: write USER@HOST or ssh://USER@HOST:PORT"));
  return {};
}

} // namespace

Result<Host> host_from(const std::string& text) {
  if (!safe_for_ssh(text))
    return fail(
        Code::usage, cat("'", printable(text, 80), "' is not a host for ssh: write USER@HOST"));
  TRY(check_destination(text));
  const auto at = text.rfind('@');
  const std::string place = at == text.npos ? text : text.substr(at + 1);
  // One with two colons is an IPv6 address.
  if (text.find("://") == text.npos &&
      (place.starts_with('[') || std::ranges::count(place, ':') == 1))
    return fail(Code::usage,
        cat("'", printable(text, 80), "' is not a host for ssh: with a port, write ssh://",
            printable(text, 80)));
  return Host{text, text, {}, url_of(place), ""};
}

Result<Inventory> parse_inventory(std::string_view text) {
  const auto json = parse_json(text, k_max_inventory);
  if (!json)
    return fail(Code::invalid, json.error().message);
  const auto meta = json->is_object() ? json->find("_meta") : json->end();
  if (!json->is_object() || meta == json->end() || !meta->is_object())
    return fail(Code::invalid, "not what `ansible-inventory --list` prints: it has no _meta");
  const Json vars = meta->value("hostvars", Json::object());
  Inventory inventory;
  std::vector<std::string> names = hosts_of_group(*json, "all");
  for (const auto& [group, value] : json->items()) {
    if (group == "_meta")
      continue;
    inventory.groups[group] = hosts_of_group(*json, group);
    for (const std::string& name : inventory.groups[group])
      if (std::ranges::find(names, name) == names.end())
        names.push_back(name);
  }
  for (const std::string& name : names)
    inventory.hosts.push_back(TRY(host_of_vars(name, vars.value(name, Json::object()))));
  return inventory;
}

// What ansible-playbook takes and this does not, rather than "no such host".
Result<void> check_form(const Inventory& inventory, std::string_view part) {
  const auto name = part.substr(part.starts_with('!') || part.starts_with('&') ? 1 : 0);
  const bool is_host = std::ranges::any_of(
      inventory.hosts, [&](const Host& host) { return host.name == name || host.target == name; });
  if (is_host || name.find_first_of(":~@[") == std::string_view::npos)
    return {};
  return fail(Code::usage,
      cat("--limit '", printable(part, 80),
          "': write names of hosts or groups, with * and ?, separated by commas; ! leaves out, & "
          "keeps what is in both. ':', ~REGEX, @FILE and [RANGE] are not known here"));
}

Result<std::vector<Host>> choose(
    const Inventory& inventory, const std::vector<std::string>& limit) {
  for (const std::string& part : limit)
    TRY(check_form(inventory, part));
  std::set<std::string> kept;
  const bool only_taken_away = std::ranges::all_of(limit,
      [](const std::string& part) { return part.starts_with('!') || part.starts_with('&'); });
  if (only_taken_away)
    kept = TRY(named_by(inventory, "all"));
  for (const std::string& part : limit)
    if (!part.starts_with('!') && !part.starts_with('&'))
      kept.merge(TRY(named_by(inventory, part)));
  for (const std::string& part : limit) {
    if (!part.starts_with('!') && !part.starts_with('&'))
      continue;
    const auto named = TRY(named_by(inventory, part.substr(1)));
    std::erase_if(kept,
        [&](const std::string& name) { return named.contains(name) == part.starts_with('!'); });
  }
  std::vector<Host> chosen;
  std::ranges::copy_if(inventory.hosts, std::back_inserter(chosen),
      [&](const Host& host) { return kept.contains(host.name); });
  if (chosen.empty())
    return fail(Code::not_found,
        limit.empty() ? "the inventory has no host"
                      : cat("--limit ", printable(join(limit, ",")), " leaves no host"));
  return chosen;
}

namespace {

// ansible-inventory applies the limit itself.
Result<std::vector<Host>> ask_ansible(
    const std::string& path, const std::vector<std::string>& limit) {
  std::error_code error;
  const std::string program =
      TRY_IN(cat("--hosts ", printable(path, 1024)), find_program("ansible-inventory"));
  os::Command command{.argv = {program, "-i", path, "--list"},
      .env = whole_environment(),
      .cwd = std::filesystem::current_path(error),
      .output_limit = k_max_inventory,
      .no_new_privs = false};
  if (!limit.empty())
    command.argv.insert(command.argv.end(), {"--limit", join(limit, ",")});
  const os::Exit exit = TRY_IN("ansible-inventory", os::real_runner().run(command));
  if (!exit.ok()) // if the limit leaves no host, the error names the option
    return fail(exit.err.find("--limit") == std::string::npos ? Code::invalid : Code::not_found,
        cat("ansible-inventory -i ", printable(path, 1024), ": ", printable(trim(exit.err), 1000)));
  return choose(TRY_IN("ansible-inventory", parse_inventory(exit.out)), {});
}

} // namespace

Result<std::vector<Host>> read_inventory(
    const std::string& path, const std::vector<std::string>& limit) {
  std::error_code error;
  if (path == "-")
    return choose(
        TRY_IN("--hosts: standard input", parse_inventory(TRY(read_input(path, k_max_inventory)))),
        limit);
  if (std::filesystem::is_regular_file(path, error)) {
    const std::string text = TRY(os::real_disk().read(path, k_max_inventory));
    const auto inventory = parse_inventory(text);
    if (inventory)
      return choose(*inventory, limit);
    if (inventory.error().code != Code::invalid) // invalid: an inventory in another form
      return std::unexpected(inventory.error());
  } else if (path.find(',') == std::string::npos &&
      !std::filesystem::exists(path, error)) { // Ansible accepts "a,b" too
    return fail(Code::not_found, cat("--hosts: no inventory ", printable(path, 1024)));
  }
  return ask_ansible(path, limit);
}

} // namespace chillbox::cli
