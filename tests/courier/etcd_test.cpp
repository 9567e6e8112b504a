#include "courier/etcd.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "courier/answer.hpp"

#include "catch.hpp"

#include <nlohmann/json.hpp>

using namespace chillbox;
using namespace chillbox::courier;

namespace {

constexpr std::string_view k_root = "/chillbox/shop/";

std::string base(std::string_view text) {
  return base64(bytes_of(text));
}

// As etcd 3.4 writes one: what is zero is left out.
std::string kv(std::string_view key, std::string_view text, int created) {
  return dump(Json{{"key", base(key)}, {"create_revision", std::to_string(created)},
      {"mod_revision", "9"}, {"version", "1"}, {"value", base(text)}});
}

} // namespace

TEST_CASE("a claim is made if nobody has it, and who has it comes back with a refusal") {
  const auto body =
      parse_json(change_body(k_root, {{.kind = EngineCondition::Kind::absent, .key = "claims/a"}},
                     {{.key = "claims/a", .text = "web1"}}, {}),
          4096);
  REQUIRE(body);
  CHECK((*body)["compare"][0] ==
      Json{{"key", base("/chillbox/shop/claims/a")}, {"target", "CREATE"}, {"result", "EQUAL"},
          {"create_revision", "0"}});
  CHECK((*body)["success"][0]["requestPut"] ==
      Json{{"key", base("/chillbox/shop/claims/a")}, {"value", base("web1")}});
  CHECK((*body)["failure"].size() == 2);

  const auto won = parse_change(k_root,
      R"({"header":{"cluster_id":"1","revision":"12"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"12"}}}]})",
      true);
  REQUIRE(won);
  CHECK(won->succeeded);
  CHECK(won->revision == 12);
  const std::string range = cat(R"({"response_range":{"header":{"revision":"13"},"kvs":[)",
      kv("/chillbox/shop/claims/a", "web2", 7), R"(],"count":"1"}})");
  const auto lost = parse_change(
      k_root, cat(R"({"header":{"revision":"13"},"responses":[)", range, ",", range, "]}"), true);
  REQUIRE(lost);
  CHECK_FALSE(lost->succeeded);
  CHECK(lost->found == "web2");
  REQUIRE(lost->written);
  CHECK(lost->written->fence == 7);
}

TEST_CASE("each condition is a comparison of etcd's") {
  using Kind = EngineCondition::Kind;
  const auto body = parse_json(
      change_body(k_root,
          {{.kind = Kind::held, .key = "a", .fence = 5},
              {.kind = Kind::less, .key = "b", .text = "002"}, {.kind = Kind::present, .key = "c"}},
          {{.key = "d", .text = "x", .leased = true}, {.key = "e", .text = {}, .removes = true},
              {.key = "f", .text = "y", .kept = std::chrono::hours{24}}, {.key = "g", .text = "z"}},
          {{std::chrono::seconds{0}, "77"}, {std::chrono::hours{24}, "78"}}),
      4096);
  REQUIRE(body);
  const auto& compare = (*body)["compare"];
  CHECK(compare[0]["create_revision"] == "5");
  CHECK(compare[1]["target"] == "VALUE");
  CHECK(compare[1]["result"] == "LESS");
  CHECK(compare[1]["value"] == base("002"));
  CHECK(compare[2]["result"] == "GREATER");
  CHECK((*body)["success"][0]["requestPut"]["lease"] == "77");
  CHECK((*body)["success"][2]["requestPut"]["lease"] == "78");
  CHECK_FALSE((*body)["success"][3]["requestPut"].contains("lease"));
  CHECK((*body)["success"][1]["requestDeleteRange"]["key"] == base("/chillbox/shop/e"));
}

TEST_CASE("a prefix is read from its first key to the one after its last") {
  const auto body = parse_json(range_body(k_root, "claims/"), 4096);
  REQUIRE(body);
  CHECK((*body)["key"] == base("/chillbox/shop/claims/"));
  CHECK((*body)["range_end"] == base("/chillbox/shop/claims0"));
  const auto none = parse_range(k_root, R"({"header":{"revision":"3"}})");
  REQUIRE(none);
  CHECK(none->values.empty());
  const auto one = parse_range(k_root,
      cat(R"({"header":{"revision":"3"},"kvs":[)", kv("/chillbox/shop/claims/a", "", 2),
          R"(],"count":"1"})"));
  REQUIRE(one);
  CHECK(one->values == std::vector<EngineValue>{{"claims/a", "", 2}});
}

TEST_CASE("[attack-G41] an answer with what nobody asked for, or with what chillbox never wrote, is refused") {
  const auto refused = [](const std::string& kvs) {
    return !parse_range(k_root, cat(R"({"header":{"revision":"3"},"kvs":)", kvs, "}"));
  };
  CHECK_FALSE(refused(cat("[", kv("/chillbox/shop/claims/a", "", 2), "]")));
  CHECK(refused(cat("[", kv("/chillbox/other/claims/a", "", 2), "]")));
  CHECK(refused(cat("[", kv("/chillbox/shop/", "", 2), "]")));
  CHECK(refused(cat("[", kv("/chillbox/shop/a b", "", 2), "]")));
  CHECK(refused(cat("[", kv("/chillbox/shop/a\n", "", 2), "]")));
  CHECK(refused(cat("[", kv("/chillbox/shop/a", std::string(70'000, 'x'), 2), "]")));
  CHECK(refused(cat("[", kv("/chillbox/shop/a", "", 0), "]")));
  CHECK(refused(R"({"key":"x"})"));
  CHECK(refused("[1]"));
  CHECK_FALSE(parse_range(k_root, R"({"kvs":[]})"));
  CHECK_FALSE(parse_range(k_root, R"({"header":{"revision":3}})"));
  CHECK_FALSE(parse_range(k_root, ""));
  CHECK_FALSE(parse_token(R"({"token":"a\r\nX: y"})"));
  CHECK_FALSE(parse_token(R"({"token":""})"));
  CHECK_FALSE(parse_lease(R"({"ID":"x"})"));
}

TEST_CASE("a refusal has its code, in the words of each version") {
  CHECK(
      parse_refusal(
          R"({"error":"etcdserver: invalid auth token","message":"etcdserver: invalid auth token","code":16})")
          .code == 16);
  CHECK(parse_refusal(R"({"code":7,"message":"etcdserver: permission denied"})").code == 7);
  const auto stream = parse_refusal(
      R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}})");
  CHECK(stream.code == 14);
  CHECK(stream.message == "etcdserver: no leader");
  CHECK(parse_refusal("<html>").code == 0);
}

TEST_CASE("a watch begins, tells of changes, and is over when it was cancelled or compacted, though it stays open") {
  CHECK(parse_watch_line(R"({"result":{"header":{"revision":"1"},"created":true}})") ==
      WatchLine::begun);
  CHECK(parse_watch_line(R"({"result":{"header":{"revision":"2"},"events":[{"kv":{}}]}})") ==
      WatchLine::changed);
  CHECK(parse_watch_line(R"({"result":{"header":{"revision":"2"}}})") == WatchLine::other);
  CHECK(parse_watch_line(R"({"result":{"canceled":true,"created":true}})") == WatchLine::over);
  CHECK(parse_watch_line(R"({"result":{"compact_revision":"5"}})") == WatchLine::over);
  CHECK(parse_watch_line(R"({"error":{"message":"x"}})") == WatchLine::over);
  CHECK(parse_watch_line("nonsense") == WatchLine::over);
}

TEST_CASE("a lease lives as long as it has time") {
  CHECK(lease_lives(R"({"result":{"header":{},"ID":"5","TTL":"60"}})"));
  CHECK_FALSE(lease_lives(R"({"result":{"header":{},"ID":"5"}})"));
  CHECK_FALSE(lease_lives(R"({"error":{}})"));
}
