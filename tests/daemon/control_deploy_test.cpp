// A deploy over the control socket: facts, and the artifact that follows the order.
#include "daemon/control_host.hpp"
#include "daemon/control_verbs.hpp"

#include <fcntl.h>
#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

struct BringHost : ControlHost {
  // Sends bytes from..to of the artifact, and the end of it when that is all.
  Called bring(const Sent& sent, uint64_t from, uint64_t to, Json more = Json::object(),
      const char* verb = "deploy") {
    const std::string bytes = must(disk.read(sent.file, 1 << 24));
    Json args{{"site", "blog"}, {"version", "1.0.0"}, {"sha256", sent.sha256},
        {"number", sent.size}, {"signature", must(disk.read(sent.signature, 4096))},
        {"after", from}};
    args.update(more);
    if (args["version"].is_null())
      args.erase("version");
    const Fd fd = connect();
    must(control::write_frame(fd.get(), Json{{"v", 1}, {"verb", verb}, {"args", args}}.dump()));
    if (to > from)
      (void)control::write_frame(fd.get(), bytes.substr(from, to - from));
    (void)control::write_frame(fd.get(), "");
    Called called;
    for (;;) {
      const auto text = control::read_frame(fd.get(), os::Millis{20'000});
      if (!text) {
        called.result = std::unexpected(text.error());
        return called;
      }
      const Json frame = must(control::parse_json(*text, control::k_max_control_frame));
      if (frame.contains("event")) {
        called.events.push_back(frame["event"]);
      } else if (frame.contains("error")) {
        called.result = fail(code_from_name(frame["error"]["code"].get<std::string>()),
            frame["error"]["message"].get<std::string>());
        return called;
      } else {
        called.result = frame["result"].dump();
        return called;
      }
    }
  }
  uint64_t received(const Sent& sent) {
    return call("facts", {{"sha256", sent.sha256}}).json()["upload"]["received"];
  }
  std::vector<std::string> inbox() { return must(disk.list(paths.inbox())); }
};

} // namespace

TEST_CASE("facts has the keys and the sites of the host, and of a site what is live") {
  BringHost host;
  host.unlock();
  auto json = host.call("facts", {{"site", "blog"}}).json();
  CHECK(json["schema"] == "chillbox.facts.v1");
  CHECK(json["sealed"] == false);
  CHECK(json["recipient"] == host.identity.recipient());
  CHECK(json["site"]["version"] == "");
  CHECK(json["site"]["serial"] == 0);
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  json = host.call("facts", {{"site", "blog"}}).json();
  CHECK(json["sites"] == Json({"blog"}));
  CHECK(json["site"]["version"] == "1.0.0");
  CHECK(json["site"]["names"] == Json({"blog.example"}));
  CHECK(json["site"]["serial"] > 0);
  CHECK_FALSE(json["site"]["sha256"].get<std::string>().empty());
  CHECK(json["deployers"].size() == 1);
  CHECK(host.call("facts", {{"site", "No Site"}}).code() == "invalid");
}

TEST_CASE("an artifact that comes with its order is a job of who brought it") {
  BringHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  const auto done = host.bring(sent, 0, sent.size);
  REQUIRE(done.code() == "ok");
  CHECK(done.json()["job"]["state"] == "done");
  CHECK(done.json()["job"]["actor"].get<std::string>().starts_with("uid:"));
  CHECK(done.events.front()["job"] == done.json()["job"]["id"]);
  CHECK(host.inbox().empty());
  CHECK(host.received(sent) == sent.size);
}

TEST_CASE("[fault-424] one that broke off is continued, from where the host says and from nowhere else") {
  BringHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  CHECK(host.bring(sent, 0, 100).code() == "unreachable");
  CHECK(host.received(sent) == 100);
  CHECK(host.bring(sent, 50, sent.size).code() == "conflict");
  CHECK(host.bring(sent, 100, 150).code() == "unreachable");
  CHECK(host.received(sent) == 150);
  const auto done = host.bring(sent, 150, sent.size);
  REQUIRE(done.code() == "ok");
  CHECK(done.json()["job"]["state"] == "done");
  CHECK(host.inbox().empty());
}

TEST_CASE("[fault-425] other bytes than were announced are not kept; more of them are not taken") {
  BringHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({}), other = host.laptop.pack({.version = "2.0.0"});
  Sent lie = other;
  lie.sha256 = sent.sha256;
  CHECK(host.bring(lie, 0, lie.size).code() == "denied");
  CHECK(host.inbox().empty());
  CHECK(host.received(sent) == 0);
  CHECK(host.bring(sent, 0, sent.size, {{"number", 10}}).code() == "too_large");
  CHECK(host.bring(sent, 0, 0, {{"number", uint64_t{1} << 60}}).code() == "too_large");
  CHECK(host.bring(sent, 0, 0, {{"sha256", "x"}}).code() == "invalid");
  CHECK(host.bring(sent, 0, 0, {{"site", "../x"}}).code() == "invalid");
}

TEST_CASE("[attack-P2] who may control the host, and has no key that it trusts, makes nothing live") {
  BringHost host;
  host.unlock();
  Sent sent = host.laptop.pack({});
  const Sent other = host.laptop.pack({.version = "2.0.0"});
  const Sent right = sent;
  sent.signature = other.signature; // of another artifact
  CHECK(host.bring(sent, 0, sent.size).code() == "denied");
  CHECK(host.call("facts", {{"site", "blog"}}).json()["site"]["version"] == "");
  CHECK(host.bring(right, right.size, right.size).code() == "ok"); // the bytes are there already
}

TEST_CASE("[attack-P3] of one who sends and sends there is one part, and it goes with the time") {
  BringHost host;
  host.unlock();
  const Sent first = host.laptop.pack({}), second = host.laptop.pack({.version = "2.0.0"});
  CHECK(host.bring(first, 0, 100).code() == "unreachable");
  CHECK(host.bring(second, 0, 100).code() == "unreachable");
  CHECK(host.inbox().size() == 1);
  CHECK(host.received(first) == 0);
  CHECK(host.received(second) == 100);
}

TEST_CASE("[fault-510] a deploy without its version is refused: it is no secret set, which has a verb of its own") {
  BringHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  CHECK(host.bring(sent, 0, sent.size, {{"version", nullptr}}).message() ==
      "version: must be a string, and is missing");
  CHECK(host.received(sent) == 0);
  const Sent secrets = host.laptop.pack_secrets("blog", {{"app/app.cfg", "x"}});
  const auto done = host.bring(secrets, 0, secrets.size, {{"version", nullptr}}, "deploy_secrets");
  REQUIRE(done.code() == "ok");
  CHECK(done.json()["job"]["kind"] == "secrets");
  CHECK(host.bring(secrets, 0, secrets.size).code() != "ok"); // nor the other way round
}

TEST_CASE("[fault-511] what is in the upload directory counts as used room, and what has come of an upload is not asked for twice") {
  BringHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  host.context().config.uploads_max = sent.size + 50;
  must(os::real_disk().write(host.paths.inbox() + "/part", std::string(100, 'x'), 0600));
  const auto full = host.bring(sent, 0, sent.size);
  CHECK(full.code() == "throttled");
  CHECK(full.message().find("limits.uploads_max") != std::string::npos);
  must(host.disk.remove(host.paths.inbox() + "/part"));
  CHECK(host.bring(sent, 0, 100).code() == "unreachable");
  CHECK(host.bring(sent, 100, sent.size).code() == "ok");
}

TEST_CASE("[fault-511] an upload ends where the reserve of the disk begins, whatever was free when it began") {
  BringHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  struct stat info{};
  CHECK(host.bring(sent, 0, 100).code() == "unreachable");
  const Fd file(
      ::open((host.paths.inbox() + "/" + host.inbox().front()).c_str(), O_RDWR | O_APPEND));
  CHECK(daemon::append(file.get(), "x", 0));
  CHECK(daemon::append(file.get(), "x", 101).error().code == Code::no_space);
  REQUIRE(::fstat(file.get(), &info) == 0);
  CHECK(info.st_size == 101);
}

TEST_CASE("a site on hold takes no deploy, and nothing of it is stored") {
  BringHost host;
  host.unlock();
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  REQUIRE(host.call("hold", {{"site", "blog"}, {"why", "db"}}).code() == "ok");
  const Sent sent = host.laptop.pack({.version = "2.0.0"});
  CHECK(host.bring(sent, 0, sent.size, {{"version", "2.0.0"}}).code() == "busy");
  CHECK(host.received(sent) == 0);
}
