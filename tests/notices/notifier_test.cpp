// Targets and the notifier: what a file may say, what is delivered, and what comes of each answer.
#include "notices/notifier.hpp"

#include "catch.hpp"

#include "base/text.hpp"
#include "control/messages.hpp"
#include "crypto/webhook.hpp"
#include "notices/message.hpp"
#include "notices/rules.hpp"
#include "os/host_layout.hpp"
#include "store/scratch.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

using namespace chillbox;
using namespace chillbox::notices;
using store::must;

namespace {

const std::string k_notifier_key = "whsec_" + std::string(43, 'A') + "=";

// Both clocks move only when the test moves them.
struct StillClock : os::Clock {
  std::atomic<int64_t> passed{0}, set{0};
  int64_t wall() const override { return wall_ms() / 1'000; }
  int64_t wall_ms() const override { return 1'800'000'000'000 + passed + set; }
  os::Millis mono() const override { return os::Millis(1'000'000 + passed); }
  void sleep(os::Millis time) override { passed += time.count(); }
};

// Notes what ran, and answers as it is told to.
struct FakeHooks : os::Runner {
  std::mutex mutex;
  std::vector<os::Command> ran;
  std::function<Result<os::Exit>(const os::Command&)> answer = [](const os::Command&) {
    return os::Exit{.code = 0};
  };
  Result<os::Exit> run(const os::Command& command) override {
    std::function<Result<os::Exit>(const os::Command&)> with;
    {
      const std::lock_guard lock(mutex);
      ran.push_back(command);
      with = answer;
    }
    return with(command);
  }
  size_t count() {
    const std::lock_guard lock(mutex);
    return ran.size();
  }
  os::Command at(size_t i) {
    const std::lock_guard lock(mutex);
    return ran.at(i);
  }
};

std::string notice_line(const std::string& text, std::string_view name) {
  for (const auto line : split(text, '\n'))
    if (line.starts_with(cat(name, "=")))
      return std::string(line.substr(name.size() + 1));
  return "";
}

struct NotifyHost {
  store::Scratch scratch;
  os::Paths paths{scratch.dir};
  config::HostConfig config;
  StillClock clock;
  FakeHooks hooks;
  store::Store store = scratch.open();
  std::atomic<int> looks{0};
  std::optional<Notifier> notifier;

  NotifyHost() {
    config.server_name = "host.example";
    config.notify.gather = std::chrono::seconds(0);
    std::filesystem::create_directories(targets_dir(paths));
    const std::string own = paths.admin_hooks() + "/notify";
    std::filesystem::create_directories(own);
    for (const auto* kind : {"webhook", "slack"})
      must(os::real_disk().write(cat(own, "/", kind), "#!/bin/sh\n", 0755, os::root_owner(paths)));
    notifier.emplace(Notifier::Host{
        store, os::real_disk(), hooks, clock, paths, config, false, [this] { ++looks; }, [] {}});
  }
  void target(const std::string& name, const std::string& text) {
    must(os::real_disk().write(target_path(paths, name), text, 0600, os::root_owner(paths)));
  }
  void raise(std::string_view event, const std::string& site = "blog") {
    must(store::Notices(store).raise({.event = event,
        .site = site,
        .subject = "web",
        .text = "it ended",
        .time_ms = clock.wall_ms()}));
    notifier->refresh();
  }
  template <class F> bool eventually(F&& so) {
    for (int i = 0; i < 1'000; ++i) {
      if (so())
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

// What is open once the rules have looked, in the order of the alphabet.
std::string open_after(NotifyHost& host, const Facts& facts, std::string_view between, bool texts) {
  must(apply_rules(host.store, facts));
  std::vector<std::string> events;
  for (const auto& notice : must(store::Notices(host.store).list(100)).notices)
    if (notice.state == "open")
      events.push_back(
          cat(notice.event, texts ? cat("/", notice.site, ": ", notice.text) : std::string()));
  std::ranges::sort(events);
  return join(events, between);
}

Result<os::Exit> exits(int code, const std::string& err = "", const std::string& out = "") {
  return os::Exit{.code = code, .signal = 0, .out = out, .err = err};
}

} // namespace

TEST_CASE("a target's file: what it may say, and every mistake is named without a value [fault-693]") {
  const auto good = must(parse_target(
      "kind = \"slack\"\nevents = [\"deploy.*\", \"service.crashed\"]\nseverity = \"error\"\n[settings]\nurl = \"https://s3cret\"\n",
      "ops"));
  CHECK(good.settings.at("url") == "https://s3cret");
  control::Notice notice{.event = "deploy.failed", .site = "blog", .severity = "error"};
  CHECK(good.wants(notice));
  notice.event = "cron.failed";
  CHECK_FALSE(good.wants(notice));
  CHECK(must(parse_target(target_text(good), "ops")).settings == good.settings);
  CHECK_FALSE(good.json());
  for (const std::string text :
      {"", "kind = 1", "kind = \"../sh\"", "kind = \"slack\"\nevents = [\"no.such\"]",
          "kind = \"slack\"\nsites = [\"../x\"]", "kind = \"slack\"\n[settings]\nUrl = \"s3cret\"",
          "kind = \"slack\"\n[settings]\nurl = \"s3cret\\nid x\"",
          "kind = \"slack\"\nother = \"s3cret\"", "kind = \"slack\"\n[settings]\nurl = 1"}) {
    const auto read = parse_target(text, "ops");
    INFO(text);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::invalid);
    CHECK(read.error().message.find("s3cret") == std::string::npos);
  }
}

TEST_CASE("a target that others could have written, or can read, is refused, and keeps no other from being told [fault-693] [attack-U1]") {
  NotifyHost host;
  host.target("good", "kind = \"slack\"\n");
  for (const mode_t mode : {0640, 0604, 0620, 0602}) {
    host.target("bad", "kind = \"slack\"\n");
    ::chmod(target_path(host.paths, "bad").c_str(), mode);
    const auto files = read_targets(host.paths);
    CHECK(files.targets.size() == 1);
    REQUIRE(files.faults.size() == 1);
    CHECK(files.faults[0].second.code == Code::denied);
  }
  CHECK(host.notifier->reload().error().code == Code::denied);
  const auto all = must(host.notifier->targets());
  REQUIRE(all.size() == 2);
  CHECK(all[0].state == "refused");
  CHECK(all[1].state == "ok");
  host.raise("service.gave_up");
  CHECK(host.eventually([&] { return host.hooks.count() == 1; }));
}

TEST_CASE("what is for a target whose file is refused waits until that is put right, and is not given up [fault-1078]") {
  NotifyHost host;
  host.target("ops", "kind = \"slack\"\n");
  ::chmod(target_path(host.paths, "ops").c_str(), 0640);
  CHECK_FALSE(host.notifier->reload());
  host.raise("service.gave_up");
  for (int i = 0; i < 2 * static_cast<int>(k_tries); ++i) {
    host.clock.sleep(os::Millis{2 * 3'600'000});
    host.notifier->refresh(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  for (const auto& notice : must(store::Notices(host.store).list(100)).notices)
    CHECK(notice.event != "notify.exhausted");
  CHECK(must(store::Notices(host.store).counts("ops")).attempt == 0);
  ::chmod(target_path(host.paths, "ops").c_str(), 0600);
  must(host.notifier->reload());
  CHECK(host.eventually([&] { return host.hooks.count() >= 1; }));
}

TEST_CASE("a webhook is signed here: one id, a new timestamp for each try, and no key leaves [fault-685] [attack-U4]") {
  NotifyHost host;
  host.target("hook",
      cat("kind = \"webhook\"\n[settings]\nurl = \"https://x/\"\nkey = \"", k_notifier_key,
          "\"\n"));
  host.hooks.answer = [](const os::Command&) { return exits(11, "it answered 500"); };
  must(host.notifier->reload());
  host.raise("service.gave_up");
  REQUIRE(host.eventually([&] { return host.hooks.count() == 1; }));
  host.hooks.answer = [](const os::Command&) { return exits(0); };
  REQUIRE(host.eventually([&] {
    host.clock.sleep(os::Millis{2'000});
    host.notifier->refresh(true);
    return host.hooks.count() == 2;
  }));
  const auto key = must(crypto::parse_webhook_key(k_notifier_key));
  for (size_t i = 0; i < 2; ++i) {
    const auto command = host.hooks.at(i);
    CHECK(command.argv.size() == 2);
    for (const auto& [name, value] : command.env)
      CHECK(value.find("https") == std::string::npos);
    CHECK(command.secrets.find("whsec_") == std::string::npos);
    const std::string id = notice_line(command.secrets, "id"),
                      time = notice_line(command.secrets, "timestamp");
    CHECK(notice_line(command.secrets, "signature") ==
        crypto::sign_webhook(key, id, time, command.input));
  }
  CHECK(notice_line(host.hooks.at(0).secrets, "id") == notice_line(host.hooks.at(1).secrets, "id"));
  CHECK(notice_line(host.hooks.at(0).secrets, "timestamp") !=
      notice_line(host.hooks.at(1).secrets, "timestamp"));
  CHECK(host.hooks.at(0).input == host.hooks.at(1).input);
  const auto message = must(control::read_answer<control::NoticeMessage>(host.hooks.at(0).input));
  CHECK(message.type == "service.gave_up");
  CHECK(message.data.host == "host.example");
  CHECK(message.data.notices.at(0).site == "blog");
}

TEST_CASE("ten tries by the schedule, then it is exhausted; Retry-After is waited for [fault-680]") {
  std::vector<int64_t> pauses;
  for (size_t i = 0; i < k_tries; ++i)
    pauses.push_back(pause_before_try(i).count() / 1'000);
  CHECK(pauses ==
      std::vector<int64_t>{0, 5, 300, 1'800, 7'200, 18'000, 36'000, 50'400, 72'000, 86'400});
  NotifyHost host;
  host.target("ops", "kind = \"slack\"\n");
  host.hooks.answer = [](const os::Command&) {
    return exits(11, "it answered 429", "retry-after 3600\n");
  };
  must(host.notifier->reload());
  host.raise("service.gave_up");
  REQUIRE(host.eventually([&] { return must(host.notifier->targets())[0].state == "failing"; }));
  const int64_t wait = must(host.notifier->targets())[0].next_ms - host.clock.wall_ms();
  CHECK(wait > 3'500'000);
  CHECK(wait <= 3'600'000);
  CHECK(must(host.notifier->targets())[0].error == "it answered 429");
  for (int i = 0; i < 60 && must(host.notifier->targets())[0].state != "exhausted"; ++i) {
    host.clock.sleep(os::Millis{7 * 3'600'000}); // by both clocks
    host.notifier->refresh(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(must(host.notifier->targets())[0].state == "exhausted");
  const std::string id = notice_line(host.hooks.at(0).secrets, "id");
  size_t tries = 0; // of the first message: those that say that it is still so have their own
  for (size_t i = 0; i < host.hooks.count(); ++i)
    tries += notice_line(host.hooks.at(i).secrets, "id") == id ? 1 : 0;
  CHECK(tries == k_tries);
  host.hooks.answer = [](const os::Command&) { return exits(0); };
  CHECK(must(host.notifier->retry("ops")).messages >= 1);
  CHECK(host.eventually([&] { return must(host.notifier->targets())[0].state == "ok"; }));
  CHECK(host.notifier->retry("nobody").error().code == Code::not_found);
}

TEST_CASE("who answers 410 is told nothing more until his file is another, or with retry [fault-681]") {
  NotifyHost host;
  host.target("ops", "kind = \"slack\"\n");
  host.hooks.answer = [](const os::Command&) { return exits(10, "slack: it answered 410"); };
  must(host.notifier->reload());
  host.raise("service.gave_up");
  REQUIRE(host.eventually([&] { return must(host.notifier->targets())[0].state == "disabled"; }));
  host.raise("memory.oom");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(host.hooks.count() == 1);
  host.hooks.answer = [](const os::Command&) { return exits(0); };
  must(host.notifier->reload());
  CHECK(must(host.notifier->targets())[0].state == "disabled");
  host.target("ops", "kind = \"slack\"\nseverity = \"warning\"\n");
  must(host.notifier->reload());
  CHECK(host.eventually([&] { return must(host.notifier->targets())[0].waiting == 0; }));
  CHECK(must(host.notifier->targets())[0].state == "ok");
}

TEST_CASE("a target that hangs keeps no other waiting [fault-682]") {
  NotifyHost host;
  host.target("hangs", "kind = \"slack\"\n");
  host.target("works", cat("kind = \"webhook\"\n[settings]\nkey = \"", k_notifier_key, "\"\n"));
  std::atomic<bool> release{false};
  host.hooks.answer = [&](const os::Command& command) -> Result<os::Exit> {
    while (command.argv[0].ends_with("/slack") && !release &&
        !(command.cancelled && command.cancelled()))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return os::Exit{.code = 0};
  };
  must(host.notifier->reload());
  host.raise("service.gave_up");
  CHECK(host.eventually([&] {
    const auto all = must(host.notifier->targets());
    return all[0].waiting == 1 && all[1].waiting == 0 && all[1].sent_ms != 0;
  }));
  host.raise("memory.oom");
  CHECK(host.eventually([&] { return host.hooks.count() == 3; })); // and not a second one there
  release = true;
  CHECK(host.eventually([&] { return must(host.notifier->targets())[0].waiting == 0; }));
}

TEST_CASE("a hook that prints without end, never ends or is not there is an error of its target [fault-688]") {
  NotifyHost host;
  host.target("ops", "kind = \"slack\"\n");
  must(host.notifier->reload());
  const std::string hook = host.paths.admin_hooks() + "/notify/slack";
  const Courier courier{
      os::real_disk(), os::real_runner(), os::real_clock(), host.paths, false, "host"};
  const auto target = must(read_target(host.paths, "ops"));
  const auto deliver_with = [&](const std::string& script) {
    must(os::real_disk().write(hook, script, 0755, os::root_owner(host.paths)));
    return deliver(courier, target, "msg_1", body_of("host", {}, 0, 0), [] { return false; });
  };
  const auto noisy =
      deliver_with("#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' x\necho why >&2\nexit 1\n");
  CHECK(noisy.error == "why");
  CHECK(deliver_with("#!/bin/sh\nexit 127\n").error == "slack ended with code 127");
  CHECK(deliver_with("#!/nonexistent/sh\n").kind == Outcome::Kind::failed);
  std::filesystem::remove(hook);
  CHECK(deliver(courier, target, "msg_1", body_of("host", {}, 0, 0), {})
            .error.find("no hook 'slack'") != std::string::npos);
  must(os::real_disk().write(hook, "#!/bin/sh\nsleep 100\n", 0755, os::root_owner(host.paths)));
  bool stop = false;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop = true;
  });
  CHECK(deliver(courier, target, "msg_1", body_of("host", {}, 0, 0), [&] { return stop; }).kind ==
      Outcome::Kind::interrupted);
  later.join();
  CHECK(k_delivery_deadline == std::chrono::seconds(30));
}

TEST_CASE("without a target nothing runs, and what is over by the first one is not told") {
  NotifyHost host;
  must(host.notifier->reload());
  host.raise("memory.oom");
  host.raise("service.gave_up");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(host.looks == 0);
  host.target("ops", "kind = \"slack\"\n");
  must(host.notifier->reload());
  REQUIRE(host.eventually([&] { return host.hooks.count() == 1; }));
  CHECK(host.hooks.at(0).input.find("service is down") != std::string::npos);
  CHECK(host.hooks.at(0).input.find("memory") == std::string::npos);
  CHECK(host.looks >= 1);
}

TEST_CASE("a daemon that is stopped while it sends sends again with the same id [fault-685]") {
  NotifyHost host;
  host.target("ops", "kind = \"slack\"\n");
  host.hooks.answer = [](const os::Command& command) -> Result<os::Exit> {
    while (!command.cancelled())
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return fail(Code::interrupted, "cancelled");
  };
  must(host.notifier->reload());
  host.raise("service.gave_up");
  REQUIRE(host.eventually([&] { return host.hooks.count() == 1; }));
  host.notifier.reset();
  host.hooks.answer = [](const os::Command&) { return exits(0); };
  host.notifier.emplace(Notifier::Host{host.store, os::real_disk(), host.hooks, host.clock,
      host.paths, host.config, false, [] {}, [] {}});
  must(host.notifier->reload());
  REQUIRE(host.eventually([&] { return host.hooks.count() == 2; }));
  CHECK(notice_line(host.hooks.at(0).secrets, "id") == notice_line(host.hooks.at(1).secrets, "id"));
  CHECK(host.hooks.at(0).input == host.hooks.at(1).input);
}

TEST_CASE("what a message says: the host and the site first, then what to do") {
  const auto told = [](std::string what, std::string event, std::string site, uint64_t count) {
    return store::Told{{.number = 1,
                           .event = std::move(event),
                           .site = std::move(site),
                           .subject = "web",
                           .severity = "error",
                           .state = "open",
                           .text = "it ended",
                           .advice = "look",
                           .first_ms = 1'800'000'000'000,
                           .last_ms = 1'800'000'300'000,
                           .count = count},
        std::move(what)};
  };
  const auto one = must(text_of(
      body_of("host.example", {told("open", "service.crashed", "blog", 17)}, 0, 1'800'000'000)));
  CHECK(one.title == "host.example: blog/web: service crashed");
  CHECK(one.text ==
      "error  blog/web: service crashed\n  since 2027-01-15T08:00:00Z, 17 times: it ended\n  look\n");
  CHECK(one.severity == "error");
  const auto over = must(text_of(
      body_of("host.example", {told("resolved", "service.crashed", "blog", 1)}, 0, 1'800'000'000)));
  CHECK(over.title == "host.example: blog/web: service crashed: is over");
  CHECK(over.severity == "info");
  CHECK(over.type == "service.recovered");
  std::vector<store::Told> many;
  for (int i = 0; i < 30; ++i)
    many.push_back(told("open", "service.crashed", cat("site", i), 1));
  const auto burst = must(text_of(body_of("host.example", many, 5, 1'800'000'000)));
  CHECK(burst.title == "host.example: site0/web: service crashed and 34 more");
  CHECK(burst.text.ends_with("and 15 more: `chillboxctl notices`\n"));
}

TEST_CASE("[fault-781] a backup that fails, is overdue or cannot be restored, and a changed audit trail are told, and that they are well again") {
  NotifyHost host;
  Facts facts{.now_ms = host.clock.wall_ms()};
  const auto open = [&] { return open_after(host, facts, "\n", true); };
  control::BackupState good{.site = store::site("good")}, bad{.site = store::site("bad")};
  bad.problem = "the target does not answer";
  bad.stale = "no backup is stored";
  bad.unproven = "it is damaged";
  facts.backups = {good, bad};
  facts.audit = "entry 7 is not what it was";
  CHECK(open() ==
      "audit.broken/: entry 7 is not what it was\nbackup.failed/bad: the target does not answer\n"
      "backup.overdue/bad: no backup is stored\nbackup.unproven/bad: it is damaged");
  const auto totals = must(store::Notices(host.store).totals());
  CHECK(totals.open == std::array<uint64_t, 3>{0, 0, 4});
  facts.backups = {good};
  facts.audit.clear();
  CHECK(open().empty());
}

TEST_CASE("[fault-851] a clock that is set is told of, by how much and which way; what a time server corrects is not") {
  NotifyHost host;
  const auto told = [&](int64_t by_ms) {
    host.clock.set += by_ms;
    host.notifier->tick();
    std::string texts;
    for (const auto& notice : must(store::Notices(host.store).list(100)).notices)
      texts += cat(notice.event, ": ", notice.text, "\n");
    return texts;
  };
  CHECK(told(0).empty());
  host.clock.passed += 86'400'000; // a day is no step
  CHECK(told(0).empty());
  CHECK(told(30'000).empty());
  CHECK(told(-30'000).empty());
  CHECK(told(3'600'000) == "clock.set: by 3600 s, forward\n");
  CHECK(told(-7'200'000).find("clock.set: by 7200 s, back\n") != std::string::npos);
}

TEST_CASE("rules over facts: locked, disks, certificates, jobs that wait, services that are down") {
  NotifyHost host;
  Facts facts{.now_ms = host.clock.wall_ms()};
  const auto open = [&] { return open_after(host, facts, " ", false); };
  CHECK(open().empty());
  facts.locked = true;
  facts.disks = {
      {"/", {.free_bytes = 9, .total_bytes = 100, .free_inodes = 9, .total_inodes = 100}},
      {"/big", {.free_bytes = 6ULL << 30, .total_bytes = 1ULL << 40}}};
  control::Certificate failing{.id = "blog", .site = "blog", .alert = control::AlertLevel::warning};
  control::Certificate ending{.id = "shop", .site = "shop", .alert = control::AlertLevel::error};
  control::Certificate theirs{.id = "wiki", .site = "wiki", .mode = "provided"};
  theirs.not_after_ms = facts.now_ms + 13LL * 24 * 3'600'000;
  facts.certificates = {failing, ending, theirs};
  auto job = store::new_job("0123456789abcdef");
  job.state = store::JobState::waiting_unlock;
  facts.unfinished = {job};
  facts.down = {{"blog", "web"}};
  host.raise("service.crashed");
  CHECK(open() ==
      "cert.expiring cert.expiring cert.failed disk.low host.locked inode.low job.waits service.gave_up");
  facts.disks[0].space.free_bytes = facts.disks[0].space.free_inodes =
      11; // it needs more to end than to begin
  facts.locked = false;
  facts.certificates.clear();
  facts.unfinished.clear();
  facts.down.clear();
  CHECK(open() == "disk.low inode.low");
  facts.disks[0].space.free_bytes = facts.disks[0].space.free_inodes = 13;
  CHECK(open().empty());
}

TEST_CASE("a certificate that has ended, or will while its notice is open, is not said to be valid") {
  NotifyHost host;
  Facts facts{.now_ms = host.clock.wall_ms()};
  control::Certificate theirs{.id = "wiki", .site = "wiki", .mode = "provided"};
  theirs.not_after_ms = facts.now_ms + 24LL * 3'600'000;
  facts.certificates = {theirs};
  CHECK(open_after(host, facts, "\n", true).starts_with("cert.expiring/wiki: ends at "));
  facts.certificates.clear();
  CHECK(open_after(host, facts, "\n", true) == "");
  facts.now_ms += 48LL * 3'600'000;
  facts.certificates = {theirs};
  CHECK(open_after(host, facts, "\n", true).starts_with("cert.expiring/wiki: ended at "));
}
