// The one table of each message: what it writes, what it reads, what it tolerates.
#include "catch.hpp"

#include "control/messages.hpp"

#include <nlohmann/json.hpp>

#include <set>

using namespace chillbox;
using namespace chillbox::control;

namespace {

Job sample_job() {
  Job job{.id = "0123456789abcdef",
      .kind = JobKind::secrets,
      .site = SiteName::parse("blog").value(),
      .key = "not shown"};
  job.state = JobState::waiting_unlock;
  job.created_ms = 5;
  job.code = Code::sealed;
  return job;
}

// Through JSON and back, the same JSON once more; and its text is that of the tree.
template <class T> void check_round_trip(const T& message) {
  Json json = to_json(message);
  CHECK(to_text(message) == dump(json));
  Json answer = json;
  answer["schema"] = "chillbox.a.v1";
  CHECK(answer_text("a", message) == dump(answer));
  const auto read = from_json<T>(json);
  REQUIRE(read);
  CHECK(to_json(*read) == json);
}

} // namespace

TEST_CASE("a job is written by its table: names for states, no code as \"\", nothing that has no row") {
  const Json json = to_json(JobAnswer{.job = sample_job(), .events = {}});
  CHECK(dump(json) ==
      R"({"job":{"actor":"","code":"sealed","created_ms":5,"finished_ms":0,"gap_ms":0,"id":"0123456789abcdef",)"
      R"("kind":"secrets","message":"","options":{"allow_downgrade":false,"allow_jump":false,"no_watch":false,"purge":false,)"
      R"("retry":false,"with_data":false},"previous":"","release":"","service":"","sha256":"","site":"blog","started_ms":0,"state":"waiting-unlock",)"
      R"("step":"","version":""}})");
  Job done = sample_job();
  done.code.reset();
  CHECK(to_json(JobAnswer{.job = done, .events = {}})["job"]["code"] == "");
}

TEST_CASE("what is written is read again") {
  JobAnswer job{.job = sample_job(),
      .events = std::vector<JobEvent>{{.number = 1, .step = "check", .kind = EventKind::undo}}};
  check_round_trip(job);
  ReleaseStatus release;
  release.id = "1.0.0-1";
  release.slot = Slot::b;
  release.state = ReleaseState::failed;
  release.withdrawn = true;
  check_round_trip(ReleaseList{.site = "blog", .live = "", .releases = {release}});
  SiteStatus site{.site = "blog", .state = SiteState::sealed};
  site.hold = Hold{"root", "no", 7};
  site.services.push_back({.name = "api", .lang = "python", .restarts = 3});
  site.services.push_back({.name = "redis", .lang = "redis"});
  check_round_trip(Status{.host = {.warnings = {"a", "b"}}, .sites = {site}});
  CronEntry entry{.number = 1, .line = "@daily x", .next_ms = 9, .last = std::nullopt};
  check_round_trip(CronList{.site = "blog", .entries = {entry}});
  entry.last = CronRun{.id = 4, .site = SiteName::parse("blog").value(), .code = -1};
  check_round_trip(CronList{.site = "blog", .entries = {entry}});
  check_round_trip(Plan{.site = "blog", .serial = 7});
  const Certificate certificate{.site = "blog",
      .state = CertificateState::backing_off,
      .alert = AlertLevel::error,
      .names = {"blog.example"},
      .plain = {{"www.blog.example", "no A record"}},
      .not_after_ms = 9,
      .probes = {{.name = "blog.example", .address = "192.0.2.1", .good = true, .text = "200"}}};
  check_round_trip(CertificateList{.certificates = {certificate}});
  check_round_trip(CertificateRenewal{.certificate = certificate, .staging = true});
  check_round_trip(AcmeAccount{.ca = "https://ca.example/dir", .contact = {"mailto:a@b.example"}});
}

TEST_CASE("any text in a message is written as a tree has it") {
  for (const char* text :
      {"", "plain ~", "\"quoted\"", "back\\slash", "line\nand\ttab", "\x01\x1f\x7f",
          "Gr\xc3\xbc\xc3\x9f"
          "e",
          "cut \xc3", "\xff\xfe"}) {
    const ErrorAnswer error{{.code = Code::sealed, .message = text, .data = {}}};
    CHECK(to_text(error) == dump(to_json(error)));
  }
  check_round_trip(SiteList{});
  check_round_trip(SiteList{.sites = {SiteStatus{.site = "blog", .down = "a \"page\"\n"}}});
}

TEST_CASE("an optional member is left out, or null where it always was") {
  const Json site = to_json(SiteList{.sites = {SiteStatus{.site = "blog"}}})["sites"][0];
  CHECK_FALSE(site.contains("hold"));
  CHECK_FALSE(site.contains("distrust"));
  CHECK(site["maintenance"] == false);
  CHECK(to_json(CronList{.site = "x", .entries = {CronEntry{}}})["entries"][0]["last"].is_null());
  CHECK(to_json(Arguments{}) == Json::object());
  CHECK(to_json(Arguments{.site = "", .after = 0, .wait = false}) ==
      Json{{"site", ""}, {"after", 0}, {"wait", false}});
}

TEST_CASE("a newer program may say more, an older one less") {
  const auto status = from_json<Status>(Json::parse(
      R"({"host":{"version":"9","sealed":true,"colour":"red","uptime_s":-1,"warnings":["w",5]},
          "sites":[{"site":"blog","state":"frozen","services":[{"name":"api","slot":"c","state":7}]},{}],"more":1})"));
  REQUIRE(status);
  CHECK(status->host.sealed);
  CHECK(status->host.uptime_s == 0);
  CHECK(status->host.recipient.empty());
  CHECK(status->host.warnings == std::vector<std::string>{"w", "5"});
  CHECK(status->sites.at(0).state == SiteState::unknown);
  CHECK(status->sites.at(0).services.at(0).slot == Slot::none);
  CHECK(status->sites.at(0).services.at(0).state == ServiceState::files);
  CHECK(status->sites.at(1).site.empty());
  const auto job = from_json<JobAnswer>(
      Json::parse(R"({"job":{"site":"blog","kind":"dance","state":"resting","code":"tired"}})"));
  REQUIRE(job);
  CHECK(job->job.kind == JobKind::unknown);
  CHECK_FALSE(is_open(job->job.state));
  CHECK(job->job.code == Code::failure);
}

TEST_CASE("what is no answer at all is corrupt, with the place of the fault") {
  for (const char* bad : {"", "<html>", "[]", "null", "7"})
    CHECK(read_answer<Ping>(bad).error().code == Code::corrupt);
  CHECK(read_answer<JobAnswer>("{}").error().message == "answer of chillboxd: no job in it");
  CHECK(read_answer<JobAnswer>(R"({"job":[]})").error().code == Code::corrupt);
  const auto job = read_answer<JobList>(R"({"jobs":[{"id":"1","site":"../etc"}]})");
  REQUIRE_FALSE(job);
  CHECK(job.error().message.starts_with("answer of chillboxd: jobs: site: "));
}

TEST_CASE("arguments of another type are as if they were not given") {
  const auto args =
      from_json<Arguments>(Json::parse(R"({"site":7,"wait":"no","limit":-3,"after":4,"x":1})"));
  REQUIRE(args);
  CHECK_FALSE(args->site);
  CHECK_FALSE(args->wait);
  CHECK_FALSE(args->limit);
  CHECK(args->after == 4);
}

TEST_CASE("every name of a state is read as the state that it is of") {
  const auto check = []<class E>(E) {
    for (const auto text : names_of<E>())
      CHECK(name(named<E>(text)) == text);
    CHECK(named<E>("nothing of it") == E::unknown);
    CHECK(named<E>("unknown") == E::unknown);
  };
  check(JobKind{});
  check(JobState{});
  check(EventKind{});
  check(ReleaseState{});
  check(CronState{});
  check(SiteState{});
  check(ServiceState{});
  check(CertificateState{});
  check(AlertLevel{});
  check(Change{});
}

TEST_CASE("a schema has the members of the table, and requires those that are always written") {
  Json defs = Json::object();
  std::set<std::string_view> names;
  for (const auto& answer : answers()) {
    const Json schema = answer.schema(defs);
    CHECK(schema["type"] == "object");
    CHECK(names.insert(answer.name).second);
  }
  const Json& job = defs.at("job");
  CHECK(job["properties"]["state"]["enum"].size() == 8);
  CHECK(job["properties"]["code"]["enum"][0] == "");
  CHECK(job["required"].size() == job["properties"].size());
  const Json& service = defs.at("service_status");
  CHECK(service["properties"]["restarts"]["type"] == "integer");
  CHECK(service["required"].size() == service["properties"].size() - 1);
  CHECK(defs.at("cron_entry")["properties"]["last"]["anyOf"][1]["type"] == "null");
}
