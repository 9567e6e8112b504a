// Sites post notices of their own: a text on run()/notices.sock, in one write, and the answer is
// "ok" or an error, on one line. The kernel says which user is at the other end, and the user is
// the site: there is no token, and nobody can post for another. A site may if its site file says
// "notices": true, ten times an hour.
#pragma once

#include "base/fd.hpp"
#include "os/clock.hpp"
#include "rollout/host_context.hpp"

#include <sys/types.h>

#include <deque>
#include <list>
#include <map>
#include <string>
#include <string_view>

namespace chillbox::daemon {

inline constexpr size_t k_site_notice_max = 2'048; // bytes
inline constexpr size_t k_site_notices_an_hour = 10;

class SiteNotices {
public:
  explicit SiteNotices(rollout::HostContext& host) : m_host(host) {}
  Result<void> listen();
  int fd() const { return m_epoll.get(); } // readable: serve()
  void serve();                            // all that has come; never waits
  // What one user's text comes to; for tests.
  Result<void> take(uid_t uid, std::string_view text);

private:
  struct Connection {
    Fd fd;
    uid_t uid;
  };
  void accept_one();
  void answer(std::list<Connection>::iterator connection);
  Result<SiteName> site_of(uid_t uid) const;
  Result<void> may_post(const SiteName& site) const;

  rollout::HostContext& m_host;
  Fd m_epoll, m_listener;
  std::list<Connection> m_open;
  std::map<uid_t, std::deque<os::Millis>> m_times; // of the last hour
};

} // namespace chillbox::daemon
