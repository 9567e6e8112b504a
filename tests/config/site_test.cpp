#include "catch.hpp"

#include "base/text.hpp"
#include "config/service.hpp"
#include "config/site.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

using namespace chillbox;
using namespace chillbox::config;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

bool has_problem(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

const fs::path k_corpus = fs::path(__FILE__).parent_path() / "corpus";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(k_corpus / folder))
    files.push_back(entry.path());
  return files;
}

// As the shipped handlers say it.
KnownKinds shipped_kinds() {
  KnownKinds kinds;
  const fs::path top = fs::path(__FILE__).parent_path() / "../../hooks/handlers";
  for (const auto& entry : fs::directory_iterator(top))
    kinds.emplace(
        entry.path().filename().string(), *parse_kind(read_file(entry.path() / "kind.json")));
  return kinds;
}

// "bad/no-name.json" to what its error must say.
std::map<std::string, std::string> expectations() {
  std::map<std::string, std::string> expected;
  const std::string text = read_file(k_corpus / "expected.txt");
  for (const auto line : split(trim(text), '\n')) {
    const auto parts = split(line, '\t');
    REQUIRE(parts.size() == 2);
    expected.emplace(parts[0], parts[1]);
  }
  return expected;
}

const SiteName k_slug = SiteName::parse("blog").value();

std::string site_problems(std::string_view json) {
  const auto site = parse_site(json, k_slug, shipped_kinds());
  return site ? "" : site.error().message;
}

// A site whose one service has these members.
std::string with_service(std::string_view members) {
  return cat(
      R"({"name":"Blog","server_name":"blog.test","services":[{"name":"web","lang":"python",)",
      members, "}]}");
}

} // namespace

TEST_CASE("every good file of the corpus is taken") {
  const auto files = files_in("good");
  CHECK(files.size() >= 20);
  for (const auto& file : files) {
    INFO(file.filename());
    CHECK(site_problems(read_file(file)) == "");
  }
}

TEST_CASE("[fault-64][fault-66][fault-67][fault-68][fault-71][fault-74][fault-282][fault-283] every bad file of the corpus is refused at the right place with the right words") {
  auto expected = expectations();
  size_t seen = 0;
  for (const std::string folder : {"bad", "beyond"})
    for (const auto& file : files_in(folder)) {
      const std::string name = folder + "/" + file.filename().string();
      INFO(name);
      REQUIRE(expected.contains(name));
      const auto site = parse_site(read_file(file), k_slug, shipped_kinds());
      REQUIRE_FALSE(site);
      CHECK(site.error().code == Code::invalid);
      CHECK(has_problem(site.error().message, expected[name]));
      CHECK(site.error().message.find('\n') == std::string::npos); // one mistake, one problem
      ++seen;
    }
  CHECK(seen == expected.size());
  CHECK(seen >= 40);
}

TEST_CASE("what a site says of its certificate arrives, and a site that says nothing gets one") {
  const auto site = parse_site(read_file(k_corpus / "good/tls.json"), k_slug).value();
  CHECK(site.tls ==
      Tls{.key_in_memory = true,
          .challenge = Tls::Challenge::dns_01,
          .dns = "rfc2136",
          .hsts_seconds = 31'536'000,
          .redirect = false,
          .profile = "shortlived"});
  CHECK(parse_site(read_file(k_corpus / "good/least.json"), k_slug).value().tls == Tls{});
  CHECK(Tls{}.mode == Tls::Mode::automatic);
  CHECK(Tls{}.redirect);
  CHECK(parse_site(read_file(k_corpus / "good/tls-edge.json"), k_slug).value().tls ==
      Tls{.mode = Tls::Mode::edge, .hsts_seconds = 0});
}

TEST_CASE("a site like the original's becomes the value that it says") {
  const auto site = parse_site(
      read_file(k_corpus / "good/like-an-original-site.json"), SiteName::parse("garden").value())
                        .value();
  CHECK(site.slug.str() == "garden");
  CHECK(site.title == "Garden");
  CHECK(site.domains == std::vector<std::string>{"garden.example.test"});
  CHECK_FALSE(site.version);
  CHECK(site.contact_technical == "ann@example.test");
  CHECK(site.env.size() == 15);
  CHECK(site.env.back().cmd == "make --silent --directory=assets inspect.HASH");
  CHECK(site.crontab.size() == 1);
  CHECK(site.redis ==
      std::map<std::string, std::string>{
          {"maxmemory", "2mb"}, {"maxmemory-policy", "allkeys-lfu"}});
  REQUIRE(site.services.size() == 4);
  const auto& api = site.services[1];
  CHECK(api.name.str() == "api");
  CHECK(api.niceness == 10);
  CHECK(api.workers == 2);
  CHECK(api.max_requests_jitter == 11);
  CHECK(api.secrets_config == "api.secrets.cfg");
  CHECK(api.environment[0].name == "PORT");
  CHECK_FALSE(api.health.declared);
  CHECK(site.services[2].handler == "pages-source");
  const auto& worker = site.services[3]; // workers come after the services
  CHECK(worker.worker);
  CHECK(worker.run_cmd == std::vector<std::string>{"arq", "main.WorkerSettings"});
  CHECK(worker.count == 1);
}

TEST_CASE("every field of a service arrives with its unit") {
  const auto site =
      parse_site(read_file(k_corpus / "good/every-service-field.json"), k_slug).value();
  const auto& s = site.services.at(0);
  CHECK(s.health.declared);
  CHECK(s.health.path == "/up?full=1");
  CHECK(s.stop_timeout == 90s);
  CHECK(s.health.interval == 500ms);
  CHECK(s.health.timeout == 2s);
  CHECK(s.health.deadline == 2min);
  CHECK(s.health.count == 3);
  CHECK(s.strategy == Strategy::stop_first);
  CHECK(s.listen == "fd");
  CHECK(s.release_command ==
      std::vector<std::string>{"flask", "db", "upgrade", "", "${CHILLBOX_DATA_DIR}/x", "$$HOME"});
  CHECK(s.args == std::vector<std::string>{"--timeout", "90", "--access-logfile", "-"});
  CHECK(s.secrets_env == "web.env");
  CHECK(s.threads == 4);
  CHECK(s.preload);
  CHECK(s.resources.memory_max == 256ULL << 20);
  CHECK(s.resources.cpu_max == 150);
  CHECK(s.resources.cpus == "0-3,5");
  CHECK(s.resources.tasks_max == 64);
  CHECK(s.workers_minimum == 1);
  CHECK(s.workers_maximum == 4);
  CHECK(s.worker_class == "gevent");
  CHECK(s.log_level == "info");
  CHECK(s.app == "blog_web.app:create_app()");
  CHECK(s.manifest == "MANIFEST");
  const auto other =
      parse_site(read_file(k_corpus / "good/numbers-for-units.json"), k_slug).value();
  CHECK(other.watch == 0ms);
  CHECK(other.services[0].health.interval == 250ms);
  CHECK(other.services[0].resources.memory_max == 256ULL << 20);
}

TEST_CASE("what a site leaves out has its default") {
  const auto site = parse_site(with_service(R"("app":"x:y")"), k_slug).value();
  CHECK_FALSE(site.has_redis);
  CHECK_FALSE(site.watch);
  CHECK_FALSE(site.keep_releases);
  CHECK_FALSE(site.confidential);
  const auto& s = site.services[0];
  CHECK(s.handler == "web");
  CHECK(s.strategy == Strategy::overlap);
  CHECK(s.health.deadline == 60s);
  CHECK_FALSE(s.niceness);
  CHECK_FALSE(s.secrets_config);
  CHECK(s.release_command.empty());
  CHECK(parse_site(R"({"name":"B","server_name":"b.test","redis":{},"store":"tmpfs"})", k_slug)
          .value()
          .has_redis);
  CHECK(parse_site(R"({"name":"B","server_name":"b.test","redis":{},"store":"tmpfs"})", k_slug)
          .value()
          .confidential);
}

TEST_CASE("all problems are told at once, one a line, in the order of the tables") {
  const auto text = site_problems(
      R"({"server_name":"A","env":[{"name":"A B","value":"x"},{"name":"PATH","value":5}],"servics":[],
    "services":[{"name":"web","lang":"pyton","workers":0},7]})");
  CHECK(split(text, '\n').size() == 9);
  CHECK(text.starts_with("$.name: is missing\n$.servics: unknown field"));
  CHECK(has_problem(text, "\n$.services[0].lang: found 'pyton'"));
  CHECK(has_problem(text, "\n$.services[0].workers: found 0"));
  CHECK(has_problem(text, "\n$.services[1]: found 7, must be an object"));
}

TEST_CASE("a service that is at a path is checked there, unless its health says where") {
  const auto path = [](std::string_view more) {
    return parse_site(
        cat(R"({"name":"B","server_name":"b.test","services":[{"name":"web","lang":"python")", more,
            "}]}"),
        k_slug)
        .value()
        .services[0]
        .health.path;
  };
  CHECK(path("") == "/");
  CHECK(path(R"(,"at":"/blog/")") == "/blog/");
  CHECK(path(R"(,"at":"/blog/","health":{"deadline":"9s"})") == "/blog/");
  CHECK(path(R"(,"at":"/blog/","health":{"path":"/up"})") == "/up");
}

TEST_CASE("kinds are known by their folders: any name of one is taken where none are known, an administrator's everywhere") {
  const auto site = [](std::string_view lang) {
    return cat(R"({"name":"B","server_name":"b.test","services":[{"name":"web","lang":")", lang,
        R"("}]})");
  };
  for (const char* name : {"python", "x-go", "cobol", "a"})
    CHECK(parse_site(site(name), k_slug));
  CHECK(site_problems(site("x-go")) == "");
  CHECK(has_problem(site_problems(site("cobol")), "found 'cobol', must be one of binary, chill"));
  for (const char* bad : {"", "-", "x-", "Python", "../python", "python/..", "1st", "a_b"})
    CHECK_FALSE(parse_site(site(bad), k_slug));
  CHECK_FALSE(parse_site(site(std::string(33, 'a')), k_slug));
  const KnownKinds roles{
      {"both", Kind{.role = Kind::Role::either}}, {"job", Kind{.role = Kind::Role::worker}}};
  const auto said = parse_site(
      R"({"name":"B","server_name":"b.test","services":[{"name":"a","lang":"both"},{"name":"b","lang":"job"}],
"workers":[{"name":"c","lang":"both","run-cmd":"x"},{"name":"d","lang":"jub","run-cmd":"x"}]})",
      k_slug, roles)
                        .error()
                        .message;
  CHECK(said ==
      "$.services[1].lang: found 'job', must be one of both, or x-NAME for a handler of the host's administrator\n"
      "$.workers[1].lang: found 'jub', must be one of both, job, or x-NAME for a handler of the host's administrator; did you mean 'job'?");
}

TEST_CASE("[fault-1205] a field that does nothing for the kind of its service is told, and no problem") {
  const auto told = [&](std::string_view lang, std::string_view members) {
    const auto kinds = shipped_kinds();
    const auto site =
        cat(R"({"name":"B","server_name":"b.test","services":[{"name":"web","lang":")", lang, "\",",
            members, "}]}");
    return join(site_warnings(parse_site(site, k_slug, kinds).value(), kinds), "\n");
  };
  CHECK(
      told("binary", R"("threads":4)") == "service 'web': threads does nothing for lang 'binary'");
  CHECK(told("static", R"("app":"a.b:c","body_max":"2M","health":{"deadline":"9s"})") ==
      "service 'web': app, body_max, health do nothing for lang 'static'");
  CHECK(told("immutable", R"("at":"/x/")").contains(": at does"));
  CHECK(told("python", R"("fallback":"index.html")").contains(": fallback does"));
  CHECK(told("chill", R"("workers":2,"worker_class":"gevent","log_level":"info")") ==
      "service 'web': log_level, worker_class do nothing for lang 'chill'");
  CHECK(told("node", R"("listen":"fd","app":"main.js","body_max":"2M")").empty());
  CHECK(told("static", R"("at":"/x/","not_found":"a.html")").empty());
  CHECK(told("python", R"("workers":2,"max_requests":5)").empty());
  CHECK(told("x-go", R"("threads":4,"workers":2,"fallback":"index.html")").empty());
  CHECK_FALSE(parse_kind(R"({"fields":["niceness"]})"));
}

TEST_CASE("[fault-1207] no service has the name of the crontab's log, nor one of chillbox's folders in other letters") {
  const auto site = [](std::string_view name) {
    return cat(R"({"name":"B","server_name":"b.test","services":[{"name":")", name,
        R"(","lang":"python"}]})");
  };
  CHECK(site_problems(site("cron")) ==
      "$.services[0].name: 'cron' is the name of the crontab's log: choose another name");
  for (const char* name : {"NGINX", "Redis", "IMMUTABLE"})
    CHECK(has_problem(site_problems(site(name)), "but for case, a folder of the artifact"));
  for (const char* name : {"crontab", "run", "job", "app"})
    CHECK(site_problems(site(name)) == "");
  for (const char* name : {"cron", "NGINX"}) // as one may be live
    CHECK(parse_site(site(name), k_slug));
}

TEST_CASE("[fault-1272] a service that has its secrets where the site's certificate is gets a warning") {
  const auto warned = [](std::string_view name, std::string_view mode) {
    const auto site = cat(R"({"name":"B","server_name":"b.test","tls":{"mode":")", mode,
        R"("},"services":[{"name":")", name, R"(","lang":"python","secrets_config":"a.cfg"}]})");
    return join(site_warnings(parse_site(site, k_slug).value(), {}), "\n");
  };
  CHECK(warned("tls", "provided") ==
      "service 'tls': its folder of the secret set, tls/, is also that of the site's certificate: "
      "choose another name");
  CHECK(warned("tls", "auto").empty());
  CHECK(warned("tlsx", "provided").empty());
}

TEST_CASE("[fault-1291] a command that was written for a shell gets a warning, one that brings its own does not") {
  const auto warned = [](std::string_view field, std::string_view command) {
    const auto site =
        cat(R"({"name":"B","server_name":"b.test","services":[{"name":"web","lang":"x-go",)", "\"",
            field, "\":", command, "}]}");
    return join(site_warnings(parse_site(site, k_slug).value(), {}), "\n");
  };
  CHECK(warned("run-cmd", R"("cd src && arq main.WorkerSettings")") ==
      "service 'web': run-cmd has 'cd', which only a shell understands, and none runs it: "
      R"(write ["sh", "-c", "..."])");
  CHECK(warned("run-cmd", R"("PORT=80 ./serve")").contains("run-cmd has 'PORT=80'"));
  CHECK(warned("release_command", R"("flask db upgrade && flask seed")")
          .contains("release_command has '&&'"));
  CHECK(warned("args", R"("--quiet 2>&1")").contains("args has '2>&1'"));
  CHECK(warned("args", R"("a=b")").empty());
  CHECK(warned("run-cmd", R"(["awk", "-F", "|", "{print $1}"])").empty());
  CHECK(warned("release_command", R"("find . -exec touch {} ;")").empty());
  CHECK(warned("run-cmd", R"("./serve --listen=:$PORT a=b")").empty());
  CHECK(warned("run-cmd", R"(["sh", "-c", "cd src && exec ./serve > log"])").empty());
}

TEST_CASE("a file with thousands of problems is told by its first hundred") {
  std::string env;
  for (int i = 0; i < 500; ++i)
    env += cat(i ? "," : "", R"({"name":"A B","value":""})");
  const auto text = site_problems(cat(R"({"name":"B","server_name":"b.test","env":[)", env, "]}"));
  CHECK(split(text, '\n').size() == 101);
  CHECK(text.ends_with("\nand 400 more"));
}

TEST_CASE("what a stranger wrote is shown without its control characters") {
  const auto text =
      site_problems(R"({"name":"B","server_name":"\u001b[31m\u0000","k\u001b\"]":1})");
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\0') == std::string::npos);
  CHECK(has_problem(text, R"($["k\x1b"]"]: unknown field)"));
}

TEST_CASE("[fault-74] a site file beyond 256 KiB is refused before it is parsed") {
  std::string text = R"({"name":"B","server_name":"b.test"})";
  text.resize(k_max_site_json, ' ');
  CHECK(site_problems(text) == "");
  text += ' ';
  CHECK(parse_site(text, k_slug).error().code == Code::too_large);
}

TEST_CASE("[fault-65] values stay what they are, whatever a shell would make of them") {
  const auto site =
      parse_site(read_file(k_corpus / "good/env-value-literals.json"), k_slug).value();
  CHECK(site.env[0].value == "$(id) `id` 'q' \"q\" \\ ; # | & $5 $$HOME");
  CHECK(site.env[1].value == "two\nlines\tand a tab");
}

TEST_CASE("a list of one thousand variables is the longest") {
  auto list = [](int n) {
    std::string env;
    for (int i = 0; i < n; ++i)
      env += cat(i ? "," : "", R"({"name":"A)", i, R"(","value":"$SLUGNAME"})");
    return cat(R"({"name":"B","server_name":"b.test","env":[)", env, "]}");
  };
  CHECK(site_problems(list(1000)) == "");
  CHECK(site_problems(list(1001)) == "$.env: holds 1001 entries, the limit is 1000");
}

TEST_CASE("the host asks that packing has put a value in place of every cmd") {
  auto site = parse_site(read_file(k_corpus / "good/env-cmd.json"), k_slug).value();
  CHECK(require_resolved(site).error().message ==
      "$.env: 'HASH' has a cmd but no value: pack the site with chillboxctl pack, which runs it\n"
      "$.env: 'REV' has a cmd but no value: pack the site with chillboxctl pack, which runs it");
  site.env[0].value = "810c";
  site.env[1].value = "1f2e";
  CHECK(require_resolved(site));
}

TEST_CASE("server_name comes first in the domains, and once") {
  const auto site = parse_site(read_file(k_corpus / "good/domains.json"), k_slug).value();
  CHECK(site.domains ==
      std::vector<std::string>{"blog.example.test", "www.blog.example.test", "b2.example"});
}

TEST_CASE("a command line is split into words and nothing of it is expanded") {
  using W = std::vector<std::string>;
  CHECK(split_argv("arq main.Settings").value() == W{"arq", "main.Settings"});
  CHECK(split_argv("  a\tb\n'c d' \"e \\\" f\" g\\ h '' ").value() ==
      W{"a", "b", "c d", "e \" f", "g h", ""});
  CHECK(split_argv("a'b'\"c\"d").value() == W{"abcd"});
  CHECK(split_argv("echo $(id) `id` $X *.c > f; x").value() ==
      W{"echo", "$(id)", "`id`", "$X", "*.c", ">", "f;", "x"});
  CHECK(split_argv("'\\n' \"\\n\" \"\\$x\"").value() == W{"\\n", "\\n", "\\$x"});
  CHECK(split_argv("").value().empty());
  for (const char* bad : {"'a", "\"a", "\"a\\\"", "a\\", "'a\"'\""})
    CHECK_FALSE(split_argv(bad));
}
