// What this laptop last deployed of a site to a host, and what it was about to: so that the same
// folder is not deployed twice, another folder is asked about, and an upload goes on where it
// stopped. A file each in the state folder; losing it costs a question.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/places.hpp"

#include <cstdint>
#include <string>

namespace chillbox::cli {

struct DeployMemory {
  // What is live, if sha256 is that of the host's live release.
  std::string sha256, tree, version, root, origin;
  // What was packed and did not get there yet.
  struct Pending {
    std::string tree, version, recipient, path, sha256, blake2b;
    uint64_t size = 0, files = 0;
  } pending;
};

// host: a record's name, or what ssh takes. Whatever is wrong with the file: an empty one.
DeployMemory recall(const Places& places, const std::string& host, const std::string& site);
Result<void> remember(const Places& places, const std::string& host, const std::string& site,
    const DeployMemory& memory);
// "web1/hello" as the name of a file, whatever is in the host's.
std::string memory_name(const std::string& host, const std::string& site);

} // namespace chillbox::cli
