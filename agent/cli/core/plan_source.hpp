// What `plan` is asked about: a site of the host, an artifact in its store by digest, a file of
// this machine with its .minisig next to it, or "-": `cat FILE.minisig FILE` on standard input. -H
// sends a file in that form too.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "control/messages.hpp"

#include <optional>
#include <string>

namespace chillbox::cli {

struct PlanSource {
  control::Arguments args; // of the daemon's verb
  Fd body;                 // the file; none for something on the host
};
Result<PlanSource> plan_source(const std::string& text);
// For another machine: signature and file in one descriptor; none when `text` names something on
// that machine.
Result<std::optional<Fd>> plan_stream(const std::string& text);

} // namespace chillbox::cli
