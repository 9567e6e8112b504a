#include "catch.hpp"

#include "control/json.hpp"

#include <nlohmann/json.hpp>

using namespace chillbox;
using control::Json;
using control::parse_json;

namespace {

std::string problem(std::string_view text, size_t limit = 10'000) {
  const auto result = parse_json(text, limit);
  return result ? "accepted" : result.error().message;
}

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

} // namespace

TEST_CASE("a JSON text becomes the value that it says") {
  const Json json =
      parse_json(R"({"a":[1,-2,2.5,true,null,{"b":"\u00e9"}],"c":{},"d":[]})", 100).value();
  CHECK(json["a"].size() == 6);
  CHECK(json["a"][0] == 1);
  CHECK(json["a"][1] == -2);
  CHECK(json["a"][2] == 2.5);
  CHECK(json["a"][5]["b"] == "\xc3\xa9");
  CHECK(json["c"].is_object());
  CHECK(json["d"].is_array());
  CHECK(
      control::dump(json) == "{\"a\":[1,-2,2.5,true,null,{\"b\":\"\xc3\xa9\"}],\"c\":{},\"d\":[]}");
  CHECK(parse_json("3", 100).value() == 3);
  CHECK(parse_json(R"([[{"a":[{"b":1},{"b":2}]}],[3]])", 100).value() ==
      Json::parse(R"([[{"a":[{"b":1},{"b":2}]}],[3]])"));
}

TEST_CASE("[fault-15] JSON nested deeper than 32 levels is refused") {
  CHECK(parse_json(nested(32), 1000));
  CHECK(problem(nested(33)).find("nested deeper than 32 levels") != std::string::npos);
  CHECK(problem(std::string(5000, '[')).find("nested deeper than 32 levels") != std::string::npos);
  std::string objects;
  for (int i = 0; i < 33; ++i)
    objects += "{\"a\":";
  CHECK(problem(objects + "1" + std::string(33, '}')).find("nested deeper") != std::string::npos);
}

TEST_CASE("[fault-15] a key that appears twice in one object is refused, with the object's path") {
  CHECK(problem(R"({"a":1,"a":2})") == "not JSON as we take it: $: key 'a' appears twice");
  CHECK(problem(R"({"a":[0,{"b":{"x":1,"y":2,"x":3}}]})") ==
      "not JSON as we take it: $.a[1].b: key 'x' appears twice");
  CHECK(problem(R"({"a":1,"\u0061":2})").find("appears twice") != std::string::npos);
  CHECK(parse_json(R"([{"a":1},{"a":2},{"b":{"a":3}}])", 100));
}

TEST_CASE("[fault-15] NaN, Infinity, overlong numbers and bad UTF-8 are refused with their place") {
  for (const char* bad : {"NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[nan]", "{\"a\":01}",
           "+1", ".5", "1.", "0x10"})
    CHECK(parse_json(bad, 100).error().code == Code::invalid);
  for (const char* bad : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\\ud800\"",
           "\"\\udc00\\ud800\"", "\"\xe2\x82\""})
    CHECK(parse_json(bad, 100).error().code == Code::invalid);
  CHECK(problem("{\n  \"a\": 1,\n  \"b\": nope\n}").find("line 3, column 9: syntax error") !=
      std::string::npos);
}

TEST_CASE("[fault-15] what is not exactly one JSON value is refused") {
  for (const char* bad : {"", " ", "{} {}", "{}x", "[1,]", "{\"a\":1,}", "{'a':1}", "// c\n1",
           "/* c */1", "[1 2]", "{\"a\" 1}", "\"a", "tru", "\"a\nb\"", "\"\\x41\"", "{1:2}", "]"})
    CHECK(parse_json(bad, 100).error().code == Code::invalid);
  CHECK_FALSE(parse_json(std::string_view("{}\0", 3), 100));
  CHECK(problem(std::string_view("{}\0evil", 7)) ==
      "not JSON as we take it: line 1, column 3: a NUL byte");
  CHECK_FALSE(parse_json("\xef\xbb\xbf{}", 100));
  const auto shown = problem("[\"\x1b[31m\"]");
  CHECK(shown.find('\x1b') == std::string::npos);
}

TEST_CASE("[fault-74] a JSON text over its limit is not looked at") {
  CHECK(parse_json("[1234567]", 9));
  CHECK(parse_json("[1234567]", 8).error().code == Code::too_large);
  CHECK(problem("not json at all", 3) == "JSON of 15 bytes: the limit is 3");
}

TEST_CASE("members are taken with their type or named in the error") {
  const Json json =
      parse_json(R"({"s":"text","n":7,"neg":-7,"f":1.5,"b":true,"big":18446744073709551615})", 200)
          .value();
  CHECK(control::string_at(json, "s").value() == "text");
  CHECK(control::string_at(json, "n").error().message == "n: must be a string");
  CHECK(control::string_at(json, "x").error().message == "x: must be a string, and is missing");
  CHECK(control::u64_at(json, "n").value() == 7);
  CHECK(control::u64_at(json, "big").value() == UINT64_MAX);
  CHECK(control::u64_at(Json{{"n", 7}}, "n").value() == 7);
  CHECK_FALSE(control::u64_at(json, "neg"));
  CHECK_FALSE(control::u64_at(json, "f"));
  CHECK_FALSE(control::u64_at(Json::array(), "n"));
  CHECK(control::string_or(json, "s", "other") == "text");
  CHECK(control::string_or(json, "n", "other") == "other");
  CHECK(control::u64_or(json, "neg", 9) == 9);
  CHECK(control::u64_or(json, "n", 9) == 7);
  CHECK(control::bool_or(json, "b", false));
  CHECK_FALSE(control::bool_or(json, "n", false));
  CHECK(control::bool_or(Json(), "b", true));
}

TEST_CASE("dump never throws, also for bytes that are not UTF-8") {
  CHECK(control::dump(Json{{"a", "\xff"}}) == "{\"a\":\"\xef\xbf\xbd\"}");
}
