// What chillboxctl adds on a host to the daemon's facts: which machine it is. Wheels and packages
// are collected for it. Needs no rights.
#pragma once

#include "control/messages.hpp"
#include "os/runner.hpp"

#include <string>

namespace chillbox::cli {

void add_machine_facts(control::Facts& facts, os::Runner& runner = os::real_runner());

// From what is known of a host: "manylinux_2_36_x86_64", "musllinux_1_2_aarch64"; "" : its libc or
// its machine is not known.
std::string wheel_platform(const std::string& libc, const std::string& arch);
// PRETTY_NAME of an os-release(5).
std::string os_name(std::string_view os_release);

} // namespace chillbox::cli
