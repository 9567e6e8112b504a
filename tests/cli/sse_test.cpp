#include "catch.hpp"

#include "cli/core/sse.hpp"

using namespace chillbox;
using chillbox::cli::SseParser;

namespace {

struct EventReader {
  SseParser parser;
  std::vector<SseParser::Event> events;
  Result<void> feed(std::string_view bytes) {
    return parser.feed(bytes, [this](const SseParser::Event& event) { events.push_back(event); });
  }
};

constexpr std::string_view k_two =
    "retry: 2000\n\n:\n\nid: 1\nevent: begin\ndata: {\"a\":1}\n\nid: 2\nevent: end\ndata: x\ndata: y\n\n";

void check_two(const std::vector<SseParser::Event>& events) {
  REQUIRE(events.size() == 2);
  CHECK(events[0].id == "1");
  CHECK(events[0].kind == "begin");
  CHECK(events[0].data == "{\"a\":1}");
  CHECK(events[1].id == "2");
  CHECK(events[1].kind == "end");
  CHECK(events[1].data == "x\ny");
}

} // namespace

TEST_CASE("events are the same however the stream is cut") {
  for (size_t piece = 1; piece <= k_two.size(); ++piece) {
    EventReader reader;
    for (size_t at = 0; at < k_two.size(); at += piece)
      REQUIRE(reader.feed(k_two.substr(at, piece)));
    check_two(reader.events);
    CHECK(reader.parser.last_id() == "2");
  }
}

TEST_CASE("lines may end in LF, CR or both, and a byte order mark may come first") {
  for (const std::string_view end : {"\n", "\r", "\r\n"}) {
    std::string text = "\xef\xbb\xbf";
    for (const char c : k_two)
      text += c == '\n' ? std::string(end) : std::string(1, c);
    EventReader reader;
    for (const char c : text)
      REQUIRE(reader.feed({&c, 1}));
    check_two(reader.events);
  }
}

TEST_CASE("comments and events without data tell nothing, a field without a colon is empty") {
  EventReader reader;
  REQUIRE(reader.feed(": heartbeat\n\nevent: begin\n\ndata\n\n"));
  REQUIRE(reader.events.size() == 1);
  CHECK(reader.events[0].kind == "message");
  CHECK(reader.events[0].data.empty());
}

TEST_CASE("only one space behind the colon belongs to the format") {
  EventReader reader;
  REQUIRE(reader.feed("data:  two\n\ndata:none\n\n"));
  CHECK(reader.events[0].data == " two");
  CHECK(reader.events[1].data == "none");
}

TEST_CASE("a new connection drops what was begun and keeps the id") {
  EventReader reader;
  REQUIRE(reader.feed("id: 7\ndata: a\n\nid: 8\ndata: cut"));
  CHECK(reader.parser.last_id() == "7");
  reader.parser.reconnect();
  REQUIRE(reader.feed("data: b\n\n"));
  REQUIRE(reader.events.size() == 2);
  CHECK(reader.events[1].data == "b");
  CHECK(reader.events[1].id == "7"); // the event with id 8 did not come
}

TEST_CASE("an event without end is refused at its limit") {
  EventReader reader;
  const std::string piece(64 * 1024, 'x');
  Result<void> fed{};
  for (int i = 0; i < 20 && fed; ++i)
    fed = reader.feed(piece);
  REQUIRE_FALSE(fed);
  CHECK(fed.error().code == Code::too_large);
  EventReader many;
  fed = {};
  for (int i = 0; i < 2'000'000 && fed; ++i)
    fed = many.feed("data: y\n");
  CHECK_FALSE(fed);
}
