// Netlink's socket diagnosis (sock_diag(7)): the kernel tells of the sockets of this network
// namespace, of those alone that are asked for, and how many connections wait at one that listens.
#pragma once

#include <functional>
#include <string_view>

namespace chillbox::os {

// `request`: unix_diag_req or inet_diag_req_v2. The body of each message of the answer goes to
// `take`. False: the kernel does not know of this kind, or has not ended its answer in a second.
bool dump_sockets(std::string_view request, const std::function<void(std::string_view)>& take);

} // namespace chillbox::os
