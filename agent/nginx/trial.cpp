// `nginx -t` on a text that is not in force yet. It is no dry run: it opens and makes logs,
// directories for temporary files and the pid file. So it runs with all of the host read-only,
// empty directories where NGINX writes, and nothing of chillbox's but certificates.
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "nginx/names.hpp"
#include "nginx/nginx.hpp"
#include "nginx/scan.hpp"
#include "nginx/site_file.hpp"
#include "nginx/site_tls.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace chillbox::nginx {
namespace {

constexpr uint64_t k_scratch = 16ULL << 20;

bool is_below(std::string_view path, std::string_view dir) {
  return path.starts_with(dir) && path.size() > dir.size() && path[dir.size()] == '/';
}

// Directories that NGINX is going to write to: of its logs, its pid file, temporary files and
// caches, with what the packages of Debian and Alpine have compiled in.
std::set<std::string> written_to(os::Disk& disk, const std::vector<Directive>& directives) {
  std::set<std::string> dirs{"/run", "/run/nginx", "/var/log/nginx", "/var/cache/nginx"};
  // Alpine has a link to its modules next to the temporary files.
  dirs.insert(disk.exists("/var/lib/nginx/tmp") ? "/var/lib/nginx/tmp" : "/var/lib/nginx");
  for (const auto& d : directives) {
    const auto& name = d.words[0];
    const bool is_file =
        name == "access_log" || name == "error_log" || name == "pid" || name == "lock_file";
    if (d.words.size() < 2 ||
        !(is_file || name.ends_with("_temp_path") || name.ends_with("_cache_path")) ||
        !d.words[1].starts_with('/'))
      continue;
    const std::string dir = d.words[1].substr(0, d.words[1].rfind('/'));
    if (!dir.empty() && dir.find('$') == std::string::npos)
      dirs.insert(dir);
  }
  for (const char* read : {"/etc", "/etc/nginx", "/usr", "/var", "/var/lib", "/var/log", "/srv",
           "/dev", "/home", "/root"}) // it reads there, too
    dirs.erase(read);
  return dirs;
}

// What nobody but chillbox reads is away; certificates and what the administrator named for the
// host's own server are not.
void hide_chillbox(
    os::View& view, os::Disk& disk, const os::Paths& paths, const config::HostConfig& host) {
  view.hidden = {paths.etc(), paths.state()};
  for (const auto& path :
      {paths.state() + "/certs", host.tls_certificate, host.tls_certificate_key})
    if (std::ranges::any_of(view.hidden, [&](const auto& dir) { return is_below(path, dir); }) &&
        disk.exists(path))
      view.binds.push_back({path, path});
  if (const std::string keys = paths.run() + "/tls"; disk.exists(keys)) // /run is empty there
    view.binds.push_back({keys, keys});
}

os::Command confined(os::Disk& disk, const os::Paths& paths, const config::HostConfig& host,
    const std::vector<Directive>& directives) {
  os::Command c;
  c.argv = {"nginx", "-t"};
  c.timeout = os::Millis{20'000};
  c.contained = c.view.own_proc = c.view.read_only = true;
  hide_chillbox(c.view, disk, paths, host);
  if (!disk.exists("/var/cache/nginx")) // the first cache of this host: the way to it is made in an
                                        // empty directory
    c.view.hidden.emplace_back("/var/cache");
  for (const auto& dir : written_to(disk, directives))
    if (disk.exists(dir) ||
        std::ranges::any_of(
            c.view.scratch, [&](const auto& outer) { return is_below(dir, outer.path); }) ||
        is_below(dir, "/var/cache"))
      c.view.scratch.push_back({dir, k_scratch});
  return c;
}

// "nginx: [warn] conflicting server name "one.example" on 0.0.0.0:80, ignored": the server that
// came first has its visitors.
std::vector<std::string> conflicting_names(std::string_view err) {
  constexpr std::string_view k_before = "conflicting server name \"";
  std::vector<std::string> names;
  for (const auto line : split(err, '\n'))
    if (const auto at = line.find(k_before); at != std::string_view::npos) {
      const auto name = line.substr(at + k_before.size());
      names.emplace_back(name.substr(0, name.find('"')));
    }
  return names;
}

std::set<std::string> names_in(std::string_view text) {
  std::set<std::string> names;
  for (const auto& d : scan(text))
    if (d.words[0] == "server_name")
      for (size_t at = 1; at < d.words.size(); ++at)
        names.insert(lower(d.words[at]));
  return names;
}

// Of a text that NGINX takes: what it warns of in `file`, and names of two servers, of which it
// asks one alone. in_turn: one of the two is for when there is a certificate, as in templates of
// the original chillbox.
std::vector<std::string> warnings_of(
    std::string_view text, std::string_view err, const std::string& file, bool in_turn) {
  constexpr std::string_view k_warning = "[warn] ";
  std::set<std::string> found;
  const auto own = in_turn ? std::set<std::string>{} : names_in(text);
  for (const auto& name : conflicting_names(err))
    if (own.contains(lower(name)))
      found.insert(cat("two of its servers have the name '", printable(name, 100),
          "' on one port, and the first gets all its visitors"));
  for (const auto line : split(err, '\n'))
    if (const auto at = line.find(k_warning);
        at != line.npos && line.find(cat("/", file, ":")) != line.npos)
      found.insert(printable(line.substr(at + k_warning.size()), 300));
  return {found.begin(), found.end()};
}

} // namespace

// The whole include directory with the one file changed. Links are copied as they are: under the
// bind mount they have the same parent. Returns what is in it as a digest.
Result<std::string> Nginx::fill_candidate(const std::string& candidate, const std::string& dir,
    const std::string& file, const std::string& text) {
  crypto::Sha256 all;
  const auto add = [&](std::string_view name, std::string_view bytes) {
    all.update(bytes_of(cat(name, " ", bytes.size(), "\n", bytes)));
  };
  TRY(m_disk.remove_tree(candidate));
  TRY(m_disk.make_dir(candidate, 0700));
  for (const auto& name : TRY(m_disk.list(dir))) {
    if (name == file)
      continue;
    const std::string from = cat(dir, "/", name), to = cat(candidate, "/", name);
    if (const auto link = m_disk.read_link(from); link && *link) {
      TRY(m_disk.set_link(**link, to));
      add(name, **link);
    } else if (const auto bytes = m_disk.read(from, k_max_file)) {
      TRY(m_disk.write(to, *bytes, 0644));
      add(name, *bytes);
    } else if (bytes.error().code != Code::invalid) // a directory: no include means it
      return std::unexpected(bytes.error());
  }
  if (!text.empty())
    TRY(m_disk.write(cat(candidate, "/", file), text, 0644));
  add(file, text);
  return Digest::of(all.finish()).str();
}

Result<os::Exit> Nginx::try_candidate(const std::string& file, const std::string& text) {
  const std::scoped_lock lock(m_test_mutex);
  const std::string dir = TRY(directory());
  const std::string candidate =
      m_paths.run() + "/nginx-candidate"; // on tmpfs: nothing of it has to be synced
  const std::string digest = TRY_IN("nginx test", fill_candidate(candidate, dir, file, text));
  constexpr os::Millis k_moment{5'000}; // nginx.conf and others around these files may change
  const auto now = m_clock.mono();
  if (digest == m_passed && now - m_passed_at < k_moment) { // in this job's preflight
    TRY(m_disk.remove_tree(candidate));
    return os::Exit{0, 0, "", ""};
  }
  auto directives =
      loaded().value_or(std::vector<Directive>{}); // of what is in force; broken, the test says so
  std::ranges::move(scan(text), std::back_inserter(directives));
  auto c = confined(m_disk, m_paths, m_host, directives);
  c.view.binds.push_back({candidate, dir});
  auto exit = TRY(m_runner.run(c));
  TRY(m_disk.remove_tree(candidate));
  if (exit.ok() && conflicting_names(exit.err).empty())
    m_passed = digest, m_passed_at = now;
  return exit;
}

Result<std::vector<std::string>> Nginx::test(const SiteName& site, const std::string& text) {
  const auto exit = TRY(try_candidate(file_of(site), text));
  const std::string failed = cat(m_paths.state(), "/nginx/", site.str(), ".failed");
  const auto taken = exit.ok() ? taken_name(site, text, exit.err) : std::string();
  if (exit.ok() && taken.empty()) {
    TRY(m_disk.remove(failed));
    return warnings_of(text, exit.err, file_of(site),
        text.find(listen_include("", m_paths, site)) != std::string::npos);
  }
  TRY(m_disk.make_dir(m_paths.state() + "/nginx", 0755));
  TRY(m_disk.write(failed, text, 0600));
  return fail(Code::invalid,
      cat(exit.ok() ? taken : cat("nginx -t: ", nginx_line(exit)), " (what was tried: ", failed,
          ")"));
}

// Why a name of this text would not be this site's; "": they all are.
std::string Nginx::taken_name(
    const SiteName& site, const std::string& text, const std::string& err) {
  const auto own = names_in(text);
  for (const auto& name : conflicting_names(err)) {
    if (!own.contains(lower(name)))
      continue;
    const std::string file = file_with_name(site, name);
    if (fleet().balances() &&
        std::ranges::any_of(fleet().sites, [&](const control::BalancedSite& one) {
          return std::ranges::find(one.names, lower(name)) != one.names.end();
        }))
      return cat("'", printable(name, 100),
          "' is balanced here for the fleet's other hosts: give this site another name, or "
          "chillboxctl fleet balance");
    if (file.ends_with("/chillbox.conf"))
      return cat("'", printable(name, 100),
          "' is this host's own name (host.server_name in chillboxd.toml, or one that this machine has): give one of them another");
    if (!file.empty()) // else two servers of this text have it, which is its own business
      return cat("host name '", printable(name, 100), "' has a server already, in ", file,
          ", which would get its visitors: take it out there, or give the site another name");
  }
  return {};
}

} // namespace chillbox::nginx
