// Directories in memory that everybody may write to (/tmp, /dev/shm, /run/lock, where they are a
// tmpfs) are this service's own, each with a size of its own: so that no site fills what others
// need. One on a disk stays the host's. For this room only.
#pragma once

#include "openrc/slots.hpp"

namespace chillbox::openrc {

// In a mount namespace that this process and what it starts have from now on. What is mounted in it
// is the service's release and what the host has for everybody: of another release that is kept in
// memory it holds no second copy of the mount, which would keep that memory in use.
Result<void> own_shared_memory(const SlotSpec& spec, const os::Paths& paths);

} // namespace chillbox::openrc
