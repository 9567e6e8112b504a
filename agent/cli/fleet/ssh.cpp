#include "cli/fleet/ssh.hpp"

#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/gate_host.hpp"
#include "os/runner.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>

extern char** environ;

namespace chillbox::cli {
namespace {

constexpr int k_ssh_failed = 255;

} // namespace

SignalsForChild::SignalsForChild() {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGINT, &ignore, &m_int);
  ::sigaction(SIGQUIT, &ignore, &m_quit);
}

SignalsForChild::~SignalsForChild() {
  ::sigaction(SIGINT, &m_int, nullptr);
  ::sigaction(SIGQUIT, &m_quit, nullptr);
}

Result<pid_t> spawn_ssh(const Host& host, const std::vector<std::string>& options,
    const std::vector<std::string>& words, const int (&streams)[3]) {
  return spawn_ssh_line(host, options, shell_words(words), streams);
}

Result<pid_t> spawn_ssh_line(const Host& host, const std::vector<std::string>& options,
    const std::string& line, const int (&streams)[3]) {
  std::vector<std::string> all{"ssh", "-o", "ForwardAgent=no"}; // it could sign as this person
  all.insert(all.end(), options.begin(), options.end());
  all.insert(all.end(), host.ssh.begin(), host.ssh.end());
  if (is_gate(host)) // no password fits there, and one would be asked for
    all.insert(all.end(), {"-o", "PreferredAuthentications=publickey"});
  std::ranges::move(ssh_target(host.target), std::back_inserter(all));
  all.push_back(line);
  say_command(cat("ssh ", host.target, " ", line.substr(0, line.find('\n'))));
  std::vector<char*> argv;
  for (std::string& word : all)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t files;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_init(&files);
  sigset_t as_usual;
  sigemptyset(&as_usual);
  for (const int number : {SIGINT, SIGQUIT, SIGPIPE})
    sigaddset(&as_usual, number);
  ::posix_spawnattr_setsigdefault(&attributes, &as_usual);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  for (int number = 0; number < 3; ++number)
    if (streams[number] > 0)
      ::posix_spawn_file_actions_adddup2(&files, streams[number], number);
  pid_t pid = -1;
  const int err = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (err != 0)
    return fail(Code::unreachable,
        cat("start ssh: ", fail_errno("exec", err).error().message,
            ": -H needs an OpenSSH client"));
  return pid;
}

int exit_of_ssh(int status) {
  if (WIFSIGNALED(status))
    return 128 + WTERMSIG(status);
  return WEXITSTATUS(status) == k_ssh_failed ? exit_code(Code::unreachable) : WEXITSTATUS(status);
}

std::unexpected<Error> unreached(const Host& host) {
  const std::string address = host.target == host.name ? "" : cat(" (", host.target, ")");
  return fail(Code::unreachable, cat(host.name, address, ": ssh did not reach it"));
}

Result<int> run_on(const Host& host, const SshCommand& command) {
  std::vector<std::string> options;
  if (command.terminal)
    options.emplace_back("-t");
  const SignalsForChild guard;
  const pid_t pid =
      TRY(spawn_ssh(host, options, command.words, {command.input, command.output, -1}));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return fail_errno("wait for ssh", errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == k_ssh_failed)
    return unreached(host);
  return exit_of_ssh(status);
}

Result<std::string> find_program(const std::string& name) {
  const std::string path = environment("PATH");
  for (const auto dir : split(path, ':'))
    if (const std::string file = cat(dir, "/", name);
        !dir.empty() && ::access(file.c_str(), X_OK) == 0)
      return file;
  return fail(Code::not_found, cat("there is no program ", name, " on the PATH"));
}

std::vector<std::pair<std::string, std::string>> whole_environment() {
  std::vector<std::pair<std::string, std::string>> all;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (const std::string_view text(*entry); text.find('=') != std::string_view::npos)
      all.emplace_back(text.substr(0, text.find('=')), text.substr(text.find('=') + 1));
  return all;
}

std::string shell_words(const std::vector<std::string>& words) {
  // A default on that machine must not send it on to another.
  return cat("CHILLBOX_HOST= chillboxctl", words.empty() ? "" : " ", quoted_words(words));
}

std::string quoted_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    out += out.empty() ? "'" : " '";
    for (const char c : word)
      out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

std::vector<std::string> ssh_target(const std::string& target) {
  const auto open = target.find('['), close = target.find(']');
  if (!target.starts_with("ssh://") || open == target.npos || close == target.npos)
    return {"--", target};
  std::vector<std::string> words;
  if (const auto port = target.substr(close + 1, target.find('/', close) - close - 1);
      port.starts_with(':'))
    words = {"-p", port.substr(1)};
  words.insert(words.end(),
      {"--", cat(target.substr(6, open - 6), target.substr(open + 1, close - open - 1))});
  return words;
}

int joined_exit(const std::vector<int>& codes) {
  for (const int code : codes)
    if (code != codes.front())
      return exit_code(Code::partial);
  return codes.empty() ? 0 : codes.front();
}

Result<std::string> run_quietly(
    const Host& host, const std::vector<std::string>& words, std::chrono::milliseconds timeout) {
  const std::string ssh = TRY(find_program("ssh"));
  std::vector<std::string> argv{
      ssh, "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-o", "ForwardAgent=no"};
  argv.insert(argv.end(), host.ssh.begin(), host.ssh.end());
  std::ranges::move(ssh_target(host.target), std::back_inserter(argv));
  argv.push_back(shell_words(words));
  say_command(cat("ssh ", host.target, " ", shell_words(words)));
  os::Command command{.argv = std::move(argv),
      .env = whole_environment(),
      .timeout = timeout,
      .no_new_privs = false};
  os::Exit exit = TRY(os::real_runner().run(command));
  return exit.ok() ? Result<std::string>(std::move(exit.out))
                   : fail(Code::unreachable, "ssh failed");
}

} // namespace chillbox::cli
