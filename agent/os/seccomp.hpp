// System call filters, as programs for the kernel's classic BPF machine, written by hand: small
// enough to read, and no library that a sealed host would have to trust. Allow-lists; whatever is
// not on them ends the process by SIGSYS. Lists hold what glibc and musl call on x86_64 and
// aarch64. For this room only.
#pragma once

#include "base/error.hpp"
#include "os/sandbox.hpp"

#include <linux/filter.h>
#include <sys/types.h>

#include <vector>

namespace chillbox::os {

// self: the process that the filter is for; it may signal nobody else.
std::vector<sock_filter> filter_for(Profile profile, pid_t self);
// Needs no_new_privs. For all threads of this process.
Result<void> install_filter(const std::vector<sock_filter>& filter);

} // namespace chillbox::os
