// Who may what by the people's socket.
#include "daemon/people.hpp"

#include "catch.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "control_host.hpp"
#include "os/host_layout.hpp"
#include "rollout/trust.hpp"
#include "store/notices.hpp"

#include <poll.h>

#include <filesystem>
#include <set>
#include <thread>

using namespace chillbox;
using namespace chillbox::test;

namespace {

const std::string k_ssh =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM5R9M8XhIw1PlzBafHuI4uqnbmApgjULfMr/qqND/0k";

control::Person person(
    const std::string& name, control::Role role, std::vector<std::string> sites = {}) {
  return {.name = name, .role = role, .sites = std::move(sites), .ssh = {k_ssh}, .key = ""};
}

} // namespace

TEST_CASE("a line of authorized_keys opens the gate of its person and nothing else [attack-Q11]") {
  CHECK(daemon::authorized_line("kim", k_ssh) ==
      cat("restrict,command=\"/usr/bin/chillboxctl gate kim\" ", k_ssh, " kim\n"));
}

TEST_CASE("a person is written and read, and a file that is none gives nothing and keeps nobody out [fault-532]") {
  EngineHost host;
  const auto& paths = host.paths;
  REQUIRE(daemon::save_person(paths, person("kim", control::Role::deploy, {"hello"})));
  const auto read = daemon::load_person(paths, "kim");
  REQUIRE(read);
  CHECK(read->sites == std::vector<std::string>{"hello"});
  CHECK(daemon::may_touch(*read, "hello"));
  CHECK_FALSE(daemon::may_touch(*read, "blog"));
  CHECK_FALSE(daemon::may_touch(*read, ""));
  for (const char* text : {"", "[]", "{}", R"({"name":"lou","role":"root"})",
           R"({"name":"kim","role":"admin"})", R"({"name":"lou","role":"admin","sites":["hello"]})",
           R"({"name":"lou","role":"look","ssh":["x"]})",
           R"({"name":"lou","role":"look","sites":["../x"]})"}) {
    REQUIRE(
        os::real_disk().write(cat(paths.people(), "/lou.json"), text, 0600, os::root_owner(paths)));
    std::vector<Error> faults;
    CHECK(daemon::load_people(paths, &faults).size() == 1);
    CHECK(faults.size() == 1);
    CHECK_FALSE(daemon::load_person(paths, "lou"));
  }
  REQUIRE(daemon::write_authorized_keys(paths));
  const auto keys = os::real_disk().read(paths.authorized_keys(), 10'000);
  REQUIRE(keys);
  CHECK(keys->find(" gate kim\"") != std::string::npos);
  CHECK(keys->find("lou") == std::string::npos);
  CHECK(daemon::load_person(paths, "../kim").error().code == Code::invalid);
  CHECK(daemon::load_person(paths, "nobody").error().code == Code::not_found);
}

TEST_CASE("[attack-Q8] [attack-Q9] each verb has what a person needs to be for it, and the others are operators' alone") {
  using control::Role;
  const std::map<std::string_view, Role> wanted{{"ping", Role::look}, {"status", Role::look},
      {"sites", Role::look}, {"releases", Role::look}, {"jobs", Role::look}, {"job", Role::look},
      {"log_files", Role::look}, {"notices", Role::look}, {"facts", Role::look},
      {"metrics", Role::look}, {"snapshots", Role::look}, {"data_loss", Role::deploy},
      {"plan", Role::deploy}, {"deploy", Role::deploy}, {"deploy_secrets", Role::deploy},
      {"prepare", Role::deploy}, {"prepare_fetch", Role::deploy}, {"rollback", Role::deploy},
      {"restart", Role::deploy}, {"start", Role::deploy}, {"stop", Role::deploy},
      {"maintenance_off", Role::deploy}, {"drain", Role::deploy}, {"undrain", Role::deploy},
      {"drain_host", Role::admin}, {"undrain_host", Role::admin}, {"maintenance_on", Role::deploy},
      {"retry", Role::admin}, {"unlock", Role::admin}, {"lock", Role::admin}, {"hold", Role::admin},
      {"release_hold", Role::admin}, {"withdraw", Role::admin}, {"audit", Role::admin},
      {"people_add", Role::admin}, {"people_list", Role::admin}, {"people_remove", Role::admin},
      {"fleet_take", Role::admin}, {"rollout_take", Role::deploy}, {"rollout_look", Role::look},
      {"rollout_stop", Role::deploy}, {"rollout_resume", Role::deploy}};
  // These name no site, and their functions leave out what the person may not see, or are admins'.
  const std::set<std::string_view> filtering{"ping", "status", "sites", "jobs", "facts", "metrics",
      "plan", "unlock", "lock", "audit", "people_add", "people_list", "people_remove", "drain_host",
      "undrain_host", "notices", "fleet_take", "rollout_look"};
  std::map<std::string_view, Role> there;
  std::set<std::string_view> filtered;
  for (const auto verbs : {daemon::query_verbs(), daemon::job_verbs(), daemon::admin_verbs(),
           daemon::plan_verbs(), daemon::deploy_verbs(), daemon::cron_verbs(), daemon::tls_verbs(),
           daemon::people_verbs(), daemon::drain_verbs(), daemon::fleet_verbs(),
           daemon::log_verbs(), daemon::notice_verbs(), daemon::metrics_verbs()})
    for (const auto& verb : verbs)
      if (verb.people) {
        there[verb.name] = *verb.people;
        if (verb.reach == daemon::Reach::filtered)
          filtered.insert(verb.name);
      }
  CHECK(there == wanted);
  CHECK(filtered == filtering);
}

namespace {

std::string another_key(uint8_t i, uint8_t j) {
  Bytes blob = must(unbase64(k_ssh.substr(12)));
  blob[20] = i;
  blob[21] = j;
  return cat("ssh-ed25519 ", base64(blob));
}

// 2.0.0 of blog is live, and "anna" signed it.
struct PeopleHost : ServingHost {
  Fd knock() {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    op->take(Fd(pair[0]), daemon::Door::people);
    return Fd(pair[1]);
  }
  Called ask(const std::string& name, std::string_view verb, Json args = Json::object()) {
    args["person"] = name;
    const Fd fd = knock();
    Called called;
    called.result = control::call(fd.get(), verb,
        must(control::from_json<control::Arguments>(args)), nullptr, {}, os::Millis{20'000});
    return called;
  }
  // An upload of theirs that has begun.
  Fd send(const std::string& name) {
    Fd fd = knock();
    const control::Arguments args{.site = "blog",
        .version = "3.0.0",
        .sha256 = std::string(64, 'a'),
        .signature = "x",
        .person = name,
        .number = 1000};
    must(control::write_frame(fd.get(), control::request_text("deploy", args)));
    REQUIRE(eventually([&] { return !must(disk.list(paths.inbox())).empty(); }));
    return fd;
  }
  static bool is_cut(const Fd& fd) {
    pollfd one{fd.get(), POLLRDHUP, 0};
    return ::poll(&one, 1, 5'000) == 1;
  }
  std::string annas_key() const {
    const auto text = trim(laptop.public_key());
    return std::string(split(text, '\n').back());
  }
};

} // namespace

TEST_CASE("[attack-W50] retry runs no job for a person whose own verb is root's alone") {
  PeopleHost host;
  REQUIRE(daemon::save_person(host.paths, person("ada", control::Role::admin)));
  for (const auto kind : {store::JobKind::remove, store::JobKind::restore, store::JobKind::stop}) {
    auto job = host.queue(kind);
    job.state = store::JobState::failed;
    job.finished_ms = host.clock.wall_ms();
    must(host.store().finish_job(job, "failed"));
    CAPTURE(store::name(kind));
    CHECK(host.ask("ada", "retry", {{"job", job.id}}).code() ==
        (kind == store::JobKind::stop ? "ok" : "denied"));
  }
  CHECK_FALSE(host.row().live.empty());
}

TEST_CASE("what somebody loses ends what runs of it: a role, a site, or everything [fault-620]") {
  PeopleHost host;
  must(daemon::save_person(host.paths, person("kim", control::Role::deploy)));
  auto ada = person("ada", control::Role::admin);
  ada.ssh = {another_key(1, 1)};
  must(daemon::save_person(host.paths, ada));
  for (const char* less :
      {R"({"name":"kim","sites":["hello"]})", R"({"name":"kim","role":"look"})"}) {
    const Fd upload = host.send("kim");
    REQUIRE(host.call("people_add", Json::parse(less)).code() == "ok");
    CHECK(host.is_cut(upload));
    must(daemon::save_person(host.paths, person("kim", control::Role::deploy)));
    std::filesystem::remove_all(host.paths.inbox());
    std::filesystem::create_directories(host.paths.inbox());
  }
  const Fd upload = host.send("ada"); // of a laptop that was lost, say
  CHECK(host.ask("ada", "people_remove", {{"name", "ada"}}).code() == "ok");
  CHECK(host.is_cut(upload));
}

TEST_CASE("what is live stays good when its signer may less, and what was withdrawn keeps nobody in [fault-621]") {
  PeopleHost host;
  const Json anna{{"name", "anna"}, {"ssh", {k_ssh}}, {"key", host.annas_key()}};
  const auto is_good = [&] {
    const auto row = must(host.store().site(site())).value();
    return rollout::check_live(host.context(), must(host.store().release(site(), row.live)).value())
        .has_value();
  };
  REQUIRE(host.call("people_add", anna).code() == "ok");
  SECTION("other sites") {
    REQUIRE(host.call("people_add", {{"name", "anna"}, {"sites", {"hello"}}}).code() == "ok");
    CHECK(is_good());
  }
  SECTION("only looks") {
    REQUIRE(host.call("people_add", {{"name", "anna"}, {"role", "look"}}).code() == "ok");
    CHECK(is_good());
    CHECK_FALSE(host.disk.exists(host.paths.trusted() + "/anna.pub"));
  }
  SECTION("withdrawn") {
    REQUIRE(host.call("withdraw", {{"site", "blog"}, {"version", "2.0.0"}}).code() == "ok");
    const auto gone = host.call("people_remove", {{"name", "anna"}});
    REQUIRE(gone.code() == "ok");
    CHECK(gone.json()["revoked"] == Json{"blog 2.0.0"});
    CHECK_FALSE(is_good());
  }
}

TEST_CASE("[attack-W72] a roster that somebody signed is looked at again when their key goes or may less") {
  PeopleHost host;
  const Json anna{{"name", "anna"}, {"ssh", {k_ssh}}, {"key", host.annas_key()}};
  REQUIRE(host.call("people_add", anna).code() == "ok");
  const int before = host.traffics;
  SECTION("removed") {
    REQUIRE(host.call("people_remove", {{"name", "anna"}}).code() == "ok");
  }
  SECTION("removed, and something fails") {
    std::filesystem::remove_all(host.paths.ssh_home());
    host.write(host.paths.ssh_home(), "a file");
    REQUIRE(host.call("people_remove", {{"name", "anna"}}).code() != "ok");
  }
  SECTION("only looks") {
    REQUIRE(host.call("people_add", {{"name", "anna"}, {"role", "look"}}).code() == "ok");
  }
  SECTION("signs for one site") { // and so no roster
    REQUIRE(host.call("people_add", {{"name", "anna"}, {"sites", {"hello"}}}).code() == "ok");
  }
  CHECK(host.traffics > before);
}

TEST_CASE("a person sees what is open of their sites, however much there is of others [fault-1076]") {
  PeopleHost host;
  const auto raise = [&](const std::string& of, const std::string& subject) {
    must(store::Notices(host.store())
            .raise({.event = "service.gave_up",
                .site = of,
                .subject = subject,
                .text = "it ended",
                .time_ms = host.clock.wall_ms()}));
  };
  raise("blog", "web");
  for (int i = 0; i < 30; ++i)
    raise("shop", cat("web", i));
  must(daemon::save_person(host.paths, person("kim", control::Role::look, {"blog"})));
  for (const auto& answer :
      {host.ask("kim", "notices"), host.call("notices", {{"site", "blog"}})}) {
    const auto notices = answer.json()["notices"];
    REQUIRE(notices.size() == 1);
    CHECK(notices[0]["site"] == "blog");
  }
  CHECK(host.call("notices").json()["notices"].size() == 20);
}

TEST_CASE("who is removed is out whatever fails, and a key that is left is named [fault-622]") {
  PeopleHost host;
  const Json anna{{"name", "anna"}, {"ssh", {k_ssh}}, {"key", host.annas_key()}};
  REQUIRE(host.call("people_add", anna).code() == "ok");
  std::filesystem::remove_all(host.paths.ssh_home());
  host.write(host.paths.ssh_home(), "a file");
  const Fd upload = host.send("anna");
  CHECK(host.call("people_remove", {{"name", "anna"}}).code() != "ok");
  CHECK(host.is_cut(upload));
  CHECK_FALSE(host.disk.exists(host.paths.trusted() + "/anna.pub"));
  CHECK(host.ask("anna", "status").code() == "denied");
  host.write(host.paths.trusted() + "/anna.pub", host.laptop.public_key()); // of a crash, say
  CHECK(host.call("people_remove", {{"name", "anna"}})
          .message()
          .ends_with("chillboxctl trust remove anna"));
}

TEST_CASE("[attack-Q8] whose key also signs for other sites does not name these [fault-623]") {
  PeopleHost host;
  must(daemon::save_person(host.paths, person("kim", control::Role::look, {"blog"})));
  host.write(host.paths.trusted() + "/anna.pub", host.laptop.public_key() + "sites: blog,secret\n");
  const auto facts = host.ask("kim", "facts");
  REQUIRE(facts.code() == "ok");
  CHECK(facts.json()["deployers"][0]["sites"] == Json{"blog"});
}

TEST_CASE("people who are added at the same time all come in, and the trail says as what [fault-624]") {
  PeopleHost host;
  for (uint8_t round = 0; round < 15; ++round) {
    std::vector<std::jthread> admins;
    for (uint8_t i = 0; i < 4; ++i)
      admins.emplace_back([&host, i, round] {
        (void)host.call("people_add",
            {{"name", cat("p", int{i}, "-", int{round})}, {"role", "look"}, {"sites", {"blog"}},
                {"ssh", {another_key(i, round)}}});
      });
    admins.clear();
    const std::string keys = must(os::real_disk().read(host.paths.authorized_keys(), 100'000));
    CHECK(split(trim(keys), '\n').size() == 5 + 4 * size_t{round});
  }
  CHECK(must(host.store().audit_entries(1))[0].text.ends_with(" --role look --sites blog"));
}
