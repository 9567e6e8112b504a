// Runs the same command on other machines: OpenSSH runs chillboxctl there, with its own
// configuration, agent and shared connections.
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
// The words alone, each quoted.
std::string quoted_words(const std::vector<std::string>& words);
// What ends ssh's options, and the host. ssh takes an IPv6 address with a port only apart, although
// ssh://[ADDRESS]:PORT is how people and we write it.
std::vector<std::string> ssh_target(const std::string& target);
// The exit code of a run on several hosts: that of all of them, or 11 when they differ.
int joined_exit(const std::vector<int>& codes);

struct SshCommand {
  std::vector<std::string> words; // after "chillboxctl"
  bool terminal = false;          // with a terminal there, for prompts, colours and Ctrl-C
  int input = -1;                 // the descriptor that becomes the standard input there; -1: ours
  int output = -1;                // and the one that gets its standard output
};

// What ssh failed to do, which has printed why: the host's name, and the address that it was asked
// for where that is another.
std::unexpected<Error> unreached(const Host& host);
// Runs it on one host, with our own terminal or streams; the exit code. unreachable when ssh itself
// failed, which has printed why.
Result<int> run_on(const Host& host, const SshCommand& command);

// The result of one host.
struct HostResult {
  int code = 0;
  std::string out;        // its standard output, if it is kept
  std::string last_error; // the last line of standard error
};

// Runs it on all hosts in parallel, at most 16 at once. ssh runs in batch mode, because nobody
// could see which one asks. Each complete line is passed on; without on_out standard output is kept
// instead. The results are in the order of the hosts.
struct ParallelSsh {
  std::vector<std::string> words;
  std::function<void(const Host&, const std::string&)> on_out = {}, on_error = {};
  std::function<void(const Host&, const HostResult&)> on_end = {};
};
Result<std::vector<HostResult>> run_in_parallel(
    const std::vector<Host>& hosts, const ParallelSsh& command);

// Starts ssh with these descriptors as its standard streams (-1: ours).
Result<pid_t> spawn_ssh(const Host& host, const std::vector<std::string>& options,
    const std::vector<std::string>& words, const int (&streams)[3]);
// The same for any command line.
Result<pid_t> spawn_ssh_line(const Host& host, const std::vector<std::string>& options,
    const std::string& line, const int (&streams)[3]);
int exit_of_ssh(int wait_status);

// The output of `chillboxctl WORDS` on a host, for completion: in batch mode and without messages.
Result<std::string> run_quietly(
    const Host& host, const std::vector<std::string>& words, std::chrono::milliseconds timeout);

// Searches PATH, as a shell does. not_found.
Result<std::string> find_program(const std::string& name);
std::vector<std::pair<std::string, std::string>> whole_environment();

// While one exists, Ctrl-C goes to the children only, and we wait for their end.
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
