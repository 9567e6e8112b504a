#include "tls/plan.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/certificate.hpp"
#include "crypto/certificate.hpp"
#include "nginx/nginx.hpp"
#include "tls/files.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr size_t k_tlsserver_names = 25, k_most_names = 100;

std::string mode_name(config::Tls::Mode mode) {
  switch (mode) {
  case config::Tls::Mode::off: return "off";
  case config::Tls::Mode::provided: return "provided";
  case config::Tls::Mode::edge: return "edge";
  default: return "auto";
  }
}

// A public CA certifies names of the public tree only; one of the administrator's own may know
// others.
std::string why_not_ours(const Wanted& wanted, const config::HostTls& tls) {
  if (!tls.issues())
    return "tls.acme is \"off\" in chillboxd.toml";
  if (tls.acme.starts_with("https://"))
    return {};
  for (const auto& name : wanted.names)
    if (config::is_public_name(name.starts_with("*.") ? name.substr(2) : name))
      return {};
  return cat("no public CA certifies ", wanted.names.front(), ": it is not a public name");
}

// More than a profile takes: one that takes them.
void fit(Wanted& wanted) {
  if (wanted.names.size() > k_tlsserver_names && wanted.profile == "tlsserver")
    wanted.profile = "classic";
  if (wanted.names.size() > k_most_names) {
    log::warn(cat("site '", wanted.site, "': only its first ", k_most_names,
        " names fit into a certificate"));
    wanted.names.resize(k_most_names);
  }
}

void add_host(Plan& plan, const config::HostConfig& config) {
  const std::string name = nginx::host_name_of(config);
  if (name.empty() || !config.tls_certificate.empty())
    return;
  Wanted host{.id = std::string(control::k_host_certificate),
      .site = "",
      .release = "",
      .names = {name},
      .profile = config::profile_of({}, config.tls)};
  host.why_not = why_not_ours(host, config.tls);
  plan.wanted.push_back(std::move(host));
}

// TLS ends at the balancer, whose key and names are its own.
void add_balanced(Plan& plan, const nginx::Fleet& fleet, const config::HostConfig& config) {
  for (auto& wanted : plan.wanted)
    if (wanted.mode == "auto" && wanted.why_not.empty() && fleet.balanced(wanted.site))
      wanted.why_not = "TLS ends at the balancers of its fleet";
  if (!fleet.balances())
    return;
  for (const auto& site : fleet.sites) {
    if (plan.unknown.contains(site.site) ||
        std::ranges::find(plan.wanted, site.site, &Wanted::site) != plan.wanted.end())
      continue; // it is deployed here, and no other server has its names
    Wanted wanted{.id = site.site,
        .site = site.site,
        .release = join(site.names, " "),
        .names = site.names,
        .profile = config::profile_of({}, config.tls)};
    wanted.why_not = why_not_ours(wanted, config.tls);
    fit(wanted);
    plan.wanted.push_back(std::move(wanted));
  }
}

} // namespace

std::vector<Wanted> wanted_of(const config::Site& site, const std::string& release, os::Disk& disk,
    const os::Paths& paths, const config::HostConfig& config) {
  std::vector<Wanted> all;
  const bool dns = site.tls.challenge == config::Tls::Challenge::dns_01;
  Wanted plain{.id = site.slug.str(),
      .site = site.slug.str(),
      .release = release,
      .names = {},
      .mode = mode_name(site.tls.mode),
      .challenge = dns ? "dns-01" : "http-01",
      .dns = site.tls.dns,
      .profile = config::profile_of(site.tls, config.tls),
      .memory = site.tls.key_in_memory,
      .tls = site.tls};
  if (has_own_files(disk, paths, plain.site))
    plain.mode = "provided";
  Wanted wild = plain;
  wild.id += ".wildcard";
  for (const auto& name : site.domains)
    (name.starts_with("*.") ? wild : plain).names.push_back(name);
  for (Wanted* one : {&plain, &wild}) {
    if (one->names.empty() || (one == &wild && one->mode != "auto" && one->mode != "provided"))
      continue;
    one->why_not = one->mode == "auto" ? why_not_ours(*one, config.tls) : "";
    if (one == &wild && !dns && one->why_not.empty())
      one->why_not =
          cat("a wildcard needs \"challenge\": \"dns-01\" and \"dns\" in the site's \"tls\": ",
              one->names.front());
    fit(*one);
    all.push_back(std::move(*one));
  }
  return all;
}

std::vector<control::PlainName> plain_names(const config::Site& site, std::string_view nginx_text,
    os::Disk& disk, const os::Paths& paths, const config::HostConfig& config) {
  std::vector<control::PlainName> plain;
  std::vector<std::string> known;
  for (const auto& wanted : wanted_of(site, "", disk, paths, config)) {
    std::ranges::copy(wanted.names, std::back_inserter(known));
    const std::string why =
        wanted.mode == "off" ? "\"tls\" in the site file is off" : wanted.why_not;
    for (const auto& name : wanted.names)
      if (!why.empty())
        plain.push_back({name, why});
  }
  for (const auto& name : nginx::all_names(nginx_text))
    if (std::ranges::none_of(known, [&](const auto& one) { return crypto::covers(one, name); }))
      plain.push_back({name,
          "the site's NGINX template answers for it, but it is not in domain_list or aliases"});
  return plain;
}

Result<Plan> make_plan(store::Store& store, os::Disk& disk, const os::Paths& paths,
    const config::HostConfig& config, const nginx::Fleet& fleet) {
  Plan plan;
  for (const auto& row : TRY(store.sites())) {
    if (row.live.empty())
      continue;
    const std::string file =
        cat(paths.releases(row.site), "/", row.live, "/", row.site.str(), ".site.json");
    const auto text = disk.read(file, config::k_max_site_json);
    auto site = text ? config::parse_site(*text, row.site) : std::unexpected(text.error());
    if (!site) { // a release in memory, before its rebuild
      plan.unknown.insert(row.site.str());
      continue;
    }
    std::ranges::move(
        wanted_of(*site, row.live, disk, paths, config), std::back_inserter(plan.wanted));
  }
  add_balanced(plan, fleet, config);
  add_host(plan, config);
  return plan;
}

} // namespace chillbox::tls
