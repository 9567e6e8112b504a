// Answers of the daemon and the edge, and what is made of them.
#include "catch.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/progress.hpp"
#include "cli/fleet/edge_answer.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

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
  const auto good = read_accepted(accepted("/v1/artifacts/aa?cap=x"));
  REQUIRE(good);
  CHECK(good->job == "0123456789abcdef");
  CHECK(good->links.artifact == "/v1/artifacts/aa?cap=x");
  for (const char* bad : {"https://elsewhere/x", "//elsewhere/x", "v1/x", "", "@elsewhere/x",
           "/a b", "/a\\u000d\\u000ahost: x"})
    CHECK(read_accepted(accepted(bad)).error().code == Code::corrupt);
  CHECK_FALSE(read_accepted(R"({"job":"1"})"));
  CHECK_FALSE(read_accepted("<html>"));
}

TEST_CASE("an error of the edge keeps its code, one of something between has its status") {
  const Error said =
      http_error(503, R"({"error":{"code":"throttled","message":"the queue is full"}})");
  CHECK(said.code == Code::throttled);
  CHECK(said.message == "the queue is full");
  CHECK(http_error(502, "<html>Bad Gateway").code == Code::unreachable);
  CHECK(http_error(401, "").code == Code::denied);
  CHECK(http_error(404, "{}").code == Code::not_found);
  CHECK(http_error(404, "<html>").message ==
      "the host answered 404: no chillbox answers to this name there: see server_name in its chillboxd.toml");
  CHECK(http_error(413, "[]").code == Code::too_large);
  CHECK(http_error(500, "").code == Code::failure);
  CHECK(http_error(400, R"({"error":{"code":"x","message":"a\u001b[2J"}})").message == "a\\x1b[2J");
}

TEST_CASE("the verdict on a job is its own code") {
  const auto verdict = [](std::string_view rest) {
    const auto answer =
        control::read_answer<control::JobAnswer>(cat(R"({"job":{"site":"blog",)", rest, "}}"));
    REQUIRE(answer);
    return verdict_of(answer->job);
  };
  CHECK(verdict(R"("state":"done","code":"","message":"already live")"));
  const auto unhealthy = verdict(R"("state":"failed","code":"unhealthy","message":"no answer")");
  REQUIRE_FALSE(unhealthy);
  CHECK(exit_code(unhealthy.error().code) == 9);
  CHECK(unhealthy.error().message == "blog: no answer");
  CHECK(exit_code(verdict(R"("state":"failed","code":"rolled_back")").error().code) == 10);
  CHECK(exit_code(verdict(R"("state":"failed","code":"")").error().code) == 1);
  CHECK(exit_code(verdict(R"("state":"superseded","code":"")").error().code) == 7);
  CHECK(exit_code(verdict(R"("state":"failed","code":"of-a-newer-daemon")").error().code) == 1);
}

TEST_CASE("an answer is an object with its schema") {
  CHECK(
      answer_text("trust-add", Changed{.name = "x\"", .changed = true, .format = {}, .key = {}}) ==
      R"({"changed":true,"name":"x\"","schema":"chillbox.trust-add.v1"})");
  CHECK(answer_text("init", Initialized{.recipient = "age1x", .made = {"a"}}) ==
      R"({"made":["a"],"recipient":"age1x","schema":"chillbox.init.v1"})");
  CHECK(answer_text("webhook", Senders{}) ==
      R"({"faults":[],"schema":"chillbox.webhook.v1","senders":[]})");
}

TEST_CASE("an error for programs has its schema, code and data") {
  control::ErrorAnswer answer{{.code = Code::not_found, .message = "no release", .data = {}}};
  CHECK(answer_text("error", answer) ==
      R"({"error":{"code":"not_found","message":"no release"},"schema":"chillbox.error.v1"})");
  answer.error.data = control::ErrorData{.available = {{"1"}}};
  CHECK(answer_text("error", answer) ==
      R"({"error":{"code":"not_found","data":{"available":["1"]},"message":"no release"},"schema":"chillbox.error.v1"})");
}

TEST_CASE("the document of schemas has one for every answer, and each names its own") {
  const auto document = parse_json(schema_document(), 1 << 20);
  REQUIRE(document);
  for (const Json& one : (*document)["anyOf"]) {
    const std::string ref = one["$ref"];
    const std::string name = ref.substr(ref.rfind('/') + 1);
    const Json& schema = (*document)["$defs"].at(name);
    CHECK(schema["properties"]["schema"]["const"] == name);
  }
}

TEST_CASE("docs/control.schema.json is what the tables say: else `make docs`") {
  std::string here = __FILE__;
  here.erase(here.rfind("tests/cli/"));
  std::ifstream file(here + "docs/control.schema.json");
  std::ostringstream text;
  text << file.rdbuf();
  CHECK((text.str() == schema_document()));
}
