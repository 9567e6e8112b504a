// One look at everything that is known of a host.
#include "host.hpp"
#include "nginx/counts.hpp"
#include "rollout/facts.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct Book {
  explicit Book(LiveHost& host)
      : facts(host.context(), known,
            {.jobs_running = [] { return uint64_t{2}; },
                .refused_webhooks = [] { return uint64_t{7}; }}) {}
  std::shared_ptr<const rollout::Facts> look() { return must(facts.facts()); }
  rollout::KnownReleases known;
  rollout::FactBook facts;
};

void group(LiveHost& host, const std::string& slot, bool memory) {
  const std::string dir = cat(host.paths.root, "/sys/fs/cgroup/", slot);
  std::filesystem::create_directories(dir);
  host.write(dir + "/cgroup.procs", "");
  host.write(dir + "/cpu.stat", "usage_usec 1500000\nuser_usec 1\n");
  if (!memory)
    return;
  host.write(dir + "/memory.current", "1048576\n");
  host.write(dir + "/memory.max", "max\n");
  host.write(dir + "/memory.events", "low 0\noom 3\noom_kill 2\n");
  host.write(dir + "/pids.current", "5\n");
}

} // namespace

TEST_CASE("the facts of a live site: its release, services, what they use, its jobs and its visitors") {
  LiveHost host;
  group(host, "chillbox.blog.app.a", true);
  std::filesystem::create_directories(nginx::counts_dir(host.paths));
  host.write(nginx::counts_log(host.paths, site()),
      "1764000000.500|200|0.020|1000|300|-|1|unix:/run/chillbox/live/blog/app.sock|0.010|200\n"
      "1764000000.500|301|0.000|100|300|-|0|-|-|-\n");
  Book book(host);
  const auto facts = book.look();
  CHECK(facts->agent.version == CHILLBOX_VERSION);
  CHECK_FALSE(facts->agent.sealed);
  CHECK(facts->agent.jobs_running == 2);
  CHECK(facts->agent.refused_webhooks == 7);
  REQUIRE(facts->machine.disks.size() == 1); // all of it on one
  CHECK(facts->machine.disks[0].space.free_bytes > 0);
  REQUIRE(facts->sites.size() == 1);
  const auto& blog = facts->sites[0];
  CHECK(blog.site == site());
  CHECK(blog.state == control::SiteState::live);
  CHECK(blog.version == "1.0.0");
  CHECK(blog.live_ms > 0);
  REQUIRE(blog.services.size() == 1);
  const auto& app = blog.services[0];
  CHECK(app.name == "app");
  CHECK(app.runs());
  CHECK(app.state == control::ServiceState::started);
  CHECK(app.starts == 1);
  CHECK(app.usage.cpu_us == 1'500'000);
  CHECK(app.usage.memory == 1'048'576);
  CHECK_FALSE(app.usage.memory_limit); // none is set
  CHECK(app.usage.oom_kills == 2);
  CHECK(app.usage.tasks == 5);
  REQUIRE(blog.totals.size() == 1);
  CHECK(blog.totals[0].what == "job");
  CHECK(blog.totals[0].kind == "deploy");
  CHECK(blog.totals[0].result == "done");
  CHECK(blog.counts.services.at("app").codes.at(200) == 1);
  CHECK(blog.counts.services.at("nginx").codes.at(301) == 1);
}

TEST_CASE("[fault-710] what the kernel does not say has no value, which is not 0") {
  LiveHost host;
  Book book(host);
  CHECK_FALSE(book.look()->sites[0].services[0].usage.cpu_us);
  group(host, "chillbox.blog.app.a", false); // no memory controller
  host.clock.sleep(os::Millis{1'100});
  const auto usage = book.look()->sites[0].services[0].usage;
  CHECK(usage.cpu_us == 1'500'000);
  CHECK_FALSE(usage.memory);
  CHECK_FALSE(usage.oom_kills);
  CHECK_FALSE(usage.tasks);
}

TEST_CASE("facts are a second old at most, and everybody who asks within it gets the same") {
  LiveHost host;
  Book book(host);
  const auto first = book.look();
  CHECK(book.look() == first);
  host.clock.sleep(os::Millis{1'100});
  CHECK(book.look() != first);
}

TEST_CASE("a site that is stopped, broken or waits for its secrets says so") {
  LiveHost host;
  host.write(host.paths.root + "/run/openrc/options/chillbox.blog.app.a/start_count", "3");
  CHECK(Book(host).look()->sites[0].services[0].starts == 4);
  auto row = host.row();
  row.stopped = true;
  must(host.store().put_site(row));
  const auto blog = Book(host).look()->sites[0];
  CHECK(blog.state == control::SiteState::stopped);
  CHECK(blog.stopped);
}

TEST_CASE("of a live release that is kept neither NGINX's text nor its memory is") {
  LiveHost host;
  rollout::KnownReleases known;
  const auto row = must(host.store().sites())[0];
  REQUIRE(must(host.store().release(row.site, row.live))->nginx.size() > 100);
  const auto live = must(known.live_row(host.context(), row));
  REQUIRE(live);
  CHECK(live->nginx.capacity() == std::string().capacity());
}

TEST_CASE("a site that is removed between two looks at it has no live release") {
  LiveHost host;
  rollout::KnownReleases known;
  const auto rows = must(host.store().sites());
  REQUIRE(must(known.live_row(host.context(), rows[0])));
  must(host.store().delete_site(rows[0].site));
  rollout::KnownReleases::Seen seen;
  const auto loaded = known.load(host.context(), rows[0], seen);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == Code::not_found);
}
