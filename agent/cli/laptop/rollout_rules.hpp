// How a site goes to several hosts, as chillbox.toml says it of an environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace chillbox::cli {

struct RolloutRules {
  uint64_t canary = 1;                // hosts that are first
  uint64_t batch = 1;                 // of the others, so many between two bakes
  uint64_t max_unavailable = 1;       // of a batch, so many switch at the same time
  std::chrono::milliseconds bake{0};  // after each batch, in which a host may still fail
  std::chrono::milliseconds drain{0}; // from drain to the switch; 0: none
  std::string on_failure = "stop";    // or "rollback"
  std::string by = "laptop";          // or "hosts": who walks
  std::chrono::milliseconds deadline{std::chrono::hours(1)}; // by hosts: nobody begins after it
  std::string via;                                           // s3://BUCKET[/PREFIX]; "": uploads
};

} // namespace chillbox::cli
