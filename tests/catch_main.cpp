#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <new> // Catch2 2 leaves it to what another standard library includes

#include <catch2/catch.hpp>
#endif

#include "base/secret.hpp"

#include <string>

// Roles (vault, stager, slot, task) are this same program started again: "PROGRAM --ROLE ARGUMENT".
// A test program that starts them defines this.
__attribute__((weak)) int run_role(const std::string& role, const std::string& argument);

int main(int argc, char** argv) {
  chillbox::init_crypto();
  const std::string first = argc > 1 ? argv[1] : "";
  if (run_role != nullptr &&
      (first == "--stager" || first == "--vault" || first == "--slot" || first == "--task"))
    return run_role(first, argc > 2 ? argv[2] : "");
  return Catch::Session().run(argc, argv);
}
