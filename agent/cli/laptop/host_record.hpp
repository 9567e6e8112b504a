// What the laptop remembers of a host: hosts/NAME.toml, a file for each, which people may edit.
// `setup` writes it, and each deploy refreshes what the host itself says. It has no secret. A
// change is of the file as it is at that moment, under a lock, and of the lines of what changes:
// comments, and keys that this version does not know, stay.
#pragma once

#include "base/error.hpp"
#include "cli/fleet/inventory.hpp"
#include "cli/laptop/places.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct HostRecord {
  std::string name;
  std::string ssh;         // what ssh takes: USER@HOST, ssh://USER@HOST:PORT, a name of ssh_config
  std::string url;         // https://web1.example; "": not known
  std::string server_name; // the host's own name
  std::string recipient;   // age1...
  std::string python;      // "3.12.11"; "": it has none
  std::string os;          // "Alpine Linux v3.22"
  std::string libc;        // "musl", "glibc 2.36"
  std::string arch;        // "x86_64"
  std::string version;     // of chillboxd there
  std::string role;        // ours there: admin, deploy, look
  std::string backup_key;  // minisign's, by which it signs its backups; "": not seen yet
  int64_t seen_ms = 0;     // when it was last spoken to; 0: never
  std::vector<std::string> sites;
  bool operator==(const HostRecord&) const = default;
};

// not_found: there is none of that name, which may be a host for ssh; invalid, denied: its file.
Result<HostRecord> load_host(const Places& places, std::string_view name);
// By name. A file that cannot be read is left out; `problems` says why.
std::vector<HostRecord> load_hosts(const Places& places, std::vector<std::string>* problems);
// Reads the record, changes it and writes it, 0600, while no other process of this laptop does. So
// `change` sets what its caller learned and nothing else; what it fails with is passed on, and
// nothing is written then. The answer is the record as it is now. usage: its name cannot be a
// file's; not_found: it was removed meanwhile.
enum class Missing { is_made, is_an_error };
Result<HostRecord> change_host(const Places& places, std::string_view name,
    const std::function<Result<void>(HostRecord&)>& change, Missing missing);
Result<void> forget_host(const Places& places, std::string_view name);

// For ssh. The host of a record; without one, what -H takes: USER@HOST.
Result<Host> host_of(const HostRecord& record);
// "root@web1:2222" and "root@[2001:db8::1]:2222" as ssh takes them; others as they are.
std::string ssh_destination(std::string_view text);
// The host name or address in such a destination, without user and port.
std::string address_of(std::string_view destination);

} // namespace chillbox::cli
