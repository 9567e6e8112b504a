#include "backup/target.hpp"
#include "backup/backups.hpp"

#include "base/text.hpp"
#include "os/host_layout.hpp"
#include "os/io.hpp"
#include "os/root_owned.hpp"
#include "os/spawn.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::backup {
namespace {

constexpr size_t k_max_credentials = 64 * 1024;
constexpr size_t k_max_list = 16 * 1024 * 1024;
constexpr off_t k_last_words = 4096;
constexpr os::Millis k_short{120'000};
constexpr uint64_t k_slowest = 64 * 1024; // bytes a second
constexpr uint64_t k_hook_memory = 512ULL << 20;
// Puts the descriptor that is named first at 3, and becomes the hook. By its file, because not each
// shell takes a number of two digits; anybody may read a file in memory that he was given.
constexpr const char* k_with_credentials = "exec 3<\"/proc/self/fd/$1\"; shift; exec \"$@\"";

os::Millis time_for(uint64_t bytes) {
  return k_short + os::Millis(1000 * (bytes / k_slowest));
}

// What it said last, as a person would quote it.
std::string last_words(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) != 0 ||
      ::lseek(fd, std::max<off_t>(0, st.st_size - k_last_words), SEEK_SET) < 0)
    return "";
  const auto text = os::read_all(fd, static_cast<size_t>(k_last_words) + 1, "messages");
  const std::string all(trim(text.value_or("")));
  return printable(std::string_view(all).substr(all.rfind('\n') + 1), 300);
}

} // namespace

Result<std::string> Target::program() const {
  const auto& name = m_host.config.target;
  if (name.empty()) {
    if (const auto now = read_settings(m_host.disk, m_host.paths); !now.target.empty())
      return fail(Code::preflight,
          cat("backup.target was set in ", m_host.paths.config_file(),
              " after chillboxd started: `chillboxctl upgrade` has it read"));
    return fail(Code::preflight,
        cat("no target for backups: set backup.target in ", m_host.paths.config_file(),
            ", and what it needs in ", m_host.paths.etc(), "/backup/"));
  }
  const std::string path = cat("backup/", name);
  if (os::is_program(cat(m_host.paths.admin_hooks(), "/", path))) {
    TRY(os::check_root_owned(m_host.paths.admin_hooks(), path));
    return cat(m_host.paths.admin_hooks(), "/", path);
  }
  if (const std::string shipped = cat(m_host.paths.shipped_hooks(), "/", path);
      os::is_program(shipped))
    return shipped;
  return fail(Code::not_found,
      cat("backup.target is '", name, "', and there is no such hook in ",
          m_host.paths.shipped_hooks(), "/backup or ", m_host.paths.admin_hooks(), "/backup"));
}

Result<void> Target::run(const std::string& verb, const std::string& name, int in, int out,
    os::Millis timeout, uint64_t most) const {
  const auto& target = m_host.config.target;
  const std::string file = cat(m_host.paths.etc(), "/backup/", target);
  os::Command c;
  const std::string hook = TRY(program());
  c.argv = {"/bin/sh", "-c", k_with_credentials, "sh", "", hook, verb};
  if (!name.empty())
    c.argv.push_back(name);
  const Fd credentials =
      TRY(os::memory_file(TRY_IN("backup target", m_host.disk.read(file, k_max_credentials))));
  const Fd said = TRY(os::memory_file());
  const Fd null = TRY(os::open_null(O_RDWR));
  c.argv[4] = std::to_string(credentials.get());
  c.inherit = {credentials.get()};
  c.streams = {in < 0 ? null.get() : in, out < 0 ? null.get() : out, said.get()};
  c.env = {{"HOME", "/"}, {"LC_ALL", "C"}};
  c.timeout = timeout;
  c.contained = m_host.as_root;
  if (m_host.as_root) {
    c.user = TRY_IN("`chillboxctl init` makes it", os::find_user(std::string(os::k_backup_user)));
    c.limits.memory_max = k_hook_memory;
    c.limits.file_size = most;
  }
  if (m_host.stop != nullptr)
    c.cancelled = [stop = m_host.stop] { return stop->load(); };
  const auto exit = TRY_IN(cat("backup target '", target, "': ", verb), m_host.runner.run(c));
  if (exit.ok())
    return {};
  const std::string words = last_words(said.get());
  return fail(os::hook_code(exit.code),
      cat("backup target '", target, "': ", verb, ": ",
          words.empty() ? cat("ended with ", exit.code) : words));
}

Result<void> lend(int fd, bool as_root) {
  if (!as_root)
    return {};
  const auto user =
      TRY_IN("`chillboxctl init` makes it", os::find_user(std::string(os::k_backup_user)));
  return ::fchown(fd, user.uid, user.gid) == 0 ? Result<void>{}
                                               : fail_errno("lend a file to the hook", errno);
}

Result<void> Target::put(const std::string& name, int from, uint64_t size) const {
  if (::lseek(from, 0, SEEK_SET) != 0)
    return fail_errno(name, errno);
  return run("put", name, from, -1, time_for(size));
}

Result<void> Target::get(const std::string& name, int to, uint64_t most) const {
  return run("get", name, -1, to, time_for(most), most);
}

Result<std::vector<std::string>> Target::list() const {
  const Fd out = TRY(os::memory_file());
  TRY(run("list", "", -1, out.get(), k_short));
  if (::lseek(out.get(), 0, SEEK_SET) != 0)
    return fail_errno("list", errno);
  std::vector<std::string> names;
  const auto text = TRY(os::read_all(out.get(), k_max_list, "what the target lists"));
  for (const auto line : split(text, '\n'))
    if (const auto name = line.substr(0, line.find(' ')); !name.empty())
      names.emplace_back(name);
  std::ranges::sort(names);
  return names;
}

Result<void> Target::remove(const std::string& name) const {
  return run("delete", name, -1, -1, k_short);
}

} // namespace chillbox::backup
