// From one program to the next in the same process, so that an upgrade neither locks the host nor
// refuses a webhook: the monitor executes the new program in its place. It stays the process that
// OpenRC supervises and the parent of the vault, and the descriptors that it does not close are the
// new program's: both listening sockets, with the connections that wait there, and the vault's
// socket.
//
// Nothing but root takes part: the numbers are in the environment of the new program, and it is
// executed by the path of the old one. A vault keeps the program that it was started with; should
// its packets ever change, k_format does, and the new program then says so before.
#pragma once

#include "base/fd.hpp"
#include "os/paths.hpp"
#include "secrets/vault.hpp"

#include <string>

namespace chillbox::daemon {

struct Inherited {
  Fd control, people, hook; // empty: nothing was handed over
  secrets::Vault::Handed vault;
};

// What the program before left in the environment, and takes it away there. conflict: that was
// another format.
Result<Inherited> take_inherited();

// Whether `program` would run here: its --check, which it also asks whether it knows this format.
// Its own words when not.
Result<void> try_program(const os::Paths& paths, const std::string& program);

// Returns only with an error, and then everything is as before. In the main thread, when no other
// runs any more.
Error execute(const std::string& program, const Inherited& inherited);

} // namespace chillbox::daemon
