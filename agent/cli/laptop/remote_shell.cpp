#include "cli/laptop/remote_shell.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/pack/kinds.hpp"
#include "os/io.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace chillbox::cli {
namespace {

constexpr size_t k_output_limit = 1 << 20;

// What ssh would do about a host key that it does not know. To refuse it is as good as to ask.
bool takes_unknown_keys(const Host& host) {
  const auto ssh = find_program("ssh");
  if (!ssh)
    return false;
  std::vector<std::string> argv{*ssh, "-G"};
  std::ranges::move(ssh_target(host.target), std::back_inserter(argv));
  const auto settings = os::real_runner().run(
      {.argv = std::move(argv), .env = whole_environment(), .timeout = os::Millis(10'000)});
  if (!settings)
    return false;
  for (const auto line : split(settings->out, '\n'))
    if (line.starts_with("stricthostkeychecking "))
      return line != "stricthostkeychecking true" && line != "stricthostkeychecking yes";
  return true;
}

std::string text_in(const Fd& file) {
  std::string text(k_output_limit, '\0');
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

Result<Fd> input_with(const SecretBytes& passphrase) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("pipe", errno);
  Fd reads(ends[0]);
  const Fd writes(ends[1]);
  // It is at most 1,000 bytes long, which every pipe holds.
  if (::write(writes.get(), passphrase.data(), passphrase.size()) !=
      static_cast<ssize_t>(passphrase.size()))
    return fail_errno("write to ssh", errno);
  return reads;
}

Result<std::vector<std::string>> words_of(
    std::string_view name, const std::vector<std::string>& args) {
  const auto hooks = shipped_hooks();
  const auto found = std::ranges::find(hooks, name, &HookFile::path);
  if (found == hooks.end())
    return fail(Code::failure, cat("this program has no hooks/", name));
  std::vector<std::string> words{"sh", "-c", std::string(found->text), std::string(name)};
  words.insert(words.end(), args.begin(), args.end());
  return words;
}

Result<std::pair<Fd, Fd>> pipe_ends() { // to read from, to write to
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("pipe", errno);
  return std::pair{Fd(ends[0]), Fd(ends[1])};
}

// False: one of both ended before the other.
bool pump(int from, int to, const RemoteShell::Moved& moved) {
  std::vector<char> buffer(256 * 1024);
  for (uint64_t sum = 0;;) {
    const ssize_t size = ::read(from, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      return size == 0;
    for (ssize_t done = 0; done < size;) {
      const ssize_t n = ::write(to, buffer.data() + done, static_cast<size_t>(size - done));
      if (n < 0 && errno != EINTR)
        return false;
      done += std::max<ssize_t>(n, 0);
    }
    moved(sum += static_cast<uint64_t>(size));
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return -1;
  return exit_of_ssh(status);
}

} // namespace

std::string last_line(std::string_view text) {
  const auto lines = split(trim(text), '\n');
  return lines.empty() ? "" : printable(trim(lines.back()), 300);
}

Result<RemoteShell> RemoteShell::create(const std::string& target, const std::string& folder) {
  Host host = TRY(host_from(target));
  // ssh adds 17 characters to the name while it makes the socket.
  static int count = 0; // a connection each
  const std::string socket = cat(folder, "/ssh-", ::getpid(), "-", ++count);
  if (socket.size() + 17 < sizeof(sockaddr_un::sun_path))
    host.ssh.insert(host.ssh.end(),
        {"-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", cat("ControlPath=", socket)});
  if (takes_unknown_keys(host))
    host.ssh.insert(host.ssh.end(), {"-o", "StrictHostKeyChecking=ask"});
  return RemoteShell(std::move(host));
}

RemoteShell::RemoteShell(RemoteShell&& other) noexcept : m_host(std::move(other.m_host)) {
  other.m_host.target.clear();
}

RemoteShell::~RemoteShell() {
  if (m_host.target.empty())
    return;
  os::Command command{.argv = {find_program("ssh").value_or("ssh"), "-O", "exit"},
      .env = whole_environment(),
      .timeout = os::Millis(10'000)};
  command.argv.insert(command.argv.end(), m_host.ssh.begin(), m_host.ssh.end());
  std::ranges::move(ssh_target(m_host.target), std::back_inserter(command.argv));
  [[maybe_unused]] const auto ended = os::real_runner().run(command);
}

// The standard streams are files in memory, not pipes: ssh leaves the process behind that keeps the
// connection, which would hold a pipe open.
Result<RemoteShell::Ran> RemoteShell::run(const std::string& line, int input) const {
  const Fd out = TRY(os::memory_file()), err = TRY(os::memory_file()),
           nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const SignalsForChild guard;
  const pid_t pid = TRY(
      spawn_ssh_line(m_host, {}, line, {input < 0 ? nothing.get() : input, out.get(), err.get()}));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return fail_errno("wait for ssh", errno);
  Ran ran{exit_of_ssh(status), text_in(out), text_in(err)};
  if (ran.code == exit_code(Code::unreachable) && WIFEXITED(status) && WEXITSTATUS(status) == 255)
    return fail(Code::unreachable, cat(m_host.name, ": ", last_line(ran.err)));
  return ran;
}

Result<RemoteShell::Ran> RemoteShell::hook(
    std::string_view name, const std::vector<std::string>& args) const {
  return command(TRY(words_of(name, args)));
}

Result<void> RemoteShell::pipe(
    const RemoteShell& to, std::string_view hook, const Ends& ends, const Moved& moved) const {
  const std::string reads = quoted_words(TRY(words_of(hook, ends.from))),
                    writes = quoted_words(TRY(words_of(hook, ends.to)));
  const Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const Fd said = TRY(os::memory_file()), heard = TRY(os::memory_file()),
           printed = TRY(os::memory_file());
  auto [out_here, out_there] = TRY(pipe_ends());
  auto [in_there, in_here] = TRY(pipe_ends());
  const SignalsForChild guard;
  const pid_t reader = TRY(spawn_ssh_line(
      m_host, {"-o", "ControlMaster=no"}, reads, {nothing.get(), out_there.get(), said.get()}));
  out_there = Fd();
  const auto writer = spawn_ssh_line(
      to.m_host, {"-o", "ControlMaster=no"}, writes, {in_there.get(), printed.get(), heard.get()});
  in_there = Fd();
  const bool whole = writer && pump(out_here.get(), in_here.get(), moved);
  out_here = Fd(); // one of both that waits for us ends now
  in_here = Fd();
  const int read = wait_for(reader), written = writer ? wait_for(*writer) : -1;
  if (!writer)
    return std::unexpected(writer.error());
  if (written != 0)
    return fail(Code::failure, cat(to.m_host.name, ": ", last_line(text_in(heard))));
  if (read != 0 || !whole)
    return fail(Code::failure, cat(m_host.name, ": ", last_line(text_in(said))));
  return {};
}

Result<RemoteShell::Ran> RemoteShell::chillboxctl(const std::vector<std::string>& words) const {
  return run(shell_words(words), -1);
}

Result<RemoteShell::Ran> RemoteShell::command(const std::vector<std::string>& words) const {
  return run(quoted_words(words), -1);
}

Result<RemoteShell::Ran> RemoteShell::command(
    const std::vector<std::string>& words, const SecretBytes& passphrase) const {
  const Fd input = TRY(input_with(passphrase));
  return run(quoted_words(words), input.get());
}

Result<void> RemoteShell::send(const std::string& file, const std::string& to) const {
  const Fd input(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!input)
    return fail_errno(printable(file, 1024), errno);
  const Ran ran = TRY(run(cat("umask 077 && cat >", quoted_words({to})), input.get()));
  if (ran.code != 0)
    return fail(Code::failure, cat("send ", printable(file, 1024), ": ", last_line(ran.err)));
  return {};
}

} // namespace chillbox::cli
