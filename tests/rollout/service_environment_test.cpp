// One rule for finding programs, and one set of variables, for whatever runs of a service.
#include "rollout/service_environment.hpp"

#include "config/references.hpp"
#include "rollout/host.hpp"
#include "rollout/site_command.hpp"

#include <algorithm>
#include <fstream>

using namespace chillbox;
using namespace chillbox::rollout;
using namespace chillbox::test;

namespace {

constexpr std::string_view k_site = R"({"name":"B","server_name":"b.test",
"env":[{"name":"DB","value":"db of $SLUGNAME"}],
"services":[{"name":"web","lang":"python","secrets_config":"web.cfg",
  "environment":[{"name":"DATA","value":"$CHILLBOX_DATA_DIR/x"},{"name":"CFG","value":"$SECRETS_CONFIG"},
    {"name":"LANG","value":"de_DE.UTF-8"}],
  "release_command":["flask","$DB","$$HOME","${DATA}"]},
 {"name":"tcp","lang":"x-port","environment":[{"name":"MY_PORT","value":"$HOST:$PORT"}]}],
"workers":[{"name":"jobs","of":"web","run-cmd":"rq --name w$CHILLBOX_WORKER","count":2,
  "environment":[{"name":"ONLY","value":"$DATA"}]}]})";

struct Place {
  Place() {
    host.handler("python", R"({"listens":"unix","build":true,"built_programs":["venv/bin"],
      "programs":["node_modules/.bin"],
      "environment":["PYTHONUNBUFFERED=1","LANG=C"]})");
    for (const auto& service : site.services)
      planned.push_back({service, must(find_kind(context(), site, service))});
  }
  HostContext& context() { return host.daemon->context; }
  ServiceContext of(size_t index) {
    return {&site, &planned[index].service, "1.0.0", release, Slot::a, planned[index].port, {}, {},
        &planned[index].kind};
  }
  void program(const std::string& path) {
    file(path);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  void file(const std::string& path) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << "#!/bin/sh\n";
  }
  std::string variable(const ServiceContext& place, std::string_view name) {
    const auto environment = must(service_environment(context(), place));
    const auto found = std::ranges::find(environment, name, [](const auto& v) { return v.first; });
    return found == environment.end() ? "(none)" : found->second;
  }

  Host host;
  std::string release = host.paths.root + "/release";
  config::Site site = must(config::parse_site(k_site, test::site()));
  std::vector<PlannedService> planned;
};

} // namespace

TEST_CASE("a kind has variables of its own, which a service may set to something else") {
  Place place;
  CHECK(place.variable(place.of(0), "PYTHONUNBUFFERED") == "1");
  CHECK(place.variable(place.of(0), "LANG") == "de_DE.UTF-8");
}

TEST_CASE("a program is looked up in the folders of the kind, then in the service's, then on the host, and PATH says the same") {
  Place place;
  const auto at = [&](const std::string& word) {
    return must(program_argv(place.context(), place.of(0), {word}))[0];
  };
  CHECK(at("sh") == "/usr/bin/sh");
  place.program(place.release + "/web/sh");
  CHECK(at("sh") == place.release + "/web/sh");
  place.program(place.release + "/web/node_modules/.bin/sh");
  CHECK(at("sh") == place.release + "/web/node_modules/.bin/sh");
  place.program(place.release + "/.chillbox/web/venv/bin/sh");
  CHECK(at("sh") == place.release + "/.chillbox/web/venv/bin/sh");
  CHECK(at("./bin/x") == place.release + "/web/./bin/x");
  CHECK(at("/bin/x") == "/bin/x");
  CHECK(place.variable(place.of(0), "PATH") ==
      cat(place.release, "/.chillbox/web/venv/bin:", place.release, "/web/node_modules/.bin:",
          place.release, "/web:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"));
}

TEST_CASE("a program that is nowhere, a folder or a file that may not be executed is told with every place [fault-280]") {
  Place place;
  place.file(place.release + "/web/flask");
  std::filesystem::create_directories(place.release + "/.chillbox/web/venv/bin/flask");
  const auto found = program_argv(place.context(), place.of(0), {"flask", "db"});
  REQUIRE_FALSE(found);
  CHECK(found.error().code == Code::not_found);
  CHECK(found.error().message.starts_with(
      cat("no program 'flask' in ", place.release, "/.chillbox/web/venv/bin, ")));
}

TEST_CASE("[fault-281] every variable of the table has a value, where the table says so, and can be used in a value") {
  Place place;
  for (size_t i = 0; i < place.planned.size(); ++i)
    for (const auto& variable : config::k_agent_variables) {
      INFO(i << " " << variable.name);
      const bool has =
          config::has_variable(variable, place.planned[i].service, place.planned[i].kind.listens);
      CHECK(has ==
          config::expand(cat("$", variable.name), run_variables(place.context(), place.of(i)))
              .has_value());
    }
  CHECK(place.variable(place.of(0), "DATA") == place.context().paths.data(site()) + "/web/x");
  CHECK(place.variable(place.of(0), "CFG").ends_with("/secrets/blog/web/web.cfg"));
  CHECK(place.variable(place.of(0), "LANG") == "de_DE.UTF-8"); // the site's own goes first
  CHECK(place.variable(place.of(0), "CHILLBOX_SERVICE") == "web");
  place.planned[1].port = 20'001;
  CHECK(place.variable(place.of(1), "MY_PORT") == "127.0.0.1:20001");
  place.planned[1].port = 0; // a build, a release_command: it does not listen yet
  CHECK(place.variable(place.of(1), "MY_PORT") == "127.0.0.1:0");
}

TEST_CASE("release_command, run-cmd and crontab are expanded by the same rule; what comes out stays one word") {
  Place place;
  place.program(place.release + "/.chillbox/web/venv/bin/flask");
  const auto argv =
      must(program_argv(place.context(), place.of(0), place.planned[0].service.release_command));
  CHECK(argv ==
      std::vector<std::string>{place.release + "/.chillbox/web/venv/bin/flask", "db of blog",
          "$HOME", place.context().paths.data(site()) + "/web/x"});
  CHECK(must(crontab_text(
            place.context(), "* * * * * flask \"$DB\" $$HOME $CHILLBOX_DATA_DIR", place.of(0))) ==
      cat("flask \"db of blog\" $HOME ", place.context().paths.data(site()), "/web"));
}

TEST_CASE("a worker of a service has its folder, programs, environment, secrets and data, and variables of its own") {
  Place place;
  place.program(place.release + "/.chillbox/web/venv/bin/rq");
  auto worker = place.of(2);
  worker.index = 2;
  CHECK(must(command(place.context(), place.planned[2].kind, worker)) ==
      std::vector<std::string>{place.release + "/.chillbox/web/venv/bin/rq", "--name", "w2"});
  CHECK(place.variable(worker, "CHILLBOX_SERVICE") == "jobs");
  CHECK(place.variable(worker, "CHILLBOX_SERVICE_DIR") == place.release + "/web");
  CHECK(place.variable(worker, "CFG").ends_with("/secrets/blog/web/web.cfg"));
  CHECK(place.variable(worker, "ONLY") == place.context().paths.data(site()) + "/web/x");
  CHECK(place.variable(worker, "CHILLBOX_WORKER") == "2");
  CHECK(place.planned[2].kind.listens == ServiceKind::Listens::no);
  CHECK_FALSE(place.planned[2].kind.builds);
  CHECK(services_of(place.site, {"web/web.cfg"}) == std::vector<std::string>{"web", "jobs"});
}
