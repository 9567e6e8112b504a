// SLUG.site.json, read and checked: the value that everything else works with
// (docs/site.schema.json agrees). Unknown fields, wrong types, exceeded limits and bad names are
// refused, all problems together, each with its JSON path, what was found, what is allowed, and the
// nearest known name.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "config/host.hpp"
#include "config/kind.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

inline constexpr size_t k_max_site_json = 256 * 1024;

struct Variable {
  std::string name;
  std::string value;
  std::string cmd; // laptop only: value comes from this command when packing
};

struct Health {
  std::string path = "/";
  std::chrono::milliseconds interval{200};
  std::chrono::milliseconds timeout{5'000};
  std::chrono::milliseconds deadline{60'000}; // from start to healthy
  uint32_t count = 1;                         // good answers in a row
  bool declared =
      false; // the site file sets it: only 2xx and 3xx are good then; else anything below 500
};

struct Resources {
  uint64_t memory_max = 0; // bytes, 0: no limit
  uint32_t cpu_max = 0;    // percent of one core, 0: no limit
  std::string cpus;
  uint32_t tasks_max = 0;
};

inline constexpr std::chrono::milliseconds k_request_timeout{120'000};
inline constexpr uint64_t k_body_max = 32ULL << 20;

// How NGINX serves it in the default text.
struct Web {
  std::string at; // "/api/"; "": by the order of the services
  std::map<std::string, std::string>
      paths; // "/static/" to "SERVICE/FOLDER" of the release, or "data:FOLDER" of its data
  std::string not_found = "404.html"; // of its files: shown with 404, if it exists
  std::string fallback;               // of its files: shown for pages that do not exist; "" none
  uint64_t body_max = k_body_max;
  std::optional<std::chrono::milliseconds> request_timeout; // nullopt: k_request_timeout

  bool operator==(const Web&) const = default;
};

enum class Strategy { overlap, stop_first };

struct Service {
  ServiceName name;
  std::string lang;    // its kind
  std::string handler; // folder in the source, laptop only
  std::vector<Variable> environment;
  std::optional<std::string> secrets_config; // file name under SECRETS/SERVICE/
  std::optional<std::string> secrets_env;    // the same, of a file whose variables it gets
  bool worker = false;
  std::string of; // workers: the service whose folder and environment it has
  std::vector<std::string> run_cmd, args; // argv in place of its kind's, words after that
  uint32_t count = 1;                     // workers: processes
  std::optional<int> niceness;
  std::optional<uint32_t> workers, threads, max_requests, max_requests_jitter, workers_minimum,
      workers_maximum;
  bool preload = false;
  std::string worker_class, log_level;
  std::string app;      // "" : the handler's default
  std::string listen;   // "fd": takes a listening socket as descriptor 3; else, for a kind that
                        // listens on TCP, on its port
  std::string manifest; // laptop only
  Health health;
  Strategy strategy = Strategy::overlap;
  std::vector<std::string> release_command;              // argv; empty: none
  std::optional<std::chrono::milliseconds> stop_timeout; // to end what is under way
  Resources resources;
  Web web;
  std::vector<std::string> fields; // which of k_fields_of_some_kinds the site file has

  // Its folder in the artifact, in what was built, in the data and in the secret set.
  const std::string& folder() const { return of.empty() ? name.str() : of; }
};

// Its certificate, and what port 443 does with it.
struct Tls {
  // automatic: from the host's CA. off: none. provided: tls/SITE.pem of the secret set.
  // edge: somebody in front of the host has it, so there is none here and no redirect.
  enum class Mode { automatic, off, provided, edge };
  enum class Challenge { http_01, dns_01 };
  Mode mode = Mode::automatic;
  bool key_in_memory = false; // never on a disk
  Challenge challenge = Challenge::http_01;
  std::string dns; // hooks/dns/NAME
  std::optional<uint64_t>
      hsts_seconds;     // nullopt: by the age of the first certificate; 0: forget it
  bool redirect = true; // from http to https
  std::string profile;  // of the CA; "": the host's

  bool operator==(const Tls&) const = default;
};

// Where, of the hosts of a fleet: "all", "first", "once" (on whichever claims it), or the name of
// one.
inline constexpr std::string_view k_all_hosts = "all", k_first_host = "first", k_once = "once";
struct RunOn {
  std::string crontab{k_all_hosts}, release_command{k_all_hosts};
};

struct Site {
  SiteName slug;
  std::string title; // `name`
  std::string server_name;
  std::vector<std::string>
      domains; // server_name first, then domain_list and aliases without doubles
  std::vector<std::string> aliases; // those that are served, not redirected; "*.NAME": all below
  std::optional<Version> version;
  std::string release; // laptop only
  std::string contact_owner, contact_technical;
  std::vector<Variable> env;
  std::vector<std::string> crontab;
  RunOn run_on;
  std::map<std::string, std::string> redis; // empty and !has_redis: none
  bool has_redis = false;
  std::vector<Service> services; // services, then workers
  std::optional<std::chrono::milliseconds> watch;
  std::optional<uint32_t> keep_releases;
  bool confidential = false; // store = tmpfs
  bool status_page = false;  // of those who visit it, nginx/status_page.hpp
  Tls tls;
};

// slug: from the file's name. kinds: those that a service may be of; a host leaves that to its
// preflight. invalid: every problem, one a line.
Result<Site> parse_site(std::string_view json, const SiteName& slug, const KnownKinds& kinds = {});
// The same site written as TOML, and as the JSON that the host takes. Problems begin with
// "FILE:LINE: ".
struct TomlSite {
  Site site;
  std::string json;
};
Result<TomlSite> parse_site_toml(std::string_view toml, std::string_view file, const SiteName& slug,
    const KnownKinds& kinds = {});
// For the host: packing has set a value for every `cmd`. invalid: names each variable that has
// none.
Result<void> require_resolved(const Site& site);

// Strict host name (RFC 1123 labels, at most 253 bytes, no port, no wildcard), lower case (faults
// 68).
bool is_host_name(std::string_view text);
// Whether the world's name servers can know this name, so that a public CA could certify it: it has
// a dot, and does not end in what is reserved (RFC 2606, 6761, 6762, 8375, 9476: test, example,
// invalid, localhost, local, internal, onion, home.arpa, alt, example.com and its like).
bool is_public_name(std::string_view host_name);
// The profile that an order names; "": none.
std::string profile_of(const Tls& site, const HostTls& host);
// The shell-like words of one command line: spaces separate, '...' and "..." and \ quote, nothing
// is ever expanded.
Result<std::vector<std::string>> split_argv(std::string_view line);

} // namespace chillbox::config
