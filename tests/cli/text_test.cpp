// What people see and write: tables, times, colours, words for a shell.
#include "catch.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/http/url.hpp"

#include <cstdlib>
#include <ctime>
#include <map>

using namespace chillbox;
using namespace chillbox::cli;
using std::chrono::milliseconds;

namespace {

Environment environment_of(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? std::string() : it->second;
  };
}

} // namespace

TEST_CASE("a table is as wide as its widest cells, without trailing spaces") {
  const auto lines = render({{"SITE", "STATE"}, {{"blog", "live"}, {"a-long-name", "größer"}}});
  CHECK(lines ==
      std::vector<std::string>{"SITE         STATE", "blog         live", "a-long-name  größer"});
}

TEST_CASE("a table without rows is nothing, a missing cell is a dash") {
  CHECK(render({{"A", "B"}, {}}).empty());
  CHECK(
      render({{"A", "B"}, {{"x"}, {"", "y"}}}) == std::vector<std::string>{"A  B", "x  -", "-  y"});
}

TEST_CASE("what a stranger wrote cannot move the cursor of a table") {
  const auto lines = render({{"WHAT"}, {{"a\x1b[2Jb\nc"}}});
  REQUIRE(lines.size() == 2);
  CHECK(lines[1] == "a\\x1b[2Jb\\x0ac");
}

TEST_CASE("columns count characters, not bytes") {
  CHECK(columns_of("größe") == 5);
  CHECK(columns_of("") == 0);
}

TEST_CASE("colours: NO_COLOR, --no-color, CLICOLOR, TERM=dumb and CLICOLOR_FORCE") {
  const auto color = [](std::map<std::string, std::string> env, bool flag = false,
                         bool terminal = true) {
    return wants_color(environment_of(std::move(env)), flag, terminal);
  };
  CHECK(color({{"TERM", "xterm"}}));
  CHECK_FALSE(color({{"TERM", "xterm"}}, false, false));
  CHECK_FALSE(color({{"TERM", "dumb"}}));
  CHECK_FALSE(color({}));
  CHECK_FALSE(color({{"TERM", "xterm"}, {"NO_COLOR", "1"}}));
  CHECK(color({{"TERM", "xterm"}, {"NO_COLOR", ""}}));
  CHECK_FALSE(color({{"TERM", "xterm"}}, true));
  CHECK_FALSE(color({{"TERM", "xterm"}, {"CLICOLOR", "0"}}));
  CHECK(color({{"CLICOLOR_FORCE", "1"}}, false, false));
  CHECK_FALSE(color({{"CLICOLOR_FORCE", "0"}}, false, false));
  CHECK_FALSE(color({{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}}, false, false));
}

TEST_CASE("lines are written over on a terminal that can, and not in CI") {
  CHECK(wants_live(environment_of({{"TERM", "xterm"}}), true));
  CHECK_FALSE(wants_live(environment_of({{"TERM", "xterm"}}), false));
  CHECK_FALSE(wants_live(environment_of({{"TERM", "dumb"}}), true));
  CHECK_FALSE(wants_live(environment_of({{"TERM", "xterm"}, {"CI", "true"}}), true));
}

TEST_CASE("durations are read with their unit, seconds without one, at most 366 days") {
  CHECK(*parse_duration("500ms") == milliseconds(500));
  CHECK(*parse_duration("90") == milliseconds(90'000));
  CHECK(*parse_duration("90s") == milliseconds(90'000));
  CHECK(*parse_duration("2m") == milliseconds(120'000));
  CHECK(*parse_duration("1h") == milliseconds(3'600'000));
  CHECK(*parse_duration("366d") == milliseconds(366LL * 86'400'000));
  for (const char* bad : {"", "s", "1.5s", "-1s", "+1s", " 1s", "1 s", "1w", "367d",
           "18446744073709551615d", "99999999999999999999s", "01s"})
    CHECK(parse_duration(bad).error().code == Code::usage);
}

TEST_CASE("a moment is a duration from now, a day to its end, or a time in UTC") {
  CHECK(*parse_moment("1h", 1000) == 4600);
  CHECK(*parse_moment("1970-01-01", 0) == 86'400);
  CHECK(*parse_moment("2026-11-20T17:33:34Z", 0) == 1795196014);
  CHECK(*parse_moment("2024-02-29T00:00:00Z", 0) == 1709164800);
  for (const char* bad : {"2026-13-01", "2026-02-30", "2026-11-20T17:33:34", "2026-11-20T24:00:00Z",
           "2026-11-20 17:33:34Z", "tomorrow", ""})
    CHECK_FALSE(parse_moment(bad, 0));
}

TEST_CASE("a time is shown in the zone of this machine, a duration in two units") {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  CHECK(format_time(1795196014'000) == "2026-11-20 17:33:34");
  CHECK(format_time(0).empty());
  CHECK(format_duration(milliseconds(449)) == "0.4 s");
  CHECK(format_duration(milliseconds(12'300)) == "12 s");
  CHECK(format_duration(milliseconds(185'000)) == "3 min 5 s");
  CHECK(format_duration(milliseconds(14'520'000)) == "4 h 2 min");
  CHECK(format_duration(milliseconds(273'600'000)) == "3 d 4 h");
  CHECK(format_duration(milliseconds(-5)) == "0.0 s");
}

TEST_CASE("every word for the shell on the other side is quoted") {
  CHECK(shell_words({"status"}) == "CHILLBOX_HOST= chillboxctl 'status'");
  CHECK(shell_words({"a b", "$(touch x)", "it's", ""}) ==
      "CHILLBOX_HOST= chillboxctl 'a b' '$(touch x)' 'it'\\''s' ''");
}

TEST_CASE("hosts that end alike give their code, others 11") {
  CHECK(joined_exit({0, 0}) == 0);
  CHECK(joined_exit({3}) == 3);
  CHECK(joined_exit({6, 6}) == 6);
  CHECK(joined_exit({0, 3}) == 11);
  CHECK(joined_exit({5, 3}) == 11);
}

TEST_CASE("a base address is http or https with a host and nothing secret in it") {
  CHECK(*parse_base_url("HTTPS://host.example") == "https://host.example");
  CHECK(*parse_base_url("https://host.example") == "https://host.example");
  CHECK(*parse_base_url("https://host.example:8443/") == "https://host.example:8443");
  CHECK(*parse_base_url("http://[::1]:80/") == "http://[::1]:80");
  for (const char* bad : {"", "host.example", "ftp://h", "https://", "https:///x", "https://u:p@h",
           "https://h?x=1", "https://h#x", "https://h h", "https://h\nx", "file:///etc/passwd",
           "https://h:0", "https://h:99999", "https://h:x", "https://[::1", "https://::1"})
    CHECK(parse_base_url(bad).error().code == Code::usage);
}

TEST_CASE("a base address with a path is refused, and the path is named [fault-204]") {
  for (const char* url : {"http://h/v1/hooks", "https://h:1/x/", "https://[::1]/a"}) {
    const auto refused = parse_base_url(url);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("must have no path") != std::string::npos);
  }
}

TEST_CASE("an address is readable on the way when it names another machine and no TLS [attack-D9]") {
  for (const char* url : {"http://host", "http://host.example:8080/box", "http://10.0.0.1",
           "http://localhost.example", "http://[2001:db8::1]:80"})
    CHECK(is_readable_on_the_way(url));
  for (const char* url : {"https://host", "http://127.0.0.1:8080", "http://127.1.2.3",
           "http://localhost/", "http://[::1]:80"})
    CHECK_FALSE(is_readable_on_the_way(url));
}

TEST_CASE("content lines are without comments, space and empty lines") {
  CHECK(content_lines("# a\n\n  x \r\n#b\ny") == std::vector<std::string_view>{"x", "y"});
  CHECK(content_lines("").empty());
}

TEST_CASE("a table that is wider than the terminal continues below its rows, and no line is wider") {
  const Table jobs{{"JOB", "SITE", "STATE", "VERDICT"},
      {{"1a22025c", "hello", "failed", "check: service 'web' keeps crashing on start: no module"},
          {"2b", "a", "done", ""}}};
  CHECK(render(jobs, 36) ==
      std::vector<std::string>{"JOB       SITE   STATE", "    VERDICT", "1a22025c  hello  failed",
          "    check: service 'web' keeps", "    crashing on start: no module",
          "2b        a      done"});
  CHECK(render(jobs, 20) ==
      std::vector<std::string>{"JOB       SITE", "    STATE  VERDICT", "1a22025c  hello",
          "    STATE failed ", "    check: service", "    'web' keeps", "    crashing on",
          "    start: no module", "2b        a", "    STATE done"});
  CHECK(render(jobs, 200).size() == 3);
  for (const size_t width : {20, 30, 40, 80})
    for (const auto& line :
        render({{"A", "B"}, {{"x", std::string(200, 'y')}, {"größe", ""}}}, width))
      CHECK(columns_of(line) <= width);
}

TEST_CASE("ages beside times: what is near has its hour, what is far its day") {
  const int64_t now = 1'800'000'000'000, minute = 60'000, day = 86'400'000;
  CHECK(format_age(now - 12'000, now) == "12 s ago");
  CHECK(format_age(now - 2 * minute, now) == "2 min ago");
  CHECK(format_age(now - 30 * 60 * minute, now) == "30 h ago");
  CHECK(format_age(now - 8 * day, now) == "8 days ago");
  CHECK(format_age(now + 5 * minute, now) == "in 5 min");
  CHECK(format_when(now - 2 * minute, now).ends_with(":00, 2 min ago"));
  CHECK(format_when(now - 8 * day, now) ==
      cat(format_time(now - 8 * day).substr(0, 10), ", 8 days ago"));
  CHECK(format_when(0, now).empty());
}
