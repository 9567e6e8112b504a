#include "nginx/status_page.hpp"

#include "base/text.hpp"
#include "nginx/html_page.hpp"

#include <array>
#include <mutex>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_page_location = "location = /.chillbox/status {\n";

struct PageWords {
  std::string_view title, text;
};
constexpr std::array<PageWords, 5> k_words{
    PageWords{"Starting", "It is not known yet whether this site works"},
    PageWords{"Up", "This site works"},
    PageWords{"Partly down", "Some of this site does not work at the moment"},
    PageWords{"Down", "This site does not work at the moment"},
    PageWords{"Maintenance", "This site is under maintenance"}};

std::string file_of(const os::Paths& paths, const SiteName& site) {
  return cat(status_dir(paths), "/", site.str(), ".html");
}

// A job ends a page while the daemon writes what it has just seen.
std::mutex& pages() {
  static std::mutex one;
  return one;
}

Result<void> put_page(os::Disk& disk, const std::string& file, PublicState state, int64_t now_s) {
  constexpr size_t k_most = 4096;
  const auto& [title, text] = k_words.at(static_cast<size_t>(state));
  const auto shown = disk.read(file, k_most);
  if (shown && shown->find(cat("<title>", title, "<")) != std::string::npos)
    return {};
  const std::string time = rfc3339(now_s);
  const std::string since =
      now_s == 0 ? std::string() : cat(", since <time datetime=\"", time, "\">", time, "</time>");
  return disk.write(file, html_page(title, cat(text, since, ".")), 0644);
}

} // namespace

std::string status_dir(const os::Paths& paths) {
  return paths.run() + "/status";
}

std::string status_location(const SiteInput& in) {
  if (!in.site->status_page)
    return {};
  return cat("  ", k_page_location,
      // a site may be for some visitors only: this is for all
      "    allow all;\n    auth_basic off;\n    auth_request off;\n    satisfy all;\n"
      "    access_log off;\n    open_file_cache off;\n    root ",
      status_dir(in.paths), ";\n    try_files /", in.site->slug.str(),
      ".html =404;\n    types { }\n    default_type text/html;\n    charset utf-8;\n"
      "    etag off;\n    if_modified_since off;\n    max_ranges 0;\n",
      security_headers("    "),
      "    add_header Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'; sandbox\" always;\n"
      "    add_header Cache-Control no-store always;\n  }\n");
}

Result<void> keep_status_page(
    os::Disk& disk, const os::Paths& paths, const SiteName& site, std::string_view text) {
  const std::scoped_lock lock(pages());
  const std::string file = file_of(paths, site);
  if (text.find(k_page_location) == std::string_view::npos)
    return disk.remove(file);
  TRY(disk.make_dir(status_dir(paths), 0755));
  return disk.exists(file) ? Result<void>{} : put_page(disk, file, PublicState::unknown, 0);
}

Result<void> write_status_page(os::Disk& disk, const os::Paths& paths, const SiteName& site,
    PublicState state, int64_t now_s) {
  const std::scoped_lock lock(pages());
  const std::string file = file_of(paths, site);
  return disk.exists(file) ? put_page(disk, file, state, now_s) : Result<void>{};
}

} // namespace chillbox::nginx
