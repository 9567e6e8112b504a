#include "os/job_user.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "os/disk.hpp"

#include <sys/resource.h>

#include <bitset>
#include <cerrno>
#include <mutex>
#include <optional>

namespace chillbox::os {
namespace {

constexpr size_t k_users = k_last_job_user - k_first_job_user + 1;
constexpr size_t k_most_accounts = 16 << 20; // bytes of /etc/passwd

std::mutex g_mutex;
std::bitset<k_users> g_taken;
size_t g_next = 0;

std::optional<size_t> index_of(uint64_t number) {
  return number >= k_first_job_user && number <= k_last_job_user
      ? std::optional(number - k_first_job_user)
      : std::nullopt;
}

// Whose real uid is this one, in this pid namespace and those below: what a job starts cannot have
// another, since it gets no new privileges.
bool runs_something(uid_t uid) {
  errno = 0;
  return ::getpriority(PRIO_USER, uid) != -1 || errno != ESRCH;
}

} // namespace

Result<JobUser> JobUser::take() {
  const std::lock_guard lock(g_mutex);
  for (size_t tried = 0; tried < k_users; ++tried) {
    const size_t index = std::exchange(g_next, (g_next + 1) % k_users);
    const uid_t number = k_first_job_user + static_cast<uid_t>(index);
    if (g_taken[index])
      continue;
    if (runs_something(number)) {
      log::warn(cat("uid ", number,
          " of a job that has ended still runs something: it is not given out again before that ends"));
      continue;
    }
    g_taken[index] = true;
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
        return fail(Code::conflict,
            cat("'", printable(fields[0], 64), "' in ", etc, file, " has number ", *number, "; ",
                k_first_job_user, " to ", k_last_job_user,
                " are for the users of chillbox's jobs: give it another number"));
    }
  }
  return {};
}

} // namespace chillbox::os
