// Which certificates a host should have: one for the names of each live site, one more for its
// wildcards, one for the host's own name. Read from what is live, changes nothing.
#pragma once

#include "config/host.hpp"
#include "config/site.hpp"
#include "control/certificate.hpp"
#include "nginx/balance.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "store/store.hpp"

#include <set>
#include <string>
#include <vector>

namespace chillbox::tls {

struct Wanted {
  std::string id, site;           // site "" : the host's own name
  std::string release;            // that is live
  std::vector<std::string> names; // the canonical one first
  std::string mode = "auto", challenge = "http-01", dns, profile;
  bool memory = false;
  config::Tls tls = {};
  std::string why_not = {}; // no CA is asked for it, because
  bool orders() const { return mode == "auto" && why_not.empty(); }
};

// Of a site: one for its names, and one for its wildcards if it has some.
std::vector<Wanted> wanted_of(const config::Site& site, const std::string& release, os::Disk& disk,
    const os::Paths& paths, const config::HostConfig& config);
// The names that a site with this NGINX text will answer for on http only, and why.
std::vector<control::PlainName> plain_names(const config::Site& site, std::string_view nginx_text,
    os::Disk& disk, const os::Paths& paths, const config::HostConfig& config);

struct Plan {
  std::vector<Wanted> wanted;
  std::set<std::string> unknown; // sites whose files cannot be read: nothing of theirs is changed
};
// A balancer has one for each site that it balances; its hosts ask no CA for those.
Result<Plan> make_plan(store::Store& store, os::Disk& disk, const os::Paths& paths,
    const config::HostConfig& config, const nginx::Fleet& fleet = {});

} // namespace chillbox::tls
