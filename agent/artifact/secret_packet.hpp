// Packets that carry keys or passphrases. They are built in and received into guarded memory, never
// in a buffer of the heap. They have the same layout, limits and socket as the others
// (control/packet.hpp, os/socket.hpp).
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "control/packet.hpp"
#include "os/clock.hpp"

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace chillbox::artifact {

// Empty when over the maximum, which send_packet refuses.
SecretBytes make_secret_packet(
    control::PacketVerb verb, uint64_t sequence, std::initializer_list<std::string_view> fields);
// The next packet. not_found: the other side closed; timed_out; too_large. A descriptor that comes
// with it is closed.
Result<SecretBytes> receive_secret_packet(int socket, size_t limit, os::Millis timeout);

} // namespace chillbox::artifact
