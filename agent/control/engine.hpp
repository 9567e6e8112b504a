// The engine of a fleet (etcd), as the rooms of the daemon see it: small values under the fleet's
// own prefix, on which all hosts that reach it agree. It is asked through the courier, a process
// without rights.
//
// It excludes, orders and carries, and nothing in it is authority: who owns it can withhold, delay,
// or give the same thing to two hosts. So whatever a host does because of a value is signed, and
// verified by that host, and a claim is believed for exclusion only.
#pragma once

#include "base/error.hpp"
#include "control/fleet.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

// key: below the fleet's prefix, as "claims/hello/cron/...". fence: grows with each creation of any
// key: a later holder of the same key has a larger one.
struct EngineValue {
  std::string key, text;
  uint64_t fence = 0;
  bool operator==(const EngineValue&) const = default;
};

// What must hold for a change.
struct EngineCondition {
  enum class Kind {
    absent,  // there is no such key
    held,    // the key has this fence
    less,    // the text of the key is less than this one, byte by byte
    present, // there is such a key
  };
  Kind kind{};
  std::string key, text = {};
  uint64_t fence = 0;
};

struct EngineWrite {
  std::string key, text;
  // It goes by itself when this host has not been heard of for k_engine_lease: never earlier.
  bool leased = false;
  bool removes = false; // the key
  // It goes by itself after this time, not earlier, and a sixteenth of it later; but etcd begins a
  // lease again when its members choose another leader, so nothing may depend on an end. 0: it
  // stays. Each write of the key begins it again.
  std::chrono::seconds kept{0};
};

struct EngineChange {
  bool made = false;   // all conditions held, and all writes are done; else none of them
  uint64_t fence = 0;  // of what was created
  std::string found{}; // else the text of the key of the first condition, "": none
};

class Engine {
public:
  virtual ~Engine() = default;

  // All or nothing. An answer that got lost is asked for again: a change that was made once is
  // told as made, if the first write's text is of this host alone. unreachable: no majority of the
  // engine's members answered in time, and nobody knows whether it was made; denied: the engine
  // does not take this host for one of the fleet; conflict: the engine went back in time, and its
  // fences cannot be believed.
  // Blocks for `deadline` at most: in a thread of its own.
  virtual Result<EngineChange> change(const std::vector<EngineCondition>& conditions,
      const std::vector<EngineWrite>& writes, std::chrono::milliseconds deadline) = 0;
  // All values whose key begins so, sorted by it, as a majority has them. Blocks like change().
  virtual Result<std::vector<EngineValue>> read(
      std::string_view prefix, std::chrono::milliseconds deadline) = 0;
  // Something below this prefix has changed, or may have while nobody listened: read() it. In a
  // thread of the engine's; until the engine is gone.
  virtual void follow(std::string prefix, std::function<void()> changed) = 0;
  // Gives back the lease, and with it what was written with it.
  virtual void release() = 0;
  virtual EngineStatus status() const { return {.reachable = true}; }
};

inline constexpr std::chrono::seconds k_engine_lease{60};

} // namespace chillbox::control
