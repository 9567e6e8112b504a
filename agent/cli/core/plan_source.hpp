// What a plan is made of: a site of the host, an artifact in its store by digest, a file of this
// machine with its .minisig beside it, or "-": `cat FILE.minisig FILE` on standard input. That is
// also how -H carries a file.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/core/json_fields.hpp"

#include <optional>
#include <string>

namespace chillbox::cli {

struct PlanSource {
  Fields args; // of the daemon's verb
  Fd body;     // what comes behind them; none for what is on the host
};
Result<PlanSource> plan_source(const std::string& text);
// For another machine: signature and file in one, at its beginning; none when `text` names
// something that is there.
Result<std::optional<Fd>> plan_stream(const std::string& text);

} // namespace chillbox::cli
