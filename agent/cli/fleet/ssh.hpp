// The same command on other machines: OpenSSH runs chillboxctl there, with its own configuration,
// agent and shared connections. No protocol of our own.
#pragma once

#include "base/error.hpp"
#include "cli/fleet/inventory.hpp"

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::cli {

// The command line for the shell that sshd starts: every word quoted, and CHILLBOX_HOST empty.
std::string shell_words(const std::vector<std::string>& words);
// The exit code that the whole has: the only one there is, or 11 when hosts differ.
int joined_exit(const std::vector<int>& codes);

struct SshCommand {
  std::vector<std::string> words; // behind "chillboxctl"
  bool terminal = false;          // ask ssh for one: prompts, colours, Ctrl-C
  int input = -1;                 // descriptor that becomes the standard input there; -1: ours
};

// On one host, with our own terminal or streams. Its exit code; ssh's own 255 is exit 5.
Result<int> run_on(const Host& host, const SshCommand& command);

// What came of one host.
struct HostResult {
  int code = 0;
  std::string out;        // of standard output, when it was kept
  std::string last_error; // the last line of standard error
};

// On all hosts side by side, 16 at most at once. ssh may not ask there, because nobody could tell
// who asks. Each line is handed on as it is complete; without on_out standard output is kept
// instead. The order of the results is that of the hosts.
struct ParallelSsh {
  std::vector<std::string> words;
  std::function<void(const Host&, const std::string&)> on_out = {}, on_error = {};
  std::function<void(const Host&, const HostResult&)> on_end = {};
};
Result<std::vector<HostResult>> run_in_parallel(
    const std::vector<Host>& hosts, const ParallelSsh& command);

// ssh to a host with these descriptors as its standard streams (-1: ours). The streams but those
// are closed.
Result<pid_t> spawn_ssh(const Host& host, const std::vector<std::string>& options,
    const std::vector<std::string>& words, const int (&streams)[3]);
int exit_of_ssh(int wait_status);

// What `chillboxctl WORDS` prints there, without a question (BatchMode) and without a word when it
// does not work: for completion.
Result<std::string> run_quietly(const std::string& host, const std::vector<std::string>& words,
    std::chrono::milliseconds timeout);

// not_found. Along PATH, as a shell would.
Result<std::string> find_program(const std::string& name);
std::vector<std::pair<std::string, std::string>> whole_environment();

// While one lives, Ctrl-C is for the children; we wait for what they say.
class SignalsForChild {
public:
  SignalsForChild();
  ~SignalsForChild();
  SignalsForChild(const SignalsForChild&) = delete;
  SignalsForChild& operator=(const SignalsForChild&) = delete;

private:
  struct sigaction m_int{}, m_quit{};
};

} // namespace chillbox::cli
