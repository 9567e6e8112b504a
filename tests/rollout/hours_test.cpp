// What grew between two looks at the facts becomes the history by the hour.
#include "host.hpp"
#include "nginx/counts.hpp"
#include "rollout/hours.hpp"

#include <fstream>

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct History {
  explicit History(LiveHost& of)
      : host(of), facts(of.context(), known, {}), book(of.context(), facts) {
    std::filesystem::create_directories(nginx::counts_dir(host.paths));
    group(0);
  }
  // A request that ended in that hour, with this status, after this time.
  void visit(int64_t hour, int status, const std::string& seconds) {
    std::ofstream(nginx::counts_log(host.paths, site()), std::ios::app)
        << cat(hour * 3600 + 60, ".000|", status, "|", seconds,
               "|1000|300|-|1|unix:/run/chillbox/live/blog/app.sock|", seconds, "|", status, "\n");
  }
  void group(uint64_t cpu_us) {
    const std::string dir = cat(host.paths.root, "/sys/fs/cgroup/chillbox.blog.app.a");
    std::filesystem::create_directories(dir);
    host.write(dir + "/cgroup.procs", "");
    host.write(dir + "/cpu.stat", cat("usage_usec ", cpu_us, "\n"));
    host.write(dir + "/memory.current", "1048576\n");
  }
  void look() {
    host.clock.sleep(os::Millis{10'000});
    must(book.look());
  }
  LiveHost& host;
  rollout::KnownReleases known;
  rollout::FactBook facts;
  rollout::HourBook book;
};

} // namespace

TEST_CASE("what visitors got is in the hour in which it was, once, whoever looks how often") {
  LiveHost host;
  History history(host);
  const int64_t hour = host.clock.wall_ms() / k_hour_ms;
  history.look();
  history.visit(hour - 1, 200, "0.020");
  history.group(1'500'000);
  history.look();
  history.visit(hour, 502, "0.001");
  history.visit(hour, 200, "0.200");
  history.look();
  history.look();
  for (int i = 0; i < 2; ++i) {
    const auto week = must(history.book.week());
    REQUIRE(week.size() == 2);
    CHECK(week[0].hour == hour - 1);
    CHECK(week[0].requests == 1);
    CHECK(week[0].cpu_ms == 1500);
    CHECK(week[0].memory == 1'048'576);
    CHECK(week[1].hour == hour);
    CHECK(week[1].requests == 2);
    CHECK(week[1].errors == 1);
    CHECK(week[1].sent == 2000);
    CHECK(week[1].cpu_ms == 0);
  }
}

TEST_CASE("hours without visitors have no row, and a look does not write each time") {
  LiveHost host;
  History history(host);
  history.look();
  CHECK(must(history.book.week()).empty());
  const int64_t hour = host.clock.wall_ms() / k_hour_ms;
  history.visit(hour, 200, "0.001");
  history.look();
  CHECK(must(store::hours_since(host.store(), 0)).empty()); // it is in memory
  must(history.book.write());                               // as at the end of the daemon
  CHECK(must(store::hours_since(host.store(), 0)).size() == 1);
}

TEST_CASE("[fault-854] who visits after somebody looked at the facts, and just before chillboxd stops, is in the history") {
  LiveHost host;
  History history(host);
  const int64_t hour = host.clock.wall_ms() / k_hour_ms;
  history.look();
  history.visit(hour, 200, "0.020");
  (void)must(history.facts.facts()); // as top asks for them
  history.visit(hour, 200, "0.020");
  must(history.book.look());
  history.visit(hour, 200, "0.020");
  must(history.book.write());
  const auto rows = must(store::hours_since(host.store(), hour));
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].requests == 3);
}
