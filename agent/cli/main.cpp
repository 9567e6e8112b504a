// chillboxctl: the command line of chillbox, on the laptop and on the host.
#include "base/secret.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/program.hpp"

#include <csignal>
#include <cstdlib>

int main(int argc, char** argv) {
  std::signal(SIGPIPE,
      SIG_IGN); // sockets raise it too; standard output returns EPIPE instead (terminal.cpp)
  chillbox::init_crypto();
  chillbox::cli::catch_interrupts();
  // Without what OpenSSL frees at an exit: that is a twentieth of a short command.
  std::quick_exit(chillbox::cli::run_program({argv + 1, argv + argc}));
}
