// What is counted of a site's visitors, and what is not.
#include "nginx/count_line.hpp"
#include "nginx/counts.hpp"
#include "sample.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

struct Line {
  std::string time = "1764000000.500", status = "200", took = "0.020";
  std::string sent = "1000", received = "300", cache = "-", answered = "1";
  std::string upstream = "unix:/run/chillbox/live/blog/web.sock", upstream_took = "0.010",
              upstream_status = "200";
  std::string text() const {
    return cat(time, "|", status, "|", took, "|", sent, "|", received, "|", cache, "|", answered,
        "|", upstream, "|", upstream_took, "|", upstream_status, "\n");
  }
};

struct Log {
  Log() { fs::create_directories(counts_dir(paths)); }
  void add(const Line& line, int times = 1) {
    for (int i = 0; i < times; ++i)
      raw(line.text());
  }
  void raw(std::string_view text) const { std::ofstream(file, std::ios::app) << text; }
  RequestCounts web() { return counts.of(name()).services["web"]; }
  uint64_t all() {
    uint64_t sum = 0;
    for (const auto& [service, requests] : counts.of(name()).services)
      sum += requests.seconds.all();
    return sum;
  }
  uint64_t bad() { return counts.of(name()).bad_lines; }

  Root root;
  os::Paths paths{root.path};
  std::string file = counts_log(paths, name());
  Counts counts{paths};
};

} // namespace

TEST_CASE("each request is counted once, by who answered, code, time, bytes and cache") {
  Log log;
  log.add({}, 3);
  log.add({.status = "404", .took = "7.000", .cache = "HIT"});
  log.add({.status = "301", .upstream = "-", .upstream_took = "-", .upstream_status = "-"});
  log.add({.upstream = "127.0.0.1:8001"});
  auto seen = log.counts.of(name());
  CHECK(seen.services.size() == 3);
  auto& web = seen.services["web"];
  CHECK(web.codes == std::map<uint16_t, uint64_t>{{200, 3}, {404, 1}});
  CHECK(web.seconds.all() == 4);
  CHECK(web.seconds.counts[2] == 3); // 0.01 < 0.02 <= 0.025
  CHECK(web.seconds.counts[10] == 1);
  CHECK(web.seconds.sum > 7.05);
  CHECK(web.seconds.sum < 7.07);
  CHECK(web.upstream_seconds.counts[1] == 4); // a bound belongs to its bucket
  CHECK(web.sent == 4000);
  CHECK(web.received == 1200);
  CHECK(web.cache[0] == 1);
  CHECK(seen.services[""].codes[301] == 1);
  CHECK(seen.services[""].upstream_seconds.all() == 0);
  CHECK(seen.services["127.0.0.1:8001"].codes[200] == 1);
  CHECK(seen.last_ms == 1'764'000'000'500);
  CHECK(log.all() == 6); // nothing twice
}

TEST_CASE("[fault-700] what an upstream makes up is counted or passed over, never taken for something else") {
  Log log;
  log.add({.took = "-0.001",
      .upstream =
          "unix:/run/chillbox/live/blog/api.sock, unix:/run/chillbox/live/blog/web.sock : -",
      .upstream_took = "0.010, - : 0.020",
      .upstream_status = "502, 200 : -"});
  auto seen = log.counts.of(name());
  CHECK(seen.services[""].upstream_seconds.counts[3] == 1); // 30 ms, NGINX itself at last
  CHECK(seen.services[""].seconds.counts[0] == 1);
  log.add({.status = "000"});
  log.add({.status = "499"});
  log.add({.status = "999"});
  CHECK(log.web().codes == std::map<uint16_t, uint64_t>{{0, 1}, {499, 1}, {999, 1}});
  for (const char* bad : {"20", "2000", "abc", "-", "2 0"})
    log.add({.status = bad});
  for (const char* bad : {"-", "1e5", "", "0.01x", "inf", "nan"})
    log.add({.took = bad});
  log.add({.sent = "-1"});
  log.add({.time = "0.000"});
  log.raw("1764000000.500|200\n\n|||||||||\n1|2|3|4|5|6|7|8|9|10|11\n");
  CHECK(log.bad() == 17);
  CHECK(log.all() == 4);
  CHECK(log.counts.of(name()).services.size() == 2);
}

TEST_CASE("[fault-701] codes, services and lines without end are few counters") {
  Log log;
  for (int code = 0; code < 1000; ++code)
    log.add({.status = std::to_string(1000 + code).substr(1)});
  const auto web = log.web();
  CHECK(web.codes.size() == k_counted_codes);
  CHECK(web.other_codes == 1000 - k_counted_codes);
  for (int port = 1; port < 300; ++port)
    log.add({.upstream = cat("127.0.0.1:", port)});
  CHECK(log.counts.of(name()).services.size() == k_counted_services + 1);
  CHECK(log.all() == 1299);
  log.raw(std::string(200'000, 'x'));
  CHECK(log.bad() == 1); // not yet ended, and as long as no line is
  log.raw("\n");
  log.add({});
  CHECK(log.all() == 1300);
  CHECK(log.bad() == 1);
}

TEST_CASE("[fault-702] half a line is read when its end has come, and NUL and garbage are lines that are none") {
  Log log;
  const std::string text = Line{}.text();
  log.raw(text.substr(0, 30));
  CHECK(log.all() == 0);
  CHECK(log.bad() == 0);
  log.raw(text.substr(30));
  CHECK(log.all() == 1);
  log.raw(std::string("\0\0\n\xff\xfe\n", 6));
  CHECK(log.bad() == 2);
  log.add({});
  CHECK(log.all() == 2);
}

TEST_CASE("[fault-703] a log that is deleted, cut short or replaced is read from its beginning") {
  Log log;
  log.add({}, 5);
  CHECK(log.all() == 5);
  fs::remove(log.file);
  CHECK(log.all() == 5);
  log.add({}, 2);
  CHECK(log.all() == 7);
  fs::resize_file(log.file, 0);
  CHECK(log.all() == 7);
  log.add({});
  CHECK(log.all() == 8);
}

TEST_CASE("[attack-F1] [fault-704] a link or a pipe in the place of a log is not followed and not waited for") {
  Log log;
  put(log.root.path + "/secret", Line{}.text());
  fs::create_symlink(log.root.path + "/secret", log.file);
  CHECK(log.all() == 0);
  fs::remove(log.file);
  REQUIRE(::mkfifo(log.file.c_str(), 0600) == 0);
  CHECK(log.all() == 0);
  fs::remove(log.file);
  fs::create_directory(log.file);
  CHECK(log.all() == 0);
  fs::remove(log.file);
  log.add({});
  CHECK(log.all() == 1);
}

TEST_CASE("[attack-F1] [fault-705] a gigabyte of garbage is looked at for its end only") {
  Log log;
  log.raw("x");
  fs::resize_file(log.file, 1ULL << 30); // no disk holds it: a hole
  log.raw("\n");
  log.add({});
  CHECK(log.all() == 1);
  CHECK(log.bad() <= 2);
}

TEST_CASE("[fault-706] rotation loses no line and counts none twice, whenever the writer opens the new log") {
  Log log;
  const int lines = static_cast<int>(k_counts_log / Line{}.text().size()) + 10;
  log.add({}, lines);
  CHECK(log.counts.rotate());
  CHECK(!fs::exists(log.file));
  std::ofstream(log.file + ".1", std::ios::app) << Line{}.text(); // by a worker that has it open
  CHECK(log.all() == static_cast<uint64_t>(lines) + 1);
  CHECK(log.counts.rotate()); // NGINX was not there to be told: again
  log.add({});
  std::ofstream(log.file + ".1", std::ios::app) << Line{}.text();
  CHECK(!log.counts.rotate());
  CHECK(fs::exists(log.file + ".1")); // it grew
  CHECK(!log.counts.rotate());
  CHECK(!fs::exists(log.file + ".1"));
  CHECK(log.all() == static_cast<uint64_t>(lines) + 3);
}

TEST_CASE("[fault-707] a daemon that starts counts from then on, and still knows the last answers") {
  Log log;
  log.add({}, 10);
  std::ofstream(log.file + ".1") << Line{.time = "1763999999.000"}.text();
  Counts later(log.paths);
  later.begin();
  log.add({}, 2);
  CHECK(later.of(name()).services["web"].codes[200] == 2);
  CHECK(later.answers(name(), 1'763'999'000'000, 1'764'000'001'000).all == 13);
}

TEST_CASE("[fault-708] a site that was removed is forgotten with its files, and begins at 0 when it comes back") {
  Log log;
  log.add({}, 3);
  CHECK(log.all() == 3);
  log.counts.forget(name());
  CHECK(!fs::exists(log.file));
  log.add({});
  CHECK(log.all() == 1);
}

TEST_CASE("an answer belongs to the release that had its request") {
  Log log;
  const auto since = log.counts.follow(name(), 95'000);
  log.add({.time = "100.000"});
  log.add({.time = "100.000", .status = "500", .upstream_took = "5.001", .upstream_status = "500"});
  log.add({.time = "100.500", .upstream_took = "0.100, 0.100", .upstream_status = "500, 200"});
  log.add({.time = "100.500", .upstream_took = "0.000 : -", .upstream_status = "404 : 502"});
  log.add({.time = "100.500", .answered = "0"}); // HEAD, 304, 499
  log.add({.time = "100.500", .upstream_took = "-", .upstream_status = "-"});
  CHECK(since->seen().all == 3); // the second began before
  CHECK(since->seen().bad == 2);
  CHECK(log.counts.answers(name(), 90'000, 95'000).all == 1);
  CHECK(log.counts.answers(name(), 90'000, 95'000).bad == 1);
  CHECK(log.counts.answers(name(), 90'000, 101'000).all == 4);
  log.add({.time = "300.000"}); // of the last two minutes
  CHECK(log.counts.answers(name(), 0, 400'000).all == 1);
  CHECK(since->seen().all == 4);
}

TEST_CASE("a server of a site includes the file that names its log, and says in which form") {
  CHECK(
      counts_include("  ", os::Paths{}, name()) == "  include /run/chillbox/counts/blog.con[f];\n");
  const auto format = counts_format(name());
  CHECK(format.starts_with("log_format blog-counts '$msec|$status|"));
  for (const char* chosen :
      {"request_uri", "$uri", "request ", "http_", "arg", "cookie", "remote_user", "$host"})
    CHECK(format.find(chosen) == std::string::npos); // a visitor chooses these
}
