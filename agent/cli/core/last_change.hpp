// Which job changed a site last. One that found everything as it was asked for has changed nothing:
// a deploy of what is live, a start of a site that runs, a secret set that is in use already.
#pragma once

#include "control/messages.hpp"

#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct LastChange {
  control::Job job;
  // All that it did is to start these services of the live release; "" among them: the whole site.
  std::vector<std::string> started = {};
};

// Of the jobs of one site, newest first, as `jobs` answers. What was stopped before the oldest of
// them is not known and taken as running. Jobs of another host, which `jobs import` brought,
// changed nothing here.
std::optional<LastChange> last_change(const std::vector<control::Job>& jobs);

} // namespace chillbox::cli
