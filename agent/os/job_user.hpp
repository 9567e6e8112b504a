// Users for jobs. What a job runs before its bytes are root's (a stager, a preflight hook, a build)
// runs under a uid and gid of its own, which no account has and no other job has at the same time:
// what is in plain text for one site is never another site's user's. The numbers are
// k_first_job_user to k_last_job_user: below 65,534, so that they exist in a container too; above
// every number that Debian (up to 64,999, on demand) and Alpine give out. They come in turn, so
// that one comes again only after all others.
//
// That nothing is left that runs as one is the business of who runs it (Command::contained; a
// stager cannot fork, and is reaped). It is looked at all the same when a number is given out: one
// with a process is left out.
#pragma once

#include "base/error.hpp"
#include "os/runner.hpp"

#include <string>
#include <utility>

namespace chillbox::os {

inline constexpr uid_t k_first_job_user = 65'024;
inline constexpr uid_t k_last_job_user = 65'279;

// Has the number until it goes.
class JobUser {
public:
  // busy: all numbers are taken.
  static Result<JobUser> take();
  JobUser(JobUser&& other) noexcept : m_user(std::exchange(other.m_user, {})) {}
  JobUser& operator=(JobUser&&) = delete;
  ~JobUser();
  const User& user() const { return m_user; }

private:
  explicit JobUser(User user) : m_user(std::move(user)) {}
  User m_user; // uid 0: moved away
};

// conflict: an account in `etc`/passwd or `etc`/group has a number of the range.
Result<void> check_job_users(const std::string& etc = "/etc");

} // namespace chillbox::os
