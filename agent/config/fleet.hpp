// [fleet] of chillboxd.toml: the etcd on which the hosts of a fleet agree. Without the section
// there is none, and nothing of it runs.
#pragma once

#include "base/error.hpp"
#include "config/fields.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

struct EngineEndpoint {
  std::string host; // a name or an address; IPv6 without its brackets
  uint16_t port = 0;
  bool operator==(const EngineEndpoint&) const = default;
};

struct HostFleet {
  std::string engine;                 // "etcd"; "": none
  std::vector<std::string> endpoints; // "https://HOST:PORT", 1 to 7
  // PEM: whom to believe that a member is one; who this host is to them. The key and the password
  // are files of root's alone.
  std::string ca_file, certificate_file, key_file;
  // Of etcd, and the fleet's name: what the hosts agree on is below /chillbox/USER/.
  std::string user, password_file;

  bool on() const { return !engine.empty(); }
};

// invalid: not "https://HOST:PORT".
Result<EngineEndpoint> parse_endpoint(std::string_view url);
void read_host_fleet(const Location& at, const Json& json, HostFleet& fleet);
// Of the file that parse_host_config() reads, which finds its mistakes, too.
Result<HostFleet> parse_host_fleet(std::string_view toml, std::string_view file_name);

} // namespace chillbox::config
