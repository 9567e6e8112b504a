// The one process that speaks to the engine of the fleet, and the only one of chillbox with TLS on
// a host: `chillboxctl courier`, which chillboxd starts where there is a [fleet].
//
// It gets key, certificate and password as bytes in the first packet, starts the dialer, and then
// gives up all else: it opens no file, makes no socket and starts no program. What it says is
// believed as what the edge says is: about exclusion and order, never about what a host does.
#pragma once

#include <string>
#include <vector>

namespace chillbox::courier {

// Descriptor 3 is the monitor's packet socket; it ends with it. user "-": stays who it is.
int courier_main(const std::string& user);
// words: "courier USER" or "dialer USER ENDPOINT..", of chillboxctl. nullopt: neither.
bool is_courier(const std::vector<std::string>& words);
int run_courier(const std::vector<std::string>& words);

} // namespace chillbox::courier
