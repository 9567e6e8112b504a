// The engine of the fleet, as the rooms of the daemon ask it: the courier's process, started here
// and started again after it ended, at once or after a pause that grows from 1 s to 60 s; and the
// check of all that it says. Without [fleet] there is none of this.
//
// The highest fence that was seen is kept on the disk, because an engine that was restored from an
// old copy gives fences out a second time: its answers are refused then.
#pragma once

#include "base/thread_group.hpp"
#include "config/fleet.hpp"
#include "control/engine.hpp"
#include "control/engine_link.hpp"
#include "control/packet.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::daemon {

// Without a section, or with one that cannot be read (config::parse_host_config() has said so):
// none.
config::HostFleet read_fleet_settings(os::Disk& disk, const os::Paths& paths);

class FleetEngine final : public control::Engine {
public:
  struct Host {
    os::Disk& disk;
    os::Clock& clock;
    os::Paths paths;
    config::HostFleet settings;
    bool as_root = false;
    std::function<void()> changed; // status() is another; any thread
  };
  explicit FleetEngine(Host host);
  ~FleetEngine() override;
  // Starts the thread that holds the courier.
  Result<void> begin();

  Result<control::EngineChange> change(const std::vector<control::EngineCondition>& conditions,
      const std::vector<control::EngineWrite>& writes, std::chrono::milliseconds deadline) override;
  Result<std::vector<control::EngineValue>> read(
      std::string_view prefix, std::chrono::milliseconds deadline) override;
  void follow(std::string prefix, std::function<void()> changed) override;
  void release() override;
  control::EngineStatus status() const override;

  void missed();                          // what was to run once
  pid_t courier() const { return m_pid; } // -1: none runs

  // For tests. One courier at this socket, to its end; an error: it said what no courier says.
  Result<void> talk(Fd socket);
  // A packet of the courier's, which may be anybody's. An error: it is ended.
  Result<void> take(ByteView bytes);

private:
  // What the courier always holds: without it nobody would notice that the engine is gone.
  static constexpr std::string_view k_held_prefix = "fleet/";
  struct Waiting {
    std::string prefix;  // of a read
    size_t bytes = 0;    // of its values, so far
    uint64_t seen = 0;   // the highest revision before it was asked
    bool nobody = false; // it is asked for what status() says
    std::vector<control::EngineValue> values = {};
    control::EngineChange change = {};
    std::optional<Result<void>> end = {};
  };
  using Lock = std::unique_lock<std::mutex>;
  void run();
  Result<void> serve(); // one courier, to its end
  Result<Bytes> first_packet() const;
  void ended(const std::string& why);
  void touch(bool reachable, std::string problem);
  void probe();
  Result<void> take_done(const control::PacketView& packet, Waiting& waiting);
  Result<void> take_value(const control::PacketView& packet, Waiting& waiting);
  Result<void> believe(uint64_t revision, uint64_t seen);
  Result<void> keep(uint64_t fence);
  // Sends and waits. m_mutex is held.
  Result<Waiting> ask(Lock& lock, Waiting waiting, std::chrono::milliseconds deadline,
      const std::function<std::vector<Bytes>(uint64_t sequence)>& packets);
  // m_mutex is held, but not while it sends.
  Result<void> send(Lock& lock, const std::vector<Bytes>& packets);
  std::string fence_file() const { return m_host.paths.state() + "/engine.fence"; }

  Host m_host;
  mutable std::mutex m_mutex;
  std::condition_variable m_changed;
  std::mutex m_sending;               // taken without m_mutex alone
  std::shared_ptr<const Fd> m_socket; // of the courier, none: it does not run
  std::atomic<pid_t> m_pid{-1};
  std::map<uint64_t, Waiting> m_waiting;
  uint64_t m_sequence = 0;
  uint64_t m_revision = 0, m_fence = 0; // the highest that were seen; m_fence is on the disk
  control::EngineStatus m_state;
  std::vector<std::pair<std::string, std::function<void()>>> m_followed;
  bool m_stop = false;
  ThreadGroup m_thread; // last: it uses the others
};

} // namespace chillbox::daemon
