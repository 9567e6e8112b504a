// The listening sockets of a slot, made as root before the launcher becomes the site's user. For
// this room only.
#pragma once

#include "base/fd.hpp"
#include "openrc/slots.hpp"

#include <string>
#include <vector>

namespace chillbox::openrc {

struct SlotSockets {
  std::vector<Fd> handed; // descriptors 3, 4 ... of the program
  std::string names;      // "socket", "socket:port": LISTEN_FDNAMES
};
// Whatever an earlier copy left at the path goes: only root can have put it there.
Result<SlotSockets> listen_for(const SlotSpec& spec, const os::User& user);

// A port of 127.0.0.1 that the program binds itself: while the descriptor is open nobody else can.
// Empty: not to be had, but nobody listens there (its last connections are not forgotten yet).
// busy: somebody does, with who.
Result<Fd> hold_port(uint16_t port);

} // namespace chillbox::openrc
