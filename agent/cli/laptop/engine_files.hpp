// The files of an etcd of a fleet's own (`fleet init`), below one folder of the laptop:
//
//   ca.crt, ca.key     the authority of its certificates: the key stays on the laptop
//   root.password      of etcd's administrator: stays here, too
//   members/NAME/      what the machine of that member gets, in /etc/etcd
//   host/              what each host of the fleet gets, in /etc/chillbox/fleet
//   setup              the commands that bring all of it where it belongs
#pragma once

#include "base/error.hpp"
#include "os/disk.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

struct EngineMember {
  std::string name, address; // an address, or the name of a host
};
// "a=10.0.0.1". usage: not that, or not 1, 3, 5 or 7 different ones.
Result<std::vector<EngineMember>> parse_members(const std::vector<std::string>& words);

struct EngineFiles {
  std::string setup;                 // a script for sh, one command a line
  std::vector<std::string> sections; // [fleet] of chillboxd.toml, line by line
};
// conflict: `dir` is there, and is kept. now: Unix seconds.
Result<EngineFiles> make_engine_files(os::Disk& disk, const std::string& dir,
    const std::string& fleet, const std::vector<EngineMember>& members, int64_t now);

} // namespace chillbox::cli
