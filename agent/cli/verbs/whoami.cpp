// whoami: the key with which this person signs, and what it may on the hosts that are known.
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/signer.hpp"
#include "cli/laptop/ssh_signer.hpp"

#include "base/text.hpp"

#include <filesystem>

namespace chillbox::cli {
namespace {

Result<void> run_whoami(Call& call) {
  const Places places = Places::find();
  const auto key = TRY(find_key(places));
  const auto by_ssh = key ? std::vector<SshKeyHere>() : ssh_keys_here();
  if (!key && by_ssh.empty())
    return fail(Code::not_found, "you have no key yet: `chillboxctl setup root@HOST` makes one");
  const auto agent = TRY(agent_state(places));
  Person person{.name = key ? std::filesystem::path(key->path).stem().string() : "ssh",
      .id = key ? crypto::key_id_text(key->half.key.id) : by_ssh.front().key.id(),
      .key = key ? key->half.key.to_line() : by_ssh.front().key.to_line(),
      .recipient = key ? key->half.recipient.value_or("") : "",
      .unlocked = key && agent && agent->left_s > 0,
      .hosts = {}};
  for (const HostRecord& record : load_hosts(places, nullptr))
    person.hosts.push_back({.name = record.name, .role = record.role});
  if (call.terminal.json()) {
    call.terminal.print(answer_text("whoami", person));
    return {};
  }
  call.terminal.print(cat(call.terminal.out(Style::bold, person.name), "  key ", person.id, "  ",
      !key ? "ssh-agent signs with it, where a host takes it"
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
