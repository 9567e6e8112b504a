#include "cli/laptop/ssh_signer.hpp"

#include "artifact/signature.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "os/disk.hpp"
#include "os/io.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_ssh_key = 64 * 1024, k_max_said = 4096;

// Its standard input stays the terminal, where it asks for a passphrase; what it says goes to
// `said`.
Result<int> run_at_terminal(const std::vector<std::string>& words, const Fd& said) {
  std::vector<char*> argv;
  for (const std::string& word : words)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const SignalsForChild guard;
  const pid_t child = ::fork();
  if (child < 0)
    return fail_errno(cat("start ", words[0]), errno);
  if (child == 0) {
    ::signal(SIGINT, SIG_DFL);
    ::dup2(said.get(), STDOUT_FILENO);
    ::dup2(said.get(), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return fail_errno(cat("wait for ", words[0]), errno);
  return exit_of_ssh(status);
}

std::string last_words(const Fd& said) {
  std::string text(k_max_said, '\0');
  const ssize_t size = ::pread(said.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  const auto lines = split(trim(text), '\n');
  return lines.empty() ? "" : printable(trim(lines.back()), 300);
}

std::vector<std::string> lines_of_agent() {
  const auto program = find_program("ssh-add");
  if (!program || environment("SSH_AUTH_SOCK").empty())
    return {};
  const auto ran = os::real_runner().run(
      {.argv = {*program, "-L"}, .env = whole_environment(), .timeout = os::Millis(5'000)});
  std::vector<std::string> lines;
  if (ran && ran->ok())
    for (const auto line : split(ran->out, '\n'))
      lines.emplace_back(line);
  return lines;
}

} // namespace

std::vector<SshKeyHere> ssh_keys_here() {
  std::vector<SshKeyHere> keys;
  for (const auto& line : lines_of_agent())
    if (auto key = crypto::SigningKey::parse(line); key && key->ssh() != nullptr)
      keys.push_back({std::move(*key), ""});
  const std::string file = cat(environment("HOME"), "/.ssh/id_ed25519.pub");
  auto own = ssh_key_of_file(file);
  if (own && *own && std::ranges::find(keys, (*own)->key, &SshKeyHere::key) == keys.end())
    keys.push_back(std::move(**own));
  return keys;
}

Result<std::optional<SshKeyHere>> ssh_key_of_file(const std::string& path) {
  const std::string text = TRY(read_input(path, k_max_ssh_key));
  if (text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"))
    return fail(Code::usage,
        cat(printable(path, 1024),
            " is the private half of a key of ssh: give its .pub, and ssh-agent or ssh-keygen signs"));
  if (!crypto::is_ssh_line(text))
    return std::optional<SshKeyHere>();
  auto key = TRY_IN(printable(path, 1024), crypto::SigningKey::parse(text));
  return std::optional(SshKeyHere{std::move(key), path});
}

bool is_trusted(
    const control::Facts& facts, const std::string& site, const crypto::SigningKey& key) {
  return std::ranges::any_of(facts.deployers, [&](const control::Deployer& deployer) {
    return deployer.id == key.id() &&
        (deployer.sites.empty() || std::ranges::find(deployer.sites, site) != deployer.sites.end());
  });
}

std::optional<SshKeyHere> trusted_ssh_key(const control::Facts& facts, const std::string& site) {
  if (std::ranges::none_of(
          facts.deployers, [](const auto& deployer) { return deployer.id.starts_with("SHA256:"); }))
    return std::nullopt; // and no agent is asked
  for (auto& here : ssh_keys_here())
    if (is_trusted(facts, site, here.key))
      return std::move(here);
  return std::nullopt;
}

Result<std::string> sign_by_ssh(const Places& places, const SshKeyHere& key,
    const std::array<uint8_t, 64>& blake2b, const artifact::Statement& statement) {
  const std::string program = TRY(find_program("ssh-keygen"));
  TRY(make_runtime_dir(places));
  const auto folder = TRY(TemporaryDir::create(places.runtime, "sign"));
  auto& disk = os::real_disk();
  const os::Owner mine{::geteuid(), ::getegid()};
  const std::string words = artifact::statement_text(statement);
  TRY(disk.write(folder.path() + "/statement", cat(words, "\n"), 0600, mine));
  TRY(disk.write(folder.path() + "/key.pub", cat(key.key.to_line(), "\n"), 0600, mine));
  const Fd said = TRY(os::memory_file());
  const int code = TRY(run_at_terminal(
      {program, "-Y", "sign", "-n", std::string(artifact::k_ssh_namespace), "-f",
          key.file.empty() ? folder.path() + "/key.pub" : key.file, folder.path() + "/statement"},
      said));
  if (code != 0)
    return fail(
        Code::denied, cat("ssh-keygen did not sign with ", key.key.id(), ": ", last_words(said)));
  auto text = artifact::ssh_signature_file(
      words, TRY(read_input(folder.path() + "/statement.sig", k_max_ssh_key)));
  const auto signature = TRY(artifact::Signature::parse(text));
  const auto proven = TRY(signature.verify(key.key, blake2b));
  if (proven != words)
    return fail(Code::denied, "ssh-keygen signed something else than it was given");
  return text;
}

} // namespace chillbox::cli
