// /.chillbox/status of a site that wants one ("status_page"): for anybody, whether it is up, and
// since when. A file in /run/chillbox/status that NGINX sends: nobody is asked for it, so that it
// is there while the site, or chillboxd, is not. It says one of a few words of ours and a time,
// nothing that a site, a visitor or an operator chose.
#pragma once

#include "nginx/nginx.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::nginx {

enum class PublicState { unknown, up, partly, down, maintenance };

std::string status_dir(const os::Paths& paths); // the sites that have a page: SITE.html
// The location, for a server of the site; "": it wants none.
std::string status_location(const SiteInput& in);
// With the text of a site: its page begins, or ends.
Result<void> keep_status_page(
    os::Disk& disk, const os::Paths& paths, const SiteName& site, std::string_view text);
// Writes only what is another state than the page has, and nothing where there is no page.
Result<void> write_status_page(
    os::Disk& disk, const os::Paths& paths, const SiteName& site, PublicState state, int64_t now_s);

} // namespace chillbox::nginx
