#include "control_host.hpp"

#include "control/log_news.hpp"
#include "nginx/nginx.hpp"
#include "os/log_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct File {
  std::string service, stream;
  uint64_t part = 0;
  Fd text, marks;
  bool lost = false;
};

// What came for one question up to the first word that all of it can be read, or its refusal.
struct Asked {
  Fd connection;
  std::vector<File> files;
  std::string refused;

  // false: the conversation is over.
  bool next() {
    const auto text = control::read_frame(connection.get(), os::Millis{3'000}, 1 << 20);
    if (!text)
      return false;
    const Json frame = must(control::parse_json(*text, 1 << 20));
    if (!frame.contains("event")) {
      refused = frame.contains("error") ? frame["error"]["code"].get<std::string>() : "";
      return false;
    }
    const auto news = must(control::from_json<control::LogNews>(frame["event"]));
    if (news.look)
      return false;
    Fd log = must(control::receive_descriptor(connection.get()));
    Fd marks = news.marks ? must(control::receive_descriptor(connection.get())) : Fd();
    files.push_back(
        {news.service, news.stream, news.part, std::move(log), std::move(marks), news.lost});
    return true;
  }
};

Asked ask(ServingHost& host, const control::Arguments& args) {
  Asked asked{host.connect(), {}, {}};
  must(control::write_frame(asked.connection.get(), control::request_text("log_files", args)));
  while (asked.next()) {}
  return asked;
}

std::string text_of(const Fd& fd) {
  std::string text(1000, '\0');
  const ssize_t n = ::pread(fd.get(), text.data(), text.size(), 0);
  return text.substr(0, static_cast<size_t>(std::max<ssize_t>(n, 0)));
}

std::vector<std::string> names(const Asked& asked) {
  std::vector<std::string> all;
  for (const auto& file : asked.files)
    all.push_back(cat(file.service, " ", file.stream, " ", file.part));
  return all;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("log_files passes a site's logs by stream, oldest first, and says what there is not") {
  ServingHost host;
  const std::string dir = host.paths.logs_of(site()), of_nginx = nginx::log_dir(host.paths, site());
  host.write(dir + "/app.log", "new\n");
  host.write(dir + "/app.log.at", std::string(16, '\0'));
  for (int i = 1; i < 4; ++i)
    host.write(cat(dir, "/app.log.", i), cat("old ", i, "\n"));
  host.write(dir + "/cron.log", "c\n");
  host.write(dir + "/run.7.log", "r\n");
  host.write(of_nginx + "/error.log", "e\n");
  host.write(of_nginx + "/access.log", "a\n");
  const std::vector<std::string> usual{"app", "error", "cron"};
  const auto asked = ask(host, {.site = "blog", .streams = usual});
  CHECK(names(asked) == Names{"app app 1", "app app 0", "cron cron 0", "nginx error 0"});
  CHECK(text_of(asked.files[0].text) == "old 1\n");
  CHECK_FALSE(asked.files[0].marks);
  CHECK(asked.files[1].marks);
  const auto all = ask(host, {.site = "blog", .service = "app", .since_ms = 0});
  CHECK(names(all) == Names{"app app 3", "app app 2", "app app 1", "app app 0"});
  CHECK(names(ask(host, {.site = "blog", .service = "app", .since_ms = 8'796'093'022'208})) ==
      Names{"app app 0"}); // the old ones were last written before that
  CHECK(names(ask(host, {.site = "blog", .streams = std::vector<std::string>{"access", "run"}})) ==
      Names{"run.7 run 0", "nginx access 0"});
  CHECK(ask(host, {.site = "blog", .service = "../../etc/passwd"}).refused == "not_found");
  CHECK(ask(host, {.site = "nosuch"}).refused == "not_found");
}

TEST_CASE("the descriptor of a log is for reading, of a regular file, and no link is followed [attack-F11]") {
  ServingHost host;
  const std::string dir = host.paths.logs_of(site());
  host.write(dir + "/app.log", "mine\n");
  host.write(host.paths.root + "/secret", "other\n");
  REQUIRE(::symlink((host.paths.root + "/secret").c_str(), (dir + "/link.log").c_str()) == 0);
  REQUIRE(::symlink((host.paths.root + "/secret").c_str(), (dir + "/app.log.at").c_str()) == 0);
  REQUIRE(::mkfifo((dir + "/pipe.log").c_str(), 0600) == 0);
  const auto asked = ask(host, {.site = "blog"});
  REQUIRE(names(asked) == Names{"app app 0"});
  CHECK_FALSE(asked.files[0].marks);
  const int fd = asked.files[0].text.get();
  CHECK((::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
  CHECK(::write(fd, "x", 1) < 0);
  CHECK(::ftruncate(fd, 0) < 0);
}

TEST_CASE("[fault-720] who follows gets each new file of a log, and the word that there is more to read") {
  ServingHost host;
  const std::string dir = host.paths.logs_of(site());
  host.write(dir + "/app.log", "one\n");
  Asked asked = ask(host, {.site = "blog", .follow = true});
  REQUIRE(names(asked) == Names{"app app 0"});
  REQUIRE(::rename((dir + "/app.log").c_str(), (dir + "/app.log.1").c_str()) == 0);
  host.write(dir + "/app.log", "two\n");
  while (asked.next()) {}
  REQUIRE(names(asked) == Names{"app app 0", "app app 0"});
  CHECK(text_of(asked.files[1].text) == "two\n");
  CHECK_FALSE(asked.files[1].lost);
  host.disk.append(dir + "/app.log", "three\n", 0640).value();
  while (asked.next()) {}
  CHECK(names(asked).size() == 2);
  CHECK(text_of(asked.files[1].text) == "two\nthree\n");
}

TEST_CASE("[fault-728] [fault-729] nothing is sent to a reader that does not read; what was dropped meanwhile it is told") {
  ServingHost host;
  const std::string dir = host.paths.logs_of(site());
  host.write(dir + "/app.log", "one\n");
  Asked asked = ask(host, {.site = "blog", .follow = true});
  host.disk.append(dir + "/app.log", "two\n", 0640).value();
  std::this_thread::sleep_for(std::chrono::milliseconds(800)); // one word waits, no second is sent
  for (int i = 0; i < 3; ++i) {
    host.write(dir + "/new", cat("later ", i, "\n"));
    REQUIRE(::rename((dir + "/new").c_str(), (dir + "/app.log").c_str()) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
  }
  asked.next(); // the word
  while (asked.next()) {}
  REQUIRE(asked.files.size() == 2);
  CHECK(asked.files[1].lost);
  CHECK(text_of(asked.files[1].text) == "later 2\n");
}
