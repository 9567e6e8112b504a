// The stager, the vault and the tasks are this test program started again. Included by one file of
// each test program.
#pragma once

#include "artifact/stager.hpp"
#include "cron/task.hpp"
#include "secrets/vault.hpp"

int run_role(const std::string& role, const std::string& argument);
int run_role(const std::string& role, const std::string& argument) {
  if (role == "--task")
    return chillbox::cron::task_main(argument);
  return role == "--stager" ? chillbox::artifact::stager_main()
                            : chillbox::secrets::vault_main(argument);
}
