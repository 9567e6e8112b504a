// The same command on other machines: OpenSSH runs chillboxctl there, one host after the other. No protocol of our own.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct RemoteCommand {
  std::vector<std::string> hosts;
  std::vector<std::string> words;  // behind "chillboxctl"
  bool terminal = false;           // ask ssh for one: prompts, colours, Ctrl-C
  int input = -1;                  // descriptor that becomes the standard input there; -1: ours
  std::function<void(const std::string& host)> before = {}; // each of them
};

// The command line for the shell that sshd starts: every word quoted, and CHILLBOX_HOST empty.
std::string shell_words(const std::vector<std::string>& words);
// The exit code that the whole has: the only one there is, or 11 when hosts differ.
int joined_exit(const std::vector<int>& codes);

// Runs it everywhere, also when one fails, and returns joined_exit(). ssh's own 255 is exit 5.
Result<int> run_remote(const RemoteCommand& command);

// What `chillboxctl WORDS` prints there, without a question (BatchMode) and without a word when it does not work: for completion.
Result<std::string> ask_quietly(const std::string& host, const std::vector<std::string>& words, std::chrono::milliseconds timeout);

} // namespace chillbox::cli
