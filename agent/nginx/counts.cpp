#include "nginx/counts.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "nginx/count_line.hpp"
#include "nginx/nginx.hpp"
#include "os/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace chillbox::nginx {
namespace {

constexpr size_t k_piece = 64 * 1024; // and so the longest line
constexpr int64_t k_moment = 200;     // ms
constexpr int64_t k_moments = 120'000 / k_moment;
constexpr std::string_view k_log = ".log", k_old = ".log.1";

std::string file_of(const os::Paths& paths, std::string_view site, std::string_view end) {
  return cat(counts_dir(paths), "/", site, end);
}

bool exists(const std::string& file) {
  return ::access(file.c_str(), F_OK) == 0;
}

// "unix:/run/chillbox/live/SITE/SERVICE.sock": SERVICE. Anything else as it is.
std::string service_in(std::string_view upstream) {
  constexpr std::string_view k_socket = ".sock";
  if (!upstream.starts_with("unix:"))
    return std::string(upstream.substr(0, 64));
  upstream.remove_prefix(std::min(upstream.size(), upstream.rfind('/') + 1));
  if (upstream.ends_with(k_socket))
    upstream.remove_suffix(k_socket.size());
  const auto name = ServiceName::parse(upstream);
  return name ? name->str() : std::string(k_other_service);
}

} // namespace

std::string answers_dir(const os::Paths& paths) {
  return paths.state() + "/nginx/answers";
}
std::string answers_log(const os::Paths& paths, const SiteName& site) {
  return cat(answers_dir(paths), "/", site.str(), ".log");
}
std::string counts_dir(const os::Paths& paths) {
  return paths.run() + "/counts";
}
std::string counts_log(const os::Paths& paths, const SiteName& site) {
  return file_of(paths, site.str(), k_log);
}
std::string counts_conf(const os::Paths& paths, const SiteName& site) {
  return file_of(paths, site.str(), ".conf");
}
std::string counts_include(std::string_view indent, const os::Paths& paths, const SiteName& site) {
  return cat(indent, "include ", file_of(paths, site.str(), ".con[f]"), ";\n");
}

uint64_t Histogram::all() const {
  uint64_t sum_of_counts = 0;
  for (const uint64_t count : counts)
    sum_of_counts += count;
  return sum_of_counts;
}

void Histogram::add(double seconds) {
  const auto bound = std::ranges::lower_bound(k_bounds, seconds);
  ++counts[static_cast<size_t>(bound - k_bounds.begin())];
  sum += seconds;
}

Counts& counts(const os::Paths& paths) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Counts>> by_root; // tests have several
  const std::scoped_lock lock(mutex);
  auto& mine = by_root[paths.root];
  if (!mine)
    mine = std::make_unique<Counts>(paths);
  return *mine;
}

Result<bool> begin_counts(os::Disk& disk, const os::Paths& paths, Nginx& nginx,
    const SiteName& site, const std::string& text) {
  if (text.find(counts_include("", paths, site)) == std::string::npos)
    return false;
  // Its workers open the files again when they are renamed.
  TRY(disk.make_dir(counts_dir(paths), 0750, {::geteuid(), nginx.group().value_or(::getegid())}));
  const std::string conf = counts_conf(paths, site);
  const bool is_new = !disk.exists(conf);
  TRY(os::write_if_changed(disk, conf,
      cat("access_log ", counts_log(paths, site), " ", site.str(),
          "-counts buffer=16k flush=1s if=$chillbox_visits;\n"),
      0644));
  return is_new;
}

Histogram& Histogram::operator+=(const Histogram& other) {
  for (size_t i = 0; i < counts.size(); ++i)
    counts[i] += other.counts[i];
  sum += other.sum;
  return *this;
}

RequestCounts& RequestCounts::operator+=(const RequestCounts& other) {
  for (const auto& [code, count] : other.codes)
    codes[code] += count;
  other_codes += other.other_codes;
  seconds += other.seconds;
  upstream_seconds += other.upstream_seconds;
  sent += other.sent;
  received += other.received;
  for (size_t i = 0; i < cache.size(); ++i)
    cache[i] += other.cache[i];
  return *this;
}

void Counts::begin() {
  const std::scoped_lock lock(m_mutex);
  for (const auto& name :
      os::real_disk().list(counts_dir(m_paths)).value_or(std::vector<std::string>{})) {
    const bool old = name.ends_with(k_old);
    if (!old && !name.ends_with(k_log))
      continue;
    const std::string id = name.substr(0, name.size() - (old ? k_old : k_log).size());
    Site& site = m_sites[id];
    site.counts_lines = false;
    (void)read_on(site, old ? site.old : site.now, file_of(m_paths, id, old ? k_old : k_log));
    site.counts_lines = true;
  }
}

bool Counts::read_on(Site& site, File& file, const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0)
    return false;
  if (st.st_dev == file.device && st.st_ino == file.inode &&
      static_cast<uint64_t>(st.st_size) == file.offset)
    return false; // as most are, most of the time
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return false;
  const auto size = static_cast<uint64_t>(st.st_size);
  if (st.st_dev != file.device || st.st_ino != file.inode || size < file.offset)
    file = {.device = st.st_dev, .inode = st.st_ino};
  if (size - file.offset > k_counts_room) { // more than NGINX can have written
    file.offset = size - k_counts_room;
    file.skips = true;
    ++site.counts.bad_lines;
  }
  const uint64_t before = file.offset;
  std::string piece(k_piece, '\0');
  while (file.offset < size) {
    const ssize_t got =
        ::pread(fd.get(), piece.data(), piece.size(), static_cast<off_t>(file.offset));
    if (got <= 0)
      break;
    const std::string_view text(piece.data(), static_cast<size_t>(got));
    const auto end = text.rfind('\n');
    if (end != std::string_view::npos) {
      take(site, text.substr(0, end), file);
      file.offset += end + 1;
    } else if (text.size() == k_piece) { // no line is as long
      site.counts.bad_lines += file.skips ? 0 : 1;
      file.skips = true;
      file.offset += text.size();
    } else {
      break; // the rest of it is still to come
    }
  }
  return file.offset != before;
}

void Counts::take(Site& site, std::string_view lines, File& file) {
  for (const auto text : split(lines, '\n')) {
    if (file.skips) {
      file.skips = false; // what was left of the long one
      continue;
    }
    const auto line = read_count_line(text);
    if (!line) {
      site.counts.bad_lines += site.counts_lines ? 1 : 0;
      continue;
    }
    if (site.counts_lines)
      count(site, *line);
    if (line->answered)
      remember(site, *line);
  }
}

RequestCounts& Counts::counts_of(Site& site, std::string_view upstream) {
  auto& services = site.counts.services;
  std::string name = service_in(upstream);
  if (services.size() >= k_counted_services && !services.contains(name))
    name = k_other_service;
  return services[name];
}

void Counts::count(Site& site, const CountLine& line) {
  RequestCounts& c = counts_of(site, line.upstream);
  site.counts.last_ms = std::max(site.counts.last_ms, line.time_ms);
  if (const auto code = c.codes.find(line.status); code != c.codes.end()) {
    ++code->second;
  } else if (site.codes < k_counted_codes) {
    ++site.codes;
    c.codes[line.status] = 1;
  } else {
    ++c.other_codes;
  }
  c.seconds.add(line.seconds);
  if (line.upstream_seconds)
    c.upstream_seconds.add(*line.upstream_seconds);
  c.sent += line.sent;
  c.received += line.received;
  if (const auto state = std::ranges::find(k_cache_states, line.cache);
      state != k_cache_states.end())
    ++c.cache[static_cast<size_t>(state - k_cache_states.begin())];
}

void Counts::remember(Site& site, const CountLine& line) {
  std::erase_if(site.followers, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : site.followers)
    if (const auto follower = weak.lock(); follower && line.begun_ms() >= follower->m_since) {
      ++follower->m_answers.all;
      follower->m_answers.bad += line.bad ? 1 : 0;
    }
  const int64_t at = line.begun_ms() / k_moment;
  auto& moments = site.moments;
  auto place = moments.end();
  while (place != moments.begin() && std::prev(place)->at >= at)
    --place;
  if (place == moments.end() || place->at != at) {
    if (moments.size() >= k_moments && place == moments.begin())
      return; // older than all that is kept
    place = moments.insert(place, Moment{.at = at});
  }
  ++place->all;
  place->bad += line.bad ? 1 : 0;
  while (!moments.empty() && moments.front().at + k_moments < moments.back().at)
    moments.pop_front();
}

void Counts::read_site(const std::string& name, Site& site) {
  if (site.old.inode != 0) // its lines are older
    (void)read_on(site, site.old, file_of(m_paths, name, k_old));
  (void)read_on(site, site.now, file_of(m_paths, name, k_log));
}

SiteCounts Counts::of(const SiteName& site) {
  const std::scoped_lock lock(m_mutex);
  Site& mine = m_sites[site.str()];
  read_site(site.str(), mine);
  return mine.counts;
}

// One that has not grown since the last look, because its writer has begun another.
void Counts::finish_old(const std::string& name, Site& site) {
  const std::string old = file_of(m_paths, name, k_old);
  (void)read_on(site, site.old, old);
  const bool grew = std::exchange(site.old_at, site.old.offset) != site.old.offset;
  if (grew || site.old.inode == 0 || !exists(file_of(m_paths, name, k_log)))
    return;
  ::unlink(old.c_str());
  site.old = {};
}

bool Counts::rotate() {
  const std::scoped_lock lock(m_mutex);
  std::set<std::string> names;
  for (const auto& file :
      os::real_disk().list(counts_dir(m_paths)).value_or(std::vector<std::string>{}))
    for (const auto end : {k_log, k_old})
      if (file.ends_with(end))
        names.insert(file.substr(0, file.size() - end.size()));
  bool renamed = false;
  for (const auto& name : names) {
    const std::string log = file_of(m_paths, name, k_log), old = file_of(m_paths, name, k_old);
    Site& site = m_sites[name];
    finish_old(name, site);
    (void)read_on(site, site.now, log);
    const bool waits = exists(old);
    if (!waits && site.now.offset > k_counts_log && ::rename(log.c_str(), old.c_str()) == 0) {
      site.old = std::exchange(site.now, {});
      site.old_at = site.old.offset;
      renamed = true;
    }
    renamed = renamed || (waits && !exists(log)); // NGINX was not told
  }
  return renamed;
}

void Counts::forget(const SiteName& site) {
  const std::scoped_lock lock(m_mutex);
  m_sites.erase(site.str());
  for (const std::string_view end : {std::string_view(".conf"), k_log, k_old})
    ::unlink(file_of(m_paths, site.str(), end).c_str());
}

Answers Counts::answers(const SiteName& site, int64_t since_ms, int64_t until_ms) {
  const std::scoped_lock lock(m_mutex);
  Site& mine = m_sites[site.str()];
  read_site(site.str(), mine);
  Answers sum;
  for (const auto& moment : mine.moments)
    if (moment.at >= since_ms / k_moment && moment.at * k_moment < until_ms) {
      sum.all += moment.all;
      sum.bad += moment.bad;
    }
  return sum;
}

std::shared_ptr<Counts::Follower> Counts::follow(const SiteName& site, int64_t since_ms) {
  const std::scoped_lock lock(m_mutex);
  std::shared_ptr<Follower> mine(new Follower(*this, site, since_ms));
  m_sites[site.str()].followers.push_back(mine);
  return mine;
}

Answers Counts::Follower::seen() {
  const std::scoped_lock lock(m_counts.m_mutex);
  m_counts.read_site(m_site.str(), m_counts.m_sites[m_site.str()]);
  return m_answers;
}

} // namespace chillbox::nginx
