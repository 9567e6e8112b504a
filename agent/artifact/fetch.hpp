// Gets one file from a source of [fetch], by the program hooks/fetch/http. It runs as the user
// chillbox-fetch, contained, with a read-only view of the machine in which there is no site, secret
// or state; it has an address with its credentials on descriptor 3, and the file to write to. What
// it wrote is anybody's until its digest, or the signature that it is, was checked.
//
// What breaks off is continued, as long as the source knows Range, with pauses of 1, 2, 4, ... 30
// seconds; what the source refuses is not asked for again.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "config/fetch.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace chillbox::artifact {

struct FetchHost {
  os::Disk& disk;
  os::Runner& runner;
  os::Clock& clock;
  const os::Paths& paths;
  bool as_root;
  uint64_t keep_free;              // bytes of the disk that it leaves alone
  std::function<bool()> cancelled; // looked at often
};

// Of the file, which the daemon has checked; what is wrong with it is no source.
config::HostFetch read_fetch(os::Disk& disk, const os::Paths& paths);

// The artifact of that digest into the store. Each source in turn; `note` gets a line about each
// that does not have it. not_found: none has it; denied: other bytes, a refusal, an address that is
// not asked; too_large: more than `size`; no_space; unreachable, also when fetch.timeout has
// passed; interrupted.
using Note = std::function<void(const std::string& line)>;
Result<void> fetch_artifact(const FetchHost& host, const config::HostFetch& fetch,
    const Digest& digest, uint64_t size, const Note& note);
// Its signature, which nobody has checked.
Result<std::string> fetch_signature(
    const FetchHost& host, const config::HostFetch& fetch, const Digest& digest, const Note& note);

} // namespace chillbox::artifact
