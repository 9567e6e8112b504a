// Answers of the daemon and the edge, and what is made of them.
#include "catch.hpp"

#include "base/text.hpp"
#include "cli/core/json_fields.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/reply.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

std::string accepted(std::string_view artifact) {
  return cat(
      R"({"job":"0123456789abcdef","links":{"status":"/v1/jobs/1?cap=x","events":"/v1/jobs/1/events?cap=x","artifact":")",
      artifact, R"(","signature":"/v1/artifacts/aa.minisig?cap=x"}})");
}

} // namespace

TEST_CASE("the answer to a delivery leads only to paths on the same host") {
  const auto good = parse_accepted(accepted("/v1/artifacts/aa?cap=x"));
  REQUIRE(good);
  CHECK(good->job == "0123456789abcdef");
  CHECK(good->artifact == "/v1/artifacts/aa?cap=x");
  for (const char* bad : {"https://elsewhere/x", "//elsewhere/x", "v1/x", "", "@elsewhere/x",
           "/a b", "/a\\u000d\\u000ahost: x"})
    CHECK(parse_accepted(accepted(bad)).error().code == Code::corrupt);
  CHECK_FALSE(parse_accepted(R"({"job":"1"})"));
  CHECK_FALSE(parse_accepted("<html>"));
}

TEST_CASE("an error of the edge keeps its code, one of something between has its status") {
  const Error said =
      parse_http_error(503, R"({"error":{"code":"throttled","message":"the queue is full"}})");
  CHECK(said.code == Code::throttled);
  CHECK(said.message == "the queue is full");
  CHECK(parse_http_error(502, "<html>Bad Gateway").code == Code::unreachable);
  CHECK(parse_http_error(401, "").code == Code::denied);
  CHECK(parse_http_error(404, "{}").code == Code::not_found);
  CHECK(parse_http_error(404, "<html>").message ==
      "the host answered 404: no chillbox answers to this name there: see server_name in its chillbox.toml");
  CHECK(parse_http_error(413, "[]").code == Code::too_large);
  CHECK(parse_http_error(500, "").code == Code::failure);
  CHECK(parse_http_error(400, R"({"error":{"code":"x","message":"a\u001b[2J"}})").message ==
      "a\\x1b[2J");
}

TEST_CASE("a job has ended in every state that is not one of waiting or running") {
  for (const char* state : {"queued", "running", "waiting-upload", "waiting-unlock"})
    CHECK_FALSE(parse_job(cat(R"({"job":{"state":")", state, R"("}})"))->ended());
  for (const char* state : {"done", "failed", "superseded", "cancelled"})
    CHECK(parse_job(cat(R"({"job":{"state":")", state, R"("}})"))->ended());
  CHECK(parse_job("{}").error().code == Code::corrupt);
  CHECK(parse_job(R"({"job":[]})").error().code == Code::corrupt);
}

TEST_CASE("the verdict on a job is its own code") {
  const auto verdict = [](std::string_view job) {
    return verdict_of(*parse_job(cat(R"({"job":)", job, "}")));
  };
  CHECK(verdict(R"({"state":"done","code":"","site":"blog","message":"already live"})"));
  const auto unhealthy =
      verdict(R"({"state":"failed","code":"unhealthy","site":"blog","message":"no answer"})");
  REQUIRE_FALSE(unhealthy);
  CHECK(exit_code(unhealthy.error().code) == 9);
  CHECK(unhealthy.error().message == "blog: no answer");
  CHECK(exit_code(verdict(R"({"state":"failed","code":"rolled_back"})").error().code) == 10);
  CHECK(exit_code(verdict(R"({"state":"failed","code":""})").error().code) == 1);
  CHECK(exit_code(verdict(R"({"state":"superseded","code":""})").error().code) == 7);
  CHECK(exit_code(verdict(R"({"state":"failed","code":"of-a-newer-daemon"})").error().code) == 1);
}

TEST_CASE("status is read with what is there, and nothing is missed that is not") {
  const auto host =
      parse_status(R"({"host":{"version":"1","sealed":true,"warnings":["w"],"uptime_s":5},
    "sites":[{"site":"blog","state":"sealed","waiting":"secrets","services":[{"name":"api","state":"started","slot":"a"}]},{"site":"x"}]})");
  REQUIRE(host);
  CHECK(host->sealed);
  CHECK(host->uptime_s == 5);
  CHECK(host->warnings == std::vector<std::string>{"w"});
  REQUIRE(host->sites.size() == 2);
  CHECK(host->sites[0].services[0].slot == "a");
  CHECK(host->sites[1].services.empty());
  CHECK(parse_status("[]").error().code == Code::corrupt);
}

TEST_CASE("lists are read row by row") {
  CHECK(parse_jobs(R"({"jobs":[{"id":"1"},{"id":"2"}]})")->at(1).id == "2");
  CHECK(parse_releases(R"({"releases":[{"id":"1.0.0-1","live":true,"serial":7}]})")->at(0).serial ==
      7);
  CHECK(parse_audit(R"({"entries":[{"number":3,"actor":"root"}]})")->at(0).actor == "root");
  CHECK(parse_jobs("{}")->empty());
}

TEST_CASE("fields become an object with its schema") {
  CHECK(json_text({{"a", "x\""}, {"b", uint64_t{7}}, {"c", true},
            {"d", std::vector<std::string>{"p"}}}) == R"({"a":"x\"","b":7,"c":true,"d":["p"]})");
  CHECK(result_text("pack", {}) == R"({"schema":"chillbox.pack.v1"})");
  CHECK(with_array(R"({"a":1})", "events", {R"({"n":1})", R"({"n":2})"}) ==
      R"({"a":1,"events":[{"n":1},{"n":2}]})");
}

TEST_CASE("an error for programs has its schema, code and data") {
  const Error error{Code::not_found, "no release"};
  CHECK(error_json(error, "") ==
      R"({"error":{"code":"not_found","message":"no release"},"schema":"chillbox.error.v1"})");
  CHECK(error_json(error, R"({"available":["1"]})") ==
      R"({"error":{"code":"not_found","data":{"available":["1"]},"message":"no release"},"schema":"chillbox.error.v1"})");
  CHECK(
      member_list(R"({"available":["1","2"]})", "available") == std::vector<std::string>{"1", "2"});
}
