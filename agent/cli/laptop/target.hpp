// Which hosts a command of the laptop is for. In this order: -H (or --to); CHILLBOX_HOST; the
// environment's host in chillbox.toml (-e, CHILLBOX_ENV); the host of config.toml; the only host
// that is known; a question on a terminal. Else it is a usage error with the line to type.
#pragma once

#include "base/error.hpp"
#include "cli/fleet/inventory.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/project.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct Target {
  Host host;                        // for ssh; its name is the record's, or USER@HOST
  std::optional<HostRecord> record; // nullopt: nothing is remembered of it
};

// A record's name, or what ssh takes. usage: neither can be.
Result<Target> target_named(const Places& places, const std::string& text);

// Whether the host names another key than the one that is remembered of it.
bool has_another_key(const Target& target, const std::string& recipient);

struct TargetQuestion {
  std::vector<std::string> flag = {};         // the values of -H
  std::string env_name = {};                  // -e; "": CHILLBOX_ENV
  const Project* project = nullptr;           // null: there is none
  std::string example = "chillboxctl deploy"; // the command, to which " -H NAME" is added
  // Asks a person for one of these names; null: nobody is asked.
  std::function<Result<std::string>(const std::vector<std::string>&)> choose = {};
};
Result<std::vector<Target>> find_targets(
    const Places& places, const TargetQuestion& question, const Environment& env = environment);

// The environment's name: -e, else CHILLBOX_ENV, else "".
std::string environment_name(const std::string& flag, const Environment& env = environment);
// choose_host on a terminal; null elsewhere, where nobody is asked.
std::function<Result<std::string>(const std::vector<std::string>&)> chooser();
// Asks on /dev/tty, with the names numbered; the answer is a number or a name.
Result<std::string> choose_host(const std::vector<std::string>& names);

} // namespace chillbox::cli
