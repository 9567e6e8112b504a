// What visitors of a site got, counted from a log in memory that NGINX writes beside its own
// (count_line.hpp): /run/chillbox/counts/SITE.log, on a tmpfs of a fixed size, so that no disk
// wears and a daemon that is away costs no more than that. Read on when somebody asks, and when it
// is rotated; a host without visitors does nothing for it.
//
// A server of a site includes SITE.conf in that directory, if it exists, which names the log. So
// NGINX starts at boot before the directory is there, and counts from the moment when chillboxd has
// made it.
//
// Counters begin at 0 with the daemon. What is read is bounded in lines, codes, services and bytes;
// a line that is none is counted as such.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

struct CountLine;

std::string counts_dir(const os::Paths& paths);
std::string counts_log(const os::Paths& paths, const SiteName& site);
std::string counts_conf(const os::Paths& paths, const SiteName& site);
// "include /run/chillbox/counts/SITE.con[f];", for every server of a site.
std::string counts_include(std::string_view indent, const os::Paths& paths, const SiteName& site);

// The directory, and the file in it that this text of a site includes. True: something is new, a
// reload of NGINX is due; false also for a text of an older program, which includes none.
class Nginx;
Result<bool> begin_counts(os::Disk& disk, const os::Paths& paths, Nginx& nginx,
    const SiteName& site, const std::string& text);

inline constexpr uint64_t k_counts_room = 32ULL << 20; // bytes of the tmpfs
inline constexpr uint64_t k_counts_log = 1'000'000;    // of a log that is rotated
inline constexpr size_t k_counted_codes = 32;          // of a site; the others are one
inline constexpr size_t k_counted_services = 64;       // of a site; the others are one

struct Histogram {
  // Upper bounds in seconds, those of Prometheus' own clients; one more has no bound.
  static constexpr std::array<double, 11> k_bounds{
      0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  std::array<uint64_t, k_bounds.size() + 1> counts{}; // of each alone
  double sum = 0;
  uint64_t all() const;
  void add(double seconds);
  Histogram& operator+=(const Histogram& other);
};

inline constexpr std::array<std::string_view, 7> k_cache_states{
    "HIT", "MISS", "BYPASS", "EXPIRED", "STALE", "UPDATING", "REVALIDATED"};

struct RequestCounts {
  std::map<uint16_t, uint64_t> codes;
  uint64_t other_codes = 0;
  Histogram seconds, upstream_seconds;
  uint64_t sent = 0, received = 0; // bytes
  std::array<uint64_t, k_cache_states.size()> cache{};
  RequestCounts& operator+=(const RequestCounts& other);
};

struct SiteCounts {
  // By who answered: "" NGINX itself, "SERVICE" one that has a socket, "127.0.0.1:8001" one that
  // has a port; k_other_service those beyond the limit.
  std::map<std::string, RequestCounts> services;
  uint64_t bad_lines = 0; // that are none
  int64_t last_ms = 0;    // the time of the newest line
};
inline constexpr std::string_view k_other_service = "other";

// Of the site's own services; HEAD, 304 and 499 do not count.
struct Answers {
  uint64_t all = 0, bad = 0; // bad: 5xx
  uint64_t bad_percent() const { return all == 0 ? 0 : bad * 100 / all; }
};

class Counts {
public:
  explicit Counts(os::Paths paths) : m_paths(std::move(paths)) {}
  // Of the daemon's start: what is in the logs was counted by the one before it.
  void begin();
  // Reads on.
  SiteCounts of(const SiteName& site);
  // Renames logs that have grown. True: NGINX is to open its logs again, so that it begins new
  // ones; the old ones are read to their ends, and removed by later calls.
  bool rotate();
  void forget(const SiteName& site); // and its files

  // Requests that began in [since, until), of the last two minutes, to 100 ms.
  Answers answers(const SiteName& site, int64_t since_ms, int64_t until_ms);
  // Those that began at `since` or later, exactly, for as long as the value lives. seen() reads on.
  class Follower {
  public:
    Answers seen();

  private:
    friend class Counts;
    Follower(Counts& counts, SiteName site, int64_t since)
        : m_counts(counts), m_site(std::move(site)), m_since(since) {}
    Counts& m_counts;
    SiteName m_site;
    int64_t m_since;
    Answers m_answers; // with the mutex of m_counts
  };
  std::shared_ptr<Follower> follow(const SiteName& site, int64_t since_ms);

private:
  struct Moment {   // answers that began in the same 100 ms
    int64_t at = 0; // begun / k_moment
    uint32_t all = 0, bad = 0;
  };
  struct File { // a log that is read on
    uint64_t device = 0, inode = 0, offset = 0;
    bool skips = false; // in the middle of a line that is too long
  };
  struct Site {
    SiteCounts counts;
    size_t codes = 0;         // different ones
    File now, old;            // old: renamed, and read until it no longer grows
    uint64_t old_at = 0;      // how far old was read at the last rotate()
    bool counts_lines = true; // false: they were counted before
    std::deque<Moment> moments;
    std::vector<std::weak_ptr<Follower>> followers;
  };
  // true: something was read
  bool read_on(Site& site, File& file, const std::string& path);
  void take(Site& site, std::string_view lines, File& file);
  void count(Site& site, const CountLine& line);
  void remember(Site& site, const CountLine& line);
  RequestCounts& counts_of(Site& site, std::string_view upstream);
  void read_site(const std::string& name, Site& site);
  void finish_old(const std::string& name, Site& site);

  os::Paths m_paths;
  std::mutex m_mutex;
  std::map<std::string, Site> m_sites;
};

// Of this host, whose only reader this process is: a second one would rename the logs of the first.
Counts& counts(const os::Paths& paths);

} // namespace chillbox::nginx
