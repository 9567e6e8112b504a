// people add, list, remove: who comes in by ssh and may what. chillboxd keeps it; this only asks.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/public_keys.hpp"

#include "base/text.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/ssh_key.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_people_add_options{
    Option{"NAME", ArgKind::text, "", "what they are called in the audit trail, jobs and releases"},
    Option{"--key", ArgKind::list, "KEY[,..]",
        "a public key of ssh, or of minisign, to sign with: the key itself, a .pub file, or github:USER; may be repeated. Without one of minisign, an Ed25519 key of ssh signs, too"},
    Option{"--sites", ArgKind::list, "SITE[,..]", "only these sites (default: all)"},
    Option{"--login-only", ArgKind::flag, "",
        "the ssh keys let them in and sign nothing; it is always so for github:USER"},
    Option{"--role", ArgKind::choice, "look|deploy|admin",
        "look: status and logs; deploy (the default): also deploy, roll back, restart; admin: also unlock, hold, people"},
};
constexpr std::array k_people_remove_options{
    Option{"NAME", ArgKind::text, "", "their name"},
    Option{"--revoke", ArgKind::flag, "",
        "nothing they signed is started again, not even what is live: their key was stolen"},
};

std::string sites_text(const control::Person& person) {
  return person.sites.empty() ? "all sites" : join(person.sites, ", ");
}

std::string_view what_of(control::Role role) {
  switch (role) {
  case control::Role::look: return "look at";
  case control::Role::deploy: return "deploy, roll back and read logs of";
  case control::Role::admin: return "do everything but root's work for";
  case control::Role::unknown: break;
  }
  return "nothing of";
}

Result<void> add_keys(Call& call, control::Arguments& args) {
  args.ssh.emplace();
  for (const std::string& value : call.args.list("key")) {
    if (is_github(value))
      return fail(
          Code::usage, cat(printable(value, 60), " is fetched by a laptop: run it there, with -H"));
    for (const std::string& key :
        TRY_IN("--key", is_at_gate() ? public_keys_in(value) : public_keys_of(value)))
      if (is_minisign(key))
        args.key = key;
      else
        args.ssh->push_back(key);
  }
  if (!args.key && !call.args.has("login-only"))
    for (const std::string& key : *args.ssh)
      if (!args.key && crypto::SigningKey::parse(key))
        args.key = key;
  return {};
}

Result<void> run_people_add(Call& call) {
  control::Arguments args{.name = call.args.text("NAME")};
  TRY(add_keys(call, args));
  if (call.args.has("sites"))
    args.sites = call.args.list("sites");
  if (call.args.has("role"))
    args.role = call.args.text("role");
  const std::string text =
      TRY(ask(call.paths, {.verb = "people_add", .args = args}, &call.error_data));
  if (call.terminal.json()) {
    call.terminal.print(text);
    return {};
  }
  const auto added = TRY(control::read_answer<control::PersonAdded>(text));
  const auto& person = added.person;
  call.terminal.print(cat(added.changed ? "" : "unchanged: ", person.name, " may ",
      what_of(person.role), " ", sites_text(person)));
  if (person.key.empty() && person.role != control::Role::look)
    call.terminal.print_status(cat(person.name,
        " signs nothing yet, and so deploys nothing: add the key RW.. that `chillboxctl join` shows them, or an ssh-ed25519 key"));
  if (crypto::is_ssh_line(person.key) && person.role != control::Role::look)
    call.terminal.print_status(cat("what ", person.name, " signs with the ssh key ",
        TRY(crypto::SigningKey::parse(person.key)).id(), " is taken"));
  call.terminal.print_status("they run: chillboxctl join HOST");
  return {};
}

Result<void> run_people_list(Call& call) {
  return show_table<control::People>(call, {.verb = "people_list"},
      {{"NAME", "ROLE", "SITES", "SIGNS WITH", "SSH KEYS"}, {}},
      "nobody: chillboxctl people add NAME --key KEY",
      [](const control::People& people, Table& table) {
        for (const auto& person : people.people) {
          std::vector<std::string> keys;
          for (const auto& line : person.ssh)
            if (const auto key = crypto::SshPublicKey::parse(line))
              keys.push_back(key->fingerprint().substr(0, 16));
          const auto signs = crypto::SigningKey::parse(person.key);
          table.rows.push_back({person.name, std::string(name(person.role)),
              person.sites.empty() ? "all" : join(person.sites, ","),
              signs && person.role != control::Role::look ? signs->id().substr(0, 16) : "-",
              join(keys, ",")});
        }
      });
}

Result<void> run_people_remove(Call& call) {
  const control::Arguments args{.name = call.args.text("NAME"), .revoke = call.args.has("revoke")};
  const std::string text =
      TRY(ask(call.paths, {.verb = "people_remove", .args = args}, &call.error_data));
  Terminal& terminal = call.terminal;
  if (terminal.json()) {
    terminal.print(text);
    return {};
  }
  const auto gone = TRY(control::read_answer<control::PersonRemoved>(text));
  const std::string& name = gone.name;
  terminal.print(
      cat("removed: ", name, ": key and ssh access are gone, and open connections ended"));
  for (const auto& job : gone.jobs)
    terminal.print(cat("running: job ", printable(job, 40),
        " is theirs, and continues: chillboxctl job ", printable(job, 40), " -f"));
  if (!gone.kept.empty())
    terminal.print(cat("kept: ", printable(join(gone.kept, ", "), 500),
        ", which they signed; with --revoke it would not be started again"));
  if (!gone.revoked.empty())
    terminal.print(cat("revoked: ", printable(join(gone.revoked, ", "), 500),
        " keeps running and is not started again: deploy something else"));
  if (!gone.secrets.empty())
    terminal.print(cat("secrets: ", name, " could read those of ",
        printable(join(gone.secrets, ", "), 500),
        ": take them out of secrets/people.txt, and chillboxctl secrets rotate KEY.. in each project"));
  return {};
}

} // namespace

extern constinit const Verb k_people_add{"people add", Group::setup, Where::host,
    "let somebody in by ssh, for their sites", k_people_add_options, run_people_add};
extern constinit const Verb k_people_list{
    "people list", Group::setup, Where::host, "show who may what", {}, run_people_list};
extern constinit const Verb k_people_remove{"people remove", Group::setup, Where::host,
    "take all from somebody, at once: they left, or lost a laptop", k_people_remove_options,
    run_people_remove};

} // namespace chillbox::cli
