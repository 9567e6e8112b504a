// join: makes this laptop ready for a host that somebody else set up: a key of one's own, and what
// the host says of itself. Who is not known there yet reads what an admin has to run.
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/gate_host.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/machine_facts.hpp"
#include "cli/laptop/public_keys.hpp"
#include "cli/laptop/remote_shell.hpp"
#include "cli/laptop/ssh_signer.hpp"

#include "base/text.hpp"
#include "control/json.hpp"
#include "os/clock.hpp"
#include "os/host_layout.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr std::array k_join_options{
    Option{
        "HOST", ArgKind::text, "", "its address, with a user only when that is not chillbox-ssh"},
    Option{"--name", ArgKind::text, "NAME",
        "what the host is called here (default: the first part of its name)"},
    Option{"--ssh-key", ArgKind::flag, "",
        "sign with your Ed25519 key of ssh, through ssh-agent, instead of a key made for it"},
};

// What a host is called by who gave it no other name, an admin's laptop too.
std::string usual_name(std::string_view target) {
  const std::string address = address_of(target);
  const bool has_name = address.find_first_not_of("0123456789.:") != std::string::npos;
  std::string name = has_name ? address.substr(0, address.find('.')) : address;
  std::ranges::replace(name, ':', '-');
  return name;
}

Result<HostRecord> record_of(const Places& places, const Args& args) {
  const std::string said = args.text("HOST");
  const std::string target =
      ssh_destination(said.find('@') == std::string::npos ? cat(os::k_ssh_user, "@", said) : said);
  const std::string name = args.text("name", usual_name(target));
  auto known = load_host(places, name);
  if (!known && known.error().code != Code::not_found)
    return std::unexpected(known.error());
  if (known && known->ssh != target)
    return fail(Code::conflict,
        cat("'", name, "' is ", known->ssh,
            " already: choose another --name, or chillboxctl hosts remove ", name));
  HostRecord record = known ? std::move(*known) : HostRecord{};
  record.name = name;
  record.ssh = target;
  return record;
}

void take_facts(HostRecord& record, const control::Facts& facts) {
  record.recipient = facts.recipient;
  record.server_name = facts.server_name == "_" ? "" : facts.server_name;
  if (record.url.empty() && !record.server_name.empty())
    record.url = cat("https://", record.server_name);
  record.python = facts.python;
  record.os = facts.os;
  record.libc = facts.libc;
  record.arch = facts.arch;
  record.version = facts.version;
  record.role = facts.role == control::Role::unknown ? "" : name(facts.role);
  record.sites = facts.may.empty() ? facts.sites : facts.may;
  record.seen_ms = os::real_clock().wall_ms();
}

Result<crypto::SigningKey> signing_key(Call& call, const Places& places) {
  if (!call.args.has("ssh-key"))
    return crypto::SigningKey(TRY(ensure_key(call, places)).half.key);
  auto keys = ssh_keys_here();
  if (keys.empty())
    return fail(Code::not_found,
        "there is no Ed25519 key in ssh-agent or ~/.ssh: ssh-keygen -t ed25519 makes one, and ssh-add gives it to the agent");
  return std::move(keys.front().key);
}

// The line for an admin. ssh keys are what this person's ssh offers of itself.
Result<std::string> line_for_admin(const HostRecord& record, const crypto::SigningKey& key) {
  const auto keys = own_ssh_keys(environment("HOME"));
  if (keys.empty() && key.ssh() == nullptr)
    return fail(Code::not_found,
        cat(record.name,
            " does not know you, and there is no ssh key in ~/.ssh: ssh-keygen -t ed25519 makes one; then chillboxctl join again"));
  std::string who = environment("USER");
  if (!parse_key_name(who))
    who = "NAME";
  const std::string also = key.ssh() != nullptr ? "" : cat(" --key ", key.to_line());
  return cat("chillboxctl people add ", who, " --key '",
      key.ssh() != nullptr ? key.to_line() : keys.front(), "'", also, " --sites SITE -H ",
      usual_name(record.ssh));
}

// nullopt: the host does not know this person.
Result<std::optional<control::Facts>> ask_facts(const Places& places, const HostRecord& record) {
  const RemoteShell shell = TRY(RemoteShell::create(record.ssh, places.runtime));
  const auto ran = shell.chillboxctl({"facts", "--json"});
  if (!ran && ran.error().message.find("Permission denied") != std::string::npos)
    return std::optional<control::Facts>();
  if (!ran)
    return std::unexpected(ran.error());
  if (ran->code == exit_code(Code::denied))
    return std::optional<control::Facts>();
  auto facts = control::read_answer<control::Facts>(trim(ran->out));
  if (ran->code != 0 || !facts)
    return fail(Code::conflict,
        cat(record.name,
            " does not answer as a chillbox of this version: ", printable(trim(ran->err), 300)));
  return std::optional(std::move(*facts));
}

Result<void> run_join(Call& call) {
  const Places places = Places::find();
  HostRecord record = TRY(record_of(places, call.args));
  const crypto::SigningKey key = TRY(signing_key(call, places));
  TRY(make_private_dir(places.runtime));
  const auto facts = TRY(ask_facts(places, record));
  if (!facts) {
    const std::string line = TRY(line_for_admin(record, key));
    (void)TRY(change_host(
        places, record.name,
        [&](HostRecord& known) -> Result<void> {
          known.ssh = record.ssh;
          return {};
        },
        Missing::is_made)); // once it is done there, deploy works at once
    call.terminal.print(
        cat("Send this to an admin of ", record.name, ", who runs it:\n\n  ", line, "\n"));
    return fail(Code::denied,
        cat(record.name, " does not know you yet: then run chillboxctl join ",
            printable(call.args.text("HOST"), 200),
            call.args.has("name") ? cat(" --name ", record.name) : "",
            call.args.has("ssh-key") ? " --ssh-key" : "", " again, or deploy"));
  }
  record = TRY(change_host(
      places, record.name,
      [&](HostRecord& known) -> Result<void> {
        known.ssh = record.ssh;
        take_facts(known, *facts);
        return {};
      },
      Missing::is_made));
  if (call.terminal.json()) {
    call.terminal.print(control::answer_text("facts", *facts));
    return {};
  }
  const std::string who =
      facts->actor.starts_with("person:") ? facts->actor.substr(7) : facts->actor;
  call.terminal.print(cat(record.name, " knows you as ", printable(who, 80), ": ",
      record.role.empty() ? "role not known" : record.role, ", ",
      facts->may.empty() ? "all sites" : join(facts->may, ", ")));
  const bool trusted = std::ranges::any_of(
      facts->deployers, [&](const auto& deployer) { return deployer.id == key.id(); });
  if (!trusted && facts->role != control::Role::look)
    call.terminal.print_status(
        cat("your key is not trusted there yet; an admin runs: chillboxctl people add ",
            printable(who, 80), " --key '", key.to_line(), "' -H ", record.name));
  else
    call.terminal.print_status(cat("Next: in a project, chillboxctl deploy -H ", record.name));
  return {};
}

} // namespace

extern constinit const Verb k_join{"join", Group::laptop, Where::laptop,
    "use a host that somebody else set up", k_join_options, run_join};

} // namespace chillbox::cli
