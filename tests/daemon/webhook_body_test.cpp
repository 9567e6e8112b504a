#include "catch.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "daemon/webhook_body.hpp"

#include <nlohmann/json.hpp>

#include <random>

using namespace chillbox;
using daemon::essential_members;

namespace {

constexpr std::string_view k_bodies[] = {
    R"({"type":"site.deploy","timestamp":"2026-01-01T00:00:00Z","data":{"site":"blog","version":"1.0.0","sha256":"00ff","size":12345,"watch":false,"note":"x"}})",
    R"( { "data" : { "site" : "blog" , "list" : [ 1, -0.5, [], {}, {"a":[null,true,false]} ] } , "type" : "host.ping" } )",
    R"({"zen":"Keep it \"logically\" awesome.","hook_id":1,"hook":{"config":{"url":"https:\/\/e.example\/","secret":"***"},"events":["push"]}})",
    R"({"type":"host.ping","data":"none","é":"ü€😀","long":"012345678901234567890123456789012345678901234567890123456789\n"})",
    R"({"type":"host.ping","data":{"data":{"site":"inner"},"type":"inner","site":"outer"}})", "{}",
    R"({"data":{}})"};

// What an order is read from, of the whole body.
Json expected(const Json& whole) {
  Json few = Json::object();
  for (const char* name : {"type", "zen", "hook_id", "data"})
    if (whole.contains(name))
      few[name] = whole[name];
  if (few.contains("data") && few["data"].is_object()) {
    Json data = Json::object();
    for (const char* name : {"site", "version", "sha256", "size", "watch"})
      if (whole["data"].contains(name))
        data[name] = whole["data"][name];
    few["data"] = data;
  }
  return few;
}

// If it is taken, it is JSON as ours, and its members are those of the whole.
bool agrees(const std::string& body) {
  const auto few = essential_members(body);
  if (!few)
    return true;
  const auto whole = parse_json(body, 1 << 20);
  const auto part = parse_json(*few, 1 << 20);
  return whole && whole->is_object() && part && *part == expected(*whole);
}

} // namespace

TEST_CASE("the members that mean something are taken from bodies as senders write them") {
  for (const auto body : k_bodies) {
    INFO(body);
    CHECK(essential_members(body));
    CHECK(agrees(std::string(body)));
  }
}

TEST_CASE("[fault-404] what is no JSON of ours is never taken for some: the parser then says what is wrong") {
  const auto deep = [](size_t levels) {
    return cat(R"({"a":)", std::string(levels, '['), std::string(levels, ']'), "}");
  };
  for (const std::string& body : std::vector<std::string>{"", "[]", "null", R"({"a":1}x)",
           R"({"a":1,})", R"({"a":1 "b":2})", R"({"a":01})", R"({"a":1.})", R"({"a":.5})",
           R"({"a":+1})", R"({"a":NaN})", R"({"a":tru})", R"({"a":"\x"})", R"({"a":"\ud800"})",
           R"({a:1})", R"({"a":1,"a":2})", R"({"b":{"a":1,"a":2}})", R"({"a":1,"\u0061":2})",
           R"({"type":"a","type":"b"})", R"({"a":"b)", R"({"a":[1,]})", R"({"a":1e999})", R"({"a")",
           R"({"a":)", "{\"a\":\"\t\"}", "{\"a\":\"\x7f\xff\"}", "{\"a\":\"\xc0\xaf\"}",
           "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\xe2\x82\"}",
           "\xef\xbb\xbf{}", std::string("{\"a\":1}\0", 8), deep(32)}) {
    INFO(body);
    CHECK_FALSE(essential_members(body));
    CHECK(agrees(body));
  }
  CHECK(essential_members(deep(31)));
  CHECK(agrees(deep(31)));
}

TEST_CASE("[fault-404] changed at random, a body is taken only if the parser takes it, with the same members") {
  std::mt19937 random(7);
  constexpr std::string_view k_bytes = "{}[]\",:\\u0ae-.+19tfn \x80\xc3\xe2\x1f";
  size_t taken = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string body(k_bodies[random() % std::size(k_bodies)]);
    for (int change = 0; change < 3 && !body.empty(); ++change) {
      const size_t at = random() % body.size();
      const char c = k_bytes[random() % k_bytes.size()];
      switch (random() % 3) {
      case 0: body[at] = c; break;
      case 1: body.insert(at, 1, c); break;
      default: body.erase(at, 1 + random() % 4);
      }
    }
    taken += essential_members(body) ? 1 : 0;
    if (!agrees(body))
      FAIL(body);
  }
  CHECK(taken > 1'000);
}
