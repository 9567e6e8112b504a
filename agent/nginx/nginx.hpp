// The NGINX configuration of a site: rendered (pure), tested in a private copy of the whole
// configuration (a bind mount in a mount namespace of its own, so that no path is rewritten and
// nothing live is touched), put in place, reloaded, and proven to serve.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "config/host.hpp"
#include "config/site.hpp"
#include "nginx/balance.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "os/probe.hpp"
#include "os/runner.hpp"

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::nginx {

struct Directive; // scan.hpp
struct Look;      // kept_look.hpp

// Does this kernel have IPv6? NGINX refuses a whole configuration that listens where it cannot.
bool has_ipv6();

// One service as NGINX sees it.
struct Upstream {
  ServiceName service;
  bool front = false;  // it answers `/` rather than one that only has files
  bool hashed = false; // its files are under /immutable/ only
  std::string
      socket; // "/run/chillbox/live/SITE/SERVICE.sock"; "" when it listens on TCP or not at all
  uint16_t port = 0; // TCP, of the release's slot
  // TCP, of slots a and b: the one whose flag exists has the visitors (slot_flag). 0: not known,
  // then only `port` is in the text, and a switch is a reload.
  std::array<uint16_t, 2> slot_ports{};
  std::string files = {}; // relative to the release: what NGINX itself serves of it; "" nothing
  config::Web web = {};
  config::Health health = {};
};

// Of a service that listens on TCP: its file exists while slot b has the visitors.
std::string slot_flag(const os::Paths& paths, const SiteName& site, const std::string& service);

struct SiteInput {
  const config::Site* site;
  const config::HostConfig* host;
  std::vector<Upstream> upstreams;
  std::string release_dir; // absolute, of this release (templates, static files) through `current`
  std::map<std::string, std::string>
      templates; // file name to text, from nginx/templates/; empty: the default configuration
  std::string snippet = {};                     // nginx/server.conf: in the default text; "" none
  std::map<std::string, std::string> variables; // not yet expanded
  os::Paths paths;
  bool ipv6 = has_ipv6();
};

// What the servers of a site do with a certificate, made by room tls. It is in a file of its own,
// state()/certs/ID.conf, which the site's text includes if it exists: so the text is the same
// before, with and after a certificate, and what a rollback restores is right. ID is SITE,
// SITE.wildcard for its aliases "*.NAME", or k_host_id.
inline constexpr std::string_view k_host_id = "_host";
struct SiteTls {
  std::string certificate; // PEM of the key and the chain; "DIR/": fullchain.pem and privkey.pem
                           // there; "": none
  std::vector<std::string> names;    // that it covers
  bool redirect = true;              // from http
  std::optional<uint64_t> hsts = {}; // max-age in seconds; 0: browsers forget it
  bool in_memory = false;            // the key is not on disk; without `certificate` it is away:
                                     // no TLS, and no site in clear either
};
// How long browsers are told to ask by https only: a day for the first week with a certificate,
// then 60 days, unless the site says.
uint64_t hsts_age(const config::Tls& tls, int64_t seconds_since_first_certificate);
// Does this text of a site take one? Not when a template says itself where it listens.
bool takes_certificate(std::string_view site_text);
// The host name for which the host-level server has a certificate: host.server_name, else the
// machine's own if the world can know it; "" none.
std::string host_name_of(const config::HostConfig& host);

// What `nginx -V` says.
struct Build {
  unsigned version = 0; // 1.26.3 is 1'026'003; 0: unknown, which is taken for an old one
  bool http3 = false;
  bool has_http2_directive() const { return version >= 1'025'001; }
  bool keeps_connections() const {
    return version >= 1'029'007;
  } // to upstreams, unless told not to
  bool spares_visitors() const { return version >= 1'027'004; } // keepalive_min_timeout
  bool rotates_ticket_keys() const { return version >= 1'023'002; }
};
Build build_of(std::string_view nginx_v);

// The text of chillbox.SITE.conf. Default (no template): canonical redirect, gzip, security
// headers, error, maintenance and sealed pages, ACME challenge location, one upstream
// "SITE-SERVICE" a service; `/` goes to the first service whose kind has `front` (else to static
// files), `/NAME/` to the others by name. A site whose service does not answer because the host is
// locked gets the 503 page "sealed" (flag file run()/sealed/SITE); while maintenance_flag() exists
// everybody gets the maintenance page. Files are read through `current`, so that the text of a site
// stays the same from one release to the next and needs no reload.
Result<std::string> render_site(const SiteInput& input);
// Where texts of sites write to that were deployed before there were counts (counts.hpp): a line
// for each answer of a service. Nobody reads it any more.
//
//
std::string answers_dir(const os::Paths& paths);
std::string answers_log(const os::Paths& paths, const SiteName& site);
// Of NGINX's own logs of a site: access.log, error.log and what a template has.
std::string log_dir(const os::Paths& paths, const SiteName& site);
// site()/maintenance; the page is next to it, with .html
std::string maintenance_flag(const os::Paths& paths, const SiteName& site);
// While it exists, /SITE/ready (ready.hpp) says that no visitor is to be sent here: of every site
// of the host, of one. They outlive a reboot.
std::string drain_flag(const os::Paths& paths);
std::string drain_flag(const os::Paths& paths, const SiteName& site);
bool has_ready(std::string_view site_text); // a text from before /SITE/ready has none
// The page that everybody gets while the flag exists; "" has words of its own. The message is
// text: what HTML would read otherwise is escaped.
std::string maintenance_page(std::string_view message);
// Whether a site shows that page: a template of its own does when it includes
// SITE.ssl_cert.include.
bool has_maintenance(std::string_view site_text);
// chillbox.conf: the host-level server with /healthcheck/ and /v1/ to the edge, and under host
// names of their own, for this machine only, the generation and /SITE/immutable/ as a bucket has
// it. Not on a unix socket: NGINX would not start again after a kill -9 that left the socket's file
// behind, nor at boot, before anybody made its directory.
struct HostFacts {
  bool default_server = true; // false: another file is that of this port already
  bool tls_default_server = true;
  bool names_hash = true;     // false: another file sets server_names_hash_bucket_size
  bool header_timeout = true; // false: another file sets client_header_timeout for all servers
  bool real_ip = true;        // false: another file sets real_ip_header for all servers
  bool ipv6 = has_ipv6();
  bool tls = false;           // some server has TLS, so other names are refused there
  std::string host_name = {}; // for which the host-level server has a certificate
  Build build = {};
  std::vector<std::string>
      other_names;  // the host-level server answers to as well when it is not the default
  Fleet fleet = {}; // without sites whose names another file has
};
// What IMMUTABLE_BUCKET_DOMAIN_NAME is when no bucket is set:
// "https://THIS/SITE/immutable/NAME/HASH/" in a template is served by this host.
inline constexpr std::string_view k_immutable_host = "immutable.chillbox.invalid";
inline constexpr std::string_view k_generation_host = "generation.chillbox.invalid";
std::string render_host(const config::HostConfig& host, const os::Paths& paths,
    const std::string& generation, const HostFacts& facts = {});

// The TCP ports that a site's text listens on, each once.
std::vector<uint16_t> listen_ports(std::string_view text);
// Its host names without wildcards, each once, with the ports that it is asked for without TLS.
struct ServedName {
  std::string name;
  uint16_t port;
  auto operator<=>(const ServedName&) const = default;
};
std::vector<ServedName> served_names(std::string_view text);
// What its servers on one of these ports have as names, as it is written.
std::vector<std::string> names_on(std::string_view text, std::span<const uint16_t> ports);
// Those of `domains` to which none of these names answers. A regular expression is taken for all
// of them.
std::vector<std::string> unserved(
    const std::vector<std::string>& names, const std::vector<std::string>& domains);
// All of them, lower case, with wildcards: ".example.org" is two, that name and "*.example.org".
std::vector<std::string> all_names(std::string_view text);
bool serves_tls(std::string_view text);
struct TextFacts {
  std::vector<ServedName> names;
  bool tls = false;
};
TextFacts facts_of_text(std::string_view text);
// The end of what check_by_name() says where somebody else has the name.
inline constexpr std::string_view k_named_twice = " has that name, too: change one of them";
// By each of its names; check_by_name() judges the answers.
std::vector<os::Probe> questions_by_name(const TextFacts& facts);

class Nginx {
public:
  Nginx(os::Disk& disk, os::Runner& runner, os::Clock& clock, os::Paths paths,
      config::HostConfig host);
  // The directory NGINX includes sites from: configured, or found in `nginx -T`. not_found says
  // what to set.
  Result<std::string> directory();
  // When the configuration that is on the disk passed its test, Unix ms: now, or at most an hour
  // ago if nothing of it changed since. invalid: it does not, with NGINX's own line.
  Result<int64_t> tested();
  Result<gid_t> group(); // of NGINX: configured, else nginx, else www-data
  Result<std::string> installed(const SiteName& site); // "" : none
  // `nginx -t` with `text` in place of the site's file ("" : without it), contained: it writes to
  // nothing of the host. invalid with NGINX's own line, or when another server has one of the
  // text's names already; the candidate is kept as /var/lib/chillbox/nginx/SITE.failed for
  // inspection. Returns what NGINX warns of in the text, for people.
  Result<std::vector<std::string>> test(const SiteName& site, const std::string& text); // trial.cpp
  // After a reload: each name of the text is asked for, and its own server must answer. unhealthy:
  // who does instead.
  Result<void> ask_by_name(const SiteName& site, const std::string& text);
  // The same of answers to questions_by_name(), for many sites at once.
  Result<void> check_by_name(const SiteName& site, const TextFacts& facts,
      std::span<const Result<os::ProbeAnswer>> answers);
  // facts_of_text(), and the last text is not read again: a job asks for it with each health check.
  std::shared_ptr<const TextFacts> facts_of(const std::string& text);
  // The site's logs are for root and NGINX, not for other sites. Also where they were readable
  // before.
  Result<void> guard_logs(const SiteName& site);
  // Another file of NGINX's than the site's own that has this host name; "" none.
  std::string file_with_name(const SiteName& site, std::string_view host_name);
  Result<void> install(const SiteName& site, const std::string& text); // "" removes
  // The host-level server, and the directories that NGINX looks into. Says (in the log) which other
  // file is the default server of the port, as the packages of Debian and Alpine bring one. Changes
  // nothing when all is so already. True: changed, a reload() is due.
  Result<bool> install_host();
  // What install_host() writes for the fleet from now on.
  void set_fleet(Fleet fleet);
  Fleet fleet();                           // without sites of which another server has a name
  std::vector<std::string> not_balanced(); // sites, each with its reason
  // The same, and NGINX serves it when this returns. What does not pass `nginx -t` is not kept.
  Result<void> install_fleet(const Fleet& fleet);
  // Returns when the new configuration serves. unhealthy: it does not, about which NGINX itself is
  // silent (faults 114); unreachable: nothing answers. Two at once run one after the other,
  // coalesced (115).
  Result<void> reload();
  // state()/certs/ID.conf, and run()/tls/ID.conf for a key in memory; opens and closes the host's
  // https_port with the first and the last. `certificate` "" without in_memory removes it. True:
  // changed, a reload() is due.
  Result<bool> install_tls(const std::string& id, const SiteTls& tls); // site_tls.cpp
  // `nginx -t` of the whole configuration with it.
  Result<void> test_tls(const std::string& id, const SiteTls& tls);
  bool has_certificate(const std::string& id);
  // Read once for each binary.
  Build build();
  // After they were renamed: a signal to the master, which is waited for by nobody.
  Result<void> reopen_logs();
  // Is there a `worker_shutdown_timeout`? Without one a worker from before a reload stays until its
  // last visitor has gone (faults 116).
  Result<bool> ends_old_workers();

private:
  Result<std::string> printed();           // what `nginx -T` prints
  Result<std::vector<Directive>> loaded(); // what is asked of it
  Result<Look> look(os::Millis oldest);
  void remember(std::vector<Directive> directives); // with m_directory_mutex
  Result<std::vector<Directive>> loaded_once();
  Result<os::Exit> try_candidate(const std::string& file, const std::string& text);
  Result<void> mark_host();
  Result<HostFacts> host_facts();
  Fleet served_fleet(
      const std::vector<Directive>& directives, const std::vector<std::string>& own_names);
  Result<bool> has_any_certificate();
  Result<bool> write_tls(const std::string& id, const SiteTls& tls);
  Result<void> write_listen(const SiteName& site, std::string_view text);
  Result<void> write_upstream();
  Result<void> write_ready(const SiteName& site, std::string_view text);
  void forget_facts(const SiteName& site);
  Result<bool> write_if_other(const std::string& path, const std::string& text);
  Result<void> reload_now();
  Result<void> wait_for_generation(const std::string& generation, uint64_t log_start);
  std::string logged_error(uint64_t from);
  std::string taken_name(const SiteName& site, const std::string& text, const std::string& err);
  Result<std::string> fill_candidate(const std::string& candidate, const std::string& dir,
      const std::string& file, const std::string& text);

  os::Disk& m_disk;
  os::Runner& m_runner;
  os::Clock& m_clock;
  os::Paths m_paths;
  config::HostConfig m_host;
  std::mutex m_directory_mutex, m_test_mutex, m_build_mutex, m_ticket_mutex, m_reload_mutex,
      m_facts_mutex, m_fleet_mutex;
  Fleet m_fleet, m_served_fleet; // as it was set; without what has a server already
  std::vector<std::string> m_not_balanced;
  std::shared_ptr<std::vector<Directive>> m_first_look; // until install_host() takes it
  os::Millis m_first_at{};
  // The last one, and what it says.
  std::string m_facts_text;
  std::shared_ptr<const TextFacts> m_facts;
  std::string m_directory; // once found
  std::string m_binary;    // path and time of the binary that m_build is of
  Build m_build;
  std::string m_passed; // digest of the last candidate that was good
  os::Millis m_passed_at{0};
  uint64_t m_wanted = 0,
           m_done = 0;    // reloads: tickets given, the newest that a finished reload covers
  Result<void> m_outcome; // of that one
};

} // namespace chillbox::nginx
