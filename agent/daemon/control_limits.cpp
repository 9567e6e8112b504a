#include "daemon/control_limits.hpp"

#include "base/text.hpp"

namespace chillbox::daemon {
namespace {

constexpr size_t k_working = 32;
constexpr size_t k_working_but_root = 28;
constexpr size_t k_working_of_user = 8;
constexpr size_t k_following_of_root = 32;
constexpr size_t k_following_but_root = 24;
constexpr size_t k_following_of_user = 8;

} // namespace

void ControlLimits::Count::add(uid_t uid) {
  ++of[uid];
  ++all;
  but_root += uid == 0 ? 0 : 1;
}

void ControlLimits::Count::take(uid_t uid) {
  --all;
  but_root -= uid == 0 ? 0 : 1;
  if (const auto mine = of.find(uid); mine != of.end() && --mine->second == 0)
    of.erase(mine);
}

size_t ControlLimits::Count::of_user(uid_t uid) const {
  const auto mine = of.find(uid);
  return mine == of.end() ? 0 : mine->second;
}

Result<void> ControlLimits::enter(uid_t uid) {
  const std::lock_guard lock(m_mutex);
  if (uid != 0 && m_working.of_user(uid) >= k_working_of_user)
    return fail(Code::busy,
        cat("you have ", k_working_of_user,
            " control connections open, the most for one user: end one, or try again"));
  if (m_working.all >= k_working || (uid != 0 && m_working.but_root >= k_working_but_root))
    return fail(Code::busy,
        cat("more than ", uid == 0 ? k_working : k_working_but_root,
            " control connections: try again"));
  m_working.add(uid);
  return {};
}

Result<void> ControlLimits::become(uid_t uid, uid_t as) {
  const std::lock_guard lock(m_mutex);
  if (m_working.of_user(as) >= k_working_of_user)
    return fail(Code::busy,
        cat("you have ", k_working_of_user,
            " control connections open, the most for one person: end one, or try again"));
  m_working.take(uid);
  m_working.add(as);
  return {};
}

Result<void> ControlLimits::follow(uid_t uid) {
  const std::lock_guard lock(m_mutex);
  const size_t mine = m_following.of_user(uid);
  if (uid == 0 ? mine >= k_following_of_root : mine >= k_following_of_user)
    return fail(Code::busy,
        cat("you follow ", mine, " jobs and logs already, the most for one user: end one"));
  if (uid != 0 && m_following.but_root >= k_following_but_root)
    return fail(Code::busy,
        cat("more than ", k_following_but_root, " jobs and logs are followed: try again"));
  m_following.add(uid);
  m_working.take(uid);
  return {};
}

void ControlLimits::leave(uid_t uid, bool follows) {
  const std::lock_guard lock(m_mutex);
  (follows ? m_following : m_working).take(uid);
}

} // namespace chillbox::daemon
