#include "cli/core/answers.hpp"
#include "cli/core/host_answers.hpp"

#include "control/backups_table.hpp"
#include "control/fleet_table.hpp"
#include "control/members.hpp"
#include "control/rollout_table.hpp"

namespace chillbox::cli {

using control::Member;
using control::message;

constexpr auto table(const Changed*) {
  return message("changed", "", Member{"name", &Changed::name, ""},
      Member{"changed", &Changed::changed, "false: it was so already"},
      Member{"format", &Changed::format, "of a sender"},
      Member{"key", &Changed::key, "of a sender, shown only once"});
}

constexpr auto table(const TrustedKeyRow*) {
  using K = TrustedKeyRow;
  return message("trusted_key", "", Member{"name", &K::name, ""}, Member{"id", &K::id, ""},
      Member{"key", &K::key, "minisign public key"}, Member{"sites", &K::sites, "none: all"},
      Member{"only", &K::only, "\"releases\": it may sign no secret set"});
}

constexpr auto table(const TrustedKeys*) {
  return message("trusted_keys", "", Member{"keys", &TrustedKeys::keys, ""},
      Member{"faults", &TrustedKeys::faults, "of files that cannot be used, each with its path"});
}

constexpr auto table(const CiKey*) {
  return message("ci_key", "", Member{"name", &CiKey::name, ""}, Member{"host", &CiKey::host, ""},
      Member{"site", &CiKey::site, "the one that it may deploy"}, Member{"id", &CiKey::id, ""});
}

constexpr auto table(const CiKeys*) {
  return message("ci_keys", "", Member{"keys", &CiKeys::keys, ""});
}

constexpr auto table(const SenderRow*) {
  using S = SenderRow;
  return message("sender", "", Member{"name", &S::name, ""}, Member{"format", &S::format, ""},
      Member{"keys", &S::keys, "so many are good"},
      Member{"until", &S::until, "when the older one ends, \"\": there is none"},
      Member{"sites", &S::sites, "none: all"}, Member{"types", &S::types, "none: all"});
}

constexpr auto table(const Senders*) {
  return message("senders", "", Member{"senders", &Senders::senders, ""},
      Member{"faults", &Senders::faults, "of files that cannot be used, each with its path"});
}

constexpr auto table(const KeyPair*) {
  return message("key_pair", "", Member{"secret_key", &KeyPair::secret_key, "path"},
      Member{"public_key", &KeyPair::public_key, "path"}, Member{"id", &KeyPair::id, ""},
      Member{"key", &KeyPair::key, "the public key itself"});
}

constexpr auto table(const AgentAnswer*) {
  using A = AgentAnswer;
  return message("agent_state", "", Member{"unlocked", &A::unlocked, "the key is in memory"},
      Member{"name", &A::name, "of the key"}, Member{"id", &A::id, "of the key"},
      Member{"left_s", &A::left_s, "seconds until it is removed"});
}

constexpr auto table(const SecretRow*) {
  using S = SecretRow;
  return message("secret", "", Member{"file", &S::file, "SERVICE/FILE"},
      Member{"key", &S::key, "\"\": a file without keys"}, Member{"by", &S::by, "who set it"},
      Member{"digest", &S::digest, "changes with the value"},
      Member{"changed_ms", &S::changed_ms, ""});
}

constexpr auto table(const LaptopConfig*) {
  using C = LaptopConfig;
  return message("laptop_config", "", Member{"host", &C::host, "\"\": none"},
      Member{"editor", &C::editor, "\"\": that of the environment"},
      Member{"agent_idle_s", &C::agent_idle_s, "how long the agent keeps the key without use"});
}

constexpr auto table(const SecretList*) {
  return message("secret_list", "", Member{"site", &SecretList::site, ""},
      Member{"secrets", &SecretList::secrets, ""});
}

constexpr auto table(const SecretDiff*) {
  return message("secret_diff",
      "What of a project's secrets differs from what was last sent to a host.",
      Member{"host", &SecretDiff::host, ""},
      Member{"sent", &SecretDiff::sent, "this machine has sent it some before"},
      Member{"differs", &SecretDiff::differs,
          "+ not there yet, ~ another value, - only there; then SERVICE/FILE:KEY"});
}

constexpr auto table(const Initialized*) {
  return message("initialized", "", Member{"recipient", &Initialized::recipient, ""},
      Member{"made", &Initialized::made, "what did not exist before"});
}

constexpr auto table(const KnownHost*) {
  using K = KnownHost;
  return message("known_host", "", Member{"name", &K::name, ""},
      Member{"ssh", &K::ssh, "how ssh reaches it"},
      Member{"state", &K::state, "unlocked, locked, away, no answer"},
      Member{"version", &K::version, "of chillboxd, as last seen"},
      Member{"sites", &K::sites, "as last seen"});
}

constexpr auto table(const Hosts*) {
  return message("known_hosts", "", Member{"hosts", &Hosts::hosts, ""});
}

constexpr auto table(const RoleRow*) {
  return message("role", "", Member{"name", &RoleRow::name, "of a host"},
      Member{"role", &RoleRow::role, "\"\": not known"});
}

constexpr auto table(const Person*) {
  using P = Person;
  return message("person", "", Member{"name", &P::name, "of the key"}, Member{"id", &P::id, ""},
      Member{"key", &P::key, "the public key itself"},
      Member{"recipient", &P::recipient, "age1.., \"\": the key has none"},
      Member{"unlocked", &P::unlocked, "the agent has it, or it has no passphrase"},
      Member{"hosts", &P::hosts, ""});
}

constexpr auto table(const SetUp*) {
  using S = SetUp;
  return message("set_up", "", Member{"host", &S::host, "its name in hosts/"},
      Member{"ssh", &S::ssh, "how ssh reaches it"}, Member{"recipient", &S::recipient, ""},
      Member{"done", &S::done, "none: it was so already"},
      Member{"will", &S::will, "with --dry-run: what it would do"},
      Member{"ok", &S::ok, "doctor finds nothing wrong; none with --dry-run"});
}

constexpr auto table(const CheckRow*) {
  using C = CheckRow;
  return message("check", "", Member{"health", &C::health, ""}, Member{"what", &C::what, ""},
      Member{"text", &C::text, ""}, Member{"todo", &C::todo, "\"\": nothing"});
}

constexpr auto table(const Checks*) {
  return message("checks", "", Member{"ok", &Checks::ok, "nothing is wrong"},
      Member{"checks", &Checks::checks, ""});
}

constexpr auto table(const Validated*) {
  using V = Validated;
  return message("validated", "", Member{"file", &V::file, ""}, Member{"site", &V::site, ""},
      Member{"version", &V::version, "\"\": none in it"}, Member{"services", &V::services, ""});
}

constexpr auto table(const NewSite*) {
  return message("new_site", "", Member{"site", &NewSite::site, ""},
      Member{"path", &NewSite::path, ""}, Member{"kind", &NewSite::kind, ""},
      Member{"server_name", &NewSite::server_name, ""});
}

constexpr auto table(const PartRow*) {
  return message("part", "A service, or a folder that services share.",
      Member{"name", &PartRow::name, ""}, Member{"kind", &PartRow::kind, ""},
      Member{"files", &PartRow::files, ""}, Member{"size", &PartRow::size, "bytes"});
}

constexpr auto table(const FileRow*) {
  return message(
      "file", "", Member{"path", &FileRow::path, ""}, Member{"size", &FileRow::size, "bytes"});
}

constexpr auto table(const PackedArtifact*) {
  using P = PackedArtifact;
  return message("packed_artifact", "", Member{"name", &P::name, ""}, Member{"path", &P::path, ""},
      Member{"site", &P::site, ""}, Member{"version", &P::version, "\"\": a secret set"},
      Member{"size", &P::size, "bytes"}, Member{"sha256", &P::sha256, ""},
      Member{"serial", &P::serial, ""}, Member{"files", &P::files, ""},
      Member{"unpacked", &P::unpacked, "bytes"},
      Member{"tar_sha256", &P::tar_sha256, "of what is in it"},
      Member{"contents", &P::contents, ""}, Member{"largest", &P::largest, "at most five files"});
}

constexpr auto table(const Deployed*) {
  using D = Deployed;
  return message("deployed", "How a deploy ended on one host.", Member{"host", &D::host, ""},
      Member{"site", &D::site, ""}, Member{"version", &D::version, ""},
      Member{"code", &D::code, "\"\": no error"}, Member{"message", &D::message, ""},
      Member{"job", &D::job, "its id"}, Member{"state", &D::state, ""},
      Member{"release", &D::release, ""}, Member{"uploaded", &D::uploaded, ""});
}

constexpr auto table(const RolloutHost*) {
  using H = RolloutHost;
  return message("rollout_host", "Where a rollout is with one host.", Member{"host", &H::host, ""},
      Member{"state", &H::state,
          "\"waiting\", \"staged\", \"begun\", \"done\", \"failed\", \"rolled_back\" or \"stuck\"; of one that the hosts walk, \"live\", \"skipped-sealed\" or \"outside\", too"},
      Member{"before", &H::before, "the version that was live there"},
      Member{"code", &H::code, "\"\": no error"}, Member{"message", &H::message, ""},
      Member{"job", &H::job, "its id there"});
}

constexpr auto table(const RolloutReport*) {
  using R = RolloutReport;
  return message("rollout", "", Member{"site", &R::site, ""},
      Member{"env", &R::env, "of chillbox.toml, \"\": none"}, Member{"version", &R::version, ""},
      Member{"phase", &R::phase, "\"staging\", \"switching\" or \"ended\""},
      Member{"hosts", &R::hosts, "in their order"});
}

constexpr auto table(const FleetRow*) {
  using R = FleetRow;
  return message("fleet_row", "A host of a fleet.", Member{"host", &R::host, ""},
      Member{"address", &R::address, "where the others reach it"}, Member{"roles", &R::roles, ""},
      Member{"first", &R::first, "it runs what runs once"},
      Member{"epoch", &R::epoch, "of the roster that it has"},
      Member{"state", &R::state, "\"unlocked\", \"locked\" or \"drained\"; \"\": not known"},
      Member{"sites", &R::sites, "each with its live version"},
      Member{"code", &R::code, "\"\": no error"}, Member{"message", &R::message, ""});
}

constexpr auto table(const FleetReport*) {
  return message("fleet", "", Member{"fleet", &FleetReport::fleet, ""},
      Member{"epoch", &FleetReport::epoch, "of the roster as it is on this laptop"},
      Member{"hosts", &FleetReport::hosts, "in their order"},
      Member{"balanced", &FleetReport::balanced, "sites whose visitors its balancers take"},
      Member{"rollouts", &FleetReport::rollouts, "that the hosts walk, of a fleet with an engine"});
}

constexpr auto table(const ExportedSite*) {
  using S = ExportedSite;
  return message("exported_site", "", Member{"site", &S::site, ""},
      Member{"version", &S::version, "that was live"}, Member{"release", &S::release, ""},
      Member{"root", &S::root, "folder of its project on the laptop, \"\": not known"},
      Member{"env", &S::env, "of chillbox.toml"}, Member{"names", &S::names, "host names"},
      Member{"backup", &S::backup, "name of its newest backup, \"\": there is none"},
      Member{"serial", &S::serial, "of that backup"});
}

constexpr auto table(const HostExport*) {
  using E = HostExport;
  return message("host_export", "What is known of a host, to make another one of it.",
      Member{"host", &E::host, "its name on the laptop"},
      Member{"server_name", &E::server_name, ""},
      Member{"target", &E::target, "of its backups, \"\": none"},
      Member{"key", &E::key, "the minisign key that signs its backups"},
      Member{"time_ms", &E::time_ms, "when this was written"}, Member{"sites", &E::sites, ""});
}

constexpr auto table(const ImportedSite*) {
  using S = ImportedSite;
  return message("imported_site", "", Member{"site", &S::site, ""},
      Member{"version", &S::version, ""},
      Member{"serial", &S::serial, "of the backup that its data are from, 0: none"},
      Member{"taken_ms", &S::taken_ms, "when that was taken"},
      Member{"problem", &S::problem, "\"\": it serves"});
}

constexpr auto table(const HostImport*) {
  using I = HostImport;
  return message("host_import", "", Member{"host", &I::host, ""},
      Member{"from", &I::from, "the host that they were on"}, Member{"seconds", &I::seconds, ""},
      Member{"sites", &I::sites, ""});
}

constexpr auto table(const Opened*) {
  return message("opened", "", Member{"site", &Opened::site, ""}, Member{"url", &Opened::url, ""});
}

constexpr auto table(const NginxDiff*) {
  return message("nginx_diff", "", Member{"site", &NginxDiff::site, ""},
      Member{"diff", &NginxDiff::diff, ""}, Member{"reload", &NginxDiff::reload, ""});
}

constexpr auto table(const Script*) {
  return message(
      "script", "", Member{"script", &Script::script, ""}, Member{"shell", &Script::shell, ""});
}

} // namespace chillbox::cli

namespace chillbox::control {

CHILLBOX_MESSAGE(cli::Changed)
CHILLBOX_MESSAGE(cli::TrustedKeys)
CHILLBOX_MESSAGE(cli::Senders)
CHILLBOX_MESSAGE(cli::CiKeys)
CHILLBOX_MESSAGE(cli::KeyPair)
CHILLBOX_MESSAGE(cli::AgentAnswer)
CHILLBOX_MESSAGE(cli::SecretList)
CHILLBOX_MESSAGE(cli::LaptopConfig)
CHILLBOX_MESSAGE(cli::SecretDiff)
CHILLBOX_MESSAGE(cli::Initialized)
CHILLBOX_MESSAGE(cli::SetUp)
CHILLBOX_MESSAGE(cli::KnownHost)
CHILLBOX_MESSAGE(cli::Hosts)
CHILLBOX_MESSAGE(cli::RoleRow)
CHILLBOX_MESSAGE(cli::Person)
CHILLBOX_MESSAGE(cli::Checks)
CHILLBOX_MESSAGE(cli::Validated)
CHILLBOX_MESSAGE(cli::NewSite)
CHILLBOX_MESSAGE(cli::PackedArtifact)
CHILLBOX_MESSAGE(cli::Deployed)
CHILLBOX_MESSAGE(cli::RolloutHost)
CHILLBOX_MESSAGE(cli::RolloutReport)
CHILLBOX_MESSAGE(cli::FleetReport)
CHILLBOX_MESSAGE(cli::Opened)
CHILLBOX_MESSAGE(cli::HostExport)
CHILLBOX_MESSAGE(cli::HostImport)
CHILLBOX_MESSAGE(cli::NginxDiff)
CHILLBOX_MESSAGE(cli::Script)

} // namespace chillbox::control

namespace chillbox::cli {

std::string hold_text(const control::Hold& hold) {
  return cat("held by ", hold.actor, " since ", rfc3339(hold.time_ms / 1000), ": ", hold.why);
}

std::string schema_document() {
  using control::Json;
  using control::schema_of;
  auto all = control::answers();
  for (const auto& [name, schema] : std::initializer_list<control::Answer>{
           {"agent", schema_of<AgentAnswer>},
           {"agent-lock", schema_of<Changed>},
           {"bootstrap", schema_of<Script>},
           {"ci-add", schema_of<Changed>},
           {"ci-list", schema_of<CiKeys>},
           {"ci-remove", schema_of<Changed>},
           {"completion", schema_of<Script>},
           {"config", schema_of<LaptopConfig>},
           {"config-set", schema_of<Changed>},
           {"backup-pull", schema_of<control::BackupAnswer>},
           {"backup-push", schema_of<control::BackupAnswer>},
           {"deploy", schema_of<Deployed>},
           {"fleet", schema_of<FleetReport>},
           {"fleet-init", schema_of<Script>},
           {"rollout", schema_of<RolloutReport>},
           {"doctor", schema_of<Checks>},
           {"init", schema_of<Initialized>},
           {"setup", schema_of<SetUp>},
           {"host-export", schema_of<HostExport>},
           {"host-import", schema_of<HostImport>},
           {"hosts", schema_of<Hosts>},
           {"hosts-remove", schema_of<Changed>},
           {"whoami", schema_of<Person>},
           {"keygen", schema_of<KeyPair>},
           {"new", schema_of<NewSite>},
           {"nginx_diff", schema_of<NginxDiff>},
           {"notify-add", schema_of<Changed>},
           {"notify-remove", schema_of<Changed>},
           {"open", schema_of<Opened>},
           {"pack", schema_of<PackedArtifact>},
           {"passphrase", schema_of<Changed>},
           {"recover", schema_of<Changed>},
           {"recover-words", schema_of<Changed>},
           {"secrets-change", schema_of<Changed>},
           {"secrets-diff", schema_of<SecretDiff>},
           {"secrets-list", schema_of<SecretList>},
           {"secrets-pack", schema_of<PackedArtifact>},
           {"secrets-push", schema_of<Changed>},
           {"trust", schema_of<TrustedKeys>},
           {"trust-add", schema_of<Changed>},
           {"trust-keep", schema_of<Changed>},
           {"trust-remove", schema_of<Changed>},
           {"validate", schema_of<Validated>},
           {"webhook", schema_of<Senders>},
           {"webhook-add", schema_of<Changed>},
           {"webhook-remove", schema_of<Changed>},
           {"webhook-rotate", schema_of<Changed>},
       })
    all.push_back({name, schema});
  Json defs = Json::object(), any = Json::array();
  for (const auto& answer : all) {
    const std::string name = cat("chillbox.", answer.name, ".v1");
    Json schema = answer.schema(defs);
    schema["properties"]["schema"] = {{"const", name}};
    schema["required"].push_back("schema");
    defs[name] = std::move(schema);
    any.push_back({{"$ref", cat("#/$defs/", name)}});
  }
  return Json{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
             {"title", "What chillboxctl prints with --json"},
             {"description",
                 "One object for each answer, named by its member schema. Times are milliseconds since "
                 "1970, UTC. A newer release may add members."},
             {"anyOf", std::move(any)}, {"$defs", std::move(defs)}}
             .dump(2) +
      "\n";
}

} // namespace chillbox::cli
