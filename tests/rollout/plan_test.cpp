// What would change, and that looking changes nothing.
#include "rollout/host.hpp"
#include "rollout/plan.hpp"
#include "rollout/snapshots.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

Result<Json> shown(const Result<control::Plan>& plan) {
  return plan ? Result<Json>(control::to_json(*plan)) : std::unexpected(plan.error());
}

Result<Json> plan(Host& host, const Sent& sent) {
  const Fd fd(::open(sent.file.c_str(), O_RDONLY | O_CLOEXEC));
  return shown(rollout::plan_artifact(
      host.context(), fd.get(), must(os::real_disk().read(sent.signature, 10'000))));
}
Result<Json> plan(Host& host, const Order& order) {
  return plan(host, host.laptop.pack(order));
}

Json service(const Json& plan, const std::string& name) {
  for (const auto& one : plan["services"])
    if (one["name"] == name)
      return one;
  return {};
}

// What a plan must leave alone.
std::string state_of(Host& host) {
  std::string all = cat(host.nginx_text(), host.row().ports,
      must(host.store().jobs("", 100)).size(), must(host.store().releases(site())).size());
  for (const auto& dir :
      {host.paths.stage(), host.paths.artifacts(), host.paths.releases(site()), host.paths.slots()})
    all += cat("\n", dir, ": ", join(must(host.disk.list(dir)), " "));
  return all;
}

const Order k_two{.version = "2.0.0",
    .domain = "www.example",
    .services = R"([{"name":"app","lang":"python","app":"other:app","health":{"deadline":"2s"},
                                   "environment":[{"name":"NEW","value":"a secret thing"},{"name":"PLACE","value":"here"}]},
                                  {"name":"more","lang":"python"}])",
    .members = R"("crontab":["0 4 * * * tidy"],)",
    .files = {{"app/app.py", "print('hello again')\n"}, {"app/new.py", ""}, {"more/more.py", ""}}};

} // namespace

TEST_CASE("a plan tells services, files, variables, host names, cron and NGINX's text, and changes nothing") {
  LiveHost host;
  host.deploy(Order{.version = "1.5.0",
      .services =
          R"([{"name":"app","lang":"python","environment":[{"name":"PLACE","value":"there"}]},{"name":"gone","lang":"static"}])",
      .files = {{"app/app.py", "print('hello')\n"}, {"gone/index.html", ""}}});
  const auto before = state_of(host);
  host.forget();
  const auto result = must(plan(host, k_two));
  INFO(result.dump(1));
  CHECK(state_of(host) == before);
  CHECK(host.runner.count("build") + host.runner.count("start") + host.runner.count("stop") +
          host.runner.count("nginx -s") ==
      0);
  CHECK(result["change"] == true);
  CHECK(result["from"] == "1.5.0");
  CHECK(result["to"] == "2.0.0");
  CHECK(result["serial"] == 3);
  CHECK(result["installed_serial"] == 2);
  CHECK(result["signer"] == "anna");
  CHECK(result["problems"].empty());
  CHECK(service(result, "app")["change"] == "changed");
  CHECK(service(result, "app")["why"] == Json({"app", "health", "1 file changed, 1 added"}));
  CHECK(service(result, "more")["change"] == "added");
  CHECK(service(result, "gone")["change"] == "removed");
  const auto values = service(result, "app")["environment"];
  REQUIRE(values.size() == 2);
  CHECK(values[0]["name"] == "NEW");
  CHECK(values[0]["change"] == "added");
  CHECK(values[1]["change"] == "changed");
  CHECK(values[1]["before"] != values[1]["after"]);
  CHECK(values[1]["after"].get<std::string>().size() == 12);
  CHECK(result.dump().find("a secret thing") == std::string::npos);
  CHECK(result["hosts"] == Json{{"added", {"www.example"}}, {"removed", {"blog.example"}}});
  CHECK(result["cron"]["added"] == Json({"0 4 * * * tidy"}));
  CHECK(result["nginx"]["reload"] == true);
  CHECK(result["nginx"]["diff"].get<std::string>().starts_with(
      "--- chillbox.blog.conf (in force)\n+++ chillbox.blog.conf (planned)\n@@ -"));
  CHECK(result["nginx"]["diff"].get<std::string>().find(
            "\n-  server_name blog.example;\n+  server_name www.example;\n") != std::string::npos);
  CHECK(result["disk"]["needed"].get<uint64_t>() > 0);
  CHECK(result["downtime"]["expected"] == false);
}

TEST_CASE("[fault-1095] a plan of the same version names whatever differs: fields, files beside the services, and what else is in the site file") {
  const auto order = [](const std::string& members, const std::string& service = "") {
    return Order{.services = cat(R"([{"name":"app","lang":"python")", service,
                     R"(,"health":{"deadline":"2s"}}])"),
        .members = members,
        .files = {{"app/app.py", "print('hello')\n"}, {"immutable/app/1.js", "1"},
            {"nginx/root/robots.txt", "all"},
            {"redis/users.acl", "user default on nopass ~* +@all"}}};
  };
  const std::string members = R"("watch":"1s",)";
  Host host;
  host.unlock();
  const auto first = host.deploy(order(members));
  INFO(first.message);
  REQUIRE(first.state == JobState::done);
  const auto other = [&](const Order& next) {
    const auto result = must(plan(host, next));
    INFO(result.dump(1));
    CHECK(result["change"] == true);
    CHECK(result["from"] == result["to"]);
    return result["other"];
  };
  CHECK(must(plan(host, order(members)))["change"] == false);
  CHECK(other(order(
            R"("redis":{"maxmemory":"32mb"},"watch":"2s","keep_releases":7,"store":"tmpfs",)")) ==
      Json({"redis", "watch", "keep_releases", "store"}));
  auto files = order(members);
  files.files["immutable/app/2.js"] = "2";
  files.files["nginx/root/robots.txt"] = "none";
  files.files["redis/users.acl"] += " +@read";
  CHECK(other(files) ==
      Json({"immutable: 1 file added", "nginx: 1 file changed", "redis: 1 file changed"}));
  CHECK(other(order(members + "\n")) == Json({"blog.site.json: what the host does not use"}));
  const auto listen = must(plan(host, order(members, R"(,"listen":"fd")")));
  CHECK(service(listen, "app")["why"] == Json({"listen"}));
  CHECK(listen["other"].empty());
}

TEST_CASE("[fault-992] a plan that has no room prunes nothing, and counts what a deploy would prune") {
  LiveHost host;
  const auto keeps = [](const std::string& version, int n) {
    return Order{.version = version,
        .members = cat("\"keep_releases\":", n, ","),
        .files = {{"app/app.py", version},
            {"app/data", std::string(1'000'000, version[2])}}}; // nothing that two releases share
  };
  for (const char* version : {"1.1.0", "1.2.0", "1.3.0"})
    REQUIRE(host.deploy(keeps(version, 4)).state == JobState::done);
  must(os::real_disk().write(
      host.paths.releases(site()) + "/1.3.0-4/blog.site.json", site_json(keeps("1.3.0", 1)), 0600));
  const std::string unfinished = rollout::snapshots_dir(host.paths, site()) + "/1";
  std::filesystem::create_directories(unfinished + "/data"); // a restore is fetching them
  const auto before = state_of(host);
  host.disk.free_space =
      os::Space{.free_bytes = 1'500'000, .total_bytes = 10'000'000, .free_inodes = 1000};
  auto result = must(plan(host, keeps("2.0.0", 1)));
  CHECK(state_of(host) == before);
  CHECK(host.disk.exists(unfinished));
  CHECK(result["problems"].empty()); // 1.1.0 would go
  host.disk.free_space->free_bytes = 500'000;
  result = must(plan(host, keeps("2.0.0", 1)));
  CHECK(result["problems"].dump().find("no space on the disk") != std::string::npos);
  CHECK(state_of(host) == before);
}

TEST_CASE("of the live artifact nothing would change, of the first one all is new") {
  Host host;
  host.unlock();
  const Sent first = host.laptop.pack({});
  const auto fresh = must(plan(host, first));
  CHECK(fresh["from"] == "");
  CHECK(fresh["change"] == true);
  CHECK(service(fresh, "app")["change"] == "added");
  CHECK(fresh["problems"].empty());
  CHECK(must(host.disk.list(host.paths.stage())).empty());
  host.upload(first);
  REQUIRE(
      host.run(host.queue(store::JobKind::deploy, "blog", "1.0.0", first)).state == JobState::done);
  const auto same = must(plan(host, first));
  INFO(same.dump(1));
  CHECK(same["change"] == false);
  CHECK(same["problems"].empty());
  CHECK(same["nginx"] == Json{{"diff", ""}, {"reload", false}});
}

TEST_CASE("a plan says all that a deploy would be refused for, an older serial among it") {
  LiveHost host;
  Order order{.slug = "blog",
      .version = "0.9.0",
      .serial = 1,
      .services =
          R"([{"name":"app","lang":"python","secrets_config":"app.cfg"},{"name":"x","lang":"x-cobol"}])"};
  const auto result = must(plan(host, order));
  const std::string all = result["problems"].dump();
  INFO(all);
  for (const char* part :
      {"installed 1", "secret 'app/app.cfg'", "no handler for lang 'x-cobol'", "no folder 'x'"})
    CHECK(all.find(part) != std::string::npos);
}

TEST_CASE("[fault-36] a plan looks into nothing that no trusted key has signed, and on a sealed host into nothing at all") {
  LiveHost host;
  Deployer stranger(host.ground.path + "/etc", host.identity.recipient());
  CHECK(outcome(plan(host, stranger.pack({.version = "2.0.0"}))).find("denied: ") == 0);
  const Sent good = host.laptop.pack({.version = "2.0.0"});
  Sent mixed = host.laptop.pack({.version = "3.0.0"});
  mixed.signature = good.signature;
  CHECK(outcome(plan(host, mixed)).find("denied: ") == 0);
  host.context().vault.lock();
  CHECK(outcome(plan(host, good)).find("sealed: ") == 0);
  CHECK(must(host.disk.list(host.paths.stage())).empty());
}

TEST_CASE("the gap of stop-first is foretold with its reason, and how long it took the last time") {
  LiveHost host;
  const auto order = [](const std::string& version) {
    return Order{.version = version,
        .services =
            R"([{"name":"app","lang":"python","strategy":"stop-first","health":{"deadline":"2s"}}])"};
  };
  const auto first = must(plan(host, order("2.0.0")))["downtime"];
  CHECK(first["expected"] == true);
  CHECK(first["reason"] ==
      "'app' has strategy stop-first: the old copy stops before the new one starts; it has not been measured yet");
  host.runner.before = [&](const std::string& command) {
    if (command == "start chillbox.blog.app.b")
      host.clock.sleep(os::Millis{300});
  };
  const auto job = host.deploy(order("2.0.0"));
  REQUIRE(job.state == JobState::done);
  const auto again = must(plan(host, order("3.0.0")))["downtime"];
  CHECK(again["last_ms"] == job.gap_ms);
  CHECK(again["reason"].get<std::string>().ends_with(
      cat("it took ", job.gap_ms, " ms in job ", job.id)));
  CHECK(must(shown(rollout::plan_site(host.context(), site())))["downtime"]["expected"] ==
      true); // of a restart likewise
}

TEST_CASE("[fault-121] a live site that is as it should be has no drift; what was edited by hand is told and left as it is") {
  LiveHost host;
  const auto clean = must(shown(rollout::plan_site(host.context(), site())));
  INFO(clean.dump(1));
  CHECK(clean["change"] == false);
  CHECK(clean["drift"].empty());
  const auto drift = [&] {
    return must(shown(rollout::plan_site(host.context(), site())))["drift"].dump();
  };

  must(os::real_disk().set_link("releases/by-hand", host.paths.current(site())));
  CHECK(drift().find("/current points to releases/by-hand, the store says releases/1.0.0-1") !=
      std::string::npos);
  CHECK(host.link(host.paths.current(site())) == "releases/by-hand");
  must(os::real_disk().set_link("releases/1.0.0-1", host.paths.current(site())));

  const std::string file = cat(host.config.nginx_dir, "/chillbox.blog.conf");
  const std::string text = host.nginx_text();
  host.write(file, "# by hand\n" + text);
  const auto edited = must(shown(rollout::plan_site(host.context(), site())));
  CHECK(edited["drift"].dump().find("the NGINX file is not the one") != std::string::npos);
  CHECK(edited["nginx"]["diff"].get<std::string>().find("\n-# by hand\n") != std::string::npos);
  CHECK(edited["change"] == true);
  host.write(file, text);

  std::ofstream(cat(host.paths.releases(site()), "/1.0.0-1/app/app.py"), std::ios::app)
      << "# by hand\n";
  CHECK(drift().find("was changed since it was built") != std::string::npos);
}

TEST_CASE("a service that does not run, and values that a restart would change, are told") {
  LiveHost host;
  std::filesystem::remove(host.paths.root + "/run/supervise-chillbox.blog.app.a.pid");
  const auto down = must(shown(rollout::plan_site(host.context(), site())));
  CHECK(service(down, "app")["why"] == Json({"chillbox.blog.app.a is crashed"}));
  CHECK(down["change"] == true);
  CHECK(outcome(rollout::plan_site(host.context(), site("nowhere"))) ==
      "not_found: no release of 'nowhere' is live on this host");
}

TEST_CASE("the NGINX text in force is shown as it is") {
  LiveHost host;
  CHECK(must(rollout::nginx_in_force(host.context(), site())) == host.nginx_text());
  CHECK(outcome(rollout::nginx_in_force(host.context(), site("nowhere"))) ==
      "not_found: no NGINX text of 'nowhere' is in force");
}
