// log_files: passes the descriptors of a site's logs to who may read them. It opens and looks at
// sizes, and reads no byte of what a site wrote.
#include "base/text.hpp"
#include "control/log_news.hpp"
#include "daemon/control_verbs.hpp"
#include "nginx/nginx.hpp"
#include "os/open_log.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <map>

namespace chillbox::daemon {
namespace {

constexpr size_t k_most_files = 400; // for one caller, whose descriptors they become

struct SiteLog {
  std::string service, stream, path;
};

std::string_view stream_of(std::string_view service) {
  return service == "cron" ? "cron" : service.starts_with("run.") ? "run" : "app";
}

// Of the services, and as "nginx", which no service is called, what NGINX writes.
std::vector<SiteLog> logs_there(
    const Call& call, const SiteName& site, const std::vector<std::string>& streams) {
  auto& host = call.host();
  const std::string only = call.args.service.value_or("");
  std::vector<SiteLog> logs;
  const auto add = [&](std::string service, std::string_view stream, std::string path) {
    const bool named = streams.empty() || std::ranges::find(streams, stream) != streams.end();
    if (named && (only.empty() || only == service))
      logs.push_back({std::move(service), std::string(stream), std::move(path)});
  };
  constexpr std::string_view k_log = ".log";
  const auto names_in = [&](const std::string& dir) {
    auto names = host.disk.list(dir).value_or(std::vector<std::string>{});
    std::erase_if(names, [&](const auto& name) { return !name.ends_with(k_log); });
    return names;
  };
  const std::string dir = host.paths.logs_of(site), of_nginx = nginx::log_dir(host.paths, site);
  for (const auto& file : names_in(dir)) {
    const std::string service = file.substr(0, file.size() - k_log.size());
    add(service, stream_of(service), cat(dir, "/", file));
  }
  for (const auto& file : names_in(of_nginx))
    add("nginx", file.ends_with("error.log") ? "error" : "access", cat(of_nginx, "/", file));
  return logs;
}

class LogSender {
public:
  explicit LogSender(const Call& call) : m_call(call) {}

  Result<void> first(const SiteLog& log);
  // Whether something was written, or a new file sent.
  Result<bool> look(const SiteLog& log);

private:
  struct Seen {
    ino_t inode = 0;
    uint64_t size = 0;
  };
  static std::string part_name(const std::string& path, uint64_t part) {
    return part == 0 ? path : cat(path, ".", part);
  }
  Result<void> send(const SiteLog& log, uint64_t part, const os::OpenLog& file, bool lost);
  uint64_t last_part() const { return m_call.host().config.log_files; }

  const Call& m_call;
  std::map<std::string, Seen> m_seen;
  size_t m_sent = 0;
};

Result<void> LogSender::send(
    const SiteLog& log, uint64_t part, const os::OpenLog& file, bool lost) {
  const int socket = m_call.fd();
  const control::LogNews news{.look = false,
      .service = log.service,
      .stream = log.stream,
      .part = part,
      .marks = bool(file.marks),
      .lost = lost};
  TRY(control::write_frame(socket, control::event_text(control::to_json(news))));
  TRY(control::send_descriptor(socket, file.text.get()));
  if (file.marks)
    TRY(control::send_descriptor(socket, file.marks.get()));
  if (part == 0)
    m_seen[log.path] = {file.inode, file.size};
  ++m_sent;
  return {};
}

// Older files only as far as they may have what is asked for: without a time the last one, for
// there may be few lines in the one after it.
Result<void> LogSender::first(const SiteLog& log) {
  std::vector<std::pair<uint64_t, os::OpenLog>> parts;
  for (uint64_t part = 0; part <= last_part() && m_sent + parts.size() < k_most_files; ++part) {
    auto file = os::open_log(part_name(log.path, part));
    if (!file && part == 0)
      continue; // it was moved away by hand, or just now
    if (!file || (part > 0 && file->written_ms < period_of(m_call).since_ms) ||
        (part > 1 && !m_call.args.since_ms))
      break;
    parts.emplace_back(part, std::move(*file));
  }
  for (auto one = parts.rbegin(); one != parts.rend(); ++one)
    TRY(send(log, one->first, one->second, false));
  return {};
}

Result<bool> LogSender::look(const SiteLog& log) {
  const auto seen = m_seen.find(log.path);
  if (seen == m_seen.end()) {
    const size_t before = m_sent;
    TRY(first(log));
    return m_sent > before;
  }
  const auto now = os::open_log(log.path);
  if (!now)
    return false;
  if (now->inode == seen->second.inode) {
    const bool grown = now->size != seen->second.size;
    seen->second.size = now->size;
    return grown;
  }
  const ino_t last = seen->second.inode;
  std::vector<std::pair<uint64_t, os::OpenLog>> parts;
  bool found = false;
  for (uint64_t part = 0; part <= last_part() && !found; ++part)
    if (auto file = os::open_log(part_name(log.path, part))) {
      found = file->inode == last;
      if (!found)
        parts.emplace_back(part, std::move(*file));
    }
  for (auto one = parts.rbegin(); one != parts.rend(); ++one)
    TRY(send(log, one->first, one->second, !found && one == parts.rbegin()));
  return true;
}

Result<void> say_look(const Call& call) {
  return control::write_frame(
      call.fd(), control::event_text(control::to_json(control::LogNews{.look = true})));
}

// A reader that does not read is not sent more: it gets all of it once it reads again.
bool has_read_all(int socket) {
  int queued = 0;
  return ::ioctl(socket, SIOCOUTQ, &queued) != 0 || queued == 0;
}

Result<control::Done> log_files(const Call& call) {
  constexpr os::Millis k_between_looks{300}; // at files that another process writes
  const auto site = TRY(site_of(call));
  const auto streams = call.args.streams.value_or(std::vector<std::string>{});
  LogSender sender(call);
  const auto logs = logs_there(call, site, streams);
  const std::string only = call.args.service.value_or("");
  if (logs.empty())
    return fail(Code::not_found,
        cat("no log of '", site.str(), only.empty() ? "" : "/", printable(only, 40), "'",
            streams.empty() ? "" : cat(" in ", printable(join(streams, ", "), 100))));
  for (const auto& log : logs)
    TRY(sender.first(log));
  TRY(say_look(call));
  while (call.args.follow.value_or(false)) {
    TRY(may_wait(call, "")); // a daemon that stops says so: the next one is asked
    call.host().clock.sleep(k_between_looks);
    if (!has_read_all(call.fd()))
      continue;
    bool news = false;
    for (const auto& log : logs_there(call, site, streams))
      news = TRY(sender.look(log)) || news;
    if (news)
      TRY(say_look(call));
  }
  return control::Done{};
}

constexpr ControlVerb k_logs_verbs[] = {
    {"log_files", answer<log_files>, false, control::Role::look},
};

} // namespace

std::span<const ControlVerb> log_verbs() {
  return k_logs_verbs;
}

} // namespace chillbox::daemon
