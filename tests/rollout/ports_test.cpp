// What kind.json says of a service when its variables decide, and the site's variables that follow
// the port of a slot.
#include "rollout/host.hpp"
#include "rollout/ports.hpp"

using namespace chillbox;
using namespace chillbox::test;
using rollout::ServiceKind;
using store::JobState;

namespace {

config::Site read(std::string_view env, std::string_view services) {
  return must(
      config::parse_site(cat(R"({"name":"B","server_name":"b.example","version":"1.0.0","env":[)",
                             env, R"(],"services":[)", services, "]}"),
          site("blog")));
}

rollout::LoadedRelease plan(
    const config::Site& s, ServiceKind::Listens listens = ServiceKind::Listens::on_socket) {
  rollout::LoadedRelease out(store::Release{{}, s.slug});
  out.site = s;
  uint16_t port = 20'000;
  for (const auto& service : s.services) {
    ServiceKind kind;
    kind.listens = listens;
    out.services.push_back({service, std::move(kind)});
    out.services.back().port = port++;
  }
  return out;
}

} // namespace

TEST_CASE("[fault-1103] when every port is another site's, a deploy is refused, and shares none") {
  Host host;
  host.unlock();
  for (int from = 20'000; from < 30'000; from += 1'000) {
    Json ports; // all but the last one, and each service needs two
    for (int port = from; port < std::min(from + 1'000, 29'999); ++port)
      ports[cat("s", port, ".a")] = port;
    must(host.store().set_ports(site(cat("shop", from)), ports.dump()));
  }
  const auto job = host.deploy(
      Order{.services = R"([{"name":"app","lang":"x-port","health":{"deadline":"2s"}}])"});
  INFO(job.message);
  CHECK(job.code == Code::preflight);
  CHECK(job.message.find("no port from 20000 to 29999 is free") != std::string::npos);
}

TEST_CASE("a variable of the service chooses what its kind is, also through other variables") {
  Host host;
  host.handler("chill",
      R"({"listens":"tcp","build":true,"when":[{"variable":"freeze","value":"true","listens":"no","built":["frozen"]}]})");
  const auto s = read(R"({"name":"STILL","value":"true"})",
      R"({"name":"a","lang":"chill","environment":[{"name":"freeze","value":"$STILL"}]},
                         {"name":"b","lang":"chill","environment":[{"name":"freeze","value":"false"}]},{"name":"c","lang":"chill"})");
  const auto frozen = must(rollout::find_kind(host.context(), s, s.services[0]));
  CHECK(frozen.listens == ServiceKind::Listens::no);
  CHECK(frozen.builds);
  CHECK(frozen.built == std::vector<std::string>{"frozen"});
  for (const size_t i : {1U, 2U}) {
    const auto served = must(rollout::find_kind(host.context(), s, s.services[i]));
    CHECK(served.listens == ServiceKind::Listens::on_port);
    CHECK(served.built.empty());
  }
}

TEST_CASE("a kind.json with members or values that it cannot have is refused, each by its place, and never throws") {
  Host host;
  const auto s = read("", R"({"name":"a","lang":"chill"})");
  const std::string path = host.paths.shipped_hooks() + "/handlers/chill/kind.json";
  const auto problem = [&](const std::string& text) {
    host.handler("chill", text);
    return rollout::find_kind(host.context(), s, s.services[0]).error().message;
  };
  CHECK(problem(
            R"({"listens":7,"build":"yes","when":[3,{"variable":"a","value":"b","publik":[]}]})") ==
      cat(path, R"(: $.listens: found 7, must be one of no, unix, tcp
$.build: found 'yes', must be true or false
$.when[0]: found 3, must be an object
$.when[1].publik: unknown field, allowed are variable, value, listens, build, public, built, programs, built_programs, environment, needs, front; did you mean 'public'?)"));
  CHECK(problem("[]") == path + ": $: found an array, must be an object");
  CHECK(problem(R"({"when":{}})") == path + ": $.when: found an object, must be an array");
  host.handler("chill", std::string(16 * 1024 + 1, ' '));
  CHECK(rollout::find_kind(host.context(), s, s.services[0]).error().code == Code::too_large);
}

TEST_CASE("a kind that says so is for services or for workers only; one that says nothing is for both") {
  Host host;
  host.handler("x-w", R"({"role":"worker"})");
  host.handler("x-s", R"({"role":"service"})");
  const auto s = must(config::parse_site(
      R"({"name":"B","server_name":"blog.example","services":[{"name":"a","lang":"x-w"},{"name":"b","lang":"x-s"},{"name":"c","lang":"x-port"}],
"workers":[{"name":"d","lang":"x-w","run-cmd":"x"},{"name":"e","lang":"x-s","run-cmd":"x"},{"name":"f","lang":"x-port","run-cmd":"x"}]})",
      site()));
  std::vector<std::string> refused;
  for (const auto& service : s.services)
    if (const auto kind = rollout::find_kind(host.context(), s, service); !kind)
      refused.push_back(cat(service.name.str(), ": ", kind.error().message));
  CHECK(refused ==
      std::vector<std::string>{
          "a: lang 'x-w' is for `workers` in the site file, not for `services`",
          "e: lang 'x-s' is for `services` in the site file, not for `workers`"});
}

TEST_CASE("site variables that a service's own PORT or CHILL_PORT refers to are given the port of its slot, through other names too") {
  const auto s = read(
      R"({"name":"API_PORT","value":"${FIRST}"},{"name":"FIRST","value":"38013"},{"name":"LIVE_PORT","value":"38014"},{"name":"URL","value":"x:$LIVE_PORT"})",
      R"({"name":"api","lang":"python","environment":[{"name":"PORT","value":"$API_PORT"}]},
                         {"name":"live","lang":"python","environment":[{"name":"CHILL_PORT","value":"${LIVE_PORT}"},{"name":"OTHER","value":"$URL"}]},
                         {"name":"plain","lang":"python"},
                         {"name":"fixed","lang":"python","environment":[{"name":"PORT","value":"38015"}]})");
  const auto ports = must(rollout::port_variables(plan(s)));
  CHECK(ports ==
      rollout::PortVariables{{"API_PORT", 20'000}, {"FIRST", 20'000}, {"LIVE_PORT", 20'001}});
  for (const auto& [variable, port] :
      must(rollout::port_variables(plan(s, ServiceKind::Listens::no)))) // where nobody is
    CHECK(port == 1);
}

TEST_CASE("names that go in a circle do not end in one, and what is more than a name stays as it is") {
  const auto s = read(R"({"name":"A_PORT","value":"38"})",
      R"({"name":"api","lang":"python","environment":[{"name":"PORT","value":"${A_PORT}01"}]})");
  CHECK(must(rollout::port_variables(plan(s))).empty());
  auto circle = s;
  circle.env = {{"X", "$Y", ""}, {"Y", "$X", ""}};
  circle.services[0].environment = {{"PORT", "$X", ""}};
  CHECK(must(rollout::port_variables(plan(circle))).size() == 2);
}

TEST_CASE("two services with one variable for their port are refused before anything is changed") {
  Host host;
  host.unlock();
  const auto job = host.deploy(Order{
      .services = R"([{"name":"app","lang":"python","environment":[{"name":"PORT","value":"$P"}]},
                                                     {"name":"two","lang":"python","environment":[{"name":"PORT","value":"$P"}]}])",
      .members = R"("env":[{"name":"P","value":"38013"}],)",
      .files = {{"app/app.py", ""}, {"two/app.py", ""}}});
  CHECK(job.code == Code::preflight);
  CHECK(job.message.find("variable 'P' is the port of service 'app' and of service 'two'") !=
      std::string::npos);
}

TEST_CASE("a template follows the port from slot to slot, and the service gets the same one under each of its names") {
  Host host;
  host.unlock();
  Order order{
      .services =
          R"([{"name":"app","lang":"python","environment":[{"name":"PORT","value":"$API_PORT"},{"name":"SELF","value":"http://$API_HOST:$API_PORT/"}]}])",
      .members =
          R"("env":[{"name":"API_HOST","value":"localhost"},{"name":"API_PORT","value":"38013"}],)"};
  order.files["nginx/templates/blog.nginx.conf.template"] =
      "server { location / { proxy_pass http://${API_HOST}:$API_PORT; } }\n";
  const auto job = host.deploy(order);
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.nginx_text().find("proxy_pass http://localhost:20000;") != std::string::npos);
  const auto slot = [&](const char* name) {
    return must(openrc::parse_spec(
        host.text(cat(host.paths.slots(), "/chillbox.blog.app.", name, ".json"))));
  };
  const auto of = [&](const openrc::SlotSpec& spec, std::string_view name) {
    for (const auto& [key, value] : spec.env)
      if (key == name)
        return value;
    return std::string("none");
  };
  for (const char* name : {"PORT", "API_PORT", "CHILLBOX_PORT"})
    CHECK(of(slot("a"), name) == "20000");
  CHECK(of(slot("a"), "SELF") == "http://localhost:20000/");
  order.version = "2.0.0";
  REQUIRE(host.deploy(order).state == JobState::done);
  CHECK(host.nginx_text().find("proxy_pass http://localhost:20001;") != std::string::npos);
  CHECK(of(slot("b"), "PORT") == "20001");
  REQUIRE(host.rollback("1.0.0").state == JobState::done);
  CHECK(host.nginx_text().find("proxy_pass http://localhost:20000;") != std::string::npos);
}
