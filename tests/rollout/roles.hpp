// The stager and the vault are this test program started again. Included by one file of each test program.
#pragma once

#include "artifact/stager.hpp"
#include "secrets/vault.hpp"

int run_role(const std::string& role, const std::string& argument);
int run_role(const std::string& role, const std::string& argument) {
  return role == "--stager" ? chillbox::artifact::stager_main() : chillbox::secrets::vault_main(argument);
}
