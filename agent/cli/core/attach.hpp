// Attached to a run (control/run_stream.hpp): our standard streams become the command's.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <string>

namespace chillbox::cli {

struct RunEnd {
  int code = 0;     // of the command, as a shell reports it
  std::string text; // why it did not run to its end, ""
};

// Until the command has ended. terminal: our standard input is one, and so is the command's: each
// key goes to it, Ctrl-C too. Else Ctrl-C and TERM end the command; HUP, of a connection that is
// lost, leaves it. patience: for its process to listen. unreachable: it is not there; conflict:
// another client was attached, or the process was killed.
Result<RunEnd> attach(const std::string& socket, bool terminal, std::chrono::milliseconds patience);

} // namespace chillbox::cli
