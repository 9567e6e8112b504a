// Landlock (Linux 5.13) by raw system calls: no libc has them. What the kernel is too old for is
// left out. For this room only.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <span>

namespace chillbox::os {

// Afterwards nothing can be opened, made, removed or executed anywhere but, with `beneath`, files,
// directories and links below that directory (never executed); no TCP port bound or connected, no
// abstract socket or signal to anybody outside; but `connect_ports`. Needs no_new_privs. beneath:
// nullptr for no file at all. Open descriptors stay as they are. A kernel without Landlock is not
// an error.
Result<void> restrict_with_landlock(
    const char* beneath, std::span<const uint16_t> connect_ports = {});

// Network rules: Linux 6.7.
bool landlock_knows_ports();
// Afterwards TCP can be bound to these ports only, or to any free one that the kernel chooses (port
// 0). 0, or errno; a kernel without network rules is not an error. Asks for no memory: for a forked
// child. Needs no_new_privs.
int bind_only(std::span<const uint16_t> ports);

} // namespace chillbox::os
