#include "daemon/people.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "control/messages.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/ssh_key.hpp"
#include "os/disk.hpp"
#include "os/host_layout.hpp"
#include "os/root_owned.hpp"
#include "os/runner.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <set>

namespace chillbox::daemon {
namespace {

constexpr size_t k_max_file = 256 * 1024;
constexpr size_t k_max_keys = 4 * 1024 * 1024;
constexpr std::string_view k_suffix = ".json";
constexpr std::string_view k_gate = "/usr/bin/chillboxctl gate ";

std::string file_of(const os::Paths& paths, std::string_view name) {
  return cat(paths.people(), "/", name, k_suffix);
}

Result<void> check(const control::Person& person) {
  if (person.role == control::Role::unknown)
    return fail(Code::invalid, "its role is none of look, deploy, admin");
  for (const auto& site : person.sites)
    (void)TRY(SiteName::parse(site));
  if (person.role == control::Role::admin && !person.sites.empty())
    return fail(Code::invalid, "an admin is one of all sites");
  for (const auto& key : person.ssh)
    if (TRY(crypto::SshPublicKey::parse(key)).to_line() != key)
      return fail(Code::invalid, "a key is not TYPE BASE64");
  if (!person.key.empty())
    if (const auto key = TRY(crypto::SigningKey::parse(person.key));
        key.ssh() != nullptr && std::ranges::find(person.ssh, person.key) == person.ssh.end())
      return fail(Code::invalid, "the ssh key that signs is none of theirs");
  return {};
}

std::string proc_text(const std::string& pid, std::string_view file) {
  return os::real_disk().read(cat("/proc/", pid, "/", file), 4096).value_or("");
}

uid_t owner_of_process(const std::string& pid) {
  struct stat info{};
  return ::stat(cat("/proc/", pid).c_str(), &info) == 0 ? info.st_uid : 0;
}

// The number after "PPid:".
std::string parent_of(const std::string& pid) {
  const std::string status = proc_text(pid, "status");
  for (const auto line : split(status, '\n'))
    if (line.starts_with("PPid:"))
      return std::string(trim(line.substr(5)));
  return "";
}

} // namespace

Result<control::Person> load_person(const os::Paths& paths, std::string_view name) {
  const std::string checked = TRY(parse_key_name(name));
  const std::string path = file_of(paths, checked);
  if (!os::real_disk().exists(path))
    return fail(Code::not_found, cat("there is nobody called '", checked, "' on this host"));
  TRY(os::check_root_owned(paths.people(), cat(checked, k_suffix)));
  const std::string text = TRY(os::real_disk().read(path, k_max_file));
  auto person = TRY_IN(path, control::read_answer<control::Person>(text));
  if (person.name != checked)
    return fail(Code::invalid, cat(path, ": name: is not ", checked));
  TRY_IN(path, check(person));
  return person;
}

std::vector<control::Person> load_people(const os::Paths& paths, std::vector<Error>* faults) {
  std::vector<control::Person> people;
  for (const auto& file :
      os::real_disk().list(paths.people()).value_or(std::vector<std::string>{})) {
    if (!file.ends_with(k_suffix) || file.starts_with('.'))
      continue;
    auto person = load_person(paths, file.substr(0, file.size() - k_suffix.size()));
    if (person)
      people.push_back(std::move(*person));
    else if (faults != nullptr)
      faults->push_back(std::move(person).error());
  }
  return people;
}

Result<void> save_person(const os::Paths& paths, const control::Person& person) {
  TRY(check(person));
  auto& disk = os::real_disk();
  TRY(disk.make_dir(paths.people(), 0700, os::root_owner(paths)));
  return disk.write(file_of(paths, TRY(parse_key_name(person.name))),
      control::to_text(person) + "\n", 0600, os::root_owner(paths));
}

std::string authorized_line(const std::string& name, const std::string& key) {
  return cat("restrict,command=\"", k_gate, name, "\" ", key, " ", name, "\n");
}

Result<void> write_authorized_keys(const os::Paths& paths) {
  auto& disk = os::real_disk();
  std::string text = "# Written by chillboxd from people/*.json: chillboxctl people add, remove.\n";
  for (const auto& person : load_people(paths, nullptr))
    for (const auto& key : person.ssh)
      text += authorized_line(person.name, key);
  const auto there = disk.read(paths.authorized_keys(), k_max_keys);
  if (there && *there == text)
    return {};
  os::Owner owner = os::owner_of(paths, "", os::k_ssh_user);
  owner.uid = os::root_owner(paths).uid;
  TRY(disk.make_dir(paths.ssh_home(), 0755, os::root_owner(paths)));
  TRY(disk.make_dir(paths.ssh_home() + "/.ssh", 0750, owner));
  return disk.write(paths.authorized_keys(), text, 0640, owner);
}

bool may_touch(const control::Person& person, std::string_view site) {
  return person.sites.empty() || std::ranges::find(person.sites, site) != person.sites.end();
}

void end_sessions(const os::Paths& paths, const std::string& name, pid_t but) {
  const auto user = os::find_user(std::string(os::k_ssh_user));
  if (paths.testing() || !user || user->uid == 0)
    return;
  const std::string words = cat("/usr/bin/chillboxctl", '\0', "gate", '\0', "--", '\0', name, '\0');
  const std::string begins = cat(k_gate, name, '\0'); // its shell (openrc/gate)
  std::set<std::string> ending, busy; // processes of sshd are in use by what runs below them
  for (const auto& pid : os::real_disk().list("/proc").value_or(std::vector<std::string>{})) {
    if (!parse_u64(pid) || owner_of_process(pid) != user->uid)
      continue;
    const std::string runs = proc_text(pid, "cmdline");
    const bool theirs = (runs == words || runs.ends_with(begins)) && pid != std::to_string(but);
    if (theirs || proc_text(pid, "comm").starts_with("sshd"))
      ending.insert(pid);
    if (!theirs)
      busy.insert(parent_of(pid));
  }
  for (const auto& pid : ending)
    if (!busy.contains(pid))
      ::kill(static_cast<pid_t>(*parse_u64(pid)), SIGTERM);
}

} // namespace chillbox::daemon
