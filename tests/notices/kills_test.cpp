// kill -9 at any moment around the sending of notices: none that was written is lost, and a message
// that comes twice is the same one, under the same id. CHILLBOX_KILLS=N: how often (make
// notice-kills).
#include "notices/notifier.hpp"

#include "catch.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/host_layout.hpp"
#include "store/scratch.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

using namespace chillbox;
using namespace chillbox::notices;
using store::must;

namespace {

const std::string k_key = "whsec_" + std::string(43, 'A') + "=";

// A moment of the test is a day of its own, so that no hour's limit and no pause before a next try
// takes long.
struct FastClock : os::Clock {
  static constexpr int64_t k_faster = 100'000;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  int64_t passed() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now() - begun)
               .count() *
        (k_faster / 1'000);
  }
  int64_t wall() const override { return wall_ms() / 1'000; }
  int64_t wall_ms() const override { return 1'800'000'000'000 + passed(); }
  os::Millis mono() const override { return os::Millis(1'000'000 + passed()); }
  void sleep(os::Millis) override { std::this_thread::yield(); }
};

std::string line_of(const std::string& text, std::string_view name) {
  for (const auto line : split(text, '\n'))
    if (line.starts_with(cat(name, "=")))
      return std::string(line.substr(name.size() + 1));
  return "";
}

// Who gets the messages: a line of ID and body for each that came. A kill may cut one, so each
// begins on a line of its own.
struct Receiver : os::Runner {
  explicit Receiver(const std::string& file)
      : got(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) {}
  Result<os::Exit> run(const os::Command& command) override {
    const std::string line = cat("\n", line_of(command.secrets, "id"), " ", command.input, "\n");
    if (::write(got.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      return fail(Code::failure, "write");
    std::this_thread::sleep_for(std::chrono::microseconds(300)); // on the way back
    return os::Exit{.code = 0};
  }
  Fd got;
};

struct Sender {
  store::Scratch scratch;
  os::Paths paths{scratch.dir};
  config::HostConfig config;
  FastClock clock;
  std::string got = scratch.file("got"), raised = scratch.file("raised");

  Sender() {
    config.server_name = "host.example";
    config.notify.gather = std::chrono::seconds(0);
    const std::string own = paths.admin_hooks() + "/notify";
    std::filesystem::create_directories(targets_dir(paths));
    std::filesystem::create_directories(own);
    must(os::real_disk().write(own + "/webhook", "#!/bin/sh\n", 0755, os::root_owner(paths)));
    must(os::real_disk().write(target_path(paths, "ops"),
        cat("kind = \"webhook\"\n[settings]\nurl = \"https://x.example\"\nkey = \"", k_key, "\"\n"),
        0600, os::root_owner(paths)));
    (void)scratch.open();
  }
  // Writes notices number*10 and on, notes each once it is on the disk, and sends; until `done`.
  void run(uint64_t number, const std::function<bool(store::Store&)>& done, int begun = -1) {
    auto store = must(store::Store::open(scratch.file(), 1'000));
    Receiver receiver(got);
    Notifier notifier(
        {store, os::real_disk(), receiver, clock, paths, config, false, [] {}, [] {}});
    must(notifier.reload());
    const Fd noted(::open(raised.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (begun >= 0 && ::write(begun, "b", 1) != 1)
      return;
    for (uint64_t i = 0; number > 0 && i < 3; ++i) {
      const std::string text = cat("notice ", number * 10 + i, ".");
      must(store::Notices(store).raise({.event = "site.notice",
          .site = "blog",
          .subject = "",
          .text = text,
          .time_ms = clock.wall_ms()}));
      if (::write(noted.get(), cat(text, "\n").data(), text.size() + 1) < 0)
        return;
      notifier.refresh();
    }
    while (!done(store)) {
      notifier.refresh();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

std::vector<std::string> lines_of(const std::string& file) {
  std::vector<std::string> all;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    all.push_back(line);
  return all;
}

} // namespace

TEST_CASE("[fault-863] kill -9 around sends: no notice is lost, and what comes twice has one id and one body") {
  const char* wanted = std::getenv("CHILLBOX_KILLS");
  const uint64_t kills = wanted ? parse_u64(wanted).value_or(0) : 25;
  Sender sender;
  std::mt19937 random(42);
  for (uint64_t number = 1; number <= kills; ++number) {
    std::array<int, 2> begun{};
    REQUIRE(::pipe(begun.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      sender.run(number, [](store::Store&) { return false; }, begun[1]);
      ::_exit(1);
    }
    char byte = 0;
    REQUIRE(::read(begun[0], &byte, 1) == 1);
    ::close(begun[0]);
    ::close(begun[1]);
    std::this_thread::sleep_for(
        std::chrono::microseconds(random() % 15'000)); // and now is any moment
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  sender.run(0, [&](store::Store& store) {
    store::Notices notices(store);
    const bool idle = !must(notices.next_ms()) && must(notices.totals()).waiting == 0;
    return idle || std::chrono::steady_clock::now() > deadline;
  });
  std::map<std::string, std::string> bodies;
  std::string all;
  uint64_t twice = 0, more = 0; // more: told by their number, beyond what one message names
  for (const auto& line : lines_of(sender.got)) {
    const std::string id = line.substr(0, line.find(' ')),
                      body = line.substr(std::min(line.size(), id.size() + 1));
    if (!parse_json(body, size_t{1} << 20))
      continue; // empty, or a kill cut the receiver's own line: that message comes again
    const auto [known, is_new] = bodies.emplace(id, body);
    twice += is_new ? 0 : 1;
    CHECK(known->second == body);
    all += is_new ? body : std::string();
    const auto at = body.find("\"more\":");
    if (is_new && at != std::string::npos)
      more += std::strtoull(body.c_str() + at + 7, nullptr, 10);
  }
  const auto raised = lines_of(sender.raised);
  uint64_t lost = 0;
  for (const auto& text : raised)
    lost += all.find(text) == std::string::npos ? 1 : 0;
  WARN(kills << " kills: " << raised.size() << " notices, " << bodies.size() << " messages, "
             << twice << " came twice, " << lost << " are told by number alone, of " << more);
  CHECK(lost <= more);
  CHECK_FALSE(raised.empty());
}
