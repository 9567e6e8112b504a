// /etc/chillbox/chillboxd.toml: all keys optional, each documented in the shipped file and in
// chillboxd.toml(5). Unknown keys are refused with the nearest known name; all problems of the file
// are reported together, each with its line.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

// [tls]: who issues certificates, and what holds for every site's port 443.
struct HostTls {
  std::string acme = "letsencrypt"; // or "letsencrypt-staging", "off", the URL of a directory
  std::string profile;              // of certificates; "": tlsserver of Let's Encrypt, else none
  std::vector<std::string> contact; // addresses of e-mail for the account
  std::string ca_file; // PEM: whom to believe that the directory is who it says; "": the system's
  std::string eab_kid, eab_key_file; // external account binding: both or neither
  std::string engine = "acmez";      // hooks/acme/NAME
  bool http3 = false;
  bool proxy_protocol = false;    // on both ports, of every site
  std::vector<std::string> peers; // "HOST" or "HOST:PORT": other hosts with the same names
  std::string issuer = "host";    // or "fleet": one host of the fleet for all that have the site

  bool issues() const { return acme != "off"; }
  bool by_fleet() const { return issuer == "fleet"; }
  bool asks_others() const { return by_fleet() || !peers.empty(); } // for a challenge's answer
  std::string directory() const;                                    // URL; "" when off
  bool operator==(const HostTls&) const = default;
};

struct HostNotify {
  std::chrono::seconds gather{30}; // what happens within it is one message
  std::string heartbeat;           // URL that is asked for, so that its silence tells; "": none
  std::chrono::seconds every{600};
};

struct HostConfig {
  // [host]
  std::string server_name = "_"; // the host-level server: /healthcheck/, /v1/
  std::string log_level = "info";
  std::string tech_email;
  // [stage] sizes of the two tmpfs
  uint64_t stage_size = 512ULL << 20;
  uint64_t secrets_size = 16ULL << 20;
  bool allow_swap = false;
  // [limits]
  uint64_t artifact_max = 1ULL << 30; // encrypted bytes
  uint64_t uploads_max = 4ULL << 30;  // of all uploads together that no release was made of
  uint64_t log_size = 10ULL << 20;    // a log file over this is rotated
  uint32_t log_files = 3;             // rotated ones that are kept as well
  uint64_t unpacked_max = 2ULL << 30;
  uint64_t entries_max = 50'000;
  uint64_t ratio_max = 200; // unpacked bytes for each compressed byte
  uint32_t jobs_max = 4;    // side by side, of different sites
  uint32_t queue_max = 1000;
  std::chrono::seconds upload_wait{600};
  std::chrono::seconds build_timeout{300};
  uint32_t tasks_default = 512; // processes and threads of a service, a build or a crontab's run
                                // whose `resources` say nothing
  uint64_t serial_jump_max = 1'000'000;
  uint32_t reserve_percent = 5; // of the disk that a deploy leaves free
  int scrypt_cap = 18;          // greatest log2 of the work factor that an unlock accepts
  // [nginx]
  std::string
      nginx_dir; // "" : the one of /etc/nginx/{http.d,conf.d,sites-enabled} that nginx includes
  std::string nginx_group; // "" : nginx, else www-data
  uint16_t http_port = 80; // of every server it writes
  uint16_t https_port = 443;
  std::string tls_certificate; // for the host-level server; "" : none
  std::string tls_certificate_key;
  std::vector<std::string>
      trusted_proxies;                 // addresses and networks whose word on a visitor is believed
  std::string access_log = "combined"; // or "json": how sites' access.log is written
  std::vector<std::string> checked_from; // who may ask the host for /SITE/ready
  // in addition to what nginx/rules.cpp allows templates of sites
  std::vector<std::string> nginx_allow_directives, nginx_allow_variables;
  std::vector<std::string> nginx_allow_upstreams; // "HOST" or "HOST:PORT"
  std::vector<std::string> nginx_allow_paths;     // directories or files
  HostTls tls;
  HostNotify notify;
  // [defaults] for sites that say nothing
  std::chrono::milliseconds watch{10'000};
  uint32_t keep_releases = 3;
  // [data] of sites: before a release_command
  std::string snapshots = "try";      // or "required", "off"
  uint64_t snapshot_max = 1ULL << 30; // bytes of what cannot be cloned
  // [variables] for templates and services
  std::string s3_endpoint_url, artifact_bucket, immutable_bucket, immutable_bucket_domain, subnet;
  // [edge], only under CHILLBOX_ROOT: a loopback TCP port in addition to the socket, for benchmarks
  uint16_t edge_test_port = 0;
};

// invalid with every problem, one a line: "chillboxd.toml:12: limits.artifact_max: ...".
Result<HostConfig> parse_host_config(std::string_view toml, std::string_view file_name);

// A webhook sender's file: whsec_ keys, one a line, newest first, '#' comments. Lines "sites:
// blog,shop" and "types: site.deploy" limit what it may announce, "format: github" says how it
// signs. A key that expires is followed by " until=SECONDS" (since 1970): from that second on it is
// not accepted, even if nobody reads the file again.
struct SenderKey {
  std::string text; // whsec_..., or the raw secret for github
  std::optional<int64_t> until;
  bool ended(int64_t now_unix) const { return until && now_unix >= *until; }
};
std::string key_line(const SenderKey& key); // as written in the file

struct Sender {
  std::string name;
  std::string format = "standard"; // or "github"
  std::vector<SenderKey> keys;
  std::vector<std::string> sites; // empty: all
  std::vector<std::string> types; // empty: all
};
Result<Sender> parse_sender(std::string_view text, std::string_view name);

} // namespace chillbox::config
