#include "courier/answer.hpp"

#include "base/text.hpp"

#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::courier;

namespace {

// What a reader makes of an answer that comes in pieces of this size; "!": the error.
std::string read_in_pieces(std::string_view answer, size_t piece) {
  std::string bytes, body;
  std::optional<AnswerBody> reader;
  for (size_t at = 0; at < answer.size(); at += piece) {
    bytes += answer.substr(at, piece);
    if (!reader) {
      const auto head = take_head(bytes);
      if (!head)
        return "!" + head.error().message;
      if (!*head)
        continue;
      reader.emplace(**head);
      body = cat((*head)->status, " ");
    }
    const auto whole = reader->take(bytes, body);
    if (!whole)
      return "!" + whole.error().message;
    if (*whole)
      return body;
  }
  return body + "...";
}

std::string read_answer(std::string_view answer) {
  const std::string at_once = read_in_pieces(answer, answer.size());
  CHECK(read_in_pieces(answer, 1) == at_once);
  CHECK(read_in_pieces(answer, 7) == at_once);
  return at_once;
}

} // namespace

TEST_CASE("an answer has a length or chunks, in whatever pieces it comes") {
  CHECK(read_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") == "200 hello");
  CHECK(
      read_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n") == "200 hello world");
  CHECK(read_answer("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n") == "503 ");
  CHECK(read_answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello") == "200 hello...");
}

TEST_CASE("[attack-G41] an answer that is not one is refused") {
  for (const std::string_view bad : {
           "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 200 OK\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
           "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000000\r\n",
       }) {
    INFO(bad);
    CHECK(read_answer(bad).starts_with("!the member's answer: "));
  }
}

TEST_CASE("[attack-G41] no answer fills the memory: neither head nor body nor the size of a chunk goes on for ever") {
  std::string head = "HTTP/1.1 200 OK\r\nX: " + std::string(2 * k_max_head, 'x');
  const auto refused = take_head(head);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::too_large);
  AnswerBody sized({.status = 200, .length = 1ULL << 40}), chunked({.status = 200});
  std::string body, bytes(k_max_answer, 'x');
  CHECK_FALSE(sized.take(bytes, body).value_or(true));
  bytes = "x";
  REQUIRE_FALSE(sized.take(bytes, body));
  bytes = std::string(1000, '0');
  REQUIRE_FALSE(chunked.take(bytes, body));
  // A hundred thousand chunks of a byte each are no deep recursion.
  AnswerBody many({.status = 200});
  bytes.clear();
  body.clear();
  for (int i = 0; i < 100'000; ++i)
    bytes += "1\r\nx\r\n";
  CHECK_FALSE(many.take(bytes, body).value_or(true));
  CHECK(body.size() == 100'000);
}

TEST_CASE("the member's clock is read from its answers") {
  CHECK(parse_http_date("Sun, 29 Nov 2026 20:50:54 GMT") == 1'795'985'454);
  CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
  CHECK_FALSE(parse_http_date("Sun, 29 Nov 2026 20:50:54 UTC"));
  CHECK_FALSE(parse_http_date("Sun, 29 Xyz 2026 20:50:54 GMT"));
  CHECK_FALSE(parse_http_date(""));
}
