// Who may what by the people's socket.
#include "daemon/people.hpp"

#include "catch.hpp"

#include "base/text.hpp"
#include "control_host.hpp"
#include "os/host_layout.hpp"

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
      {"logs", Role::look}, {"facts", Role::look}, {"plan", Role::deploy}, {"deploy", Role::deploy},
      {"deploy_secrets", Role::deploy}, {"rollback", Role::deploy}, {"restart", Role::deploy},
      {"start", Role::deploy}, {"stop", Role::deploy}, {"maintenance_off", Role::deploy},
      {"maintenance_on", Role::admin}, {"retry", Role::admin}, {"unlock", Role::admin},
      {"lock", Role::admin}, {"hold", Role::admin}, {"release_hold", Role::admin},
      {"withdraw", Role::admin}, {"audit", Role::admin}, {"people_add", Role::admin},
      {"people_list", Role::admin}, {"people_remove", Role::admin}};
  std::map<std::string_view, Role> there;
  for (const auto verbs : {daemon::query_verbs(), daemon::job_verbs(), daemon::admin_verbs(),
           daemon::plan_verbs(), daemon::deploy_verbs(), daemon::cron_verbs(), daemon::tls_verbs(),
           daemon::people_verbs()})
    for (const auto& verb : verbs)
      if (verb.people)
        there[verb.name] = *verb.people;
  CHECK(there == wanted);
}
