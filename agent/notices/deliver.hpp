// One try to deliver one message: the hook of the target's kind, as a user of its own, contained,
// with a deadline, and a view of the file system without sites, secrets and state. It gets what to
// say on standard input and the settings on descriptor 3 (chillbox-hooks(7)). The signature of a
// webhook is made here: no program gets the key.
#pragma once

#include "notices/target.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace chillbox::notices {

inline constexpr os::Millis k_delivery_deadline{30'000};

struct Outcome {
  enum class Kind { sent, failed, gone, interrupted };
  Kind kind = Kind::failed;
  std::string error; // "" : sent
  std::optional<int64_t> retry_after_s;
};

struct Courier {
  os::Disk& disk;
  os::Runner& runner;
  os::Clock& clock;
  os::Paths paths;
  bool as_root;
  std::string host; // its name in messages
};

// The path of hooks/notify/KIND: the administrator's before the shipped one. not_found, denied.
Result<std::string> find_notify_hook(
    os::Disk& disk, const os::Paths& paths, const std::string& kind);
Outcome deliver(const Courier& courier, const Target& target, const std::string& id,
    const std::string& body, const std::function<bool()>& cancelled);

} // namespace chillbox::notices
