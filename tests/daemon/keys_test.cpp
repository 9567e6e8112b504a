// A webhook key that is gone: what it announced, what it may still open, and what a hold keeps from
// the others.
#include "daemon/intake_host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

std::vector<daemon::LoadedSender> senders(IntakeHost& host) {
  return must(daemon::load_senders(host.paths.webhooks()));
}

// What is left when the key of "ci" is removed, beside another sender.
void remove_key(IntakeHost& host) {
  host.write(host.paths.webhooks() + "/other.key", crypto::new_webhook_key() + "\n");
  must(host.disk.remove(host.paths.webhooks() + "/ci.key"));
  host.intake->set_senders(senders(host));
}

} // namespace

TEST_CASE("a key that is removed takes its waiting jobs, their uploads and their capabilities with it [attack-C9]") {
  IntakeHost host;
  const Sent sent = host.laptop.pack({});
  const auto reply = host.hook({.body = host.deploy_body(sent)});
  REQUIRE(reply.status == 202);
  const std::string id = reply.body["job"], cap = host.cap(id);
  REQUIRE(host.becomes(host.look(id), JobState::waiting_upload));
  REQUIRE(host.ask(PacketVerb::job_get, {id, cap}).status == 200);
  const auto begun = host.begin(sent.sha256, "artifact", cap, sent.size);
  REQUIRE(begun.status == 200);
  host.send(PacketVerb::job_events, {id, cap, "1000", "wait"});
  host.serve();

  remove_key(host);

  CHECK(host.receive().status == 401); // the long poll
  CHECK(host.look(id).state == JobState::cancelled);
  CHECK(host.look(id).code == Code::denied);
  CHECK(host.look(id).message ==
      "the webhook key of 'ci' that announced it was removed or has ended: announce it again with another key");
  CHECK(host.ask(PacketVerb::job_get, {id, cap}).status == 401);
  CHECK(host.ask(PacketVerb::job_events, {id, cap, "0", ""}).status == 401);
  CHECK(host.begin(sent.sha256, "minisig", cap, 100).status == 401);
  CHECK(host.ask(PacketVerb::upload_done, {begun.ticket, "ok"}).status ==
      422); // what was in flight is gone
  CHECK(host.hook({.body = host.deploy_body(sent), .id = "msg_2"}).status == 401);
}

TEST_CASE("a key of the same name that is added afterwards opens nothing of the one that was removed [attack-C9]") {
  IntakeHost host;
  const Sent sent = host.laptop.pack({});
  const auto reply = host.hook({.body = host.deploy_body(sent)});
  const std::string id = reply.body["job"], cap = host.cap(id);
  REQUIRE(host.becomes(host.look(id), JobState::waiting_upload));
  host.write(host.paths.webhooks() + "/ci.key", crypto::new_webhook_key() + "\n");
  host.intake->set_senders(senders(host));
  CHECK(host.look(id).state == JobState::cancelled);
  CHECK(host.ask(PacketVerb::job_get, {id, cap}).status == 401);
}

TEST_CASE("a key that is rotated out ends its jobs when it goes, not while it stays beside the new one") {
  IntakeHost host;
  const Sent sent = host.laptop.pack({});
  const std::string id = host.hook({.body = host.deploy_body(sent)}).body["job"];
  REQUIRE(host.becomes(host.look(id), JobState::waiting_upload));
  const std::string newer = crypto::new_webhook_key();
  host.write(host.paths.webhooks() + "/ci.key", cat(newer, "\n", host.key_text, "\n"));
  host.intake->set_senders(senders(host));
  CHECK(host.look(id).state == JobState::waiting_upload);
  CHECK(host.ask(PacketVerb::job_get, {id, host.cap(id)}).status == 200);
  host.write(host.paths.webhooks() + "/ci.key", newer + "\n");
  host.intake->set_senders(senders(host));
  CHECK(host.look(id).state == JobState::cancelled);
}

TEST_CASE("what was removed while the daemon was down ends its jobs at the next start, and one that an operator asked for stays [attack-C9]") {
  IntakeHost host;
  const Sent sent = host.laptop.pack({});
  const std::string id = host.hook({.body = host.deploy_body(sent)}).body["job"];
  REQUIRE(host.becomes(host.look(id), JobState::waiting_upload));
  const auto own = host.submit(host.queue(JobKind::secrets, "blog", "", sent));
  REQUIRE(host.becomes(own, JobState::waiting_upload));
  must(host.disk.remove(host.paths.webhooks() + "/ci.key"));
  host.restart_all();
  CHECK(host.look(id).state == JobState::cancelled);
  CHECK(host.look(own.id).state == JobState::waiting_upload);
}

TEST_CASE("a file with a fault costs its own sender, and keeps no other key alive [attack-C9]") {
  IntakeHost host;
  host.write(host.paths.webhooks() + "/broken.key", "whsec_short\n");
  must(host.disk.remove(host.paths.webhooks() + "/ci.key"));
  host.write(host.paths.webhooks() + "/good.key", crypto::new_webhook_key() + "\n");
  const auto files = daemon::read_senders(host.paths.webhooks());
  REQUIRE(files.senders.size() == 1);
  CHECK(files.senders[0].name == "good");
  REQUIRE(files.faults.size() == 1);
  CHECK(files.faults[0].message.find("broken.key: ") != std::string::npos);
  CHECK_FALSE(daemon::load_senders(host.paths.webhooks()));
}

TEST_CASE("a capability is over after a day, but not before its job has ended [fault-98]") {
  IntakeHost host;
  const std::string id = host.hook({.body = host.any_deploy()}).body["job"], cap = host.cap(id);
  CHECK(host.ask(PacketVerb::job_get, {id, cap}).status == 200);
  REQUIRE(host.becomes(host.look(id), JobState::waiting_upload));
  auto job = host.look(id);
  job.state = JobState::waiting_unlock; // which nothing ends but an unlock
  must(host.store().update_job(job));
  host.clock.move(std::chrono::hours(24));
  CHECK(host.ask(PacketVerb::job_get, {id, cap}).status == 200);
  job.finished_ms = host.clock.wall_ms();
  must(host.store().update_job(job));
  CHECK(host.ask(PacketVerb::job_get, {id, cap}).status == 401);
}

TEST_CASE("a held site takes nothing by webhook, and says why to who has a key [attack-B5]") {
  IntakeHost host;
  must(host.store().put_site({.site = site()}));
  must(host.store().put_hold({{"uid:0 root", "a key was stolen", host.clock.wall_ms()}, site()}));
  int number = 0;
  for (const std::string& body :
      {host.any_deploy(), host.order("site.rollback", R"("site":"blog")"),
          host.order("site.restart", R"("site":"blog")"),
          host.order("secrets.update",
              cat(R"("site":"blog","sha256":")", std::string(64, 'a'), R"(","size":10)"))}) {
    const auto reply = host.hook({.body = body, .id = cat("msg_", ++number)});
    CHECK(reply.status == 503);
    CHECK(reply.text.find("'blog' is held by uid:0 root since ") != std::string::npos);
  }
  CHECK(host.jobs() == 0);
  CHECK(host.hook({.body = host.order("host.ping", ""), .id = "ping"}).status == 202);
}

TEST_CASE("an upload of one job replaces no signature of another, nor one that is kept [attack-D1]") {
  IntakeHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  const std::string ours = host.hook({.body = host.deploy_body(sent)}).body["job"];
  const std::string theirs =
      host.hook({.body = host.deploy_body(sent, "shop"), .id = "msg_2"}).body["job"];
  REQUIRE(host.becomes(host.look(ours), JobState::waiting_upload));
  REQUIRE(host.becomes(host.look(theirs), JobState::waiting_upload));
  REQUIRE(host.put(sent.sha256, "minisig", host.cap(ours), sent.signature).status == 201);
  const std::string bad = host.ground.path + "/desk/bad.minisig";
  host.write(bad, "untrusted comment: x\nRWQ=\n");
  REQUIRE(host.put(sent.sha256, "minisig", host.cap(theirs), bad).status == 201);
  REQUIRE(host.put(sent.sha256, "artifact", host.cap(ours), sent.file).status == 201);
  CHECK(host.becomes(host.look(ours), JobState::done));
  CHECK(host.becomes(host.look(theirs), JobState::failed));
  REQUIRE(host.idle());
  const std::string kept = host.paths.artifact_signature(must(Digest::parse(sent.sha256)));
  CHECK(host.text(kept) == must(os::real_disk().read(sent.signature, 4096)));
  // Nor does an order for which it was not made take it away.
  const std::string third =
      host.hook({.body = host.order("secrets.update",
                     cat(R"("site":"blog","sha256":")", sent.sha256, R"(","size":)", sent.size)),
                    .id = "msg_3"})
          .body["job"];
  CHECK(host.becomes(host.look(third), JobState::failed));
  CHECK(host.text(kept) == must(os::real_disk().read(sent.signature, 4096)));
}
