// Uploads and what a capability lets its holder see.
#include "daemon/intake_host.hpp"

#include <future>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

// An accepted deploy that waits for its upload.
struct UploadHost : IntakeHost {
  UploadHost() {
    const auto reply = hook({.body = deploy_body(sent)});
    REQUIRE(reply.status == 202);
    job = reply.body["job"];
    REQUIRE(becomes(look(job), JobState::waiting_upload));
  }
  std::vector<std::string> inbox() { return must(disk.list(paths.inbox())); }
  std::vector<std::string> stored() { return must(disk.list(paths.artifacts())); }
  Sent sent = laptop.pack({});
  std::string job;
};

} // namespace

TEST_CASE("artifact and signature arrive, and the deploy goes on by itself [attack-J1]") {
  UploadHost host;
  host.unlock();
  CHECK(host.put(host.sent.sha256, "artifact", host.cap(host.job), host.sent.file).status == 201);
  CHECK(host.look(host.job).state == JobState::waiting_upload);
  CHECK(
      host.put(host.sent.sha256, "minisig", host.cap(host.job), host.sent.signature).status == 201);
  REQUIRE(host.becomes(host.look(host.job), JobState::done));
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.inbox().empty());
}

TEST_CASE("an artifact that is there already need not be sent again") {
  UploadHost host;
  REQUIRE(host.put(host.sent.sha256, "artifact", host.cap(host.job), host.sent.file).status == 201);
  const auto again = host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size);
  CHECK(again.status == 200);
  CHECK(again.body["stored"] == true);
  CHECK(again.ticket.empty());
}

TEST_CASE("[fault-41] bytes that are not what was announced are refused, nothing of them stays, and it can be sent again [attack-E3]") {
  UploadHost host;
  const std::string bytes = must(host.disk.read(host.sent.file, 1 << 24));
  host.write(host.ground.path + "/desk/bad",
      bytes.substr(0, bytes.size() - 1) + static_cast<char>(bytes.back() ^ 1));
  const auto reply =
      host.put(host.sent.sha256, "artifact", host.cap(host.job), host.ground.path + "/desk/bad");
  CHECK(reply.status == 422);
  CHECK(reply.body["error"]["code"] == "corrupt");
  CHECK(host.stored().empty());
  CHECK(host.inbox().empty());
  CHECK(host.put(host.sent.sha256, "artifact", host.cap(host.job), host.sent.file).status == 201);
}

TEST_CASE("[fault-42] more than was announced, or than is allowed, is refused before a byte is sent") {
  UploadHost host;
  const auto more =
      host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size + 1);
  CHECK(more.status == 413);
  CHECK(more.body["error"]["message"] ==
      cat("more than the ", host.sent.size, " bytes that were announced or are allowed"));
  CHECK(host.begin(host.sent.sha256, "minisig", host.cap(host.job), 4097).status == 413);
  CHECK(host.inbox().empty());
}

TEST_CASE("[fault-42] an edge that writes more than it announced is cut at the cap") {
  UploadHost host;
  auto begun = host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size);
  REQUIRE(begun.status == 200);
  must(os::write_all(
      begun.fd.get(), bytes_of(must(host.disk.read(host.sent.file, 1 << 24)) + "and more")));
  CHECK(host.ask(PacketVerb::upload_done, {begun.ticket, "ok"}).status == 413);
  CHECK(host.stored().empty());
  CHECK(host.inbox().empty());
}

TEST_CASE("[fault-43] the edge can change nothing of what is stored, and say no more [attack-E3]") {
  UploadHost host;
  auto begun = host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size);
  must(os::write_all(begun.fd.get(), bytes_of(must(host.disk.read(host.sent.file, 1 << 24)))));
  REQUIRE(host.ask(PacketVerb::upload_done, {begun.ticket, "ok"}).status == 201);
  CHECK(::write(begun.fd.get(), "evil", 4) == -1);
  CHECK(::pwrite(begun.fd.get(), "evil", 4, 0) == -1); // it still holds the descriptor
  CHECK(must(host.disk.read(host.paths.artifact(Digest::parse(host.sent.sha256).value()),
            1 << 24)) == must(host.disk.read(host.sent.file, 1 << 24)));
}

TEST_CASE("the capability of another job, none, or one that was changed opens nothing [attack-J2]") {
  UploadHost host;
  const Sent other = host.laptop.pack({.slug = "shop"});
  const auto second = host.hook({.body = host.deploy_body(other, "shop"), .id = "msg_2"});
  REQUIRE(second.status == 202);
  std::string changed = host.cap(host.job);
  changed.back() = changed.back() == '0' ? '1' : '0';
  for (const std::string& capability :
      {host.cap(second.body["job"]), std::string(), changed, host.job, host.job + ".",
          daemon::capability_text(
              must(host.store().host_secret()), {"0000000000000000", "", 2'000'000'000})}) {
    INFO(capability);
    const auto reply = host.begin(host.sent.sha256, "artifact", capability, host.sent.size);
    CHECK(reply.status == 401);
    CHECK(reply.text == R"({"error":{"code":"denied","message":"not authorized"}})");
    CHECK(host.ask(PacketVerb::job_get, {host.job, capability}).status == 401);
    CHECK(host.ask(PacketVerb::job_events, {host.job, capability, "0", ""}).status == 401);
  }
  CHECK(host.begin(other.sha256, "artifact", host.cap(host.job), 1).status ==
      401); // right capability, another digest
  CHECK(host.inbox().empty());
}

TEST_CASE("an interrupted upload leaves nothing and can be repeated") {
  UploadHost host;
  auto begun = host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size);
  REQUIRE(begun.status == 200);
  CHECK(host.inbox().size() == 1);
  const auto reply = host.ask(PacketVerb::upload_done, {begun.ticket, "the client went away"});
  CHECK(reply.status == 422);
  CHECK(host.inbox().empty());
  CHECK(host.ask(PacketVerb::upload_done, {begun.ticket, "ok"}).status ==
      422); // its ticket is used up
  CHECK(host.put(host.sent.sha256, "artifact", host.cap(host.job), host.sent.file).status == 201);
}

TEST_CASE("an edge that was taken over cannot make the monitor take more uploads at once than may be under way [attack-E3]") {
  UploadHost host;
  std::promise<void> go;
  host.disk.before_write = [ready = go.get_future().share()] { ready.wait(); };
  const auto begin = [&] {
    return host.begin(host.sent.sha256, "minisig", host.cap(host.job), 10);
  };
  for (int i = 0; i < 8; ++i) {
    const auto begun = begin();
    CHECK(begun.status == 200);
    host.send(PacketVerb::upload_done, {begun.ticket, "ok"});
    host.serve();
  }
  CHECK(begin().status == 503);
  go.set_value();
  for (int i = 0; i < 8; ++i)
    CHECK(host.receive(os::Millis{10'000}).status == 201);
  auto again = begin();
  for (int i = 0; i < 500 && again.status == 503; ++i) { // the last thread counts until it is gone
    os::real_clock().sleep(os::Millis{10});
    again = begin();
  }
  CHECK(again.status == 200);
}

TEST_CASE("an edge that dies with uploads in flight leaves none of them [attack-E1]") {
  UploadHost host;
  REQUIRE(
      host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size).status == 200);
  auto [ours, theirs] = must(os::packet_pair());
  host.intake->attach(std::move(ours));
  CHECK(host.inbox().empty());
}

TEST_CASE("an upload for a job that has ended is 409 and says how it ended") {
  UploadHost host;
  host.clock.sleep(std::chrono::hours{1});
  host.engine->expire();
  REQUIRE(host.becomes(host.look(host.job), JobState::failed));
  const auto reply = host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size);
  CHECK(reply.status == 409);
  CHECK(
      reply.body["error"]["message"].get<std::string>().find("no upload of") != std::string::npos);
}

TEST_CASE("no more than 8 uploads of one sender are open at once [attack-B2]") {
  UploadHost host;
  for (int i = 0; i < 8; ++i)
    REQUIRE(host.begin(host.sent.sha256, "artifact", host.cap(host.job), 1).status == 200);
  CHECK(host.begin(host.sent.sha256, "artifact", host.cap(host.job), 1).status == 503);
}

TEST_CASE("a job shows itself to its capability [attack-J1]") {
  UploadHost host;
  const auto reply = host.ask(PacketVerb::job_get, {host.job, host.cap(host.job)});
  REQUIRE(reply.status == 200);
  CHECK(reply.body["job"]["id"] == host.job);
  CHECK(reply.body["job"]["state"] == store::name(JobState::waiting_upload));
  CHECK(reply.body["job"]["step"] == "obtain");
}

TEST_CASE("events that are there are answered at once, with or without waiting") {
  UploadHost host;
  const std::string wait = GENERATE(as<std::string>{}, "", "wait");
  const auto reply = host.ask(PacketVerb::job_events, {host.job, host.cap(host.job), "0", wait});
  REQUIRE(reply.status == 200);
  CHECK(reply.body["ended"] == false);
  REQUIRE(reply.body["events"].size() == 2);
  CHECK(reply.body["events"][0]["kind"] == "begin");
  CHECK(reply.body["events"][1]["text"] == "waits for the upload");
  CHECK(host.ask(PacketVerb::job_events, {host.job, host.cap(host.job), "2", ""})
          .body["events"]
          .empty());
}

TEST_CASE("a long poll is answered when something happens, and only then") {
  UploadHost host;
  const auto sequence =
      host.send(PacketVerb::job_events, {host.job, host.cap(host.job), "2", "wait"});
  host.serve();
  CHECK(host.receive().status == 0);
  CHECK(host.intake->answer_waiting().count() > 0);
  CHECK(host.receive().status == 0);
  host.clock.sleep(std::chrono::hours{1});
  host.engine->expire();
  REQUIRE(host.becomes(host.look(host.job), JobState::failed));
  CHECK(host.intake->answer_waiting().count() < 0); // nobody waits any more
  const auto reply = host.receive();
  REQUIRE(reply.sequence == sequence);
  CHECK(reply.body["ended"] == true);
  CHECK(reply.body["events"].back()["kind"] == "end");
}

TEST_CASE("a long poll without news is answered empty after its time") {
  UploadHost host;
  host.send(PacketVerb::job_events, {host.job, host.cap(host.job), "2", "wait"});
  host.serve();
  host.clock.sleep(os::Millis{15'001});
  host.intake->answer_waiting();
  const auto reply = host.receive();
  REQUIRE(reply.status == 200);
  CHECK(reply.body["events"].empty());
  CHECK(reply.body["ended"] == false);
}

TEST_CASE("many events come in parts, and the end only with the last part") {
  UploadHost host;
  const std::vector<store::JobEvent> events(60,
      {.number = 0,
          .time_ms = 1,
          .step = "build",
          .kind = store::EventKind::log,
          .text = std::string(2000, '"')});
  must(host.store().record(*must(host.store().job(host.job)), events));
  host.clock.sleep(std::chrono::hours{1});
  host.engine->expire();
  REQUIRE(host.becomes(host.look(host.job), JobState::failed));
  uint64_t after = 0;
  size_t seen = 0;
  bool ended = false;
  for (int i = 0; i < 10 && !ended; ++i) {
    const auto reply = host.ask(
        PacketVerb::job_events, {host.job, host.cap(host.job), std::to_string(after), "wait"});
    REQUIRE(reply.status == 200);
    seen += reply.body["events"].size();
    if (!reply.body["events"].empty())
      after = reply.body["events"].back()["number"];
    ended = reply.body["ended"];
  }
  CHECK(ended);
  CHECK(seen == must(host.store().events(host.job, 0)).size());
}

TEST_CASE("a capability opens its job with the same host's secret and no other's") {
  const std::string cap =
      daemon::capability_text("secret", {"0123456789abcdef", "00112233aabbccdd", 1'800'000'000});
  const auto read = daemon::read_capability("secret", cap);
  REQUIRE(read);
  CHECK(read->job == "0123456789abcdef");
  CHECK(read->key == "00112233aabbccdd");
  CHECK(read->until == 1'800'000'000);
  CHECK_FALSE(daemon::read_capability("another", cap));
  for (size_t i = 0; i < cap.size(); ++i) { // each of its parts counts
    std::string other = cap;
    other[i] = other[i] == '1' ? '2' : '1';
    CHECK_FALSE(daemon::read_capability("secret", other));
  }
  for (const std::string& text : {cap.substr(0, cap.size() - 1), cap + "0", std::string(),
           std::string("."), std::string("..."), cap.substr(17)})
    CHECK_FALSE(daemon::read_capability("secret", text));
}

TEST_CASE("what no release was made of has a quota, so that a webhook key alone cannot fill the disk") {
  UploadHost host;
  host.intake.reset();
  host.config.uploads_max = host.sent.size + 100;
  host.restart_all();
  const auto take = [&](const std::string& slug, char digit, uint64_t size, const std::string& id) {
    const std::string digest(64, digit);
    const auto job =
        host.hook({.body = host.deploy_body({.sha256 = digest, .size = size}, slug), .id = id});
    REQUIRE(job.status == 202);
    return host.begin(digest, "artifact", host.cap(job.body["job"]), size);
  };
  const auto flying = take("shop", 'a', 150, "msg_2");
  CHECK(flying.status == 200);
  const auto over = host.begin(
      host.sent.sha256, "artifact", host.cap(host.job), host.sent.size); // 150 in flight and this
  CHECK(over.status == 503);
  CHECK(over.body["error"]["code"] == "throttled");
  CHECK(over.body["error"]["message"].get<std::string>().find(
            "(limits.uploads_max), and those of one sender ") != std::string::npos);
  CHECK(host.ask(PacketVerb::upload_done, {flying.ticket, "gone"}).status == 422);
  REQUIRE(host.put(host.sent.sha256, "artifact", host.cap(host.job), host.sent.file).status == 201);
  CHECK(take("mill", 'b', 201, "msg_3").status == 503); // it is stored, and no release yet
  // Superseded, it is of no use to anybody: it makes room.
  REQUIRE(host.hook({.body = host.deploy_body({.sha256 = std::string(64, 'c'), .size = 10}),
                        .id = "msg_4"})
              .status == 202);
  CHECK(take("mill", 'd', 201, "msg_5").status == 200);
}

TEST_CASE("no upload comes into the reserve of the disk") {
  UploadHost host;
  host.disk.free_space = os::Space{.free_bytes = host.sent.size - 1, .total_bytes = 1 << 30};
  const auto refused = host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size);
  CHECK(refused.status == 503);
  CHECK(refused.body["error"]["code"] == "no_space");
  CHECK(refused.body["error"]["message"].get<std::string>().find(": need ") != std::string::npos);
  host.disk.free_space->free_bytes = host.sent.size;
  CHECK(host.begin(host.sent.sha256, "artifact", host.cap(host.job), host.sent.size).status == 200);
}

TEST_CASE("a site that is held: its webhooks are told who, when and why, before anything is sent") {
  UploadHost host;
  host.unlock();
  REQUIRE(host.deploy("0.9.0").state == JobState::done);
  must(host.store().put_hold({{"uid:0 root", "the database moves", host.clock.wall_ms()}, site()}));
  const auto held = host.hook({.body = host.any_deploy(), .id = "msg_9"});
  CHECK(held.status == 503);
  CHECK(held.body["error"]["code"] == "busy");
  CHECK(held.body["error"]["message"].get<std::string>().find("held by uid:0 root since ") !=
      std::string::npos);
  CHECK(host.hook({.body = host.any_deploy("shop"), .id = "msg_10"}).status == 202);
  CHECK(
      host.hook({.body = host.order("site.restart", R"("site":"blog")"), .id = "msg_11"}).status ==
      503);
}

TEST_CASE("where there are several senders, one alone fills half of the quota, and the others still upload [attack-B2]") {
  UploadHost host;
  host.intake.reset();
  const std::string other_key = crypto::new_webhook_key();
  host.write(host.paths.webhooks() + "/other.key", other_key + "\n");
  host.config.uploads_max = 1000;
  host.restart_all();
  const auto take = [&](char digit, const std::string& id, const std::string& signature,
                        const std::string& body, uint64_t size) {
    const auto job = host.hook({.body = body,
        .id = id,
        .timestamp = std::to_string(host.clock.wall()),
        .signature = signature});
    REQUIRE(job.status == 202);
    return host.begin(std::string(64, digit), "artifact", host.cap(job.body["job"]), size);
  };
  const auto body_of = [&](char digit, const std::string& slug) {
    return host.deploy_body({.sha256 = std::string(64, digit), .size = 400}, slug);
  };
  CHECK(take('a', "msg_2", "", body_of('a', "shop"), 400).status == 200);
  const auto over = take('b', "msg_3", "", body_of('b', "mill"), 400);
  CHECK(over.status == 503);
  CHECK(over.body["error"]["message"].get<std::string>().find("those of one sender 500 B") !=
      std::string::npos);
  const auto body = body_of('c', "farm");
  const auto signature = crypto::sign_webhook(crypto::parse_webhook_key(other_key).value(), "msg_4",
      std::to_string(host.clock.wall()), body);
  CHECK(take('c', "msg_4", signature, body, 400).status == 200);
}

TEST_CASE("[fault-1082] who is over his own half of the quota gets no room by others' partial uploads [attack-B2]") {
  UploadHost host;
  host.intake.reset();
  const std::string other_key = crypto::new_webhook_key();
  host.write(host.paths.webhooks() + "/other.key", other_key + "\n");
  host.config.uploads_max = 1000;
  host.restart_all();
  const auto begin = [&](char digit, const std::string& id, const std::string& slug, uint64_t size,
                         const std::string& with) {
    const auto body = host.deploy_body({.sha256 = std::string(64, digit), .size = size}, slug);
    const auto now = std::to_string(host.clock.wall());
    const auto job = host.hook({.body = body,
        .id = id,
        .timestamp = now,
        .signature = with.empty()
            ? ""
            : crypto::sign_webhook(crypto::parse_webhook_key(with).value(), id, now, body)});
    REQUIRE(job.status == 202);
    return std::pair(job.body["job"].get<std::string>(),
        host.begin(std::string(64, digit), "artifact", host.cap(job.body["job"]), size));
  };
  const auto [job, part] = begin('a', "msg_2", "farm", 300, other_key);
  REQUIRE(part.status == 200);
  must(os::write_all(part.fd.get(), bytes_of(std::string(100, 'x'))));
  CHECK(host.ask(PacketVerb::upload_done, {part.ticket, "cut off after some bytes"}).status == 422);
  CHECK(begin('b', "msg_3", "shop", 400, "").second.status == 200);
  CHECK(begin('c', "msg_4", "mill", 400, "").second.status == 503);
  CHECK(host.ask(PacketVerb::job_get, {job, host.cap(job)}).body["upload"]["received"] == 100);
}

TEST_CASE("what is refused is counted, what the edge refused by itself too [attack-B2]") {
  UploadHost host;
  CHECK(host.intake->refused().uploads == 0);
  CHECK(host.begin(std::string(64, 'e'), "artifact", "0123456789abcdef.00", 10).status == 401);
  CHECK(host.intake->refused().uploads == 1);
  host.send(PacketVerb::refused, {"3", "4"});
  host.send(PacketVerb::refused, {"x", "4"});
  host.serve();
  CHECK(host.intake->refused().uploads == 5);
  CHECK(host.intake->refused().webhooks == 3);
  CHECK(host.hook({.body = "{}", .id = "msg_9", .signature = "v1,AAAA"}).status == 401);
  CHECK(host.intake->refused().webhooks == 4);
}

TEST_CASE("an answer for the edge before does not reach the one that came after it [attack-C12]") {
  UploadHost host;
  std::promise<void> go;
  host.disk.before_write = [ready = go.get_future().share()] { ready.wait(); };
  const auto begun = host.begin(host.sent.sha256, "minisig", host.cap(host.job), 10);
  REQUIRE(begun.status == 200);
  host.send(PacketVerb::upload_done, {begun.ticket, "ok"});
  host.serve(); // a thread keeps it, and answers later
  auto [ours, theirs] = must(os::packet_pair());
  host.intake->attach(std::move(ours));
  host.edge = std::move(theirs);
  go.set_value();
  CHECK(host.receive(os::Millis{500}).status == 0);
  CHECK(host.begin(std::string(64, 'e'), "artifact", "0123456789abcdef.00", 10).status ==
      401); // and this one is served
}
