// What a service writes goes through a pipe to a process of root's (the program chillbox-log,
// openrc/main.cpp) that adds it to the service's log and rotates that: the service itself has no
// descriptor of a file, so it can neither cut nor fill one. One such process for each start of a
// service. For this room only.
#pragma once

#include "openrc/slots.hpp"

namespace chillbox::openrc {

// Standard output and error of this process and of what it starts go there from now on. Nothing
// changes where the spec has no limits (an older agent's).
Result<void> pipe_to_log(const SlotSpec& spec, const os::Paths& paths);

} // namespace chillbox::openrc
