// Where backups are stored: a hook, hooks/backup/NAME of the administrator or of the package
// (chillbox-hooks(7)). It runs as the user chillbox-backup, which can read nothing of the state,
// and reads the target and its credentials from descriptor 3: the text of
// /etc/chillbox/backup/NAME, which belongs to root.
//
//   put NAME     stores standard input under NAME, whole or not at all
//   get NAME     writes what is stored under NAME to standard output
//   list         name and size of all that is stored, one a line
//   delete NAME  removes it
//
// It ends with 0, 3 not there, 4 denied, 5 unreachable, 6 full, 1 anything else, and says why on
// the last line of standard error.
#pragma once

#include "base/error.hpp"
#include "config/backup.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::backup {

class Target {
public:
  struct Host {
    os::Disk& disk;
    os::Runner& runner;
    os::Paths paths;
    const config::HostBackup& config;
    bool as_root;
    const std::atomic<bool>* stop = nullptr; // what runs is ended
  };
  explicit Target(Host host) : m_host(std::move(host)) {}
  // preflight: none is configured; not_found: no such hook.
  Result<std::string> program() const;
  Result<void> put(const std::string& name, int from, uint64_t size) const; // from its beginning
  Result<void> get(const std::string& name, int to, uint64_t most) const;   // an empty file
  Result<std::vector<std::string>> list() const;                            // sorted
  Result<void> remove(const std::string& name) const;

private:
  Result<void> run(const std::string& verb, const std::string& name, int in, int out,
      os::Millis timeout, uint64_t most = 0) const;
  Host m_host;
};

// The user of the hooks may open what this descriptor is of by its number, as programs do that take
// no standard input; it still cannot reach the file by its name.
Result<void> lend(int fd, bool as_root);

} // namespace chillbox::backup
