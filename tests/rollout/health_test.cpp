// What a service answers, when its health check is content, and when it is not.
#include "rollout/host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

Order with_path(const std::string& version, const std::string& deadline = "60m") {
  return {.version = version,
      .services = cat(R"([{"name":"app","lang":"python","health":{"path":"/up","deadline":")",
          deadline, R"(","interval":"50ms"}}])")};
}

} // namespace

TEST_CASE("a service that says the same wrong thing for ten seconds is given up before its deadline [fault-220]") {
  const int status = GENERATE(400, 404, 500);
  LiveHost host;
  host.runner.app("2.0.0").status = status;
  const auto job = host.deploy(with_path("2.0.0"));
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(job.message.find(cat("GET /up answered ", status, ": the same for 10 s")) !=
      std::string::npos);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("one that says 'not yet' is waited for until its deadline [fault-220]") {
  const int status = GENERATE(429, 502, 503, 504);
  LiveHost host;
  host.runner.app("2.0.0").status = status;
  const auto job = host.deploy(with_path("2.0.0", "12s"));
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(job.message.find("(health.deadline)") != std::string::npos);
}

TEST_CASE("a page that nobody can use is live with a warning in the job and in the history [fault-221]") {
  LiveHost host;
  host.runner.app("2.0.0").status = 400; // as of a framework that does not know the host name
  const auto job = host.deploy("2.0.0");
  CHECK(job.state == JobState::done);
  CHECK(host.told(job.id, "check info service 'app': GET / answered 400"));
  CHECK(job.message.ends_with("; warning: service 'app': visitors get 400 at /"));
  CHECK(host.live().message == "warning: service 'app': visitors get 400 at /");
  CHECK(host.live().state == store::ReleaseState::good);
}

TEST_CASE("a health check of its own says enough, unless the page itself fails [fault-221]") {
  LiveHost host;
  host.runner.app("2.0.0").page = 404; // an API has no page at "/"
  auto job = host.deploy(with_path("2.0.0"));
  CHECK(job.message.find("warning") == std::string::npos);
  CHECK(host.told(job.id, "GET / answered 404"));
  host.runner.app("3.0.0").page = 500;
  job = host.deploy(with_path("3.0.0"));
  CHECK(job.message.ends_with("; warning: service 'app': visitors get 500 at /"));
}

TEST_CASE("a redirect to where the site is not served is a warning [fault-222]") {
  const auto [location, part] = GENERATE(
      std::pair<std::string, std::string>{"https://blog.example/", "nginx.trusted_proxies has TLS"},
      std::pair<std::string, std::string>{"//Elsewhere.example:80/x", "to another host"},
      std::pair<std::string, std::string>{"http://blog.example:80/login", ""},
      std::pair<std::string, std::string>{"/login?next=http://elsewhere.example/", ""});
  LiveHost host;
  host.runner.app("2.0.0").status = 301;
  host.runner.app("2.0.0").location = location;
  const auto job = host.deploy(GENERATE(Order{.version = "2.0.0"}, with_path("2.0.0")));
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK((job.message.find("warning") != std::string::npos) == !part.empty());
  CHECK(job.message.find(part) != std::string::npos);
}

TEST_CASE("with a proxy before the host that has TLS a redirect to https is right [fault-222]") {
  Host host;
  host.config.trusted_proxies = {"192.0.2.1"};
  host.restart();
  host.unlock();
  host.runner.app("1.0.0").status = 301;
  host.runner.app("1.0.0").location = "https://blog.example/";
  const auto job = host.deploy("1.0.0");
  CHECK(job.message.find("warning") == std::string::npos);
}
