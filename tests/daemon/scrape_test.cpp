// What a scrape of the metrics costs the monitor on a host of a hundred sites.
#include "rollout/host.hpp"

#include "daemon/metrics.hpp"
#include "nginx/counts.hpp"

#include <sys/resource.h>

#include <fstream>

using namespace chillbox;
using namespace chillbox::test;

namespace {

namespace fs = std::filesystem;

std::string renamed(std::string text, const std::string& name) {
  for (auto at = text.find("blog"); at != std::string::npos;
      at = text.find("blog", at + name.size()))
    text.replace(at, 4, name);
  return text;
}

// Without sockets, which cannot be copied.
void copy_tree(const fs::path& from, const fs::path& to) {
  if (fs::is_symlink(from))
    return fs::copy_symlink(from, to);
  if (fs::is_regular_file(from))
    fs::copy_file(from, to);
  if (!fs::is_directory(from))
    return;
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(from))
    copy_tree(entry.path(), to / entry.path().filename());
}

// What the directory has with the first site's name, for another one.
void copy_as(const fs::path& dir, const std::string& name) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.path().filename().string().find("blog") != std::string::npos)
      found.push_back(entry.path());
  for (const auto& from : found)
    copy_tree(from, dir / renamed(from.filename(), name));
}

struct ManySites : LiveHost {
  explicit ManySites(int sites) {
    group("blog");
    fs::create_directories(nginx::counts_dir(paths));
    visits("blog");
    for (int i = 1; i < sites; ++i)
      add(cat("site", i));
    os::real_clock().sleep(os::Millis{1'100}); // its files are older than the moment in which they
                                               // could change again with the same time
  }

private:
  void group(const std::string& name) {
    const std::string dir = cat(paths.root, "/sys/fs/cgroup/chillbox.", name, ".app.a");
    fs::create_directories(dir);
    write(dir + "/cgroup.procs", "");
    write(dir + "/cpu.stat", "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n");
    write(dir + "/memory.current", "1048576\n");
    write(dir + "/memory.max", "max\n");
    write(dir + "/memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n");
    write(dir + "/pids.current", "5\n");
  }
  void visits(const std::string& name) {
    std::ofstream log(nginx::counts_log(paths, test::site(name)));
    for (const int status : {200, 304, 404, 502})
      log << cat("1764000000.500|", status, "|0.020|1000|300|-|1|unix:/run/chillbox/live/", name,
          "/app.sock|0.010|", status, "\n");
  }
  void add(const std::string& name) {
    auto row = this->row();
    auto release = live();
    row.site = test::site(name);
    release.site = row.site;
    copy_as(paths.root + "/srv/chillbox", name);
    const std::string dir = cat(paths.root, "/srv/chillbox/", name, "/releases/", release.id);
    const auto file = must(disk.read(cat(dir, "/blog.site.json"), 64 * 1024));
    fs::remove(dir + "/blog.site.json");
    write(cat(dir, "/", name, ".site.json"), renamed(file, name));
    std::vector<fs::path> dirs{paths.root + "/run"};
    for (const auto& entry : fs::recursive_directory_iterator(dirs.front()))
      if (entry.is_directory() && !entry.is_symlink() &&
          entry.path().string().find("site") == std::string::npos)
        dirs.push_back(entry.path());
    for (const auto& one : dirs)
      copy_as(one, name);
    const std::string slot = cat("chillbox.", name, ".app.a");
    const int pid = 100'000 + ++m_added;
    write(cat(paths.root, "/run/supervise-", slot, ".pid"), std::to_string(pid));
    fs::create_directories(cat(paths.root, "/proc/", pid));
    write(cat(paths.root, "/proc/", pid, "/cmdline"),
        cat("/sbin/supervise-daemon", '\0', slot, '\0', "--start"));
    must(store().put_release(release));
    must(store().put_site(row));
    group(name);
    visits(name);
  }
  int m_added = 0;
};

double processor_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1000 + static_cast<double>(t.tv_usec) / 1000;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

} // namespace

TEST_CASE("[fault-780] a scrape of a hundred sites is a few milliseconds of the processor") {
  ManySites host(100);
  rollout::KnownReleases known;
  rollout::FactBook facts(host.context(), known, {});
  const auto first = must(facts.facts());
  REQUIRE(first->sites.size() == 100);
  for (const auto& site : first->sites) {
    INFO(site.site.str() << ": " << site.waiting);
    REQUIRE(site.state == control::SiteState::live);
    REQUIRE(site.services.at(0).usage.cpu_us == 1'500'000);
    REQUIRE(site.counts.services.at("app").codes.at(502) == 1);
  }
  constexpr int k_rounds = 20;
  double of_facts = 0, of_text = 0;
  size_t bytes = 0;
  for (int i = 0; i < k_rounds; ++i) {
    host.clock.sleep(os::Millis{1'100});
    const double begin = processor_ms();
    const auto now = must(facts.facts());
    const double looked = processor_ms();
    bytes = daemon::render_metrics(*now, control::MetricsFormat::text, 100'000).size();
    of_facts += looked - begin;
    of_text += processor_ms() - looked;
  }
  WARN("a scrape of 100 sites: facts " << of_facts / k_rounds << " ms, text " << of_text / k_rounds
                                       << " ms of the processor, " << bytes << " bytes");
  CHECK((of_facts + of_text) / k_rounds < 150); // not optimized, on a busy machine
}
