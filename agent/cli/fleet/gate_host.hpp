// Hosts that are reached as chillbox-ssh, whose sshd gives no terminal: what a verb would ask a
// person there is asked here.
#pragma once

#include "cli/fleet/ssh.hpp"

namespace chillbox::cli {

bool is_gate(const Host& host);

struct Questions {
  bool passphrase = false; // it would ask for one
  bool answer = false;     // it would ask for a yes, and takes a line of standard input instead
};
// As run_on(); for other hosts it is the same.
Result<int> run_asking(const Host& host, SshCommand command, const Questions& questions);
// `unlock` of the host, by its passphrase; words: unlock and its options.
Result<int> unlock_there(const Host& host, std::vector<std::string> words, bool terminal);

} // namespace chillbox::cli
