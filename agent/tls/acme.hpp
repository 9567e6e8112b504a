// The engine: a program that speaks ACME for us (chillbox-hooks(7)). One run, one question: JSON
// in, JSON out. It runs as a user of its own, contained, with a deadline, and sees a request for a
// certificate but no key of a site. Nothing that it prints is believed: it is bounded, parsed
// strictly, and a chain is checked elsewhere (order.cpp).
#pragma once

#include "base/json.hpp"
#include "config/host.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::tls {

// What a CA, or the engine itself, says is wrong. type: the last part of ACME's URN
// ("rateLimited"), or one of ours: "network", "deadline", "dns", "local".
struct Problem {
  std::string type = "local";
  uint64_t status = 0;
  std::string detail;
  std::string identifier; // the host name that it is about, "": none, or several
  std::string link;
  std::optional<int64_t> retry_ms; // not before this time
  std::optional<int64_t> ca_ms;    // the CA's clock
  std::string order_url = {};      // of an order that is still good
  struct Part {
    std::string type, detail, identifier;
  };
  std::vector<Part> parts = {};
};
template <class T> using Answer = std::expected<T, Problem>;

// When the CA wants a certificate renewed (RFC 9773).
struct Ari {
  int64_t selected_ms = 0;
  uint64_t retry_after = 0; // seconds
  std::string explanation;
};

struct OrderRequest {
  std::string csr;
  std::vector<std::string> names;
  std::string webroot;         // http-01, or
  std::string dns, dns_secret; // dns-01: program of hooks/dns, and the file with its credentials
  std::string profile, replaces, order_url; // "" : none
  os::Millis deadline{300'000};
};
struct Issued {
  std::string chain, order_url, profile;
  bool replaced = false;
  std::optional<Ari> ari;
  std::vector<std::string> warnings;
};
struct Account {
  std::string url, status, thumbprint;
};
struct Addresses {
  std::vector<std::string> a, aaaa;
};
struct HttpAnswer {
  uint64_t status = 0;
  std::string body, location, date;
};

class Acme {
public:
  struct Host {
    os::Disk& disk;
    os::Runner& runner;
    os::Clock& clock;
    os::Paths paths;
    const config::HostConfig& config;
    bool as_root;
    std::function<bool()> cancelled = {}; // the daemon ends: what runs is ended
  };
  explicit Acme(Host host) : m_host(std::move(host)) {}

  // An engine of that name is installed, and nobody but root can have changed it.
  Result<std::string> program() const;
  // Of the staging service of Let's Encrypt in place of the CA that is configured.
  Answer<Issued> order(const OrderRequest& request, bool staging = false);
  Answer<std::optional<Ari>> renewal_info(const std::string& leaf);
  Answer<void> revoke(const std::string& leaf);
  // action: "ensure" registers once, "show" never does, "new" leaves the old one.
  Answer<Account> account(const std::string& action, bool staging = false);

  Answer<Addresses> addresses(const std::string& name);
  Answer<HttpAnswer> get(
      const std::string& name, const std::string& address, uint16_t port, const std::string& path);
  // SHA-256 of the certificate that is served under the name.
  Answer<std::string> served(const std::string& name, const std::string& address, uint16_t port);

private:
  Answer<Json> run(
      const std::string& verb, Json input, os::Millis deadline, const std::string& dns_secret = "");
  Json common(bool staging) const;
  Host m_host;
};

// NGINX serves /.well-known/acme-challenge/ from it.
std::string challenge_dir(const os::Paths& paths);

} // namespace chillbox::tls
