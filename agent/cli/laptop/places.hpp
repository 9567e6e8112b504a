// Where the laptop keeps what it remembers (XDG Base Directory 0.8): configuration and keys, what
// can be deleted, what was deployed from where, and the agent's socket. Folders are made 0700. A
// variable that is not an absolute path is ignored, as the specification says; so is a HOME that
// belongs to another user, for which root would else leave files that its owner cannot change: then
// it is the home of the user database, as with ssh. Reading refuses what others could have written.
#pragma once

#include "base/error.hpp"
#include "cli/core/terminal.hpp"
#include "os/lock.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace chillbox::cli {

struct Places {
  std::string config, cache, state, runtime; // absolute, and ours alone

  static Places find(const Environment& env = environment);

  std::string config_file() const { return config + "/config.toml"; }
  std::string keys() const { return config + "/keys"; }
  std::string key(std::string_view name) const; // keys/NAME.key, encrypted
  std::string public_key(std::string_view name) const;
  std::string hosts() const { return config + "/hosts"; }
  std::string host_record(std::string_view name) const; // hosts/NAME.toml
  std::string host_hook(std::string_view name) const;   // the webhook key for it
  std::string agent_socket() const { return runtime + "/agent.sock"; }
};

// With parents, 0700. denied: a folder on the way is another user's.
Result<void> make_private_dir(const std::string& path);
// The one for sockets. denied: it is a link, or another one can enter it.
Result<void> make_runtime_dir(const Places& places);
// A file of ours, or of root's, that nobody else can write. not_found; denied; too_large.
Result<std::string> read_own_file(const std::string& path, size_t limit);
// 0600, whole or not at all, in a folder that is made when it does not exist. too_large: it has
// more bytes than its reader takes, and nothing was written.
Result<void> write_own_file(const std::string& path, std::string_view text, size_t limit);
// For as long as a file is read, changed and written, which is a moment: no person is waited for
// under it. busy: another process has it for ten seconds.
Result<os::LockFile> lock_own(const Places& places, std::string_view name);

// config.toml: what holds for all projects.
struct UserConfig {
  std::string host;                    // a record's name, or USER@HOST
  std::chrono::minutes agent_idle{15}; // the agent forgets the key
  std::string editor;                  // "": VISUAL, EDITOR
};
// Without the file: the defaults. invalid: "FILE:LINE: what".
Result<UserConfig> load_user_config(const Places& places);
Result<UserConfig> parse_user_config(std::string_view text, const std::string& path);

// A TOML basic string, with its quotes.
std::string toml_text(std::string_view text);

} // namespace chillbox::cli
