// The control socket: frames, and the verbs that show and act.
#include "daemon/control_host.hpp"

#include "os/io.hpp"

#include <array>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

TEST_CASE("another protocol version is refused, and both are named") {
  ControlHost host;
  const auto answer = host.raw(R"({"v":2,"verb":"ping","args":{}})");
  CHECK(answer["error"]["code"] == "invalid");
  const std::string message = answer["error"]["message"];
  CHECK(message.find("protocol version 2") != std::string::npos);
  CHECK(message.find("speaks 1") != std::string::npos);
}

TEST_CASE("an unknown verb, no verb and no JSON are refused") {
  ControlHost host;
  CHECK(host.call("destroy").message().find("no verb 'destroy'") != std::string::npos);
  for (const char* frame : {R"({"v":1})", "not json", "", "[]", R"({"v":"1","verb":"ping"})",
           R"({"v":1,"verb":["ping"]})", R"({"v":1,"verb":"ping","v":1})"}) {
    INFO(frame);
    CHECK(host.raw(frame)["error"]["code"] == "invalid");
  }
  CHECK(host.call("ping").code() == "ok");
}

TEST_CASE("a frame over the maximum ends its connection, and the others go on") {
  ControlHost host;
  const Fd fd = host.connect();
  const uint8_t huge[] = {0, 0, 0, 0x7f};
  must(os::write_all(fd.get(), huge));
  CHECK_FALSE(control::read_frame(fd.get(), os::Millis{10'000}));
  CHECK(host.call("ping").code() == "ok");
}

TEST_CASE("ping says which daemon this is, and each result its schema") {
  ControlHost host;
  const auto json = host.call("ping").json();
  CHECK(json["schema"] == "chillbox.ping.v1");
  CHECK(json["version"] == CHILLBOX_VERSION);
  CHECK(json["sealed"] == true);
  CHECK(json["pid"] == ::getpid());
}

TEST_CASE("what verbs needed is given back once, a quiet second after the last of them") {
  ControlHost host;
  CHECK_FALSE(host.op->trim_due());
  for (int verb = 0; verb < 2; ++verb) {
    const auto before = host.clock.mono(); // which grows with each look at it
    CHECK(host.call("ping").code() == "ok");
    REQUIRE(eventually([&] { return host.op->idle(); }));
    const auto due = host.op->trim_due();
    REQUIRE(due);
    CHECK(*due >= before + os::Millis{1'000});
    CHECK(*due <= host.clock.mono() + os::Millis{1'000});
    host.op->trim_if_due();
    if (host.clock.mono() < *due) // on a slow machine it may be over already
      CHECK(host.op->trim_due() == due);
    host.clock.sleep(os::Millis{500});
  }
  host.clock.sleep(os::Millis{500});
  host.op->trim_if_due();
  CHECK_FALSE(host.op->trim_due());
}

TEST_CASE("status shows the host and its sites") {
  ServingHost host;
  host.op->warn("the vault ended unexpectedly");
  const auto json = host.call("status").json();
  CHECK(json["host"]["sealed"] == false);
  CHECK(json["host"]["recipient"] == host.identity.recipient());
  CHECK(json["host"]["warnings"] == Json({"the vault ended unexpectedly"}));
  REQUIRE(json["sites"].size() == 1);
  const auto& one = json["sites"][0];
  CHECK(one["site"] == "blog");
  CHECK(one["state"] == "live");
  CHECK(one["version"] == "2.0.0");
  CHECK(one["previous_good"] == "1.0.0-1");
  CHECK(one["services"] ==
      Json::array({{{"name", "app"}, {"lang", "python"}, {"restarts", 0}, {"slot", "b"},
          {"state", "started"}}}));
}

TEST_CASE("[fault-109] status shows a service that OpenRC gave up as crashed, and the site degraded") {
  ServingHost host;
  std::filesystem::remove(host.paths.root + "/run/supervise-chillbox.blog.app.b.pid");
  const auto one = host.call("status").json()["sites"][0];
  CHECK(one["state"] == "degraded");
  CHECK(one["services"][0]["state"] == "crashed");
}

TEST_CASE("status says sealed, what waits for what, and how many jobs wait") {
  ControlHost host;
  host.unlock();
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  REQUIRE(host.deploy(Order{.services =
                                R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])"})
              .state == JobState::done);
  host.restart_all(true);
  host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.idle());
  const auto json = host.call("status").json();
  CHECK(json["host"]["sealed"] == true);
  CHECK(json["host"]["waiting_unlock"] == 1);
  CHECK(json["sites"][0]["state"] == "sealed");
  CHECK(json["sites"][0]["waiting"] == "waits for app/app.cfg: `chillboxctl unlock`");
}

TEST_CASE("[fault-1206] status says which name of a site no server of its template answers to, and says it once, also after a restart") {
  ServingHost host;
  const auto deployed = host.deploy(Order{.version = "3.0.0",
      .members = R"("domain_list":["www.blog.example"],"watch":0,)",
      .files = {{"app/app.py", ""},
          {"nginx/templates/blog.nginx.conf.template",
              "server { server_name blog.example; location / { return 204; } }\n"}}});
  REQUIRE(deployed.state == store::JobState::done);
  const std::string text =
      "no server in nginx/templates answers to 'www.blog.example': its visitors get this host's default page";
  CHECK(host.call("status").json()["sites"][0]["warning"] == text);
  REQUIRE(host.call("restart", {{"site", "blog"}}).code() == "ok");
  CHECK(host.call("status").json()["sites"][0]["warning"] == text);
  REQUIRE(host.deploy("3.1.0").state == store::JobState::done);
  CHECK(host.call("status").json()["sites"][0].value("warning", "") == "");
}

TEST_CASE("releases of a site, newest first, with the live one marked; of an unknown site not found") {
  ServingHost host;
  const auto json = host.call("releases", {{"site", "blog"}}).json();
  CHECK(json["live"] == "2.0.0-2");
  REQUIRE(json["releases"].size() == 2);
  CHECK(json["releases"][0]["id"] == "2.0.0-2");
  CHECK(json["releases"][0]["live"] == true);
  CHECK(json["releases"][1]["live"] == false);
  CHECK(host.call("releases", {{"site", "nosite"}}).code() == "not_found");
  CHECK(host.call("releases", {{"site", "../etc"}}).code() == "invalid");
  CHECK(host.call("releases").code() == "invalid");
}

TEST_CASE("jobs and one job with its events") {
  ServingHost host;
  const auto json = host.call("jobs", {{"site", "blog"}, {"limit", 1}}).json();
  REQUIRE(json["jobs"].size() == 1);
  const std::string id = json["jobs"][0]["id"];
  CHECK(host.call("jobs", {{"limit", 0}}).json()["jobs"].empty());
  CHECK(host.call("jobs", {{"site", "blog"}, {"since_ms", 9'000'000'000'000}}).code() == "ok");
  CHECK(host.call("jobs", {{"site", "nosite"}}).code() == "not_found"); // [fault-1132]
  const auto one = host.call("job", {{"job", id}});
  CHECK(one.json()["job"]["version"] == "2.0.0");
  REQUIRE_FALSE(one.events.empty());
  CHECK(one.events.front()["step"] == "obtain");
  CHECK(one.events.back()["kind"] == "end");
  CHECK(host.call("job", {{"job", id}, {"after", one.events.size() - 1}}).events.size() == 1);
  CHECK(host.call("job", {{"job", "nojob"}}).code() == "not_found");
}

TEST_CASE("a rollback is followed to its end, its events come on the way") {
  ServingHost host;
  const auto called = host.call("rollback", {{"site", "blog"}});
  REQUIRE(called.code() == "ok");
  CHECK(called.json()["job"]["state"] == "done");
  CHECK(
      called.json()["job"]["actor"].get<std::string>().starts_with(cat("uid:", ::geteuid(), " ")));
  CHECK(called.events.at(0)["job"] == called.json()["job"]["id"]); // [fault-1230]
  CHECK(called.events.at(1)["step"] == "select");
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback to an unknown version ends with not_found and the list") {
  ServingHost host;
  const auto called = host.call("rollback", {{"site", "blog"}, {"version", "9.9.9"}});
  CHECK(called.code() == "not_found");
  CHECK(called.message().find("there are 1.0.0 (1.0.0-1)") != std::string::npos);
  CHECK(host.call("rollback", {{"site", "nosite"}}).code() == "not_found");
}

TEST_CASE("an order that is not waited for answers with its job at once") {
  ServingHost host;
  const auto called = host.call("restart", {{"site", "blog"}, {"wait", false}});
  REQUIRE(called.code() == "ok");
  CHECK(called.events.size() == 1); // which job it is
  CHECK(host.becomes(host.look(called.json()["job"]["id"]), JobState::done));
}

TEST_CASE("stop, start and remove do what they say") {
  ServingHost host;
  CHECK(host.call("stop", {{"site", "blog"}}).code() == "ok");
  CHECK(host.call("status").json()["sites"][0]["state"] == "stopped");
  CHECK(host.ask() == "nobody");
  CHECK(host.call("start", {{"site", "blog"}}).code() == "ok");
  CHECK(host.ask() == "2.0.0");
  CHECK(host.call("remove", {{"site", "blog"}})
          .json()["job"]["message"]
          .get<std::string>()
          .starts_with("removed; its data stays"));
  CHECK(host.call("sites").json()["sites"].empty());
  CHECK(host.call("remove", {{"site", "blog"}}).code() == "not_found");
}

TEST_CASE("[fault-38] only the operator's retry lets an older artifact in") {
  ServingHost host;
  const auto refused = host.deploy(Order{.version = "1.5.0", .serial = 1});
  REQUIRE(refused.code == Code::denied);
  CHECK(host.call("retry", {{"job", refused.id}}).code() == "denied");
  const auto allowed = host.call("retry", {{"job", refused.id}, {"allow_downgrade", true}});
  INFO(allowed.message());
  CHECK(allowed.code() == "ok");
  CHECK(disagreement(host, "1.5.0") == "");
}

TEST_CASE("[fault-39] a held jump goes on by the operator's word") {
  ServingHost host;
  const auto held = host.deploy(Order{.version = "3.0.0", .serial = 5'000'000});
  REQUIRE(held.code == Code::busy);
  CHECK(host.call("retry", {{"job", held.id}, {"allow_jump", true}}).code() == "ok");
  CHECK(disagreement(host, "3.0.0") == "");
}

TEST_CASE("a retry of a job that has not ended is busy, of none not found") {
  ControlHost host;
  const auto job = host.submit(host.queue_deploy({}));
  REQUIRE(host.becomes(job, JobState::waiting_unlock));
  CHECK(host.call("retry", {{"job", job.id}}).code() == "busy");
  CHECK(host.call("retry", {{"job", "nojob"}}).code() == "not_found");
}

TEST_CASE("a retry is refused of what succeeded, of the agent's own jobs, and by a hold as the job's own verb is") {
  ServingHost host;
  const auto done = host.rollback();
  REQUIRE(done.state == JobState::done);
  CHECK(host.call("retry", {{"job", done.id}}).code() == "conflict");
  const auto ended = [&](store::JobKind kind) {
    auto job = host.queue(kind);
    job.state = JobState::failed;
    job.finished_ms = host.clock.wall_ms();
    must(host.store().finish_job(job, "failed"));
    return job.id;
  };
  CHECK(host.call("retry", {{"job", ended(store::JobKind::watch)}}).code() == "conflict");
  REQUIRE(host.call("hold", {{"site", "blog"}, {"why", "the database moves"}}).code() == "ok");
  for (const auto kind :
      {store::JobKind::rollback, store::JobKind::restore, store::JobKind::secrets})
    CHECK(host.call("retry", {{"job", ended(kind)}}).code() == "busy");
  for (const auto kind : {store::JobKind::restart, store::JobKind::stop, store::JobKind::start})
    CHECK(host.call("retry", {{"job", ended(kind)}}).code() == "ok");
}

TEST_CASE("followers that go away give their places back, of a job that waits or of a log that is silent") {
  ServingHost host;
  const auto waiting = host.submit(host.queue(
      store::JobKind::deploy, "blog", "3.0.0", {.sha256 = std::string(64, 'a'), .size = 1}));
  REQUIRE(host.becomes(waiting, JobState::waiting_upload));
  host.write(host.paths.logs_of(site()) + "/app.log", "one\n");
  const std::string request = GENERATE(true, false)
      ? control::request_text("job", {.job = waiting.id, .follow = true})
      : control::request_text("log_files", {.site = "blog", .follow = true});
  {
    std::vector<Fd> places;
    const auto refused =
        [&] { // of root's 32, or another's 8: the one over it is told so behind its first answer
          places.push_back(host.connect());
          must(control::write_frame(places.back().get(), request));
          // As bytes: of a log descriptors come between the frames.
          std::string said;
          std::array<char, 4096> bytes;
          while (os::wait_readable(places.back().get(), os::Millis{200}).value_or(false)) {
            const ssize_t n = os::read_some(places.back().get(), bytes.data(), bytes.size());
            if (n <= 0)
              break;
            said.append(bytes.data(), static_cast<size_t>(n));
          }
          if (said.find("the most for one user") != std::string::npos)
            return true;
          return false;
        };
    bool full = false;
    for (int i = 0; i < 40 && !full; ++i)
      full = refused();
    REQUIRE(full);
  }
  CHECK(eventually([&] {
    const Fd again = host.connect();
    return control::write_frame(again.get(), control::request_text("ping", {})) &&
        control::read_frame(again.get(), os::Millis{1'000}).value_or("").find("chillbox.ping.v1") !=
        std::string::npos;
  }));
}

TEST_CASE("places: a user has 8, all but root 28, and root what is left; who follows gives his back [attack-C8]") {
  daemon::ControlLimits limits;
  for (uid_t uid = 1000; uid < 1003; ++uid)
    for (int i = 0; i < 8; ++i)
      CHECK(limits.enter(uid));
  CHECK(limits.enter(1000).error().message.find("the most for one user") != std::string::npos);
  for (int i = 0; i < 4; ++i)
    CHECK(limits.enter(1003));
  CHECK(limits.enter(1004).error().message.find("more than 28 control connections") !=
      std::string::npos);
  for (int i = 0; i < 4; ++i)
    CHECK(limits.enter(0));
  CHECK(limits.enter(0).error().code == Code::busy);
  for (int i = 0; i < 8; ++i) {
    CHECK(limits.follow(1000));
    CHECK(limits.enter(1000));
  }
  CHECK(limits.follow(1000).error().message.find("you follow 8 jobs and logs already") !=
      std::string::npos);
  limits.leave(1000, true);
  CHECK(limits.follow(1000));
  CHECK(limits.enter(0)); // what the follower has given back
}

TEST_CASE("more connections than there are places are told to try again") {
  ControlHost host;
  std::vector<Fd> open;
  for (int i = 0; i < 33; ++i) // root has 32, anybody else 8
    open.push_back(host.connect());
  CHECK(must(control::read_frame(open.back().get(), os::Millis{10'000})).find("try again") !=
      std::string::npos);
}

TEST_CASE("a follower that went away with a byte behind its request gives its place back [attack-C8]") {
  ControlHost host;
  const auto job = host.submit(host.queue_deploy({}));
  REQUIRE(host.becomes(job, JobState::waiting_unlock));
  {
    const Fd fd = host.connect();
    must(control::write_frame(
        fd.get(), control::request_text("job", {.job = job.id, .follow = true})));
    must(os::write_all(fd.get(), bytes_of("x")));
    REQUIRE(control::read_frame(fd.get(), os::Millis{10'000}));
    CHECK_FALSE(host.op->idle());
  }
  host.changes.notify();
  CHECK(eventually([&] { return host.op->idle(); }));
}

TEST_CASE("who does not leave when the daemon stops is hung up on [attack-C8]") {
  ControlHost host;
  const Fd silent = host.connect();
  host.op->stop();
  host.op->hang_up();
  CHECK(eventually([&] { return host.op->idle(); }));
}

TEST_CASE("followers hear of it when the daemon stops") {
  ControlHost host;
  const auto job = host.submit(host.queue_deploy({}));
  REQUIRE(host.becomes(job, JobState::waiting_unlock));
  const Fd fd = host.connect();
  must(control::write_frame(
      fd.get(), control::request_text("job", {.job = job.id, .follow = true})));
  REQUIRE(control::read_frame(fd.get(), os::Millis{10'000}));
  host.op->stop();
  std::string last;
  while (const auto frame = control::read_frame(fd.get(), os::Millis{10'000}))
    last = *frame;
  CHECK(last.find("the daemon stops; job " + job.id + " continues") != std::string::npos);
}

TEST_CASE("the audit trail shows what was done, newest first, and verifies") {
  ServingHost host;
  REQUIRE(host.call("rollback", {{"site", "blog"}}).code() == "ok");
  const auto json = host.call("audit", {{"limit", 2}}).json();
  REQUIRE(json["entries"].size() == 2);
  CHECK(json["entries"][0]["verb"] == "rollback");
  CHECK(json["entries"][0]["site"] == "blog");
  CHECK(json["entries"][0]["outcome"] == "ok");
  CHECK(host.call("audit_verify").json()["entries"] == 3);
}

TEST_CASE("reload reads the settings again") {
  ControlHost host;
  CHECK(host.call("reload").code() == "ok");
  CHECK(host.reloads == 1);
}

TEST_CASE("hold and release-hold stand in status and in the audit trail, with who and why") {
  ServingHost host;
  CHECK(host.call("hold", {{"site", "blog"}, {"why", " "}}).code() == "invalid");
  CHECK(host.call("hold", {{"site", "shop"}, {"why", "x"}}).code() == "not_found");
  REQUIRE(host.call("hold", {{"site", "blog"}, {"why", "the database moves"}}).code() == "ok");
  const auto shown = host.call("status").json()["sites"][0]["hold"];
  CHECK(shown["why"] == "the database moves");
  CHECK(shown["actor"].get<std::string>().starts_with("uid:"));
  const auto entry = must(host.store().audit_entries(1))[0];
  CHECK(entry.verb == "hold");
  CHECK(entry.text == "the database moves");
  const auto job = host.deploy("3.0.0");
  CHECK(job.code == Code::busy);
  const auto retried = host.call("retry", {{"job", job.id}});
  CHECK(retried.code() == "busy");
  CHECK(retried.message().find("the database moves") != std::string::npos);
  CHECK(host.call("release_hold", {{"site", "blog"}}).json()["was_held"] == true);
  CHECK(host.call("release_hold", {{"site", "blog"}}).json()["was_held"] == false);
  CHECK(host.call("release_hold", {{"site", "shop"}}).code() == "not_found");
  CHECK_FALSE(host.call("status").json()["sites"][0].contains("hold"));
}

TEST_CASE("a hold is its owner's to change: another's is refused, with who, since when and why [fault-1123]") {
  ServingHost host;
  REQUIRE(host.call("hold", {{"site", "blog"}, {"why", "the database moves"}}).code() == "ok");
  CHECK(host.call("hold", {{"site", "blog"}, {"why", "it moved"}}).code() == "ok");
  CHECK(must(host.store().hold(site()))->why == "it moved");
  must(host.store().put_hold({{"person:kim", "ask me", 1'700'000'000'000}, site()}));
  const auto refused = host.call("hold", {{"site", "blog"}, {"why", "mine"}});
  CHECK(refused.code() == "busy");
  CHECK(refused.message() ==
      "'blog' is held by person:kim since 2023-11-14T22:13:20Z: ask me; "
      "`chillboxctl release-hold blog` ends the hold");
  CHECK(must(host.store().hold(site()))->why == "ask me");
  REQUIRE(host.call("release_hold", {{"site", "blog"}}).code() == "ok");
  CHECK(host.call("hold", {{"site", "blog"}, {"why", "mine"}}).code() == "ok");
}

TEST_CASE("a disk that is full is in status, and a hold holds all the same [fault-1144]") {
  ServingHost host;
  host.config.reserve_percent = 5;
  host.restart_all();
  host.disk.free_space = os::Space{
      .free_bytes = 10, .total_bytes = 1'000'000, .free_inodes = 900, .total_inodes = 1000};
  const auto warnings = host.call("status").json()["host"]["warnings"];
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].get<std::string>().find("deploys are refused: `chillboxctl prune`") !=
      std::string::npos);
  host.disk.fail_at(1);
  CHECK(host.call("hold", {{"site", "blog"}, {"why", "the disk is full"}}).code() == "ok");
  CHECK(host.disk.struck());
  CHECK(host.call("status").json()["sites"][0]["hold"]["why"] == "the disk is full");
}

TEST_CASE("a stopped site whose signer is trusted no more is not said to run [fault-1145]") {
  ServingHost host;
  REQUIRE(host.call("stop", {{"site", "blog"}}).code() == "ok");
  REQUIRE(host.call("withdraw", {{"site", "blog"}, {"version", "2.0.0"}}).code() == "ok");
  const auto site = host.call("status").json()["sites"][0];
  CHECK(site["state"] == "stopped");
  CHECK(site["waiting"].get<std::string>().starts_with("is stopped, and is not started again: "));
}

TEST_CASE("prune waits for the site's turn, tells what went, and with dry_run only what would go") {
  ServingHost host;
  host.config.keep_releases = 1;
  host.restart_all();
  host.unlock();
  REQUIRE(host.deploy("3.0.0").state == store::JobState::done);
  std::filesystem::create_directories(host.paths.cache(site()) + "/old-layer");
  const auto dry = host.call("prune", {{"dry_run", true}});
  CHECK(dry.json()["paths"] == Json::array({host.paths.cache(site()) + "/old-layer"}));
  CHECK(host.disk.exists(host.paths.cache(site()) + "/old-layer"));
  CHECK(host.call("prune", {{"site", "nosuch"}}).code() == "not_found");
  CHECK(host.call("prune", {{"site", "blog"}}).json()["paths"] == dry.json()["paths"]);
  CHECK_FALSE(host.disk.exists(host.paths.cache(site()) + "/old-layer"));
}

TEST_CASE("a service that the live release has not is refused, and the site is left alone") {
  ServingHost host;
  for (const auto verb : {"restart", "stop", "start"}) {
    const auto called = host.call(verb, {{"site", "blog"}, {"service", "nope"}});
    CHECK(called.code() == "not_found");
    CHECK(called.message() == "no service 'nope' of 'blog': there is app");
  }
  CHECK(host.call("jobs").json()["jobs"].size() == 2);
  CHECK(host.call("restart", {{"site", "blog"}, {"service", "app"}}).code() == "ok");
}

TEST_CASE("[fault-121] a link `current` that was moved by hand is shown, and a restart puts it right") {
  ServingHost host;
  must(host.disk.set_link("releases/1.0.0-1", host.paths.current(site())));
  const auto shown = host.call("status").json()["sites"][0];
  CHECK(shown["state"] == "degraded");
  CHECK(shown["waiting"].get<std::string>().find(
            "`current` points to 'releases/1.0.0-1', the live release is 2.0.0-2") == 0);
  CHECK(host.call("restart", {{"site", "blog"}}).code() == "ok");
  CHECK(host.call("status").json()["sites"][0]["state"] == "live");
}
