// doctor: everything that this host needs, a line each, with what to do. It looks by itself, also
// where no daemon answers; what only the daemon knows it asks for. For the two halves of doctor
// only: doctor_host.cpp looks at the machine, doctor_state.cpp at what chillbox keeps.
#pragma once

#include "cli/core/reply.hpp"
#include "cli/core/verb.hpp"
#include "config/host.hpp"
#include "os/disk.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

enum class Health { ok, warn, fail };

struct Finding {
  Health health;
  std::string what, text, todo;
};

struct Doctor {
  os::Paths paths;
  os::Disk& disk;
  config::HostConfig config = {};     // as it is in the file, else the defaults
  std::optional<HostView> host = {};  // what the daemon says, when it answers
  std::optional<uint64_t> clock = {}; // of whoever asks, Unix seconds
  std::vector<Finding> findings = {};

  void ok(std::string what, std::string text) {
    findings.push_back({Health::ok, std::move(what), std::move(text), ""});
  }
  void warn(std::string what, std::string text, std::string todo) {
    findings.push_back({Health::warn, std::move(what), std::move(text), std::move(todo)});
  }
  void fail(std::string what, std::string text, std::string todo) {
    findings.push_back({Health::fail, std::move(what), std::move(text), std::move(todo)});
  }
};

void examine_host(
    Doctor& d); // users, directories, memory, cgroups, OpenRC, NGINX, clock, disks, Python
void examine_state(Doctor& d); // configuration, keys, the daemon, sites, signatures, audit trail

// Seconds that a clock differs from another, as people say it.
std::string skew_text(int64_t seconds);

} // namespace chillbox::cli
