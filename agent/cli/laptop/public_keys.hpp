// Public keys of a person, as they are handed around: a line of ssh or of minisign, a file with
// such lines (~/.ssh/id_ed25519.pub, NAME.pub of keygen), or github:USER, whose keys of ssh are
// fetched.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// Each as one line, at least one. invalid: something else is among them; unreachable: no answer of
// GitHub.
Result<std::vector<std::string>> public_keys_of(const std::string& text);
// The same of lines. Comments and empty lines are left out.
Result<std::vector<std::string>> public_keys_in(std::string_view lines);
bool is_minisign(std::string_view key);
bool is_github(std::string_view text);
// The public keys in ~/.ssh of this machine, the best first.
std::vector<std::string> own_ssh_keys(const std::string& home);

} // namespace chillbox::cli
