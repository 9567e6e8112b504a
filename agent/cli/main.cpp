// chillboxctl: the command line of chillbox, on the laptop and on the host.
#include "base/secret.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/program.hpp"

#include <csignal>

int main(int argc, char** argv) {
  std::signal(SIGPIPE,
      SIG_IGN); // sockets raise it too; standard output returns EPIPE instead (terminal.cpp)
  chillbox::init_crypto();
  chillbox::cli::catch_interrupts();
  return chillbox::cli::run_program({argv + 1, argv + argc});
}
