// What verbs of the laptop and of the host's files answer with --json; what the daemon answers is
// in control/messages.hpp. answers.cpp has the one table of the members of each.
#pragma once

#include "control/messages.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

using control::answer_text;

struct Changed { // trust, webhook
  std::string name;
  bool changed = false; // false: it was so already
  std::optional<std::string> format, key;
};
struct TrustedKeyRow {
  std::string name, id, key;
  std::vector<std::string> sites; // none: all
  std::optional<std::string> only;
};
struct TrustedKeys {
  std::vector<TrustedKeyRow> keys;
  std::vector<std::string> faults;
};
struct CiKey {
  std::string name, host, site, id;
};
struct CiKeys {
  std::vector<CiKey> keys;
};
struct SenderRow {
  std::string name, format;
  uint64_t keys = 0;                     // so many are good
  std::string until;                     // when an older one ends, "" : there is none
  std::vector<std::string> sites, types; // none: all
};
struct Senders {
  std::vector<SenderRow> senders;
  std::vector<std::string> faults;
};
struct KeyPair {
  std::string secret_key, public_key; // paths
  std::string id, key;
};
struct AgentAnswer {
  bool unlocked = false;
  std::string name, id;
  uint64_t left_s = 0;
};
struct SecretRow {
  std::string file, key, by, digest;
  int64_t changed_ms = 0;
};
struct SecretList {
  std::string site;
  std::vector<SecretRow> secrets;
};
struct SecretDiff { // a line for each host
  std::string host;
  bool sent = false;                // this machine has sent it some before
  std::vector<std::string> differs; // "~ web/web.env:DB_URL"
};
struct LaptopConfig { // config.toml
  std::string host, editor;
  uint64_t agent_idle_s = 0;
};
struct Initialized {
  std::string recipient;
  std::vector<std::string> made;
};
struct KnownHost {
  std::string name, ssh, state, version;
  std::vector<std::string> sites;
};
struct Hosts {
  std::vector<KnownHost> hosts;
};
struct RoleRow {
  std::string name, role;
};
struct Person {
  std::string name, id, key, recipient;
  bool unlocked = false;
  std::vector<RoleRow> hosts;
};
struct SetUp { // of a host, from the laptop
  std::string host, ssh, recipient;
  std::vector<std::string> done;
  std::optional<std::vector<std::string>> will; // with --dry-run
  std::optional<bool> ok;
};
struct CheckRow {
  std::string health, what, text, todo;
};
struct Checks {
  bool ok = false;
  std::vector<CheckRow> checks;
};
struct Validated {
  std::string file, site, version;
  uint64_t services = 0;
};
struct NewSite {
  std::string site, path, kind, server_name;
};
struct PartRow {
  std::string name, kind;
  uint64_t files = 0, size = 0;
};
struct FileRow {
  std::string path;
  uint64_t size = 0;
};
struct PackedArtifact {
  std::string name, path, site, version;
  uint64_t size = 0;
  std::string sha256;
  uint64_t serial = 0, files = 0, unpacked = 0;
  std::string tar_sha256;
  std::optional<std::vector<PartRow>> contents; // of a release
  std::optional<std::vector<FileRow>> largest;
};
struct Deployed { // a line for each host
  std::string host, site, version;
  std::optional<Code> code; // nullopt: no error
  std::string message;
  std::optional<std::string> job, state, release; // if there is a job
  std::optional<bool> uploaded;
};
struct RolloutHost {
  std::string host, state, before, code, message, job;
};
struct RolloutReport { // of all its hosts
  std::string site, env, version, phase;
  std::vector<RolloutHost> hosts;
};
struct FleetRow {
  std::string host, address;
  std::vector<std::string> roles;
  bool first = false;
  std::optional<uint64_t> epoch;  // of the roster that it has
  std::string state;              // "unlocked", "locked", "drained"
  std::vector<std::string> sites; // "hello 1.2.0"
  std::string code, message;
};
struct FleetReport { // of all its hosts
  std::string fleet;
  uint64_t epoch = 0;
  std::vector<FleetRow> hosts;
  std::vector<control::BalancedSite> balanced;
  std::optional<std::vector<control::OrderedRollout>> rollouts = {}; // that the hosts walk
};
struct Opened {
  std::string site, url;
};
struct NginxDiff {
  std::string site, diff;
  bool reload = false;
};
struct Script { // bootstrap, completion
  std::string script;
  std::optional<std::string> shell;
};

// "held by WHO since TIME: WHY"
std::string hold_text(const control::Hold& hold);

// All schemas of `--json` as one JSON document: docs/control.schema.json.
std::string schema_document();

} // namespace chillbox::cli
