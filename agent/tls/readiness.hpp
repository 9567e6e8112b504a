// Whether a CA would reach this host under a name, found out without asking one: a token is laid
// out, and fetched through loopback (which finds an NGINX text that answers itself) and through
// every address that DNS gives (which finds wrong records, firewalls and other hosts). Addresses
// that nobody reaches may be a router's that sends nothing back: unsure, not bad.
#pragma once

#include "control/certificate.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "tls/acme.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::tls {

enum class Verdict { good, unsure, bad };

struct NameCheck {
  std::string name;
  Verdict verdict = Verdict::bad;
  std::string why; // bad, unsure: what to do, with name, record and what answered
};

struct Readiness {
  std::vector<NameCheck> names;
  std::vector<control::CertificateProbe> probes;
};

class Prober {
public:
  Prober(Acme& acme, os::Disk& disk, os::Clock& clock, os::Paths paths,
      const config::HostConfig& config)
      : m_acme(acme), m_disk(disk), m_clock(clock), m_paths(std::move(paths)), m_config(config) {}
  Readiness check(const std::vector<std::string>& names);

private:
  NameCheck check_name(const std::string& name, Readiness& all);
  NameCheck by_address(
      const std::string& name, const std::string& path, const std::string& token, Readiness& all);
  control::CertificateProbe probe(const std::string& name, const std::string& address,
      uint16_t port, const std::string& path, const std::string& token, Verdict& verdict);

  Acme& m_acme;
  os::Disk& m_disk;
  os::Clock& m_clock;
  os::Paths m_paths;
  const config::HostConfig& m_config;
};

} // namespace chillbox::tls
