#include "os/job_user.hpp"

#include "base/fd.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "os/disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bitset>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>

namespace chillbox::os {
namespace {

constexpr size_t k_users = k_last_job_user - k_first_job_user + 1;
constexpr size_t k_most_accounts = 16 << 20; // bytes of /etc/passwd

using Users = std::bitset<k_users>;
std::mutex g_mutex;
Users g_taken;
size_t g_next = 0;

std::optional<size_t> index_of(uint64_t number) {
  return number >= k_first_job_user && number <= k_last_job_user ? std::optional(number - k_first_job_user) : std::nullopt;
}

// By its effective uid; a zombie is nobody any more.
std::optional<size_t> user_of(int proc, const char* pid) {
  std::array<char, 1024> text; // "State:" and "Uid:" are among the first lines
  const Fd fd(::openat(proc, cat(pid, "/status").c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  const std::string_view status(text.data(), n < 0 ? 0 : static_cast<size_t>(n));
  const auto state = status.find("\nState:\t"), uid = status.find("\nUid:\t");
  if (uid == std::string_view::npos || state == std::string_view::npos || status[state + 8] == 'Z' || status[state + 8] == 'X')
    return std::nullopt;
  const auto words = split(status.substr(uid + 6, status.find('\n', uid + 1) - uid - 6), '\t');
  const auto number = words.size() > 1 ? parse_u64(words[1]) : std::nullopt;
  return number ? index_of(*number) : std::nullopt;
}

Result<Users> running() {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc)
    return fail_errno("list /proc", errno);
  Users users;
  while (const dirent* entry = ::readdir(proc.get()))
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
      if (const auto index = user_of(::dirfd(proc.get()), entry->d_name))
        users[*index] = true;
  return users;
}

} // namespace

Result<JobUser> JobUser::take() {
  const std::lock_guard lock(g_mutex);
  const Users busy = TRY(running()) | g_taken;
  if ((busy & ~g_taken).any())
    log::warn(cat((busy & ~g_taken).count(), " users of jobs that have ended still run something; they are not given out again before it ends"));
  for (size_t tried = 0; tried < k_users; ++tried) {
    const size_t index = std::exchange(g_next, (g_next + 1) % k_users);
    if (busy[index])
      continue;
    g_taken[index] = true;
    const uid_t number = k_first_job_user + static_cast<uid_t>(index);
    return JobUser(User{cat("uid ", number), number, number, "/nonexistent"});
  }
  return fail(Code::busy, cat("all ", k_users, " users for jobs are taken"));
}

JobUser::~JobUser() {
  const auto index = index_of(m_user.uid);
  if (!index)
    return;
  const std::lock_guard lock(g_mutex);
  g_taken[*index] = false;
}

Result<void> check_job_users(const std::string& etc) {
  for (const char* file : {"/passwd", "/group"}) {
    const std::string text = TRY(real_disk().read(etc + file, k_most_accounts));
    for (const auto line : split(text, '\n')) {
      const auto fields = split(line, ':');
      const auto number = fields.size() > 2 ? parse_u64(fields[2]) : std::nullopt;
      if (number && index_of(*number))
        return fail(Code::conflict, cat("'", printable(fields[0], 64), "' in ", etc, file, " has number ", *number, "; ", k_first_job_user, " to ", k_last_job_user,
                                        " are for the users of chillbox's jobs: give it another number"));
    }
  }
  return {};
}

} // namespace chillbox::os
