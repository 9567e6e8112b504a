// whoami: the key with which this person signs, and what it may on the hosts that are known.
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/signer.hpp"
#include "cli/laptop/ssh_signer.hpp"

#include "base/text.hpp"

#include <filesystem>

namespace chillbox::cli {
namespace {

// A key without a passphrase is never locked.
Result<bool> has_passphrase(const PersonKey& key) {
  const SecretBytes text = TRY(read_secret_input(key.path, k_max_key_file));
  return TRY_IN(printable(key.path, 1024), crypto::MinisignSecretKey::is_encrypted(text.text()));
}

// What the host said when it was last asked. Who comes as root may do everything there.
std::string role_there(const HostRecord& record) {
  if (!record.role.empty())
    return record.role;
  std::string_view at = record.ssh;
  if (at.starts_with("ssh://"))
    at.remove_prefix(6);
  return at.starts_with("root@") ? "admin" : "";
}

Result<void> run_whoami(Call& call) {
  const Places places = Places::find();
  const auto key = TRY(find_key(places));
  const auto by_ssh = key ? std::vector<SshKeyHere>() : ssh_keys_here();
  if (!key && by_ssh.empty())
    return fail(Code::not_found, "you have no key yet: `chillboxctl setup root@HOST` makes one");
  const auto agent = TRY(agent_state(places));
  const bool locks = key && TRY(has_passphrase(*key));
  Person person{.name = key ? std::filesystem::path(key->path).stem().string() : "ssh",
      .id = key ? crypto::key_id_text(key->half.key.id) : by_ssh.front().key.id(),
      .key = key ? key->half.key.to_line() : by_ssh.front().key.to_line(),
      .recipient = key ? key->half.recipient.value_or("") : "",
      .unlocked = key && (!locks || (agent && agent->left_s > 0)),
      .hosts = {}};
  for (const HostRecord& record : load_hosts(places, nullptr))
    person.hosts.push_back({.name = record.name, .role = role_there(record)});
  if (call.terminal.json()) {
    call.terminal.print(answer_text("whoami", person));
    return {};
  }
  call.terminal.print(cat(call.terminal.out(Style::bold, person.name), "  key ", person.id, "  ",
      !key         ? "ssh-agent signs with it, where a host takes it"
          : !locks ? "without a passphrase: it signs without asking"
          : person.unlocked
          ? cat("in the agent for ", format_duration(std::chrono::seconds(agent->left_s)))
          : "locked: its passphrase is asked for at the next signature"));
  for (const auto& host : person.hosts)
    call.terminal.print(cat(host.name, ": ", host.role.empty() ? "not known" : host.role));
  if (person.hosts.empty())
    call.terminal.print_status("no host is known here yet: chillboxctl setup root@HOST");
  return {};
}

} // namespace

extern constinit const Verb k_whoami{"whoami", Group::laptop, Where::laptop,
    "show your key, and what you may on which host", {}, run_whoami};

} // namespace chillbox::cli
