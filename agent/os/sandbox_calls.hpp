// What each confined process may ask of the kernel: allow-lists of system calls, with what glibc
// and musl call on x86_64 and aarch64. A call that is not on them ends the process by SIGSYS. For
// this room only.
#pragma once

#include "os/sandbox.hpp"
#include "os/seccomp.hpp"

#include <sys/types.h>

namespace chillbox::os {

// self: the process that the filter is for; it may signal nobody else.
Result<Filter> filter_for(Profile profile, pid_t self);

} // namespace chillbox::os
