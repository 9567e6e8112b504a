// Webhooks at the intake, faults 1 to 20 as far as the monitor decides them.
#include "daemon/intake_host.hpp"

#include <poll.h>
#include <sqlite3.h>

#include <thread>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

const char* const k_refused = R"({"error":{"code":"denied","message":"not authorized"}})";

void unauthorized(const Reply& reply) {
  CHECK(reply.status == 401);
  CHECK(reply.text == k_refused);
}

} // namespace

TEST_CASE("a signed order is accepted with its job and links that open it, and the job is on disk [attack-W1]") {
  IntakeHost host;
  const Sent sent = host.laptop.pack({});
  const auto reply = host.hook({.body = host.deploy_body(sent)});
  REQUIRE(reply.status == 202);
  const std::string id = reply.body["job"];
  const auto job = host.look(id);
  CHECK(job.kind == store::JobKind::deploy);
  CHECK(job.site.str() == "blog");
  CHECK(job.version == "1.0.0");
  CHECK(job.sha256 == sent.sha256);
  CHECK(job.size == sent.size);
  CHECK(job.actor == "webhook:ci");
  const std::string cap = "?cap=" + host.cap(id);
  CHECK(reply.body["links"]["status"] == "/v1/jobs/" + id + cap);
  CHECK(reply.body["links"]["events"] == "/v1/jobs/" + id + "/events" + cap);
  CHECK(reply.body["links"]["artifact"] == "/v1/artifacts/" + sent.sha256 + cap);
  CHECK(reply.body["links"]["signature"] == "/v1/artifacts/" + sent.sha256 + ".minisig" + cap);
  CHECK(reply.text ==
      control::dump(control::to_json(must(control::from_json<control::Accepted>(reply.body)))));
  CHECK(host.becomes(job, JobState::waiting_upload));
}

TEST_CASE("webhooks that came together are committed together, each answered by its own sequence") {
  IntakeHost host;
  std::map<uint64_t, int> expected;
  for (int i = 0; i < 50; ++i)
    expected[host.send_hook({.body = host.any_deploy(cat("site", i)), .id = cat("msg_", i)})] = 202;
  expected[host.send_hook(
      {.body = host.any_deploy("bad"), .id = "msg_bad", .signature = "v1,AAAA"})] = 401;
  host.serve();
  std::map<uint64_t, int> got;
  for (Reply reply = host.receive(); reply.status != 0; reply = host.receive())
    got[reply.sequence] = reply.status;
  CHECK(got == expected);
  CHECK(host.jobs() == 50);
}

TEST_CASE("webhooks that come in one message are each looked at, and answered in one") {
  IntakeHost host;
  const auto packet = [&](uint64_t sequence, const std::string& id, const std::string& signature) {
    const auto h =
        host.complete({.body = host.order("host.ping", ""), .id = id, .signature = signature});
    return control::make_packet(
        PacketVerb::hook, sequence, {h.id, h.timestamp, h.signature, "", "", h.body, ""});
  };
  const auto message =
      control::bundled({packet(1, "a", ""), packet(2, "b", "v1,AAAA"), packet(3, "c", "")}).at(0);
  must(os::send_packet(host.edge.get(), message));
  host.serve();
  std::map<uint64_t, int> got;
  for (Reply reply = host.receive(); reply.status != 0; reply = host.receive())
    got[reply.sequence] = reply.status;
  CHECK(got == std::map<uint64_t, int>{{1, 202}, {2, 401}, {3, 202}});
  CHECK(host.jobs() == 2);
}

TEST_CASE("[fault-1060] while a webhook waits for the disk others are served, and its key can go") {
  IntakeHost host;
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(host.paths.database().c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  const auto hook = host.send_hook({.body = host.any_deploy()});
  REQUIRE(host.intake->serve());
  const auto health = host.send(PacketVerb::health, {});
  REQUIRE(host.intake->serve());
  CHECK(host.receive(os::Millis{1'000}).sequence == health);
  std::thread ends([&] {
    os::real_clock().sleep(os::Millis{50}); // set_senders() waits for the disk meanwhile
    sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
  });
  host.intake->set_senders({});
  ends.join();
  sqlite3_close(other);
  const auto reply = host.receive();
  CHECK(reply.sequence == hook);
  REQUIRE(reply.status == 202);
  const std::string job = reply.body["job"]; // cancelled while it waits, failed once it runs
  REQUIRE(eventually([&] { return host.look(job).finished_ms != 0; }));
  CHECK(host.look(job).message.find("the webhook key of 'ci' that announced it was removed") !=
      std::string::npos);
}

TEST_CASE("[fault-1] a missing id, timestamp or signature is 401 without detail") {
  IntakeHost host;
  const auto whole = host.complete({.body = host.any_deploy()});
  unauthorized(host.hook({.body = whole.body,
      .id = "",
      .timestamp = whole.timestamp,
      .signature = whole.signature,
      .sign = false}));
  unauthorized(
      host.hook({.body = whole.body, .id = whole.id, .signature = whole.signature, .sign = false}));
  unauthorized(
      host.hook({.body = whole.body, .id = whole.id, .timestamp = whole.timestamp, .sign = false}));
  CHECK(host.jobs() == 0);
}

TEST_CASE("[fault-3] an id with a dot or a control character, or too long, is 400") {
  const std::string id = GENERATE(as<std::string>{}, "a.b", "a\nb", "a b", std::string(129, 'x'));
  IntakeHost host;
  CHECK(host.hook({.body = host.any_deploy(), .id = id}).status == 400);
  CHECK(host.jobs() == 0);
}

TEST_CASE("[fault-4] a timestamp that is not whole seconds is 400, though it is signed") {
  const std::string timestamp = GENERATE(
      as<std::string>{}, "1e9", " 1", "+1", "01", "-1", "9223372036854775808", "1800000000.5");
  IntakeHost host;
  CHECK(host.hook({.body = host.any_deploy(), .timestamp = timestamp}).status == 400);
}

TEST_CASE("[fault-5] 300 seconds early or late are accepted, 301 are not") {
  IntakeHost host;
  for (const int64_t off : {-301, 301})
    unauthorized(host.hook(
        {.body = host.any_deploy(), .timestamp = std::to_string(host.clock.wall() + off)}));
  for (const int64_t off : {-300, 300})
    CHECK(host.hook({.body = host.any_deploy(),
                        .id = cat("msg", off),
                        .timestamp = std::to_string(host.clock.wall() + off)})
              .status == 202);
}

TEST_CASE("[fault-6] an empty, cut, long or non-canonical signature is 401") {
  IntakeHost host;
  const auto whole = host.complete({.body = host.any_deploy()});
  const std::string right = whole.signature.substr(3);
  for (const std::string& signature : {std::string("v1,"), "v1," + right.substr(0, 40),
           "v1," + right.substr(0, 43), "v1," + base64(Bytes(33, 7)), "v1, " + right,
           "v1," + right + "=", "v1," + right.substr(0, 42) + "1="}) {
    INFO(signature);
    unauthorized(
        host.hook({.body = whole.body, .timestamp = whole.timestamp, .signature = signature}));
  }
  CHECK(host.hook(whole).status == 202); // the test can tell
}

TEST_CASE("[fault-7] unknown versions of a signature are passed over, a valid one among them is enough") {
  IntakeHost host;
  const auto whole = host.complete({.body = host.any_deploy()});
  unauthorized(host.hook({.body = whole.body,
      .timestamp = whole.timestamp,
      .signature = "v2" + whole.signature.substr(2)}));
  CHECK(host.hook({.body = whole.body,
                      .timestamp = whole.timestamp,
                      .signature = "v1a,xx v2,yy " + whole.signature})
            .status == 202);
}

TEST_CASE("[fault-8] more than eight signatures are 400") {
  IntakeHost host;
  const auto whole = host.complete({.body = host.any_deploy()});
  std::string many;
  for (int i = 0; i < 8; ++i)
    many += "v1,AAAA ";
  CHECK(host.hook({.body = whole.body,
                      .timestamp = whole.timestamp,
                      .signature = many + whole.signature})
            .status == 400);
  CHECK(host.hook({.body = whole.body,
                      .timestamp = whole.timestamp,
                      .signature = many.substr(8) + whole.signature})
            .status == 202);
}

TEST_CASE("[fault-10] a body that is changed by a bit, by spaces or in its order is 401") {
  IntakeHost host;
  const auto whole = host.complete({.body = R"({"type":"host.ping","data":{}})"});
  for (const char* body : {R"({"type":"host.pinf","data":{}})",
           R"({"type": "host.ping","data":{}})", R"({"data":{},"type":"host.ping"})", ""})
    unauthorized(
        host.hook({.body = body, .timestamp = whole.timestamp, .signature = whole.signature}));
  CHECK(host.hook(whole).status == 202);
}

TEST_CASE("[fault-11] the same webhook again has the same answer with 200, and nothing runs twice, also after a restart") {
  IntakeHost host;
  const auto whole = host.complete({.body = host.any_deploy()});
  const auto first = host.hook(whole);
  REQUIRE(first.status == 202);
  for (int round = 0; round < 2; ++round) {
    const auto again = host.hook(whole);
    CHECK(again.status == 200);
    CHECK(again.text == first.text);
    CHECK(host.jobs() == 1);
    host.restart_all();
  }
}

TEST_CASE("[fault-1066] what is sent again after days has links that are good") {
  IntakeHost host;
  const std::string body = host.any_deploy();
  const auto first = host.hook({.body = body});
  REQUIRE(first.status == 202);
  const auto is_good = [&](const auto& answer) {
    const std::string link = answer.body["links"]["status"];
    const auto found = daemon::read_capability(
        must(host.store().host_secret()), link.substr(link.find("?cap=") + 5));
    return found && found->until > host.clock.wall() && found->until <= host.clock.wall() + 86'400;
  };
  CHECK(is_good(first));
  for (const int hours : {23, 2, 100}) {
    host.clock.move(std::chrono::hours{hours});
    const auto again = host.hook({.body = body});
    CHECK(again.status == 200);
    CHECK(is_good(again));
  }
  CHECK_FALSE(is_good(first));
  CHECK(host.jobs() == 1);
}

TEST_CASE("[fault-11] the same webhook twice in one batch is one job") {
  IntakeHost host;
  const auto whole = host.complete({.body = host.any_deploy()});
  host.send_hook(whole);
  host.send_hook(whole);
  host.serve();
  const auto first = host.receive(), second = host.receive();
  CHECK(first.status == 202);
  CHECK(second.status == 200);
  CHECK(first.text == second.text);
  CHECK(host.jobs() == 1);
}

TEST_CASE("[fault-12] the same id with another body is 409") {
  IntakeHost host;
  REQUIRE(host.hook({.body = host.any_deploy()}).status == 202);
  const auto reply = host.hook({.body = host.any_deploy("shop")});
  CHECK(reply.status == 409);
  CHECK(reply.body["error"]["message"] == "this webhook-id was used with another body");
  CHECK(host.jobs() == 1);
}

TEST_CASE("[fault-15] what is signed and no JSON of ours is 422, told only behind the signature") {
  IntakeHost host;
  std::string deep;
  for (int i = 0; i < 33; ++i)
    deep += R"({"a":)";
  const std::string digest(64, 'a');
  int n = 0;
  for (const std::string& body : {deep, std::string(R"({"type":"host.ping","type":"host.ping"})"),
           std::string(R"({"type":NaN})"), std::string("{\"type\":\"\xff\"}"), std::string("[]"),
           std::string(R"({"type":"site.destroy"})"), std::string(R"({"type":7})"),
           host.order("site.deploy",
               R"("site":"../etc","version":"1.0.0","sha256":")" + digest + R"(","size":1)"),
           host.order("site.deploy",
               R"("site":"blog","version":"one","sha256":")" + digest + R"(","size":1)"),
           host.order("site.deploy", R"("site":"blog","version":"1.0.0","sha256":"abc","size":1)"),
           host.order("site.deploy",
               R"("site":"blog","version":"1.0.0","sha256":")" + digest + R"(","size":-1)"),
           host.order("site.deploy",
               R"("site":"blog","version":"1.0.0","sha256":")" + digest +
                   R"(","size":18446744073709551615)"),
           host.order("site.deploy", R"("site":"blog","sha256":")" + digest + R"(","size":1)"),
           host.order("site.deploy",
               R"("site":"chillboxd","version":"1.0.0","sha256":")" + digest + R"(","size":1)")}) {
    INFO(body);
    const auto reply = host.hook({.body = body, .id = cat("msg_", ++n)});
    CHECK(reply.status == 422);
    CHECK(reply.body["error"]["code"] == "invalid");
    unauthorized(host.hook({.body = body, .id = cat("msg_x", n), .signature = "v1,AAAA"}));
  }
  CHECK(host.jobs() == 0);
}

TEST_CASE("[fault-16] an unknown site looks exactly like a wrong signature [attack-N2]") {
  IntakeHost host;
  for (const std::string type : {"site.rollback", "site.restart"}) {
    const auto unknown =
        host.hook({.body = host.order(type, R"("site":"nosite")"), .id = cat("u", type.size())});
    const auto wrong = host.hook({.body = host.order(type, R"("site":"nosite")"),
        .id = cat("w", type.size()),
        .signature = "v1,AAAA"});
    unauthorized(unknown);
    CHECK(unknown.text == wrong.text);
  }
  CHECK(host.jobs() == 0);
}

TEST_CASE("[fault-16] what nobody signed and what names no site of ours wait for the same moment, what is accepted does not wait") {
  IntakeHost host;
  host.hold = std::chrono::milliseconds{50};
  host.open_intake();
  const auto begun = std::chrono::steady_clock::now();
  const auto wrong = host.send_hook({.body = host.any_deploy(), .id = "a", .signature = "v1,AAAA"});
  const auto unknown =
      host.send_hook({.body = host.order("site.restart", R"("site":"nosite")"), .id = "b"});
  const auto right = host.send_hook({.body = host.any_deploy(), .id = "c"});
  host.serve();
  const auto accepted = host.receive();
  CHECK(accepted.sequence == right);
  CHECK(accepted.status == 202);
  host.intake->refuse_due();
  CHECK(host.receive().status == 0);
  pollfd timer{host.intake->refusal_timer(), POLLIN, 0};
  REQUIRE(::poll(&timer, 1, 5'000) == 1);
  CHECK(std::chrono::steady_clock::now() - begun >= host.hold);
  host.intake->refuse_due();
  const auto first = host.receive(), second = host.receive();
  CHECK(first.sequence == wrong);
  CHECK(second.sequence == unknown);
  unauthorized(first);
  CHECK(first.text == second.text);
  CHECK(::poll(&timer, 1, 0) == 0);
}

TEST_CASE("[fault-16] a sender that may not name this site or this type looks like a wrong signature") {
  IntakeHost host;
  host.write(host.paths.webhooks() + "/ci.key",
      cat("sites: shop\ntypes: site.deploy\n", host.key_text, "\n"));
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  unauthorized(host.hook({.body = host.any_deploy("blog"), .id = "a"}));
  unauthorized(host.hook({.body = host.order("host.ping", ""), .id = "b"}));
  CHECK(host.hook({.body = host.any_deploy("shop"), .id = "c"}).status == 202);
}

TEST_CASE("[fault-17] old and new key are both valid until the old one is taken away") {
  IntakeHost host;
  const std::string newer = crypto::new_webhook_key();
  host.write(host.paths.webhooks() + "/ci.key", cat(newer, "\n", host.key_text, "\n"));
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  CHECK(host.hook({.body = host.any_deploy(), .id = "old"}).status == 202);
  const auto now = std::to_string(host.clock.wall());
  const auto by_newer =
      crypto::sign_webhook(crypto::parse_webhook_key(newer).value(), "new", now, host.any_deploy());
  CHECK(host.hook({.body = host.any_deploy(), .id = "new", .timestamp = now, .signature = by_newer})
            .status == 202);
  host.write(host.paths.webhooks() + "/ci.key", newer + "\n");
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  unauthorized(host.hook({.body = host.any_deploy(), .id = "late"}));
}

TEST_CASE("[fault-17] an old key with a grace ends at its second by the host's clock, without a reload") {
  IntakeHost host;
  const std::string newer = crypto::new_webhook_key();
  host.write(host.paths.webhooks() + "/ci.key",
      cat(newer, "\n", host.key_text, " until=", host.clock.wall() + 86'400, "\n"));
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  const auto by_newer = [&](const std::string& id) {
    const auto now = std::to_string(host.clock.wall());
    return host.hook({.body = host.any_deploy(),
        .id = id,
        .timestamp = now,
        .signature = crypto::sign_webhook(
            crypto::parse_webhook_key(newer).value(), id, now, host.any_deploy())});
  };
  CHECK(host.hook({.body = host.any_deploy(), .id = "old"}).status == 202);
  CHECK(by_newer("new").status == 202);
  host.clock.move(std::chrono::seconds{86'399});
  CHECK(host.hook({.body = host.any_deploy(), .id = "last"}).status == 202);
  host.clock.move(std::chrono::seconds{1});
  unauthorized(host.hook({.body = host.any_deploy(), .id = "late"}));
  CHECK(by_newer("still").status == 202);
  host.restart_all(); // a key that has ended does not stop the start
  unauthorized(host.hook({.body = host.any_deploy(), .id = "later"}));
  CHECK(by_newer("ever").status == 202);
}

TEST_CASE("[fault-19] a full queue answers 503 and takes nothing") {
  IntakeHost host;
  host.engine.reset();
  host.intake.reset();
  host.config.queue_max = 3;
  host.restart();
  host.start_engine();
  host.open_intake();
  for (int i = 0; i < 3; ++i)
    REQUIRE(host.hook({.body = host.any_deploy(cat("site", i)), .id = cat("m", i)}).status == 202);
  const auto reply = host.hook({.body = host.any_deploy("more"), .id = "m9"});
  CHECK(reply.status == 503);
  CHECK(reply.body["error"]["code"] == "throttled");
  CHECK(host.jobs() == 3);
  CHECK(host.hook({.body = host.any_deploy("site0"), .id = "m0"}).status ==
      200); // known ones still have their answer
}

TEST_CASE("[fault-20] a store that cannot write answers 503, never 202") {
  IntakeHost host;
  REQUIRE(host.hook({.body = host.order("host.ping", ""), .id = "before"}).status == 202);
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(host.paths.database().c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "ALTER TABLE deliveries RENAME TO gone", nullptr, nullptr, nullptr) ==
      SQLITE_OK);
  const auto reply = host.hook({.body = host.any_deploy(), .id = "m1"});
  CHECK(reply.status == 503);
  CHECK(reply.body["error"]["message"] == "the host cannot store the job now: try again");
  REQUIRE(sqlite3_exec(other, "ALTER TABLE gone RENAME TO deliveries", nullptr, nullptr, nullptr) ==
      SQLITE_OK);
  sqlite3_close(other);
  CHECK(host.hook({.body = host.any_deploy(), .id = "m1"}).status ==
      202); // and the sender's next try is taken
}

TEST_CASE("host.ping is answered and done at once") {
  IntakeHost host;
  const auto reply = host.hook({.body = host.order("host.ping", "")});
  REQUIRE(reply.status == 202);
  CHECK(reply.text ==
      control::dump(control::to_json(must(control::from_json<control::Accepted>(reply.body)))));
  const auto job = host.look(reply.body["job"]);
  CHECK(job.state == JobState::done);
  CHECK(job.message == "pong");
  CHECK(host.engine->running() == 0);
}

TEST_CASE("rollback and restart of a site that is there are accepted and done") {
  IntakeHost host;
  host.unlock();
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  const auto back = host.hook({.body = host.order("site.rollback", R"("site":"blog")"), .id = "a"});
  REQUIRE(back.status == 202);
  CHECK(host.becomes(host.look(back.body["job"]), JobState::done));
  CHECK(host.live().version == "1.0.0");
  const auto again = host.hook({.body = host.order("site.restart", R"("site":"blog")"), .id = "b"});
  REQUIRE(again.status == 202);
  CHECK(host.becomes(host.look(again.body["job"]), JobState::done));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a newer deploy that is accepted ends a waiting one, whose followers hear of it") {
  IntakeHost host;
  const auto first = host.hook({.body = host.any_deploy(), .id = "a"});
  REQUIRE(host.becomes(host.look(first.body["job"]), JobState::waiting_upload));
  std::vector<std::string> heard;
  host.changed = [&](const std::string& job) { heard.push_back(job); };
  const auto second =
      host.hook({.body = host.deploy_body({.sha256 = std::string(64, 'b'), .size = 1}), .id = "b"});
  REQUIRE(second.status == 202);
  CHECK(host.look(first.body["job"]).state == JobState::superseded);
  REQUIRE(host.idle());
  CHECK(std::ranges::find(heard, first.body["job"].get<std::string>()) != heard.end());
  host.changed = nullptr;
}

TEST_CASE("an announcement of another sender supersedes nothing before its signature is verified [attack-W51]") {
  IntakeHost host;
  host.unlock();
  auto waiting = host.queue(
      store::JobKind::deploy, "blog", "3.0.0", {.sha256 = std::string(64, 'a'), .size = 1});
  host.submit(waiting);
  REQUIRE(host.becomes(waiting, JobState::waiting_upload));
  const auto bogus =
      host.hook({.body = host.deploy_body({.sha256 = std::string(64, 'b'), .size = 1}), .id = "b"});
  REQUIRE(bogus.status == 202);
  REQUIRE(host.becomes(host.look(bogus.body["job"]), JobState::waiting_upload));
  CHECK(host.look(waiting.id).state == JobState::waiting_upload);
  const auto newer = host.submit(host.queue_deploy({.version = "4.0.0"}));
  REQUIRE(host.becomes(newer, JobState::done));
  CHECK(host.look(waiting.id).state == JobState::superseded);
  CHECK(host.look(bogus.body["job"]).state == JobState::superseded);
}

TEST_CASE("packets that are none, or not the edge's to say, are dropped and the next is served") {
  IntakeHost host;
  must(os::send_packet(host.edge.get(), bytes_of("garbage")));
  host.send(PacketVerb::unlock, {"identity", "passphrase", "18"});
  host.send(PacketVerb::answer, {"200", "{}", ""});
  CHECK(host.ask(PacketVerb::hook, {"only", "three", "fields"}).status == 422);
  CHECK(host.ask(PacketVerb::health, {}).status == 200);
}

TEST_CASE("health says that the host answers, and whether it is sealed") {
  IntakeHost host;
  CHECK(host.ask(PacketVerb::health, {}).body == Json({{"status", "ok"}, {"sealed", true}}));
  host.unlock();
  CHECK(host.ask(PacketVerb::health, {}).body == Json({{"status", "ok"}, {"sealed", false}}));
}

TEST_CASE("an edge that is gone is noticed, and its successor is served") {
  IntakeHost host;
  host.edge.reset();
  CHECK_FALSE(host.serve());
  auto [ours, theirs] = must(os::packet_pair());
  host.intake->attach(std::move(ours));
  host.edge = std::move(theirs);
  CHECK(host.ask(PacketVerb::health, {}).status == 200);
}
