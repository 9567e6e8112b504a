#include "daemon/site_notices.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/site.hpp"
#include "control/json.hpp"
#include "os/socket.hpp"
#include "store/notices.hpp"

#include <nlohmann/json.hpp>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::daemon {
namespace {

constexpr os::Millis k_hour{3'600'000};
constexpr size_t k_most_open = 32;

void add(const Fd& epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
}

void say(const Fd& fd, const Result<void>& outcome) {
  const std::string text =
      outcome ? "ok\n" : cat(code_name(outcome.error().code), ": ", outcome.error().message, "\n");
  ::send(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

} // namespace

Result<void> SiteNotices::listen() {
  m_listener = TRY(
      os::listen_unix(m_host.paths.run() + "/notices.sock", 0666, {::geteuid(), ::getegid()}, 64));
  m_epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!m_epoll)
    return fail_errno("epoll", errno);
  add(m_epoll, m_listener.get());
  return {};
}

void SiteNotices::serve() {
  std::array<epoll_event, 16> events;
  const int ready = ::epoll_wait(m_epoll.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < ready; ++i) {
    const int fd = events[static_cast<size_t>(i)].data.fd;
    if (fd == m_listener.get()) {
      accept_one();
      continue;
    }
    const auto found =
        std::ranges::find_if(m_open, [&](const auto& one) { return one.fd.get() == fd; });
    if (found != m_open.end())
      answer(found);
  }
}

// Who says nothing holds a place until another needs it; of one user there are two at most.
void SiteNotices::accept_one() {
  constexpr long k_most_of_one = 2;
  auto fd = os::accept(m_listener.get());
  const auto peer = fd ? os::peer_of(fd->get()) : Result<os::Peer>(fail(Code::failure, ""));
  if (!fd || !peer)
    return;
  if (std::ranges::count(m_open, peer->uid, &Connection::uid) >= k_most_of_one)
    return say(*fd, fail(Code::throttled, "two notices of yours are under way"));
  if (m_open.size() >= k_most_open)
    m_open.pop_front();
  add(m_epoll, fd->get());
  m_open.push_back({std::move(*fd), peer->uid});
}

void SiteNotices::answer(std::list<Connection>::iterator connection) {
  std::array<char, k_site_notice_max + 1> text;
  const ssize_t size = ::recv(connection->fd.get(), text.data(), text.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (size > 0)
    say(connection->fd, take(connection->uid, {text.data(), static_cast<size_t>(size)}));
  m_open.erase(connection); // closed, and so no longer in the epoll
}

Result<SiteName> SiteNotices::site_of(uid_t uid) const {
  if (auto site = SiteName::parse(os::Peer{.uid = uid}.name()))
    if (const auto row = m_host.store.site(*site); row && *row)
      return site;
  return fail(Code::denied, "only a site's own user may post a notice");
}

// The field that only this asks for is read here, at most ten times an hour for each site.
Result<void> SiteNotices::may_post(const SiteName& site) const {
  const auto row = TRY(m_host.store.site(site));
  const std::string file =
      cat(m_host.paths.releases(site), "/", row ? row->live : "", "/", site.str(), ".site.json");
  const auto text = m_host.disk.read(file, config::k_max_site_json);
  const auto json = text ? control::parse_json(*text, config::k_max_site_json)
                         : Result<control::Json>(std::unexpected(text.error()));
  if (json && json->is_object() && control::bool_or(*json, "notices", false))
    return {};
  return fail(
      Code::denied, cat("the site file of '", site.str(), "' does not say \"notices\": true"));
}

Result<void> SiteNotices::take(uid_t uid, std::string_view text) {
  const os::Millis now = m_host.clock.mono();
  if (text.size() > k_site_notice_max)
    return fail(Code::too_large, cat("the limit is ", k_site_notice_max, " bytes"));
  if (trim(text).empty() || !is_utf8(text))
    return fail(Code::invalid, "a notice is a text in UTF-8");
  const auto site = TRY(site_of(uid));
  auto& times = m_times[uid];
  while (!times.empty() && now - times.front() >= k_hour)
    times.pop_front();
  if (times.size() >= k_site_notices_an_hour)
    return fail(Code::throttled,
        cat(k_site_notices_an_hour, " notices an hour are taken, the next in ",
            (k_hour - (now - times.front())).count() / 1'000 + 1, " s"));
  times.push_back(now); // also one that is refused now
  TRY(may_post(site));
  return store::Notices(m_host.store)
      .raise({.event = "site.notice",
          .site = site.str(),
          .subject = {},
          .text = printable(trim(text), k_site_notice_max),
          .time_ms = m_host.clock.wall_ms()});
}

} // namespace chillbox::daemon
