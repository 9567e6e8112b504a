// A site takes nothing that existed before it. Its user, its group and its directories in places
// that others use too (/var/lib, /srv, ...) are made by us, exclusively, and the store says so;
// only what it says, and what is still as it was made, is the site's. Anything else under these
// names refuses the site, by its own name: no list of names could be complete.
//
//   user, group   recorded without an id, made, recorded with it; after a crash a record without
//                 an id says that what user-add makes is ours
//   directory     recorded, then made; it is ours while it belongs to whom we gave it: the data to
//                 the site's user (or, while it is empty, to root), others to root
//
// A record stays while the thing does: a site that was removed with its data kept comes back to
// them.
#pragma once

#include "config/site.hpp"
#include "rollout/host_context.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

std::string nginx_logs(const os::Paths& paths, const SiteName& site); // /var/log/nginx/SITE
std::string nginx_cache(const os::Paths& paths,
    const SiteName& site); // /var/cache/nginx/SITE, which NGINX gives to its workers
// Where templates of the original look for files.
std::string source_dir(const os::Paths& paths, const SiteName& site); // /usr/local/src/SITE
std::string srv_dir(const os::Paths& paths, const SiteName& site);    // /srv/SITE

// Lists what exists, is not the site's, and would have to be, one a line. `compatible`: the
// directories for templates are needed as well.
std::vector<std::string> foreign_assets(
    HostContext& host, const config::Site& site, bool compatible);
// The site's own user, made when it does not exist.
Result<os::User> claim_user(HostContext& host, const SiteName& site);
// Makes sure that the directory exists and is the site's: root's and closed when it is new.
// conflict: it is somebody else's.
Result<void> claim_directory(HostContext& host, const SiteName& site, const std::string& path);
// Removes the records of what does not exist any more.
Result<void> forget_missing(HostContext& host, const SiteName& site);
// Removes the directory with all that is in it, if it is the site's.
Result<void> remove_directory(HostContext& host, const SiteName& site, const std::string& path);
// For a purge: removes the site's directories with all that is in them. Somebody else's stay;
// returns their paths.
Result<std::vector<std::string>> remove_directories(HostContext& host, const SiteName& site);
Result<void> remove_user(HostContext& host, const SiteName& site);

// Records once what sites from before there were records have, when it is as we made it then.
// Returns a line for each that is not.
std::vector<std::string> adopt_assets(os::Disk& disk, const os::Paths& paths, store::Store& store);
// Does the same for one site, of which nothing but its releases is left.
Result<void> adopt_site(os::Disk& disk, const os::Paths& paths, store::Store& store,
    const SiteName& site, std::vector<std::string>& lines);

} // namespace chillbox::rollout
