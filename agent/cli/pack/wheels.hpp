// pack --wheels: what each service that runs Python needs, as wheels for the host's Python, in the
// service's folder dep/. By the laptop's pip: for another machine `pip download`, for this one `pip
// wheel`. What lies in dep/ already and meets the requirements is kept, without asking an index, so
// that packing again makes the same artifact; whoever wants newer wheels empties dep/. Hashes in
// requirements.txt are checked by pip, also of sources that are built here (requirements.hpp).
#pragma once

#include "base/error.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/verb.hpp"
#include "cli/pack/site_folder.hpp"
#include "os/runner.hpp"

#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct WheelTarget {
  std::string python;                 // "3.12", "3.12.4"; "": this machine's python3
  std::vector<std::string> platforms; // wheel tags, the most wanted first
  bool new_hashes = false; // take wheels of which requirements.txt has no hash, where it has others
  std::string machine() const; // "x86_64", "aarch64"; "": as this one
  std::string shown() const;   // "Python 3.12 on musllinux_1_2_x86_64"
};

// From --wheels, --python, --platform; nullopt: no wheels are wanted.
Result<std::optional<WheelTarget>> wheel_target(const Args& args);
// musllinux_1_2_x86_64 to itself and musllinux_1_1_..; a manylinux_2_28_.. to all down to
// manylinux1.
std::vector<std::string> older_platforms(const std::string& platform);
// Beside requirements.txt, what the handlers in hooks/handlers ask for themselves.
std::vector<std::string> handler_requirements(const config::Service& service);

// not_found: no pip; denied: requirements.txt has hashes of other wheels; failure: with what pip
// says.
Result<void> fetch_wheels(
    const SiteFolder& folder, const WheelTarget& target, os::Runner& runner, Progress& progress);

// Tells of each service whose requirements.txt goes into the artifact with hashes added, which and
// why.
Result<void> tell_added_hashes(const SiteFolder& folder, Progress& progress);

} // namespace chillbox::cli
