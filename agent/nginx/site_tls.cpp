// certs/ID.conf, which each server of a site includes while the site has a certificate. It only
// says where to listen and with which key, and sets the variables that the site's own text and
// chillbox.conf read.
#include "nginx/site_tls.hpp"

#include "base/text.hpp"
#include "nginx/html_page.hpp"
#include "nginx/site_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

constexpr uint64_t k_day = 86'400;

std::string certs_dir(const os::Paths& paths) {
  return paths.state() + "/certs";
}
std::string memory_dir(const os::Paths& paths) {
  return paths.run() + "/tls";
}
std::string disk_file(const os::Paths& paths, std::string_view id) {
  return cat(certs_dir(paths), "/", id, ".conf");
}
std::string memory_file(const os::Paths& paths, std::string_view id) {
  return cat(memory_dir(paths), "/", id, ".conf");
}
std::string listen_id(const SiteName& site) {
  return site.str() + ".listen";
}
// A pattern that only this file matches, and that may match none.
std::string include_if_any(std::string_view indent, std::string_view file) {
  return cat(indent, "include ", file.substr(0, file.size() - 1), "[f];\n");
}

// A name as a part of a pattern. A wildcard of a certificate is one label.
std::string as_pattern(std::string_view name) {
  std::string out;
  if (name.starts_with("*."))
    out = "[^.]+";
  for (const char c : name.substr(name.starts_with("*.") ? 1 : 0))
    out += c == '.' ? std::string("\\.") : std::string(1, c);
  return out;
}

std::string host_is_one_of(const std::vector<std::string>& names) {
  std::vector<std::string> patterns;
  for (const auto& name : names)
    patterns.push_back(as_pattern(name));
  return cat("  if ($host ~ \"^(?:", join(patterns, "|"), ")\\.?$\") ");
}

// Where to listen, and with what.
std::string secure_part(
    const config::HostConfig& host, const Build& build, bool ipv6, const std::string& certificate) {
  const bool directive = build.has_http2_directive();
  std::string out = listen(host, host.https_port, ipv6, directive ? "ssl" : "ssl http2");
  if (directive)
    out += "  http2 on;\n";
  if (build.spares_visitors()) // a reload does not close what a visitor is about to use
    out += "  keepalive_min_timeout 2s;\n";
  if (host.tls.http3 && build.http3)
    out += cat("  listen ", host.https_port, " quic;\n",
        ipv6 ? cat("  listen [::]:", host.https_port, " quic;\n") : std::string());
  const bool folder = certificate.ends_with('/');
  return cat(out,
      folder ? certificate_files(certificate + "fullchain.pem", certificate + "privkey.pem")
             : certificate_files(certificate, certificate),
      tls_settings(build));
}

// What the site's text and chillbox.conf ask for.
std::string variables_part(const os::Paths& paths, std::string_view id, const SiteTls& tls) {
  std::string out;
  if (tls.hsts)
    out += cat("  set $chillbox_hsts_age max-age=", *tls.hsts, ";\n");
  if (!tls.redirect || tls.names.empty())
    return out;
  out += cat("  set $chillbox_names \"|", join(tls.names, "|"), "|\";\n", host_is_one_of(tls.names),
      "{ set $chillbox_secure 1; }\n");
  if (tls.in_memory) // two conditions at once
    out += cat("  set $chillbox_away $chillbox_secure;\n  if (-f ", memory_file(paths, id),
        ") { set $chillbox_away \"\"; }\n  if ($chillbox_away) { set $chillbox_secure 2; }\n");
  return out;
}

} // namespace

std::string tls_include(std::string_view indent, const os::Paths& paths, std::string_view id) {
  return include_if_any(indent, disk_file(paths, id));
}

std::string listen_include(std::string_view indent, const os::Paths& paths, const SiteName& site) {
  return tls_include(indent, paths, listen_id(site));
}

// "To https" answers before anything else of the site does; so does "away", since what was secure
// must not be in clear because a key is missing.
std::string tls_redirect(std::string_view indent, const config::HostConfig& host) {
  return cat(indent, "if ($chillbox_away_now) { return 502; }\n", indent,
      "if ($chillbox_to_tls) { return 308 https://$host", tls_port(host), "$request_uri; }\n");
}

std::string tls_port(const config::HostConfig& host) {
  return host.https_port == 443 ? std::string() : cat(":", host.https_port);
}

TlsText tls_text(const config::HostConfig& host, const os::Paths& paths, const Build& build,
    bool ipv6, std::string_view id, const SiteTls& tls) {
  const std::string head = cat("  # ", id, ": written by chillboxd; changes are overwritten.\n");
  const std::string variables = variables_part(paths, id, tls);
  const std::string secure =
      tls.certificate.empty() ? "" : secure_part(host, build, ipv6, tls.certificate);
  if (!tls.in_memory)
    return {.disk = secure.empty() ? "" : cat(head, secure, variables)};
  return {.disk = cat(head, include_if_any("  ", memory_file(paths, id)), variables),
      .memory = secure.empty() ? "" : cat(head, secure)};
}

uint64_t hsts_age(const config::Tls& tls, int64_t seconds_since_first_certificate) {
  if (tls.hsts_seconds)
    return *tls.hsts_seconds;
  return seconds_since_first_certificate < static_cast<int64_t>(7 * k_day) ? k_day : 60 * k_day;
}

bool takes_certificate(std::string_view site_text) {
  return site_text.find("/certs/") != std::string_view::npos &&
      site_text.find(".con[f];") != std::string_view::npos;
}

std::string host_name_of(const config::HostConfig& host) {
  if (host.server_name != "_")
    return host.server_name;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0 && config::is_host_name(name.data()) &&
      config::is_public_name(name.data()))
    return name.data();
  return {};
}

Result<bool> Nginx::has_any_certificate() {
  if (!m_disk.exists(certs_dir(m_paths)))
    return false;
  const auto names = TRY(m_disk.list(certs_dir(m_paths)));
  return std::ranges::any_of(names, [](const std::string& name) {
    return name.ends_with(".conf") && !name.ends_with(".listen.conf");
  });
}

bool Nginx::has_certificate(const std::string& id) {
  return m_disk.exists(disk_file(m_paths, id));
}

Result<bool> Nginx::write_if_other(const std::string& path, const std::string& text) {
  const bool exists = m_disk.exists(path);
  if (text.empty()) {
    if (exists)
      TRY(m_disk.remove(path));
    return exists;
  }
  if (exists && m_disk.read(path, k_max_file).value_or(std::string()) == text)
    return false;
  TRY(m_disk.write(path, text, 0644));
  return true;
}

// The servers of a template with a server of its own for http listen there only without a
// certificate, as they did under the original; without any `listen` NGINX would take port 80.
Result<void> Nginx::write_listen(const SiteName& site, std::string_view text) {
  const std::string id = listen_id(site), file = disk_file(m_paths, id);
  if (text.find(listen_include("", m_paths, site)) == std::string_view::npos) {
    TRY(write_if_other(file, ""));
    return {};
  }
  TRY(m_disk.make_dir(certs_dir(m_paths), 0755));
  TRY(write_if_other(file,
      has_certificate(site.str()) ? cat("  listen ", k_nowhere_address, ":", m_host.http_port,
                                        ";\n", tls_include("  ", m_paths, site.str()))
                                  : listen(m_host, m_host.http_port, has_ipv6())));
  return {};
}

// What is in every upstream. Since 1.29.7 NGINX keeps connections, which would lead to the old
// release after a switch; before, it does not know this word.
Result<void> Nginx::write_upstream() {
  TRY(m_disk.make_dir(m_paths.state() + "/nginx", 0755));
  TRY(write_if_other(
      upstream_file(m_paths), build().keeps_connections() ? "keepalive 0;\n" : std::string()));
  return {};
}

Result<bool> Nginx::write_tls(const std::string& id, const SiteTls& tls) {
  const auto text = tls_text(m_host, m_paths, build(), has_ipv6(), id, tls);
  TRY(m_disk.make_dir(certs_dir(m_paths), 0755));
  if (!text.memory.empty())
    TRY(m_disk.make_dir(memory_dir(m_paths), 0711));
  // The part that only says "if it is there" first, and last when it goes.
  const bool memory = TRY(write_if_other(memory_file(m_paths, id), text.memory));
  return TRY(write_if_other(disk_file(m_paths, id), text.disk)) || memory;
}

Result<bool> Nginx::install_tls(const std::string& id, const SiteTls& tls) {
  const std::scoped_lock one(m_reload_mutex);
  TRY(mark_host());
  const bool changed = TRY(write_tls(id, tls));
  if (const auto site = SiteName::parse(id)) // the others have no text of their own
    TRY(write_listen(*site, TRY(installed(*site))));
  return TRY(install_host()) || changed;
}

Result<void> Nginx::test_tls(const std::string& id, const SiteTls& tls) {
  const auto text = tls_text(m_host, m_paths, build(), has_ipv6(), id, tls);
  const auto owner = SiteName::parse(id.substr(0, id.find('.')));
  const std::string file = owner && !fleet().takes_visitors_of(owner->str())
      ? file_of(*owner)
      : std::string(k_host_file);
  std::string with = TRY(m_disk.read(cat(TRY(directory()), "/", file), k_max_file));
  const auto put = [&](const std::string& include, const std::string& inside) {
    for (auto at = with.find(include); at != std::string::npos;
        at = with.find(include, at + inside.size()))
      with.replace(at, include.size(), inside);
  };
  if (owner)
    put(listen_include("", m_paths, *owner),
        cat("listen ", k_nowhere_address, ":", m_host.http_port, ";\n",
            tls_include("", m_paths, owner->str())));
  put(tls_include("", m_paths, id), text.disk);
  put(include_if_any("", memory_file(m_paths, id)), text.memory);
  const auto exit = TRY(try_candidate(file, with));
  if (exit.ok())
    return {};
  return fail(Code::invalid, cat("nginx -t: ", nginx_line(exit)));
}

} // namespace chillbox::nginx
