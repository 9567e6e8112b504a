// News of crashes: the launcher of a service that was started again tells the daemon, by one
// datagram before it waits for its turn, so that nobody has to look. run()/restarts.sock is root's
// alone. What is told while no daemon runs is lost; the next start of the service tells again.
//
//   "SLOT PAUSE"   the slot's name, and the milliseconds until the program begins
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "openrc/slots.hpp"

#include <optional>
#include <string>

namespace chillbox::openrc {

struct RestartNews {
  SlotName slot;
  os::Millis pause{0};
};

Result<Fd> listen_for_restarts(const os::Paths& paths);
void tell_restart(const os::Paths& paths, const std::string& slot, os::Millis pause);
// The next that has come; nullopt: none. What is none of these is passed over.
std::optional<RestartNews> next_restart(const Fd& socket);
// How often the kernel ended a process of the slot for want of memory.
uint64_t out_of_memory(os::Disk& disk, const os::Paths& paths, const SlotName& slot);

} // namespace chillbox::openrc
