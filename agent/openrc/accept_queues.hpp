// Of all unix sockets at once (sock_diag(7)): connections that wait to be accepted, by the path
// that was bound. Empty when the kernel does not say.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace chillbox::openrc {

std::map<std::string, uint32_t> accept_queues();

} // namespace chillbox::openrc
