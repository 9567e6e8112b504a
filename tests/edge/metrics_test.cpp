// The metrics as they pass the edge: it asks the monitor who may, and sends what that lends it.
#include "box.hpp"

#include <sys/mman.h>

using namespace chillbox;
using namespace chillbox::edge;

namespace {

std::string scrape(std::string_view headers = "") {
  return cat("GET /metrics HTTP/1.1\r\nHost: h\r\n", headers, "\r\n");
}

// Bytes in a file of memory. It stays open as long as the test.
struct Text {
  explicit Text(const std::string& bytes)
      : size(std::to_string(bytes.size())), file(::memfd_create("t", 0)) {
    REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    ::lseek(file.get(), 0, SEEK_SET);
  }
  Reply reply() const { return {.body = "", .ticket = size, .fd = file.get()}; }
  std::string size;
  Fd file;
};

} // namespace

TEST_CASE("a scrape is asked of the monitor with its token, address and format, and has the file's bytes") {
  const std::string bytes(300'000, 'm'); // more than a packet holds
  const Text text(bytes);
  EdgeBox box([&](const Said&) { return std::optional(text.reply()); }, {}, true);
  const auto answer = box.exchange(
      scrape("Authorization: Bearer abc\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n"
             "Accept: application/openmetrics-text;version=1.0.0\r\n"));
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(
      answer.find("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n") !=
      std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n" + bytes));
  const auto said = box.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].verb == PacketVerb::metrics);
  CHECK(said[0].fields == std::vector<std::string>{"abc", "192.0.2.7", "openmetrics"});
}

TEST_CASE("[attack-F2] who may not gets from the monitor, and from the edge, what an unknown path gets") {
  EdgeBox box([](const Said&) -> std::optional<Reply> {
    return Reply{"404", R"({"error":{"code":"not_found","message":"nothing here"}})"};
  });
  const auto body = [](const std::string& answer) { return answer.substr(answer.find("\r\n")); };
  CHECK(body(box.exchange(scrape("Connection: close\r\n"))) ==
      body(box.exchange("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")));
  const auto said = box.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].fields == std::vector<std::string>{"", "", "text"});
}

TEST_CASE("[fault-718] readers that do not read hold four places, and webhooks go on") {
  const std::string bytes(8'000'000, 'm');
  EdgeBox box([&](const Said& said) -> std::optional<Reply> {
    if (said.verb != PacketVerb::metrics)
      return accepting(said);
    static std::vector<std::unique_ptr<Text>> texts;
    texts.push_back(std::make_unique<Text>(bytes));
    return texts.back()->reply();
  });
  std::vector<Fd> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(box.connect());
    say(slow.back().get(), scrape());
    CHECK(read_all(slow.back().get(), "HTTP/1.1 200").find("HTTP/1.1 200") != std::string::npos);
  }
  CHECK(box.exchange(scrape("Connection: close\r\n")).starts_with("HTTP/1.1 503"));
  CHECK(status_of(box.exchange(post("{}"))) == 202);
  slow.clear();
  for (int i = 0; i < 100; ++i)
    if (box.exchange(scrape("Connection: close\r\n")).starts_with("HTTP/1.1 200"))
      return;
  FAIL("the places are not given back");
}
