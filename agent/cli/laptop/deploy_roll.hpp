// A deploy to several hosts: one after the other, each to its end. After one that fails the others
// are left as they are, unless --keep-going was given.
#pragma once

#include "cli/core/answers.hpp"
#include "cli/core/verb.hpp"

#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct RollPart {
  std::string host;
  std::function<Result<void>()> deploy; // it may have printed its error: Call::error_printed
};
// `told` is printed with --json, with the host and its error, for one that failed without a word.
// partial: some did not take it; interrupted.
Result<void> roll_deploy(Call& call, const std::vector<RollPart>& parts, Deployed told);

} // namespace chillbox::cli
