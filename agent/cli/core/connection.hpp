// Asks chillboxd what it answers with descriptors.
#pragma once

#include "cli/core/daemon.hpp"

namespace chillbox::cli {

// As ask(). `connection` is the socket while it is asked: on_event takes from it what came with the
// event.
Result<std::string> ask_connected(const os::Paths& paths, const Question& question, int& connection,
    control::ErrorData* error_data = nullptr);

} // namespace chillbox::cli
