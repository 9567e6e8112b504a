// What is read and started for one question or one deploy, on hosts of few and of many sites: a
// question about all sites may cost so much more for each, a deploy may cost nothing more. Counted,
// not timed (tests/store/growth_test.cpp counts what the database does).
#include "daemon/control_host.hpp"

#include <chrono>
#include <map>
#include <thread>

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct Cost {
  uint64_t looks = 0;   // at the disk
  uint64_t changes = 0; // of it
  size_t programs = 0;
};

class Growing {
public:
  Growing() { m_host.unlock(); }

  std::map<std::string, Cost> at(int sites) {
    for (; m_sites < sites; ++m_sites)
      REQUIRE(m_host.deploy({.slug = slug(m_sites), .version = "1.0.0"}).state ==
          store::JobState::done);
    const Json one{{"site", slug(0)}};
    std::map<std::string, Cost> costs;
    std::this_thread::sleep_for(std::chrono::milliseconds(1'200)); // what is new may still change
    (void)m_host.call("status");                                   // now each release has been read
    for (const char* verb : {"status", "sites"})
      costs[verb] = of([&] { REQUIRE(m_host.call(verb).code() == "ok"); });
    for (const char* verb : {"releases", "jobs", "audit"})
      costs[verb] = of([&] { REQUIRE(m_host.call(verb, one).code() == "ok"); });
    const auto same = m_host.laptop.pack({.slug = slug(0), .version = cat("2.0.", sites)});
    m_host.upload(same);
    const auto deploy = [&] {
      const auto job = m_host.queue(store::JobKind::deploy, slug(0), cat("2.0.", sites), same);
      REQUIRE(m_host.run(job).state == store::JobState::done);
    };
    costs["deploy"] = of(deploy);
    costs["deploy of what is live"] = of(deploy);
    costs["rollback"] =
        of([&] { REQUIRE(m_host.rollback("", slug(0)).state == store::JobState::done); });
    return costs;
  }

private:
  static std::string slug(int i) { return cat("site", i); }
  template <class F> Cost of(F&& work) {
    m_host.runner.forget();
    m_host.disk.forget();
    m_host.disk.looks = 0;
    work();
    return {m_host.disk.looks, m_host.disk.changes().size(), m_host.runner.commands().size()};
  }

  ControlHost m_host;
  int m_sites = 0;
};

} // namespace

TEST_CASE("[fault-405] status reads a release once, and again when its site file or a kind has changed") {
  ServingHost host;
  const auto services = [&] {
    const auto site = host.call("status").json()["sites"][0];
    return site["services"].empty() ? site["waiting"].get<std::string>()
                                    : site["services"][0]["lang"].get<std::string>();
  };
  const auto looks = [&] {
    host.disk.looks = 0;
    (void)services();
    return host.disk.looks.load();
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(1'200)); // what is new may still change
  const auto first = looks();
  CHECK(looks() < first);
  const std::string kind = host.paths.shipped_hooks() + "/handlers/python/kind.json";
  const std::string before = must(host.disk.read(kind, 4096));
  host.write(kind, R"({"listens":"smoke signals"})");
  CHECK(services().find("smoke signals") != std::string::npos);
  host.write(kind, before);
  CHECK(services() == "python");
  const std::string file =
      cat(host.paths.releases(site("blog")), "/", host.live().id, "/blog.site.json");
  const std::string text = must(host.disk.read(file, 65'536));
  host.write(file, "not JSON");
  CHECK(services() != "python");
  host.write(file, text);
  CHECK(services() == "python");
}

TEST_CASE("[fault-402] a question about all sites costs the same for each, and a deploy the same on a host of few and of many") {
  Growing host;
  auto few = host.at(3), more = host.at(6), many = host.at(12);
  for (const auto& [what, cost] : many) {
    INFO(what << ": looks " << few[what].looks << ", " << more[what].looks << ", " << cost.looks
              << "; changes " << few[what].changes << ", " << more[what].changes << ", "
              << cost.changes << "; programs " << few[what].programs << ", " << more[what].programs
              << ", " << cost.programs);
    const bool of_all = what == "status" || what == "sites";
    const auto grown = [](uint64_t a, uint64_t b) { return b > a ? b - a : 0; };
    // Twice as many sites more: twice as much more. A deploy may look at a file or two of each.
    CHECK(grown(more[what].looks, cost.looks) <=
        (of_all ? 2 * grown(few[what].looks, more[what].looks) + 12 : 4 * 6));
    CHECK(cost.programs <= few[what].programs);
    CHECK(cost.changes <= few[what].changes + 2);
    if (of_all)
      CHECK(cost.programs == 0);
  }
}
