// This test program in other roles, for what needs a program of its own: started by Child::start as
// the daemon starts its processes.
#pragma once

#include "os/process.hpp"

#include <string>

namespace os_test {

// role: "exit7", "echo" (what comes on descriptor 3 goes back, ends with it), "stubborn" (ignores
// TERM), "fds" (lists its descriptors), "edge", "vault", "stager" (confined, as nobody when root;
// then as echo). Descriptor 3 is `socket`.
chillbox::os::RoleCommand role_command(const std::string& role, int socket);

} // namespace os_test
