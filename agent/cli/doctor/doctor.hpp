// The checks of doctor: one line for each thing that this host needs, with what to do. Most of them
// work without a daemon; the rest ask it. doctor_host.cpp checks the machine, doctor_state.cpp what
// chillbox keeps there.
#pragma once

#include "cli/core/verb.hpp"
#include "config/host.hpp"
#include "control/messages.hpp"
#include "nginx/nginx.hpp"
#include "os/disk.hpp"

#include <cstdint>
#include <future>
#include <memory>
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
  config::HostConfig config = {};             // from the file, else the defaults
  std::optional<control::Status> status = {}; // the daemon's answer, if there is one
  std::optional<uint64_t> clock = {};         // the caller's clock in Unix seconds
  std::vector<Finding> findings = {};
  std::unique_ptr<nginx::Nginx> nginx = nullptr; // none is installed, or a test runs
  struct NginxLook {
    std::string directory;
    int64_t unchanged_ms = 0; // since this time, when it was tested; 0: it was tested now
  };
  std::future<Result<NginxLook>> nginx_look = {};

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

// NGINX tests and prints all of its configuration, while the daemon looks at its sites, unless
// nothing of it changed since it was tested. After the configuration was read.
void ask_nginx(Doctor& d);
void examine_host(
    Doctor& d); // users, directories, memory, cgroups, OpenRC, NGINX, clock, disks, Python
void examine_state(Doctor& d); // configuration, keys, the daemon, sites, signatures, audit trail

// A difference between two clocks, for people.
std::string skew_text(int64_t seconds);

} // namespace chillbox::cli
