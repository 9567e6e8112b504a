// What is refused before anything live is touched: signatures, freshness, site files, preflight.
#include "base/json.hpp"
#include "crypto/hash.hpp"
#include "rollout/host.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <set>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

// The new version was refused with this code, the old one serves on, and nothing was run for the
// new one.
void refused(LiveHost& host, const store::Job& job, Code code, const std::string& part) {
  INFO(job.message);
  CHECK(job.state == JobState::failed);
  CHECK(job.code == code);
  CHECK(job.message.find(part) != std::string::npos);
  CHECK(job.message.find('\n') == std::string::npos);
  CHECK(job.message.ends_with("; 1.0.0 stays live"));
  CHECK(host.runner.count("build") + host.runner.count("start") + host.runner.count("stop") +
          host.runner.count("nginx") ==
      0);
  CHECK(disagreement(host, "1.0.0") == "");
}

} // namespace

TEST_CASE("[fault-36] an artifact signed by a key that nobody trusts is refused [attack-W2]") {
  LiveHost host;
  Deployer stranger(host.ground.path + "/etc", host.identity.recipient());
  const Sent sent = stranger.pack({.version = "2.0.0", .serial = 9});
  host.upload(sent);
  refused(host, host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)), Code::denied,
      "no trusted key");
}

TEST_CASE("a refused signature is not taken again: the same artifact waits for a new one, and only a retry goes back to the old") {
  LiveHost host;
  Deployer stranger(host.ground.path + "/etc", host.identity.recipient());
  const Sent sent = stranger.pack({.version = "2.0.0", .serial = 9});
  host.upload(sent);
  refused(host, host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)), Code::denied,
      "no trusted key");
  CHECK(host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)).state ==
      JobState::waiting_upload);
  host.options.retry = true;
  refused(host, host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)), Code::denied,
      "no trusted key");
}

TEST_CASE("[fault-37] an artifact signed for another site is refused, and both are named") {
  LiveHost host;
  refused(host, host.deploy(Order{.version = "2.0.0", .signed_site = "shop"}), Code::denied,
      "signed for site 'shop', wanted 'blog'");
}

TEST_CASE("[fault-36] a deployer's key that is limited to other sites is refused as a strange one is, and its signature put aside [attack-K2]") {
  LiveHost host;
  host.write(host.paths.trusted() + "/anna.pub", host.laptop.public_key() + "sites: shop,docs\n");
  const Sent sent = host.laptop.pack({.version = "2.0.0"});
  host.upload(sent);
  refused(host, host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)), Code::denied,
      "key 'anna' may sign for shop, docs, not for 'blog'");
  CHECK_FALSE(host.disk.exists(host.paths.artifact_signature(Digest::parse(sent.sha256).value())));
  host.write(host.paths.trusted() + "/anna.pub", host.laptop.public_key() + "sites: shop,blog\n");
  CHECK(host.deploy("2.1.0").state == JobState::done);
}

TEST_CASE("an artifact signed for another version than its site file says is refused") {
  LiveHost host;
  const Sent sent = host.laptop.pack({.version = "2.0.0", .signed_version = "2.1.0"});
  host.upload(sent);
  refused(host, host.run(host.queue(store::JobKind::deploy, "blog", "2.1.0", sent)), Code::denied,
      "says version 2.0.0, the signature says 2.1.0");
}

TEST_CASE("[fault-38] a lower or equal serial is older than what is installed [attack-W2]") {
  LiveHost host;
  REQUIRE(host.deploy(Order{.version = "1.5.0", .serial = 41}).state == JobState::done);
  for (const uint64_t serial : {40U, 41U}) {
    const auto job = host.deploy(Order{.version = "2.0.0", .serial = serial});
    INFO(job.message);
    CHECK(job.code == Code::denied);
    CHECK(job.message.find("installed 41") != std::string::npos);
    CHECK(disagreement(host, "1.5.0") == "");
  }
}

TEST_CASE("[fault-38] the operator may allow a downgrade, and only with the option of the job") {
  LiveHost host;
  REQUIRE(host.deploy(Order{.version = "1.5.0", .serial = 41}).state == JobState::done);
  host.options.allow_downgrade = true;
  CHECK(host.deploy(Order{.version = "1.4.0", .serial = 7}).state == JobState::done);
  CHECK(disagreement(host, "1.4.0") == "");
  CHECK(must(host.store().serial(site(), "site")) == 41); // what came after stays the mark
}

TEST_CASE("[fault-38] a release that never went live does not raise the serial") {
  LiveHost host;
  host.runner.app("2.0.0").build_error = "no";
  REQUIRE(host.deploy(Order{.version = "2.0.0", .serial = 50}).state == JobState::failed);
  CHECK(must(host.store().serial(site(), "site")) == 1);
  CHECK(host.deploy(Order{.version = "2.0.1", .serial = 2}).state == JobState::done);
}

TEST_CASE("[fault-39] a serial that jumps too far is held") {
  LiveHost host;
  refused(host, host.deploy(Order{.version = "2.0.0", .serial = 1'000'002}), Code::busy,
      "held: serial 1000002");
}

TEST_CASE("[fault-40] an expired signature is refused") {
  LiveHost host;
  refused(host, host.deploy(Order{.version = "2.0.0", .expires = host.clock.wall() - 1}),
      Code::denied, "expired 2027-01-15");
}

TEST_CASE("[fault-40] [fault-98] what has expired stays so when the clock is set back") {
  LiveHost host;
  const int64_t expires = host.clock.wall() - 10;
  host.clock.move(-std::chrono::hours{24});
  REQUIRE(host.clock.wall() < expires);
  refused(host, host.deploy(Order{.version = "2.0.0", .expires = expires}), Code::denied,
      "expired 2027-01-15");
  CHECK(host.deploy(Order{.version = "2.1.0", .expires = expires + 3600}).state == JobState::done);
}

TEST_CASE("[fault-41] a stored file that is not what was announced is refused") {
  LiveHost host;
  const auto job = host.queue_deploy({.version = "2.0.0"});
  const std::string path = host.paths.artifact(Digest::parse(job.sha256).value());
  std::string bytes = must(host.disk.read(path, 1 << 20));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  host.write(path, bytes);
  const auto ended = host.run(job);
  INFO(ended.message);
  CHECK(ended.code == Code::denied);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("an artifact that is encrypted to another host is refused, and says so") {
  LiveHost host;
  Deployer elsewhere(host.ground.path + "/srv", crypto::AgeIdentity::generate().recipient());
  host.write(host.paths.trusted() + "/bert.pub", elsewhere.public_key());
  const Sent sent = elsewhere.pack({.version = "2.0.0", .serial = 5});
  host.upload(sent);
  refused(host, host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)),
      Code::preflight, "artifact: not encrypted to ");
}

TEST_CASE("[fault-74] a site file with an unknown field is refused with its path") {
  LiveHost host;
  refused(host, host.deploy(Order{.version = "2.0.0", .members = R"("servics":[],)"}),
      Code::invalid, "blog.site.json: $.servics");
}

TEST_CASE("an artifact with more than its one folder is refused") {
  LiveHost host;
  refused(host, host.deploy(Order{.version = "2.0.0", .beside = {{"etc/passwd", "x"}}}),
      Code::invalid, "must have one top folder 'blog', has: blog, etc");
}

TEST_CASE("a service without its folder in the artifact is refused") {
  LiveHost host;
  refused(host, host.deploy(Order{.version = "2.0.0", .files = {}}), Code::preflight,
      "service 'app': no folder 'app' in the artifact");
}

TEST_CASE("an artifact whose signature was refused can be signed anew") {
  LiveHost host;
  const Sent sent = host.laptop.pack({.version = "2.0.0", .signed_version = "2.0.1"});
  host.upload(sent);
  REQUIRE(host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent)).code == Code::denied);
  auto again = host.queue(store::JobKind::deploy, "blog", "2.0.0", sent);
  CHECK(host.run(again).state == JobState::waiting_upload); // of a signature
  const auto stored = must(os::real_disk().read(sent.file, 1 << 24));
  const Digest digest = Digest::parse(sent.sha256).value();
  crypto::Blake2b512 hash;
  hash.update(bytes_of(stored));
  host.write(host.paths.artifact_signature(digest),
      host.laptop.key().sign(
          hash.finish(), cat("chillbox site=blog version=2.0.0 serial=9 sha256=", sent.sha256)));
  CHECK(host.run(again).state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("of refused artifacts the newest three stay, what an open job needs stays however old it is") {
  LiveHost host;
  const Sent waiting = host.laptop.pack({.slug = "shop"});
  host.upload(waiting);
  const auto open = host.queue(store::JobKind::deploy, "shop", "1.0.0", waiting);
  for (int i = 0; i < 250; ++i)
    must(host.store().add_job({.id = cat("ping", i),
        .kind = store::JobKind::ping,
        .site = site("host"),
        .state = JobState::done,
        .finished_ms = 1}));
  for (int i = 0; i < 5; ++i)
    REQUIRE(host.deploy(Order{.version = cat("2.0.", i), .signed_site = "other"}).state ==
        JobState::failed);
  std::set<std::string> digests;
  for (const auto& name : must(host.disk.list(host.paths.artifacts())))
    digests.insert(name.substr(0, 64));
  CHECK(digests.size() == 1 + 1 + 3);
  CHECK(digests.contains(host.live().sha256));
  CHECK(host.run(open).state == JobState::done);
}

TEST_CASE("[fault-70] a host name of another site is refused, and its owner named [attack-K3]") {
  LiveHost host;
  const auto job = host.deploy(Order{.slug = "shop", .domain = "blog.example"});
  INFO(job.message);
  CHECK(job.code == Code::preflight);
  CHECK(job.message == "preflight: host name 'blog.example' belongs to site 'blog'");
  CHECK(host.row("shop").live.empty());
  CHECK(host.releases_on_disk("shop").empty());
  CHECK(host.ask() == "1.0.0");
}

TEST_CASE("preflight tells everything at once: handlers, folders, secrets, host names") {
  LiveHost host;
  const auto job = host.deploy(Order{
      .slug = "shop", .domain = "blog.example", .services = R"([{"name":"app","lang":"x-cobol"},
                                                     {"name":"api","lang":"python","secrets_config":"api.cfg"},
                                                     {"name":"web","lang":"python","secrets_config":"web.cfg"}])"});
  INFO(job.message);
  CHECK(job.code == Code::preflight);
  CHECK(job.message.ends_with("(and 5 more)"));
  for (const char* part :
      {"no handler for lang 'x-cobol' on this host: there are python, static, x-port",
          "no folder 'api'", "no folder 'web'",
          "secret 'api/api.cfg' is not in the site's secret set", "secret 'web/web.cfg'",
          "host name 'blog.example' belongs to site 'blog'"}) {
    INFO(part);
    CHECK((job.message.find(part) != std::string::npos || host.told(job.id, part)));
  }
}

TEST_CASE("[fault-88] a disk without room for two copies is refused with both numbers") {
  LiveHost host;
  host.config.reserve_percent = 5;
  host.restart();
  host.unlock();
  host.disk.free_space = os::Space{.free_bytes = 40'000'000,
      .total_bytes = 1'000'000'000,
      .free_inodes = 1000,
      .total_inodes = 2000};
  refused(host, host.deploy("2.0.0"), Code::preflight,
      "need 50.0 MB (twice the release and 5 % reserve), have 40.0 MB");
}

TEST_CASE("[fault-90] a disk without inodes is refused, and says inodes") {
  LiveHost host;
  host.disk.free_space = os::Space{
      .free_bytes = 40'000'000, .total_bytes = 50'000'000, .free_inodes = 2, .total_inodes = 2000};
  refused(host, host.deploy("2.0.0"), Code::preflight, "no inodes on the disk");
}

TEST_CASE("preflight tells what a handler finds in the unpacked artifact, and which programs it misses, before anything is touched") {
  LiveHost host;
  host.write(host.paths.shipped_hooks() + "/handlers/python/preflight",
      "missing: flask>=3: no wheel of it\nthis host takes wheels for cp311-cp311\n");
  host.handler("x-port", R"({"listens":"tcp","needs":["a-program-that-no-host-has"]})");
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python"},{"name":"two","lang":"x-port"}])",
      .files = {{"app/app.py", ""}, {"two/two", ""}}});
  INFO(job.message);
  CHECK(job.code == Code::preflight);
  CHECK(exit_code(*job.code) == 8);
  CHECK(job.message ==
      "preflight: service 'app': missing: flask>=3: no wheel of it (and 2 more); 1.0.0 stays live");
  CHECK(host.told(job.id, "log service 'app': this host takes wheels for cp311-cp311"));
  CHECK(host.told(job.id,
      "log service 'two': lang 'x-port' needs a-program-that-no-host-has, which this host does not have"));
  CHECK(host.releases_on_disk() == std::vector<std::string>{"1.0.0-1"});
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a layer of its site that preflight names is handed to the build, any other is a problem") {
  LiveHost host;
  const auto preflight = host.paths.shipped_hooks() + "/handlers/python/preflight";
  const auto cache = host.paths.cache(site("blog"));
  std::filesystem::create_directories(cache + "/new");
  const std::string layer = cat("abc-", must(host.disk.tree_digest(cache + "/new")));
  std::filesystem::rename(cache + "/new", cat(cache, "/", layer));
  std::string given = "nothing";
  host.runner.app("2.0.0").building = [&](const os::Command& c) {
    for (const auto& [name, value] : c.env)
      if (name == "CHILLBOX_LAYER")
        given = value;
  };
  host.write(preflight, cat("layer ", layer, "\n"));
  CHECK(host.deploy("2.0.0").state == store::JobState::done);
  CHECK(given == layer);
  const std::string built = cat(host.paths.releases(site("blog")), "/2.0.0-2/.chillbox/app/");
  CHECK(host.link(built + "layer") == cat(cache, "/", layer));
  CHECK(host.link(built + "data") == host.paths.data(site("blog")) + "/app");
  host.write(preflight, "layer ../abc-1\n");
  CHECK(
      host.deploy("2.1.0").message == "preflight: service 'app': layer ../abc-1; 2.0.0 stays live");
}

TEST_CASE("[fault-1201] a deploy says which name of the site file no server of its template answers to") {
  LiveHost host;
  const auto job = host.deploy(Order{.version = "2.0.0",
      .members = R"("domain_list":["www.blog.example"],)",
      .files = {{"app/app.py", ""},
          {"nginx/templates/blog.nginx.conf.template",
              "server { server_name blog.example; location / { return 204; } }\n"}}});
  INFO(job.message);
  CHECK(job.message.contains(
      "warning: no server in nginx/templates answers to 'www.blog.example': its visitors get this host's default page"));
}

TEST_CASE("[fault-1155] a deploy says whose data nobody works with any more: a service has another name, or is gone") {
  LiveHost host;
  host.write(cat(host.paths.data(site("blog")), "/app/app.db"), "x");
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"web","lang":"python","health":{"deadline":"2s"}}])",
      .files = {{"web/app.py", ""}}});
  INFO(job.message);
  CHECK(job.message.contains(cat("warning: service 'app' is gone: its data stay in ",
      host.paths.data(site("blog")), "/app, and no service of this release works with them")));
  CHECK_FALSE(host.deploy("2.1.0").message.contains("is gone")); // app again, and web had no data
}

TEST_CASE("[fault-1207] a service with the name of the crontab's log is refused by the host, too") {
  LiveHost host;
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"cron","lang":"python","health":{"deadline":"2s"}}])",
      .files = {{"cron/app.py", ""}}});
  CHECK(job.code == Code::preflight);
  CHECK(job.message.contains("service 'cron' is the name of the crontab's log"));
}

TEST_CASE("[fault-1156] a deploy says that a static site has no page at /") {
  LiveHost host;
  const auto with = [&](const char* version, const char* more, const char* file) {
    return host
        .deploy(Order{.version = version,
            .services = cat(R"([{"name":"pages","lang":"static")", more, "}]"),
            .files = {{file, ""}}})
        .message.contains("warning: service 'pages' has no index.html: / is a missing page");
  };
  CHECK(with("2.0.0", "", "pages/a.html"));
  CHECK_FALSE(with("2.1.0", "", "pages/index.html"));
  CHECK_FALSE(with("2.2.0", R"(,"fallback":"a.html")", "pages/a.html"));
  CHECK_FALSE(with("2.3.0", R"(,"at":"/files/")", "pages/a.html"));
}

TEST_CASE("[fault-73] a port below 1024, or none, is refused before anything starts") {
  LiveHost host;
  for (const char* port : {"80", "1023", "65536", "http"}) {
    const auto job = host.deploy(Order{.version = "2.0.0",
        .services =
            cat(R"([{"name":"app","lang":"python","environment":[{"name":"PORT","value":"$P"}]}])"),
        .members = cat(R"("env":[{"name":"P","value":")", port, R"("}],)")});
    refused(host, job, Code::preflight,
        cat("service 'app': PORT is '", port, "': must be a port from 1024 to 65535"));
  }
}

TEST_CASE("[fault-73] [fault-108] [attack-B3] a port of its slot that somebody else has is not used: the slot gets another one") {
  LiveHost host;
  const Order order{.version = "1.5.0",
      .services =
          R"([{"name":"app","lang":"python","environment":[{"name":"PORT","value":"$P"}]}])",
      .members = R"("env":[{"name":"P","value":"38011"}],)"};
  REQUIRE(host.deploy(order).state == JobState::done);
  auto next = order;
  next.version = "1.6.0";
  REQUIRE(host.deploy(next).state == JobState::done);
  const auto ports = parse_json(host.row().ports, 1000).value();
  const auto idle = ports.at(cat("app.", letter(other_slot(host.live().slot)))).get<uint16_t>();
  const FakeServer stranger(idle, [](std::string_view) { return Answer{}; });
  REQUIRE(stranger.open());
  next.version = "1.7.0";
  const auto job = host.deploy(next);
  INFO(job.message);
  CHECK(job.state == JobState::done);
  const auto now = parse_json(host.row().ports, 1000).value();
  CHECK(now.at(cat("app.", letter(host.live().slot))).get<uint16_t>() != idle);
  CHECK(disagreement(host, "1.7.0") == "");
}

TEST_CASE("[fault-73] [fault-114] ports that a template listens on: root's, another site's slot, somebody else's") {
  LiveHost host;
  REQUIRE(
      host
          .deploy(Order{.slug = "shop",
              .services =
                  R"([{"name":"app","lang":"python","environment":[{"name":"PORT","value":"38011"}]}])"})
          .state == JobState::done);
  const auto theirs = parse_json(host.row("shop").ports, 1000).value().at("app.a").get<uint16_t>();
  FakeServer stranger(0, [](std::string_view) { return Answer{}; });
  const auto with = [&](int port) {
    Order order{.version = "2.0.0"};
    order.files["nginx/templates/blog.nginx.conf.template"] =
        cat("server { listen 127.0.0.1:", port, "; }\n");
    const auto job = host.deploy(order);
    CHECK(job.code == Code::preflight);
    CHECK(disagreement(host, "1.0.0") == "");
    return job.message;
  };
  CHECK(with(22).find("'listen': listens on port 22: below 1024 sites may use only ") !=
      std::string::npos);
  CHECK(with(theirs).find(cat("nginx: listens on port ", theirs,
            ", which belongs to site 'shop'")) != std::string::npos);
  CHECK(with(stranger.port())
            .find(cat("nginx: listens on port ", stranger.port(),
                ", which is taken by 'test-rollout'")) != std::string::npos);
}

TEST_CASE("[fault-65] [fault-68] values that would end or open a directive of a template are refused before anything is touched") {
  LiveHost host;
  for (const char* value :
      {"a; include /etc/shadow", "a } server {", "a # b", "$host", "a\\\"b", "`id`", "$(id)"}) {
    Order order{.version = "2.0.0",
        .members = cat(R"("env":[{"name":"WHERE","value":")",
            value[0] == '$' && value[1] == 'h' ? "$$host" : value, R"("}],)")};
    order.files["nginx/templates/blog.nginx.conf.template"] =
        "server {\n  location /x { return 200 $WHERE; }\n}\n";
    const auto job = host.deploy(order);
    INFO(value);
    refused(host, job, Code::preflight,
        "nginx: nginx/templates/blog.nginx.conf.template: line 2: variable 'WHERE': its value");
  }
}

TEST_CASE("[fault-66] a variable of a service that is not defined, or goes in a circle, is refused with its name") {
  LiveHost host;
  const auto with = [&](const char* value) {
    return host.deploy(Order{.version = "2.0.0",
        .services = cat(R"([{"name":"app","lang":"python","environment":[{"name":"A","value":")",
            value, R"("},{"name":"B","value":"$A"}]}])")});
  };
  for (const char* value : {"$NOWHERE", "$B"}) {
    const auto job = with(value);
    INFO(job.message);
    CHECK(job.state == JobState::failed);
    CHECK(job.message.find(value + 1) != std::string::npos);
    CHECK(host.runner.count("build") == 0);
    CHECK(disagreement(host, "1.0.0") == "");
  }
}

TEST_CASE("[fault-90] inodes keep a reserve too") {
  LiveHost host;
  host.config.reserve_percent = 5;
  host.restart();
  host.unlock();
  host.disk.free_space = os::Space{.free_bytes = 900'000'000,
      .total_bytes = 1'000'000'000,
      .free_inodes = 40,
      .total_inodes = 1000};
  refused(host, host.deploy("2.0.0"), Code::preflight, "no inodes on the disk of");
}

TEST_CASE("memory for a second copy: what the services may use is counted, but for those that stop first") {
  LiveHost host;
  const auto with = [](const char* strategy) {
    return Order{.version = "2.0.0",
        .services = cat(R"([{"name":"app","lang":"python","strategy":")", strategy,
            R"(","resources":{"memory_max":"999G"}}])")};
  };
  refused(host, host.deploy(with("overlap")), Code::preflight,
      "no memory for a second copy: the services may use ");
  CHECK(host.deploy(with("stop-first")).state == JobState::done);
}
