#include "cli/logs/line_pattern.hpp"
#include "cli/logs/line_time.hpp"
#include "cli/logs/log_set.hpp"

#include "catch.hpp"
#include "temp_dir.hpp"

#include "base/text.hpp"
#include "os/log_writer.hpp"
#include "os/open_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr int64_t k_ten = 1'796'032'800'000; // 2026-11-30T10:00:00Z
constexpr int64_t k_second = 1000, k_minute = 60'000;

void append(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::app) << text;
}

void mark(const std::string& log, uint64_t offset, int64_t ms, uint32_t release = 0) {
  const auto bytes = os::encode({offset, ms, release});
  append(log + ".at", {bytes.data(), bytes.size()});
}

// A line, and the mark of when it was written.
void line(const std::string& log, int64_t ms, std::string_view text, uint32_t release = 0) {
  std::error_code none;
  const auto size = std::filesystem::file_size(log, none);
  mark(log, none ? 0 : size, ms, release);
  append(log, cat(text, "\n"));
}

LogFile opened(const std::string& path) {
  auto log = os::open_log(path).value();
  return {std::move(log.text), std::move(log.marks)};
}

// What is shown: "SERVICE:LINE" each.
struct Shown {
  std::vector<std::string> lines;
  LogSink sink = [this](const LogSource& source, const LogText& text) {
    lines.push_back(cat(source.service, ":", text.text));
  };
};

std::vector<std::string> read(const std::vector<std::string>& logs, LogWish wish) {
  LogSet set(std::move(wish));
  for (const auto& log : logs)
    set.add({std::filesystem::path(log).stem().string(), "app"}, opened(log));
  Shown shown;
  CHECK(set.read(shown.sink));
  return shown.lines;
}

LogWish between(int64_t since, int64_t until = std::numeric_limits<int64_t>::max()) {
  return {.period = {since, until}};
}

std::vector<LogText> all_of(LogFile& file, bool to_the_end = false) {
  std::vector<LogText> lines;
  for (auto one = file.next(to_the_end).value(); one; one = file.next(to_the_end).value())
    lines.push_back(std::move(*one));
  return lines;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("a line's own time is understood in the forms that servers and languages write") {
  ::setenv("TZ", "Europe/Berlin", 1);
  ::tzset();
  const auto of = [](std::string_view text) { return time_of_line(text, k_ten).value_or(0); };
  for (const char* text : {"2026-11-30T10:00:00Z x", "2026-11-30 10:00:00+00:00 x",
           "[2026-11-30 11:00:00 +0100] [7] [INFO] x", "2026-11-30T05:00:00-0500",
           "2026/11/30 11:00:00 [error] 7#7: x", "2026-11-30 11:00:00 x", "Nov 30 11:00:00 web x",
           "192.0.2.1 - - [30/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
           R"({"time":"2026-11-30T10:00:00+00:00","status":200})"}) {
    INFO(text);
    CHECK(of(text) == k_ten);
  }
  CHECK(of("2026-11-30T10:00:00.250Z") == k_ten + 250);
  CHECK(of("2026-11-30 11:00:00,250 INFO") == k_ten + 250);
  CHECK(of("Dec 31 23:00:00 x") == 1'798'754'400'000); // this year's is nearer than the last one's
  for (const char* text : {"", "hello", "2026-13-01T10:00:00Z", "2026-11-31T10:00:00Z",
           "2026-11-30T25:00:00Z", "20261130T100000Z", "[error] x", "a [b] c", "9999999999"})
    CHECK(of(text) == 0);
  ::unsetenv("TZ");
  ::tzset();
}

TEST_CASE("lines have the time of their mark, their own if it is near, and the release that wrote them") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  line(log, k_ten, "one", 7);
  line(log, k_ten + k_second, "2026-11-30T10:00:00.500Z two", 8);
  line(log, k_ten + 2 * k_second, "2020-01-01T00:00:00Z an old day");
  auto file = opened(log);
  const auto lines = all_of(file);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].ms == k_ten);
  CHECK(lines[0].release == 7);
  CHECK(lines[1].ms == k_ten + 500);
  CHECK(lines[1].own_time);
  CHECK(lines[2].ms == k_ten + 2 * k_second);
  CHECK_FALSE(lines[2].own_time);
  LogWish wish;
  wish.releases = std::set<uint32_t>{8};
  CHECK(read({log}, std::move(wish)) == Lines{"web:2026-11-30T10:00:00.500Z two"});
}

TEST_CASE("several logs are merged by time; the newest lines are those of all of them") {
  const TempDir dir;
  const std::string web = dir.path() + "/web.log", worker = dir.path() + "/worker.log";
  for (int i = 0; i < 5; ++i) {
    line(web, k_ten + 2 * i * k_second, cat("a", i));
    line(worker, k_ten + (2 * i + 1) * k_second, cat("b", i));
  }
  CHECK(read({web, worker}, between(k_ten + 3 * k_second, k_ten + 6 * k_second)) ==
      Lines{"worker:b1", "web:a2", "worker:b2", "web:a3"});
  CHECK(read({web, worker}, {.lines = 3}) == Lines{"worker:b3", "web:a4", "worker:b4"});
  CHECK(read({web, worker}, {.lines = 0}).empty());
  auto wish = between(k_ten);
  wish.pattern = LinePattern::create("^A[13]$", true).value();
  CHECK(read({web, worker}, std::move(wish)) == Lines{"web:a1", "web:a3"});
}

TEST_CASE("a time in a log of a gigabyte is found by reading less than three megabytes of it") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  constexpr uint64_t k_mb = 1 << 20, k_all = 1024;
  append(log, "");
  REQUIRE(::truncate(log.c_str(), (k_all - 1) * k_mb - 1) == 0);
  append(log, "\n");
  for (uint64_t i = 0; i < k_all; ++i)
    mark(log, i * k_mb, k_ten + static_cast<int64_t>(i) * k_minute);
  const int64_t last = k_ten + (k_all - 1) * k_minute;
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += cat("line ", i, "\n");
  append(log, text);
  LogSet set(between(last));
  set.add({"web", "app"}, opened(log));
  size_t lines = 0;
  CHECK(set.read([&](const LogSource&, const LogText&) { ++lines; }));
  CHECK(lines == 1000);
  CHECK(set.bytes_read() < 3 * k_mb);
}

TEST_CASE("without marks a time is found by the lines' own; of lines that have none, nothing was written then") {
  const TempDir dir;
  const std::string log = dir.path() + "/access.log";
  std::string text;
  for (int i = 0; i < 80'000; ++i)
    text += cat("192.0.2.1 - - [30/Nov/2026:", i / 3600 < 10 ? "0" : "", i / 3600, ":",
        i / 60 % 60 < 10 ? "0" : "", i / 60 % 60, ":", i % 60 < 10 ? "0" : "", i % 60,
        " +0000] \"GET /", i, " HTTP/1.1\" 200 5 \"-\" \"agent\"\n");
  append(log, text);
  LogSet set(between(k_ten, k_ten + k_second));
  set.add({"nginx", "access"}, opened(log));
  Shown shown;
  CHECK(set.read(shown.sink));
  REQUIRE(shown.lines.size() == 2);
  CHECK(shown.lines[0].contains("GET /36000 "));
  append(dir.path() + "/plain.log", "one\ntwo\n");
  CHECK(read({dir.path() + "/plain.log"}, between(1)).empty());
  CHECK(read({dir.path() + "/plain.log"}, {}) == Lines{"plain:one", "plain:two"});
}

TEST_CASE("[fault-720] a rotation while a log is followed or read since a time: no line twice, none lost") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  os::LogWriter writer(
      Fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "web.log", 200, 50);
  LogSet set({});
  Shown shown;
  writer.append("0\n");
  set.add({"web", "app"}, opened(log));
  CHECK(set.read(shown.sink));
  ino_t newest = os::open_log(log).value().inode;
  for (int i = 1; i < 400; ++i) {
    writer.append(cat(i, "\n"));
    if (i % 3 != 0)
      continue;
    if (auto now = os::open_log(log).value(); now.inode != newest) { // as chillboxd notices it
      newest = now.inode;
      set.add({"web", "app"}, LogFile(std::move(now.text), std::move(now.marks)));
    }
    CHECK(set.read_on(shown.sink));
  }
  Lines expected;
  for (int i = 0; i < 400; ++i)
    expected.push_back(cat("web:", i));
  CHECK(shown.lines == expected);
  CHECK(std::filesystem::exists(log + ".5.at"));
}

TEST_CASE("[fault-721] marks that are lost, of another file or cut off: lines are there, their time is unknown up to the next mark") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  append(log, "before\n");
  line(log, k_ten, "after");
  append(log + ".at", "half a m");
  LogSet set(between(k_ten - k_second));
  set.add({"web", "app"}, opened(log));
  Shown shown;
  CHECK(set.read(shown.sink));
  CHECK(shown.lines == Lines{"web:after"});
  REQUIRE(set.partly_known().size() == 1);
  CHECK(set.partly_known()[0].second == k_ten);
  CHECK(read({log}, {}) == Lines{"web:before", "web:after"});
  mark(log, 1'000'000, k_ten + k_minute); // of a file that was longer
  CHECK(read({log}, {}) == Lines{"web:before", "web:after"});
  std::filesystem::remove(log + ".at");
  CHECK(read({log}, {}) == Lines{"web:before", "web:after"});
  CHECK(read({log}, between(1)).empty());
}

TEST_CASE("[fault-722] a clock that was set back: a log keeps its order, a time finds all lines of it, and nothing is endless") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  for (const int second : {0, 10, 20, 5, 15, 25})
    line(log, k_ten + second * k_second, cat("at ", second));
  CHECK(read({log}, {}) ==
      Lines{"web:at 0", "web:at 10", "web:at 20", "web:at 5", "web:at 15", "web:at 25"});
  CHECK(
      read({log}, between(k_ten + 15 * k_second)) == Lines{"web:at 20", "web:at 15", "web:at 25"});
  CHECK(read({log}, between(1, k_ten + 5 * k_second)) == Lines{"web:at 0", "web:at 5"});
}

TEST_CASE("[fault-723] a line of ten megabytes is shown up to 64 KiB and costs no more, bytes of any kind pass as they are") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  append(log, std::string(10 << 20, 'x') + "\n" + std::string("a\0b\xff\x1b[2J\r", 10) + "\nend");
  auto file = opened(log);
  auto lines = all_of(file);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text.size() == LogFile::k_longest_line);
  CHECK(lines[0].cut);
  CHECK(lines[1].text == std::string("a\0b\xff\x1b[2J\r", 10));
  CHECK_FALSE(lines[1].cut);
  append(log, " of it\n");
  lines = all_of(file);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "end of it");
}

TEST_CASE("[fault-725] since a time that is to come, or before the first line: nothing, or all of it") {
  const TempDir dir;
  const std::string log = dir.path() + "/web.log";
  line(log, k_ten, "one");
  CHECK(read({log}, between(k_ten + k_minute)).empty());
  CHECK(read({log}, between(1)) == Lines{"web:one"});
  CHECK(read({log}, between(1, 2)).empty());
}

TEST_CASE("an expression is an extended one of POSIX; one that is none is refused with the reason") {
  CHECK(LinePattern::create("(GET|POST) /a+$", false).value().matches("x POST /aaa"));
  CHECK(LinePattern::create("b", false).value().matches(std::string("a\0b", 3)));
  CHECK_FALSE(LinePattern::create("B", false).value().matches("b"));
  for (const char* text : {"(", "[a", "a{2", ""})
    CHECK(LinePattern::create(text, false).error().code == Code::usage);
}
