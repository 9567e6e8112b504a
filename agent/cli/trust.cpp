// trust add, list, remove: /etc/chillbox/trusted/NAME.pub (the format is artifact/verify.hpp's).
#include "artifact/verify.hpp"
#include "cli/daemon.hpp"
#include "cli/host_setup.hpp"
#include "cli/input.hpp"
#include "cli/reply.hpp"
#include "cli/table.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

#include "base/text.hpp"

#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_key_file = 8 * 1024;
constexpr std::string_view k_suffix = ".pub";

struct Candidate {
  crypto::MinisignPublicKey key;
  std::string name; // "" : the caller must say one
};

// A .pub file, else the key itself.
Result<Candidate> candidate_of(const std::string& text) {
  const std::filesystem::path path(text);
  if (os::real_disk().exists(text)) {
    const std::string content = TRY(read_input(text, k_max_key_file));
    const auto key = TRY_IN(printable(text, 1024), crypto::MinisignPublicKey::parse(content));
    return Candidate{key, path.stem()};
  }
  auto key = crypto::MinisignPublicKey::parse(text);
  if (!key)
    return fail(Code::invalid, cat("'", printable(text, 80), "' is neither a file here nor a minisign public key: ", key.error().message));
  return Candidate{*key, ""};
}

std::string limits_of(const artifact::TrustedKey& key) { return key.sites.empty() ? "all" : join(key.sites, ","); }

Result<void> check_change(const std::vector<artifact::TrustedKey>& there, const artifact::TrustedKey& wanted) {
  for (const auto& key : there) {
    if (key.name == wanted.name && key.key.to_line() != wanted.key.to_line())
      return fail(Code::conflict, cat("'", wanted.name, "' is trusted with another key, ", crypto::key_id_text(key.key.id),
                                      ": remove it first, or choose another --name"));
    if (key.name != wanted.name && key.key.to_line() == wanted.key.to_line())
      return fail(Code::conflict, cat("this key is trusted already, as '", key.name, "'"));
  }
  return {};
}

} // namespace

Result<void> run_trust_add(Call& call) {
  TRY(require_root(call.paths, "trust add"));
  const Candidate candidate = TRY(candidate_of(call.args.text("KEY")));
  const std::string given = call.args.text("name", candidate.name);
  if (given.empty())
    return fail(Code::usage, "a key without a file needs --name");
  const std::string name = TRY_IN("--name", parse_key_name(given));
  const auto sites = TRY(sites_of(call.args));
  const artifact::TrustedKey wanted{name, candidate.key, sites};
  const auto there = TRY(artifact::load_trusted(call.paths.trusted()));
  const std::string id = crypto::key_id_text(wanted.key.id);
  for (const auto& key : there)
    if (key.key.to_line() == wanted.key.to_line() && key.sites == wanted.sites && (key.name == name || !call.args.has("name"))) {
      tell_change(call, "trust-add", key.name, false, cat("already so: ", key.name, "  ", id, "  sites: ", limits_of(key)));
      return {};
    }
  TRY(check_change(there, wanted));
  os::Disk& disk = os::real_disk();
  TRY(disk.make_dir(call.paths.trusted(), 0755, root_owner(call.paths)));
  TRY(disk.write(cat(call.paths.trusted(), "/", name, k_suffix), artifact::trusted_text(wanted), 0644, root_owner(call.paths)));
  tell_change(call, "trust-add", name, true, cat("trusted: ", name, "  ", id, "  sites: ", limits_of(wanted)));
  return ask_reload(call.paths);
}

Result<void> run_trust_list(Call& call) {
  const auto keys = TRY(artifact::load_trusted(call.paths.trusted()));
  if (call.terminal.json()) {
    std::vector<std::string> rows;
    for (const auto& key : keys)
      rows.push_back(json_text({{"name", key.name}, {"id", crypto::key_id_text(key.key.id)}, {"key", key.key.to_line()}, {"sites", key.sites}}));
    call.terminal.print(with_array(result_text("trust", {}), "keys", rows));
    return {};
  }
  Table table{{"NAME", "KEY ID", "SITES"}, {}};
  for (const auto& key : keys)
    table.rows.push_back({key.name, crypto::key_id_text(key.key.id), limits_of(key)});
  print_table(call.terminal, table, "nobody is trusted: chillboxctl trust add FILE.pub");
  return {};
}

Result<void> run_trust_remove(Call& call) {
  TRY(require_root(call.paths, "trust remove"));
  const std::string name = TRY(parse_key_name(call.args.text("NAME")));
  const std::string path = cat(call.paths.trusted(), "/", name, k_suffix);
  os::Disk& disk = os::real_disk();
  if (!disk.exists(path))
    return no_such("trusted key", name, TRY(names_in(call.paths.trusted(), k_suffix)));
  TRY(disk.remove(path));
  tell_change(call, "trust-remove", name, true, cat("removed: ", name, " is trusted no more"));
  return ask_reload(call.paths);
}

} // namespace chillbox::cli
