// ci add, list, remove: a machine that may deploy one site. On the host it is a trusted key and a
// webhook sender, of one name and both limited to that site: releases alone, no secrets, no
// rollback, no restart. Here nothing is kept: the line is printed once (cli/laptop/ci_bundle.hpp).
#include "cli/core/answers.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/http/url.hpp"
#include "cli/laptop/ci_bundle.hpp"
#include "cli/laptop/remote_ctl.hpp"
#include "cli/laptop/target.hpp"
#include "crypto/minisign.hpp"
#include "os/runner.hpp"
#include "os/sandbox.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr size_t k_name_bytes = 2;

constexpr Option k_ci_site{"SITE", ArgKind::text, "", "the one site that it may deploy"};
constexpr std::array k_ci_add_options{
    k_ci_site,
    k_to_host,
    Option{"--rotate", ArgKind::flag, "",
        "a new line; once it is handed over, the old one is refused"},
    Option{"--approve", ArgKind::flag, "",
        "without keys: the CI packs, and a person deploys it with `approve`"},
    Option{"--github", ArgKind::flag, "",
        "give the line to `gh secret set CHILLBOX_CI`, and do not print it"},
    Option{"--url", ArgKind::text, "URL",
        "where the CI reaches the host (default: https:// and the host's own name)"},
};
constexpr std::array k_ci_list_options{k_to_host};
constexpr std::array k_ci_remove_options{
    k_ci_site,
    k_to_host,
    Option{"--revoke", ArgKind::flag, "",
        "the line was stolen: what it deployed is not started again"},
};

Result<std::vector<Target>> targets_of(Call& call, std::string_view example) {
  const auto project = TRY(find_project());
  return find_targets(Places::find(),
      {.flag = call.args.list("host"),
          .project = project ? &*project : nullptr,
          .example = std::string(example)});
}

Result<RemoteCtl> one_host(Call& call, std::string_view verb, const std::string& site) {
  auto targets = TRY(targets_of(call, cat("chillboxctl ", verb, " ", site)));
  if (targets.size() != 1)
    return fail(Code::usage, cat("a CI key is for one host: name it with -H"));
  return RemoteCtl::open(Places::find(), std::move(targets.front()));
}

// What the host has of the CIs of a site, by name: SITE-ci, and SITE-ci-XXXX after a --rotate, so
// that a new line can work while the old one still does.
struct There {
  std::vector<std::string> keys, senders;
  bool any() const { return !keys.empty() || !senders.empty(); }
  bool whole() const {
    return std::ranges::any_of(
        keys, [&](const auto& name) { return std::ranges::find(senders, name) != senders.end(); });
  }
};

bool is_ci_name(std::string_view name, const std::string& site) {
  const std::string first = ci_name(site);
  return name == first ||
      (name.starts_with(cat(first, "-")) && name.size() == first.size() + 1 + 2 * k_name_bytes);
}

bool is_ci(const TrustedKeyRow& key) {
  return key.only == "releases" && key.sites.size() == 1 && is_ci_name(key.name, key.sites[0]);
}

bool is_ci(const SenderRow& sender, const std::string& site) {
  return sender.sites == std::vector{site} &&
      sender.types == std::vector<std::string>{"site.deploy"};
}

Result<There> look(RemoteCtl& host, const std::string& site) {
  There there;
  for (auto& key : TRY(host.ask<TrustedKeys>({"trust", "list"})).keys)
    if (is_ci_name(key.name, site)) {
      if (!is_ci(key) || key.sites[0] != site)
        return fail(Code::conflict,
            cat(host.name(), " trusts a key ", key.name,
                " that is not of `ci add`: chillboxctl trust list -H ", host.name()));
      there.keys.push_back(key.name);
    }
  for (auto& sender : TRY(host.ask<Senders>({"webhook", "list"})).senders)
    if (is_ci_name(sender.name, site)) {
      if (!is_ci(sender, site))
        return fail(Code::conflict,
            cat(host.name(), " has a webhook sender ", sender.name,
                " that is not of `ci add`: chillboxctl webhook list -H ", host.name()));
      there.senders.push_back(sender.name);
    }
  return there;
}

Result<void> take_away(RemoteCtl& host, const There& there, std::string_view how) {
  for (const auto& name : there.senders)
    (void)TRY(host.run({"webhook", "remove", "-q", "--", name}));
  for (const auto& name : there.keys)
    (void)TRY(host.run({"trust", "remove", "-q", std::string(how), "--", name}));
  return {};
}

// The two grants. Half of them is none: what was given is taken back when the other fails.
Result<void> grant(RemoteCtl& host, const std::string& name, CiBundle& bundle) {
  const auto key = crypto::MinisignSecretKey::generate();
  (void)TRY(host.run({"trust", "add", "-q", "--only-releases", "--sites", bundle.site, "--name",
      name, "--", key.public_key().to_line()}));
  auto hook = host.run(
      {"webhook", "add", "-q", "--sites", bundle.site, "--types", "site.deploy", "--", name});
  if (!hook) {
    (void)host.run({"trust", "remove", "-q", "--keep-live", "--", name});
    return std::unexpected(hook.error());
  }
  bundle.key = TRY(key.to_file(SecretBytes()));
  bundle.hook = SecretBytes(bytes_of(answer_in(*hook)));
  wipe(hook->data(), hook->size());
  return {};
}

// The host's own name by https, unless the person knows better.
Result<std::string> url_of(Call& call, const RemoteCtl& host, const control::Facts& facts) {
  if (call.args.has("url"))
    return TRY_IN("--url", parse_base_url(call.args.text("url")));
  if (host.target().record && !host.target().record->url.empty())
    return host.target().record->url;
  if (facts.server_name.empty() || facts.server_name == "_")
    return fail(Code::usage,
        cat(host.name(),
            " has no name of its own (server_name in its chillboxd.toml): where does "
            "the CI reach it? --url https://HOST"));
  return cat("https://", facts.server_name);
}

// gh reads the secret from its standard input, of the repository that it is run in.
Result<void> give_to_github(const std::string& line) {
  const std::string gh = TRY_IN("--github", find_program("gh"));
  std::error_code ignored;
  const auto exit = TRY_IN("--github",
      os::real_runner().run({.argv = {gh, "secret", "set", "CHILLBOX_CI"},
          .env = whole_environment(),
          .cwd = std::filesystem::current_path(ignored),
          .input = line,
          .no_new_privs = false}));
  if (!exit.ok())
    return fail(Code::failure,
        cat("gh secret set: ", printable(trim(exit.err.empty() ? exit.out : exit.err), 500)));
  return {};
}

Result<void> hand_over(Call& call, const CiBundle& bundle, const std::string& name) {
  const std::string line = ci_bundle_text(bundle);
  if (call.args.has("github")) {
    TRY(give_to_github(line));
    print_change(call, "ci-add", name, true, "stored: the secret CHILLBOX_CI of the repository");
  } else if (call.terminal.json()) {
    call.terminal.print(
        answer_text("ci-add", Changed{.name = name, .changed = true, .format = {}, .key = line}));
  } else {
    call.terminal.print(line);
  }
  if (bundle.key.empty()) {
    call.terminal.print_status(cat("the line has no key: the CI packs ", bundle.site, " for ",
        bundle.host, ", and prints the `approve` that deploys it"));
    return {};
  }
  call.terminal.print_status(
      cat(name, " may deploy ", bundle.site, " on ", bundle.host, " (", bundle.url,
          "), nothing else. Revoke: chillboxctl ci remove ", bundle.site, " -H ", bundle.host));
  if (call.terminal.out_is_terminal() && !call.args.has("github"))
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"),
        " this line is the key. It is shown only now and kept nowhere: store it as a secret of "
        "the CI, and clear the screen"));
  return {};
}

Result<void> run_ci_add(Call& call) {
  TRY(os::deny_core_and_ptrace());
  const std::string site = TRY(SiteName::parse(call.args.text("SITE"))).str();
  const bool approve = call.args.has("approve");
  if (approve && call.args.has("rotate"))
    return fail(Code::usage, "with --approve there is no key to --rotate");
  RemoteCtl host = TRY(one_host(call, "ci add", site));
  CiBundle bundle;
  bundle.host = host.name();
  bundle.site = site;
  bundle.facts = TRY(host.ask<control::Facts>({"facts"}));
  bundle.url = TRY(url_of(call, host, bundle.facts));
  if (approve)
    return hand_over(call, bundle, ci_name(site));
  const There there = TRY(look(host, site));
  if (there.whole() && !call.args.has("rotate"))
    return fail(Code::conflict,
        cat(host.name(), " has ", ci_name(site),
            " already, and its line is not shown again: --rotate makes a new one"));
  // A name that is free; half of a grant, of a run that broke off, is not.
  const std::string name =
      there.any() ? cat(ci_name(site), "-", random_token(k_name_bytes)) : ci_name(site);
  TRY(grant(host, name, bundle));
  if (auto given = hand_over(call, bundle, name); !given) {
    TRY(take_away(host, {{name}, {name}}, "--keep-live"));
    return given;
  }
  // Last: until the new line is where it belongs, the old one works.
  if (const auto gone = take_away(host, there, "--keep-live"); !gone)
    return fail(gone.error().code,
        cat("the new line works, and so does the old one: ", gone.error().message,
            ". Run it again with --rotate, or on the host: chillboxctl webhook remove, trust remove"));
  return {};
}

Result<void> run_ci_list(Call& call) {
  CiKeys answer;
  std::vector<std::string> faults;
  Table table{{"NAME", "HOST", "SITE", "KEY ID"}, {}};
  for (Target& target : TRY(targets_of(call, "chillboxctl ci list"))) {
    RemoteCtl host = TRY(RemoteCtl::open(Places::find(), std::move(target)));
    const auto trusted = TRY(host.ask<TrustedKeys>({"trust", "list"}));
    for (const auto& fault : trusted.faults)
      faults.push_back(cat(host.name(), ": ", fault));
    for (const auto& key : trusted.keys)
      if (is_ci(key)) {
        answer.keys.push_back({key.name, host.name(), key.sites[0], key.id});
        table.rows.push_back({key.name, host.name(), key.sites[0], key.id});
      }
  }
  if (call.terminal.json())
    call.terminal.print(answer_text("ci-list", answer));
  else
    print_table(call.terminal, table, "no CI may deploy: chillboxctl ci add SITE");
  print_faults(call, faults);
  return {};
}

Result<void> run_ci_remove(Call& call) {
  const std::string site = TRY(SiteName::parse(call.args.text("SITE"))).str();
  RemoteCtl host = TRY(one_host(call, "ci remove", site));
  const There there = TRY(look(host, site));
  if (!there.any()) {
    print_change(call, "ci-remove", ci_name(site), false,
        cat("unchanged: no CI may deploy ", site, " on ", host.name()));
    return {};
  }
  const bool revoke = call.args.has("revoke");
  TRY(take_away(host, there, revoke ? "--revoke" : "--keep-live"));
  print_change(call, "ci-remove", ci_name(site), true,
      cat("removed: ", ci_name(site), " may not deploy ", site, " on ", host.name(),
          " any more; what it made live ",
          revoke ? "keeps running, and is not started again: deploy or roll back to something else"
                 : "stays good"));
  return {};
}

} // namespace

extern constinit const Verb k_ci_add{"ci add", Group::laptop, Where::laptop,
    "print the line with which a CI may deploy one site", k_ci_add_options, run_ci_add};
extern constinit const Verb k_ci_list{"ci list", Group::laptop, Where::laptop,
    "show which sites a CI may deploy", k_ci_list_options, run_ci_list};
extern constinit const Verb k_ci_remove{"ci remove", Group::laptop, Where::laptop,
    "let the CI of a site deploy no more", k_ci_remove_options, run_ci_remove};

} // namespace chillbox::cli
