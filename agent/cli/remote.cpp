#include "cli/remote.hpp"

#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "os/runner.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

extern char** environ;

namespace chillbox::cli {
namespace {

constexpr int k_ssh_failed = 255;

// While ssh runs, Ctrl-C is for it and for the command there; we wait for what it says.
class LeaveSignalsToChild {
public:
  LeaveSignalsToChild() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGINT, &ignore, &m_int);
    ::sigaction(SIGQUIT, &ignore, &m_quit);
  }
  ~LeaveSignalsToChild() {
    ::sigaction(SIGINT, &m_int, nullptr);
    ::sigaction(SIGQUIT, &m_quit, nullptr);
  }
  LeaveSignalsToChild(const LeaveSignalsToChild&) = delete;
  LeaveSignalsToChild& operator=(const LeaveSignalsToChild&) = delete;

private:
  struct sigaction m_int {}, m_quit {};
};

Result<pid_t> spawn_ssh(const std::vector<std::string>& words, int input) {
  std::vector<char*> argv;
  for (const std::string& word : words)
    argv.push_back(const_cast<char*>(word.c_str()));
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
  if (input > 0)
    ::posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  pid_t pid = -1;
  const int err = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (err != 0)
    return fail(Code::unreachable, cat("start ssh: ", fail_errno("exec", err).error().message, ": -H needs an OpenSSH client"));
  return pid;
}

Result<int> run_one(const std::string& host, const RemoteCommand& command) {
  std::vector<std::string> words{"ssh"};
  if (command.terminal)
    words.emplace_back("-t");
  words.insert(words.end(), {"--", host, shell_words(command.words)});
  const LeaveSignalsToChild guard;
  const pid_t pid = TRY(spawn_ssh(words, command.input));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return fail_errno("wait for ssh", errno);
  if (WIFSIGNALED(status))
    return 128 + WTERMSIG(status);
  const int code = WEXITSTATUS(status);
  return code == k_ssh_failed ? exit_code(Code::unreachable) : code;
}

// Along PATH, as a shell would.
Result<std::string> find_program(const std::string& name) {
  const std::string path = environment("PATH");
  for (const auto dir : split(path, ':'))
    if (const std::string file = cat(dir, "/", name); !dir.empty() && ::access(file.c_str(), X_OK) == 0)
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

} // namespace

std::string shell_words(const std::vector<std::string>& words) {
  std::string out = "CHILLBOX_HOST= chillboxctl"; // there is here: a default of that machine must not lead further
  for (const std::string& word : words) {
    out += " '";
    for (const char c : word)
      out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

int joined_exit(const std::vector<int>& codes) {
  for (const int code : codes)
    if (code != codes.front())
      return exit_code(Code::partial);
  return codes.empty() ? 0 : codes.front();
}

Result<int> run_remote(const RemoteCommand& command) {
  std::vector<int> codes;
  for (const std::string& host : command.hosts) {
    if (command.before)
      command.before(host);
    const int code = TRY(run_one(host, command));
    if (code == 128 + SIGINT)
      return code;
    codes.push_back(code);
  }
  return joined_exit(codes);
}

Result<std::string> ask_quietly(const std::string& host, const std::vector<std::string>& words, std::chrono::milliseconds timeout) {
  os::Command command{.argv = {TRY(find_program("ssh")), "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "--", host, shell_words(words)},
                      .env = whole_environment(), .timeout = timeout, .no_new_privs = false};
  os::Exit exit = TRY(os::real_runner().run(command));
  return exit.ok() ? Result<std::string>(std::move(exit.out)) : fail(Code::unreachable, "ssh failed");
}

} // namespace chillbox::cli
