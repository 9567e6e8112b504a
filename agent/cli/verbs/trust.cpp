// trust add, list, remove, keep: manage /etc/chillbox/trusted/NAME.pub, in the format that
// artifact/verify.hpp describes.
#include "artifact/verify.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr Option k_limit_sites{"--sites", ArgKind::list, "SITE[,..]", "only for these sites"};
constexpr std::array k_trust_add_options{
    Option{"KEY", ArgKind::text, "",
        "a .pub file of minisign, or of an Ed25519 key of ssh, or the key itself"},
    Option{"--name", ArgKind::text, "NAME",
        "name of the deployer (default: the file's name, other characters as -)"},
    k_limit_sites,
    Option{"--only-releases", ArgKind::flag, "", "only releases, no secret set"},
};
constexpr std::array k_trust_remove_options{
    Option{"NAME", ArgKind::deployer, "", "its name"},
    Option{"--keep-live", ArgKind::flag, "",
        "what it signed and is live stays good: its owner has a new key, or has left"},
    Option{"--revoke", ArgKind::flag, "",
        "nothing it signed is started again, not even what is live: the key was stolen"},
};

constexpr std::string_view k_trusted_suffix = ".pub";

struct Candidate {
  crypto::SigningKey key;
  std::string name; // "": the caller must give one
};

// A .pub file, else the key itself.
Result<Candidate> candidate_of(const std::string& text) {
  if (os::real_disk().exists(text)) {
    const std::string content = TRY(read_input(text, k_max_key_file));
    const auto key = TRY_IN(printable(text, 1024), crypto::SigningKey::parse(content));
    return Candidate{key, name_of_key_file(text)};
  }
  auto key = crypto::SigningKey::parse(text);
  if (!key)
    return fail(Code::invalid,
        cat("'", printable(text, 80),
            "' is neither a file here nor a public key of minisign or ssh: ", key.error().message));
  return Candidate{*key, ""};
}

std::string limits_of(const artifact::TrustedKey& key) {
  return cat(
      key.sites.empty() ? "all" : join(key.sites, ","), key.only_releases ? "; only releases" : "");
}

Result<void> check_change(
    const std::vector<artifact::TrustedKey>& there, const artifact::TrustedKey& wanted) {
  for (const auto& key : there) {
    if (key.name == wanted.name && key.key.to_line() != wanted.key.to_line())
      return fail(Code::conflict,
          cat("'", wanted.name, "' is trusted with another key, ", key.key.id(),
              ": remove it first, or choose another --name"));
    if (key.name != wanted.name && key.key.to_line() == wanted.key.to_line())
      return fail(Code::conflict, cat("this key is already trusted, as '", key.name, "'"));
  }
  return {};
}

Result<void> run_trust_add(Call& call) {
  TRY(require_root(call.paths, "trust add"));
  const Candidate candidate = TRY(candidate_of(call.args.text("KEY")));
  const std::string given = call.args.text("name", candidate.name);
  if (given.empty())
    return fail(Code::usage, "a key without a file needs --name");
  const std::string name = TRY_IN("--name", parse_key_name(given));
  const auto sites = TRY(sites_of(call.args));
  const artifact::TrustedKey wanted{name, candidate.key, sites, call.args.has("only-releases")};
  const auto there = artifact::read_trusted_keys(call.paths.trusted()).keys;
  const std::string id = wanted.key.id();
  for (const auto& key : there)
    if (key.key.to_line() == wanted.key.to_line() && key.sites == wanted.sites &&
        key.only_releases == wanted.only_releases && (key.name == name || !call.args.has("name"))) {
      print_change(call, "trust-add", key.name, false,
          cat("unchanged: ", key.name, "  ", id, "  sites: ", limits_of(key)));
      return {};
    }
  TRY(check_change(there, wanted));
  os::Disk& disk = os::real_disk();
  const std::string path = cat(call.paths.trusted(), "/", name, k_trusted_suffix);
  if (disk.exists(path) &&
      std::ranges::find(there, name, &artifact::TrustedKey::name) == there.end())
    return fail(Code::conflict,
        cat(path,
            " exists and cannot be used: `chillboxctl trust list` says why; chillboxctl trust remove ",
            name, " removes it"));
  TRY(disk.make_dir(call.paths.trusted(), 0755, os::root_owner(call.paths)));
  TRY(disk.write(path, artifact::trusted_key_text(wanted), 0644, os::root_owner(call.paths)));
  print_change(call, "trust-add", name, true,
      cat("trusted: ", name, "  ", id, "  sites: ", limits_of(wanted)));
  return ask_reload(call.paths);
}

Result<void> run_trust_list(Call& call) {
  const auto files = artifact::read_trusted_keys(call.paths.trusted());
  TrustedKeys all;
  Table table{{"NAME", "KEY ID", "SITES"}, {}};
  for (const auto& key : files.keys) {
    all.keys.push_back({key.name, key.key.id(), key.key.to_line(), key.sites,
        key.only_releases ? std::optional<std::string>("releases") : std::nullopt});
    table.rows.push_back({key.name, key.key.id(), limits_of(key)});
  }
  for (const auto& fault : files.faults)
    all.faults.push_back(fault.message);
  if (call.terminal.json())
    call.terminal.print(answer_text("trust", all));
  else if (!table.rows.empty() || all.faults.empty())
    print_table(call.terminal, table, "nobody is trusted: chillboxctl trust add FILE.pub");
  print_faults(call, all.faults);
  return {};
}

// What the key signed and is live now, a site or its secrets each; nullopt: chillboxd does not
// answer.
Result<std::optional<std::vector<std::string>>> uses_of(Call& call, const std::string& name,
    const std::string& fingerprint, std::vector<std::string>& sites) {
  const auto answer =
      ask(call.paths, {.verb = "key_uses", .args = {.name = name, .fingerprint = fingerprint}});
  if (!answer && answer.error().code == Code::unreachable)
    return std::optional<std::vector<std::string>>();
  if (!answer)
    return std::unexpected(answer.error());
  std::vector<std::string> uses;
  for (const auto& use : TRY(control::read_answer<control::KeyUses>(*answer)).uses) {
    uses.push_back(
        use.version.empty() ? cat("the secrets of ", use.site) : cat(use.site, " ", use.version));
    if (std::ranges::find(sites, use.site) == sites.end())
      sites.push_back(use.site);
  }
  return uses;
}

Result<void> keep(Call& call, control::Arguments args) {
  (void)TRY(ask(call.paths, {.verb = "trust_keep", .args = std::move(args)}, &call.error_data));
  return {};
}

Result<void> run_trust_keep(Call& call) {
  TRY(require_root(call.paths, "trust keep"));
  const std::string site = call.args.text("SITE");
  TRY(keep(call, {.site = site}));
  print_change(call, "trust-keep", site, true,
      cat("kept: what is live of '", site, "' stays good without its signer"));
  return {};
}

// A release that is live but signed by a removed key does not start after a reboot, so the
// administrator must choose what happens to it.
Result<void> run_trust_remove(Call& call) {
  TRY(require_root(call.paths, "trust remove"));
  const std::string name = TRY(parse_key_name(call.args.text("NAME")));
  const std::string path = cat(call.paths.trusted(), "/", name, k_trusted_suffix);
  os::Disk& disk = os::real_disk();
  if (!disk.exists(path))
    return no_such("trusted key", name, TRY(names_in(call.paths.trusted(), k_trusted_suffix)));
  const bool keep_live = call.args.has("keep-live"), revoke = call.args.has("revoke");
  if (keep_live && revoke)
    return fail(Code::usage, "give either --keep-live or --revoke");
  std::string key_text; // stays empty if the file has no valid key: its releases are then found by
                        // the name alone
  for (const auto& key : artifact::read_trusted_keys(call.paths.trusted()).keys)
    if (key.name == name)
      key_text = artifact::fingerprint(key.key);
  std::vector<std::string> sites;
  const auto uses = TRY(uses_of(call, name, key_text, sites));
  const std::string list = uses ? join(*uses, ", ") : "";
  if (!uses && keep_live)
    return fail(Code::unreachable,
        "--keep-live needs chillboxd, which does not answer: `rc-service chillboxd start` first");
  if (!list.empty() && !keep_live && !revoke)
    return fail(Code::conflict,
        cat("'", name, "' signed what is live: ", list,
            ". --keep-live keeps it, if its owner has a new key; --revoke does not, if "
            "the key was stolen: it keeps running, and is not started again, not even after a reboot"));
  if (keep_live)
    for (const auto& site : sites)
      TRY_IN(cat("keep '", site, "'"),
          keep(call, {.site = site, .name = name, .fingerprint = key_text}));
  TRY(disk.remove(path));
  print_change(call, "trust-remove", name, true, cat("removed: ", name, " is no longer trusted"));
  if (!list.empty())
    call.terminal.print_status(keep_live
            ? cat("kept: ", list)
            : cat("still running: ", list,
                  ": deploy or roll back to something else, or stop it; a reboot does not bring it back"));
  if (!uses)
    call.terminal.print_status(
        "chillboxd does not answer: what this key signed, if it is live, does not come up when chillboxd starts; `chillboxctl trust keep SITE` keeps it");
  return ask_reload(call.paths);
}

} // namespace

extern constinit const Verb k_trust_add{"trust add", Group::setup, Where::host,
    "trust the signatures of a deployer", k_trust_add_options, run_trust_add};
extern constinit const Verb k_trust_list{"trust list", Group::setup, Where::host,
    "show whose signatures are trusted", {}, run_trust_list};
extern constinit const Verb k_trust_remove{"trust remove", Group::setup, Where::host,
    "stop trusting a deployer", k_trust_remove_options, run_trust_remove};
extern constinit const Verb k_trust_keep{"trust keep", Group::setup, Where::host,
    "keep what is live of a site whose signer is no longer trusted", k_only_site, run_trust_keep};

} // namespace chillbox::cli
