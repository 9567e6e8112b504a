// The host's side of a person who comes in by ssh. sshd runs `chillboxctl gate NAME` for each key
// of authorized_keys, whatever was asked for, and leaves that in SSH_ORIGINAL_COMMAND. It is read
// as the line that chillboxctl on a laptop sends (fleet/ssh.hpp) and as nothing else: no shell sees
// it, and only verbs that ask chillboxd and touch no file are run. What the person may is not
// decided here but by chillboxd, whom every question of this process tells the person's name.
#pragma once

#include "base/error.hpp"
#include "cli/core/arguments.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// The words of "CHILLBOX_HOST= chillboxctl 'word' 'it'\''s'". denied: anything else; too_large:
// over 64 KiB.
Result<std::vector<std::string>> parse_remote_line(std::string_view line);
// words: those after "gate". From here on this process asks as that person.
Result<CommandLine> through_gate(
    const std::vector<std::string>& words, const Environment& env, bool& json, std::string& hint);

} // namespace chillbox::cli
