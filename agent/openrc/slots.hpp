// A slot is one running copy of a service: chillbox.SITE.SERVICE.a or .b (workers: .a1, .a2, ...),
// an OpenRC service under supervise-daemon, made from one generic init script by a symlink,
// settings in conf.d (only what OpenRC itself reads), and a spec for the launcher: `chillboxd
// --slot NAME` (run by supervise-daemon as root) reads /run/chillbox/slots/NAME.json, becomes the
// site's user and execs the argv. No value of a site is ever read by a shell. What others depend on
// is made by root before that: the listening sockets, in a directory of root's. One that crashes is
// started again for ever, after pauses that grow (openrc/restarts.hpp).
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/limits.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::openrc {

struct SlotName {
  SiteName site;
  ServiceName service;
  Slot slot = Slot::a;
  uint32_t index = 0;      // workers: 1..count; 0 otherwise
  std::string str() const; // "chillbox.SITE.SERVICE.a" or "....a1"
  static Result<SlotName> parse(std::string_view text);
};

inline constexpr os::Millis k_stop_timeout{30'000};

// What the launcher execs.
struct SlotSpec {
  SlotName name;
  std::string release;                                  // release id, to recognise whose slot it is
  std::vector<std::string> argv;                        // argv[0] absolute
  std::vector<std::pair<std::string, std::string>> env; // whole environment
  std::string cwd;
  std::string user;
  std::string umask = "007";
  std::string log; // absolute; of supervise-daemon only until the program has a pipe
  std::optional<int> niceness;
  os::Limits limits;
  os::Millis stop_timeout = k_stop_timeout; // from TERM to KILL
  std::string secrets_env; // absolute: a secret file with more of the environment; "": none
  // The launcher makes the socket at this path, as root, and hands it over as descriptor 3:
  // LISTEN_FDS (sd_listen_fds(3)). "": none.
  std::string socket;
  gid_t socket_group = 0; // who may connect next to the site's user: NGINX
  // Of 127.0.0.1, 0: none. With `socket` it is made and handed over, too, as descriptor 4; else the
  // program binds it itself.
  uint16_t port = 0;
  // Its log is written and rotated by a process of root's (openrc/service_log.hpp); without a size
  // it is supervise-daemon's alone.
  uint64_t log_size = 0;
  uint32_t log_files = 0;
};

// Where the launcher makes its socket: in a directory of root's, so that what NGINX finds there is
// what root put there.
std::string slot_socket(const os::Paths& paths, const SlotName& name);

enum class SlotState { stopped, starting, started, crashed, stopping };
std::string_view name(SlotState state);

class Slots {
public:
  Slots(os::Disk& disk, os::Runner& runner, os::Clock& clock, os::Paths paths);
  // Writes spec, conf.d, init.d link and starts it through OpenRC. Running already with the same
  // release: nothing. Each of this is safe to repeat.
  Result<void> start(const SlotSpec& spec);
  // TERM, then KILL after its stop_timeout, `most` at most; whatever is left in its cgroup is
  // killed. Removes spec, link and conf.d. Not there: fine. hurry: asked while it waits; then
  // k_stop_timeout is enough. interrupted: leave() was called; it ends in its own time.
  Result<void> stop(const SlotName& name, os::Millis most = os::Millis::max(),
      const std::function<bool()>& hurry = {});
  // All get their TERM first: the slowest decides how long it takes. Of several errors the first.
  Result<void> stop_all(const std::vector<SlotName>& names, const std::function<bool()>& hurry = {},
      const std::function<os::Millis(const SlotName&)>& most = {});
  // The daemon ends: from now on no stop waits, where the supervisor ends what is left by itself
  // (else k_stop_timeout is enough). The next daemon stops what it finds once more.
  void leave() { m_leaving = true; }
  Result<SlotState> state(const SlotName& name);
  // How often supervise-daemon has started it again since start(), 0 when it is not running.
  // `crashed` is when supervise-daemon itself is gone.
  uint32_t respawns(const SlotName& name);
  // Both, with one look at its supervisor.
  struct Look {
    SlotState state = SlotState::stopped;
    uint32_t respawns = 0;
  };
  Look look(const SlotName& name);
  // It crashes again and again: the time until its next start, 0 when it has just had one.
  std::optional<os::Millis> crash_loop(const SlotName& name);
  std::optional<SlotSpec> spec_of(const std::string& name); // with which it was started
  // Its program ended and left processes that go on without supervision.
  bool in_background(const SlotName& name);
  // Bytes of memory that its processes take, what they share counted once (Pss); 0: none, or not to
  // be seen.
  uint64_t memory(const SlotName& name);
  // The release whose copy runs in this slot, "" when none.
  std::string release_in(const SlotName& name);
  // Every slot that has a spec, an init.d link, settings in conf.d or a running daemon: what a
  // crash may have left.
  std::vector<SlotName> all();

private:
  uint32_t start_count(const std::string& name);
  struct Grace {
    os::Millis begun, most; // when it got its TERM, by m_clock
    std::function<bool()> hurry;
  };
  void ask_to_stop(const std::string& name);
  Result<void> stop(const SlotName& name, const Grace& grace);
  Result<void> end(
      const std::string& name, os::Millis most, const std::function<void()>& meanwhile);
  os::Disk& m_disk;
  os::Runner& m_runner;
  os::Clock& m_clock;
  os::Paths m_paths;
  std::atomic<bool> m_leaving{false};
};

// The launcher's main: never returns but on error.
int slot_main(const std::string& slot_name);

// Connections waiting to be accepted at a listening unix socket (sock_diag, UDIAG_SHOW_RQLEN);
// nullopt: nobody listens there.
std::optional<uint32_t> accept_queue(const std::string& socket_path);

} // namespace chillbox::openrc
