// A shell of root's on a machine that has no chillboxctl yet, through ssh and over one connection,
// so that ssh asks for its passphrase once. ssh asks a person about a host key that it does not
// know, whatever its configuration says; without a terminal it then refuses. The scripts are those
// of hooks/, words are quoted, and a passphrase goes through a pipe.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/fleet/inventory.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// Of what a program said, without control characters.
std::string last_line(std::string_view text);

class RemoteShell {
public:
  struct Ran {
    int code = 0;
    std::string out, err;
  };

  // `folder` is where the socket of the connection is made: one that only we can enter. usage: the
  // target is none for ssh.
  static Result<RemoteShell> create(const std::string& target, const std::string& folder);
  ~RemoteShell(); // ends the connection
  RemoteShell(RemoteShell&& other) noexcept;
  RemoteShell& operator=(RemoteShell&&) = delete;
  RemoteShell(const RemoteShell&) = delete;
  RemoteShell& operator=(const RemoteShell&) = delete;

  // Runs a script of hooks/ there, "setup/look". unreachable: ssh failed, with what it said.
  Result<Ran> hook(std::string_view name, const std::vector<std::string>& args = {}) const;
  // The same of chillboxctl, as -H sends it, which the gate of chillbox-ssh takes too.
  Result<Ran> chillboxctl(const std::vector<std::string>& words) const;
  Result<Ran> command(const std::vector<std::string>& words) const;
  // With the passphrase as its standard input: for --passphrase-fd 0.
  Result<Ran> command(const std::vector<std::string>& words, const SecretBytes& passphrase) const;
  // What the hook writes here is what it reads there, with these words each. `moved`: so many bytes
  // so far. The error names the host.
  struct Ends {
    std::vector<std::string> from, to;
  };
  using Moved = std::function<void(uint64_t bytes)>;
  Result<void> pipe(
      const RemoteShell& to, std::string_view hook, const Ends& ends, const Moved& moved) const;
  // Sends a file of ours.
  Result<void> send(const std::string& file, const std::string& to) const;

private:
  explicit RemoteShell(Host host) : m_host(std::move(host)) {}
  Result<Ran> run(const std::string& line, int input) const;

  Host m_host;
};

} // namespace chillbox::cli
