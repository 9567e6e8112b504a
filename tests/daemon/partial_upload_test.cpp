// Uploads that break off and go on.
#include "daemon/intake_host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

struct PartHost : IntakeHost {
  PartHost() { job = announce("msg_1"); }
  std::string announce(const std::string& id) {
    const auto reply = hook({.body = deploy_body(sent), .id = id});
    REQUIRE(reply.status == 202);
    const std::string made = reply.body["job"];
    REQUIRE(becomes(look(made), JobState::waiting_upload));
    return made;
  }
  Reply go_on(uint64_t from) { return begin(sent.sha256, "artifact", cap(job), sent.size, from); }
  // Sends bytes from..to, and breaks off unless they are the last.
  Reply send_part(uint64_t from, uint64_t to) {
    auto begun = go_on(from);
    if (begun.status != 200)
      return begun;
    must(os::write_all(begun.fd.get(), bytes_of(bytes.substr(from, to - from))));
    return ask(PacketVerb::upload_done,
        {begun.ticket, to == sent.size ? "ok" : "cut off after some bytes"});
  }
  Json upload() { return ask(PacketVerb::job_get, {job, cap(job)}).body["upload"]; }
  uint64_t received() { return upload()["received"]; }
  size_t inbox() { return must(disk.list(paths.inbox())).size(); }

  Sent sent = laptop.pack({});
  std::string bytes = must(disk.read(sent.file, 1 << 24));
  std::string job;
};

} // namespace

TEST_CASE("an upload that broke off goes on where it stopped, and its digest is that of the whole [fault-205]") {
  PartHost host;
  host.unlock();
  CHECK(host.upload() == Json{{"received", 0}, {"running", false}});
  CHECK(host.send_part(0, 100).status == 422);
  CHECK(host.upload() == Json{{"received", 100}, {"running", false}});
  CHECK(host.send_part(100, 250).status == 422);
  CHECK(host.received() == 250);
  CHECK(host.send_part(250, host.sent.size).status == 201);
  CHECK(host.inbox() == 0);
  CHECK(
      host.put(host.sent.sha256, "minisig", host.cap(host.job), host.sent.signature).status == 201);
  REQUIRE(host.becomes(host.look(host.job), JobState::done));
}

TEST_CASE("another job of the same sender goes on with the part, that of another sender does not [fault-206] [attack-C10]") {
  PartHost host;
  host.write(host.paths.webhooks() + "/other.key", crypto::new_webhook_key() + "\n");
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  (void)host.send_part(0, 100);
  const std::string first = host.job;
  host.job = host.announce("msg_2");
  CHECK(host.job != first);
  CHECK(host.received() == 100);
  CHECK(host.send_part(100, 200).status == 422);

  const SecretBytes ours = host.key.copy();
  host.key = crypto::parse_webhook_key(
      trim(must(host.disk.read(host.paths.webhooks() + "/other.key", 1000))))
                 .value();
  host.job = host.announce("msg_3");
  CHECK(host.received() == 0);
  CHECK(host.go_on(200).status == 409);
  CHECK(host.inbox() == 1);
}

TEST_CASE("an upload goes on only from where it stopped, and the refusal says where that is [fault-206]") {
  PartHost host;
  CHECK(host.go_on(10).status == 409);
  (void)host.send_part(0, 100);
  for (const uint64_t wrong : {uint64_t{1}, uint64_t{99}, uint64_t{101}, host.sent.size}) {
    const auto reply = host.go_on(wrong);
    CHECK(reply.status == 409);
    CHECK(reply.body["error"]["message"] ==
        cat("the host has 100 bytes of it, and not ", wrong, ": continue from there"));
  }
  CHECK(host.go_on(host.sent.size + 1).status == 413);
  CHECK(host.begin(host.sent.sha256, "minisig", host.cap(host.job), 200, 100).status == 409);
  CHECK(host.received() == 100);
}

TEST_CASE("two who go on at once: the second is refused, and the whole is taken at any time [fault-206]") {
  PartHost host;
  host.unlock();
  (void)host.send_part(0, 100);
  const auto first = host.go_on(100);
  CHECK(first.status == 200);
  CHECK(host.upload() == Json{{"received", 100}, {"running", true}});
  CHECK(host.go_on(100).status == 409);
  CHECK(host.put(host.sent.sha256, "artifact", host.cap(host.job), host.sent.file).status == 201);
  CHECK(host.ask(PacketVerb::upload_done, {first.ticket, "cut off after 0"}).status == 422);
}

TEST_CASE("a part with other bytes spoils only itself: the whole is refused, and can be sent again [fault-206] [attack-E3]") {
  PartHost host;
  auto begun = host.go_on(0);
  must(os::write_all(begun.fd.get(), bytes_of(std::string(100, 'x'))));
  (void)host.ask(PacketVerb::upload_done, {begun.ticket, "cut off after 100"});
  CHECK(host.send_part(100, host.sent.size).status == 422);
  CHECK(host.received() == 0);
  CHECK(host.inbox() == 0);
  CHECK(host.send_part(0, host.sent.size).status == 201);
}

TEST_CASE("what the disk refused is not kept") {
  PartHost host;
  auto begun = host.go_on(0);
  must(os::write_all(begun.fd.get(), bytes_of(std::string(100, 'x'))));
  (void)host.ask(PacketVerb::upload_done, {begun.ticket, "write: no space left on device"});
  CHECK(host.inbox() == 0);
}

TEST_CASE("a part is kept as long as a job waits for its upload, and goes with the key that sent it [fault-207] [attack-C9]") {
  PartHost host;
  (void)host.send_part(0, 100);
  constexpr os::Millis last{60'000}; // the job's own thread moves this clock a little, too
  host.clock.sleep(os::Millis{host.context().config.upload_wait} - last);
  const auto left = host.intake->answer_waiting();
  CHECK((left > os::Millis{0} && left <= last));
  CHECK(host.inbox() == 1);
  host.clock.sleep(last);
  CHECK(host.intake->answer_waiting() < os::Millis{0});
  CHECK(host.inbox() == 0);

  PartHost gone;
  (void)gone.send_part(0, 100);
  gone.write(gone.paths.webhooks() + "/ci.key", crypto::new_webhook_key() + "\n");
  gone.intake->set_senders(must(daemon::load_senders(gone.paths.webhooks())));
  CHECK(gone.inbox() == 0);
}

TEST_CASE("a sender has few parts, the oldest goes [fault-207] [attack-B2]") {
  PartHost host;
  std::vector<Sent> more;
  for (int i = 0; i < 6; ++i) {
    more.push_back(host.laptop.pack({.version = cat("1.0.", i + 1)}));
    const auto reply = host.hook(
        {.body = host.deploy_body(more.back(), "blog", cat("1.0.", i + 1)), .id = cat("msg_p", i)});
    REQUIRE(reply.status == 202);
    auto begun =
        host.begin(more.back().sha256, "artifact", host.cap(reply.body["job"]), more.back().size);
    REQUIRE(begun.status == 200);
    must(os::write_all(begun.fd.get(), bytes_of(std::string(10, 'x'))));
    (void)host.ask(PacketVerb::upload_done, {begun.ticket, "cut off after 10"});
    CHECK(host.inbox() <= 4);
  }
  CHECK(host.inbox() == 4);
}

TEST_CASE("parts are counted, and go when they are in the way of an upload [fault-207] [attack-B2]") {
  PartHost host;
  host.intake.reset();
  host.config.uploads_max = host.sent.size + 50;
  host.restart_all();
  (void)host.send_part(0, 100);
  const Sent next = host.laptop.pack({.version = "1.0.1"});
  const auto reply = host.hook({.body = host.deploy_body(next, "blog", "1.0.1"), .id = "msg_2"});
  REQUIRE(reply.status == 202);
  CHECK(host.begin(next.sha256, "artifact", host.cap(reply.body["job"]), host.sent.size).status ==
      200);
  CHECK(host.inbox() == 1);
}

TEST_CASE("the wait for an upload runs only while nothing comes [fault-201]") {
  PartHost host;
  const os::Millis wait{host.context().config.upload_wait};
  const auto ticket = host.go_on(0).ticket;
  host.clock.sleep(wait * 3);
  host.engine->expire();
  CHECK(host.look(host.job).state == JobState::waiting_upload);
  (void)host.ask(PacketVerb::upload_done, {ticket, "cut off after 0"});
  host.clock.sleep(wait - os::Millis{1'000});
  host.engine->expire();
  CHECK(host.look(host.job).state == JobState::waiting_upload);
  host.clock.sleep(os::Millis{2'000});
  host.engine->expire();
  REQUIRE(host.becomes(host.look(host.job), JobState::failed));
}

TEST_CASE("a restart forgets the parts, and the upload begins again") {
  PartHost host;
  (void)host.send_part(0, 100);
  host.restart_all();
  CHECK(host.received() == 0);
  CHECK(host.go_on(100).status == 409);
  CHECK(host.send_part(0, host.sent.size).status == 201);
}
