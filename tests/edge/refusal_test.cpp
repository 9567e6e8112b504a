#include "box.hpp"

#include <utility>

using namespace chillbox;
using namespace chillbox::edge;

namespace {

// A request that is good but for what is put among its headers.
std::string with(std::string_view headers) {
  return cat(
      "POST /v1/hooks HTTP/1.1\r\nHost: h\r\nwebhook-id: a\r\nwebhook-timestamp: 1\r\nwebhook-signature: b\r\n",
      headers, "\r\n{}");
}

struct Bad {
  std::string request;
  int status;
};

void check_all(const std::vector<Bad>& cases) {
  EdgeBox box(accepting);
  for (const auto& [request, status] : cases) {
    INFO(printable(request));
    const std::string answer = box.exchange(request);
    CHECK(status_of(answer) == status);
    CHECK(has(answer, "Connection: close\r\n"));
    CHECK(has(answer, R"({"error":{"code":")"));
    CHECK(answer.find("Connection: ") == answer.rfind("Connection: ")); // answered once
    CHECK_FALSE(has(answer, "<still open>"));
  }
  CHECK(box.said().empty());
  CHECK(status_of(box.exchange(post("{}"))) == 202); // and none of it left a trace
}

} // namespace

TEST_CASE("[fault-2] a header that is signed or counts, given twice, is 400") {
  std::vector<Bad> cases;
  for (const char* twice :
      {"webhook-id: a", "Webhook-Id: c", "webhook-timestamp: 1", "webhook-signature: b"})
    cases.push_back({with(cat("Content-Length: 2\r\n", twice, "\r\n")), 400});
  for (const char* twice :
      {"x-hub-signature-256", "X-GitHub-Delivery", "Content-Type", "Authorization", "Host"})
    cases.push_back({with(cat("Content-Length: 2\r\n", twice, ": x\r\n", twice, ": y\r\n")), 400});
  check_all(cases);
}

TEST_CASE("[fault-18] a compressed body is 415 and never inflated") {
  check_all({{with("Content-Length: 2\r\nContent-Encoding: gzip\r\n"), 415},
      {with("Content-Length: 2\r\ncontent-encoding: br\r\n"), 415}});
}

TEST_CASE("[fault-23] a head over 32 KiB or 64 headers is 431, a long target 414") {
  std::string many;
  for (int i = 0; i < 61; ++i)
    many += cat("X-", i, ": y\r\n");
  check_all({{with(cat("Content-Length: 2\r\nX-Big: ", std::string(40'000, 'x'), "\r\n")), 431},
      {with(many + "Content-Length: 2\r\n"), 431},
      {cat("GET /", std::string(1'100, 'a'), " HTTP/1.1\r\nHost: h\r\n\r\n"), 414},
      {std::string(40'000, 'A'), 431}});
}

TEST_CASE("[fault-24] a length that can be read in two ways is 400") {
  check_all({{with("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), 400},
      {with("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400},
      {with("Content-Length: 2\r\nContent-Length: 2\r\n"), 400},
      {with("Content-Length: 2\r\ncontent-length: 3\r\n"), 400},
      {with("Content-Length: +2\r\n"), 400}, {with("Content-Length: -1\r\n"), 400},
      {with("Content-Length: 2 2\r\n"), 400}, {with("Content-Length: 2,2\r\n"), 400},
      {with("Content-Length: 0x2\r\n"), 400}, {with("Content-Length: \r\n"), 400},
      {with("Content-Length: 18446744073709551616\r\n"), 400},
      {with("Content-Length: 18446744073709551618\r\n"), 400},
      {with("Content-Length : 2\r\n"), 400}});
}

TEST_CASE("[fault-24] blanks around a length are no part of it; a length in the longest form that is taken is too much") {
  EdgeBox box(accepting);
  std::string request = with("Content-Length: \t2 \r\nConnection: close\r\n");
  CHECK(status_of(box.exchange(request)) == 202);
  CHECK(status_of(box.exchange(with("Content-Length: 9999999999\r\n"))) == 413);
}

TEST_CASE("[fault-25] [fault-26] a chunked body is 411 whatever its chunks say, Expect is 417, no length is 411") {
  check_all({{with("Transfer-Encoding: chunked\r\n") + "-2\r\nxx\r\n0\r\n\r\n", 411},
      {with("Transfer-Encoding: chunked\r\n") + "2;a=\x01\r\nxx\r\n0\r\n\r\n", 411},
      {with("Transfer-Encoding: identity\r\n"), 411},
      {with("Transfer-Encoding: xchunked\r\n"), 411},
      {with("Content-Length: 2\r\nExpect: 100-continue\r\n"), 417}, {with(""), 411}});
}

TEST_CASE("[fault-27] bare LF, bare CR, NUL, folded lines and control characters are 400") {
  using namespace std::string_literals;
  check_all({{"POST /v1/hooks HTTP/1.1\nHost: h\n\n", 400},
      {with("Content-Length: 2\nX-A: b\r\n"), 400},
      {with("Content-Length: 2\r\nX-A: b\rc\r\n"), 400},
      {with("Content-Length: 2\r\nX-A: b\0c\r\n"s), 400},
      {with("Content-Length: 2\r\nX-A: b\r\n folded\r\n"), 400},
      {with("Content-Length: 2\r\nX-A: b\r\n\tfolded\r\n"), 400},
      {with("Content-Length: 2\r\nX-A: b\x01\r\n"), 400},
      {with("Content-Length: 2\r\nX-A: b\x7f\r\n"), 400},
      {with("Content-Length: 2\r\nX_A: b\r\n"), 400},
      {with("Content-Length: 2\r\nX A: b\r\n"), 400}, {with("Content-Length: 2\r\n: b\r\n"), 400},
      {with("Content-Length: 2\r\nno colon\r\n"), 400}, {"\r\n" + post("{}"), 400}});
}

TEST_CASE("a request line that is not exactly method, target and version is 400, an unknown version 505") {
  check_all({{"GET  /v1/health HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /v1/health\r\nHost: h\r\n\r\n", 400},
      {"GET /v1/health HTTP/1.1 x\r\nHost: h\r\n\r\n", 400},
      {"get /v1/health HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET http://h/v1/health HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400}, {"GET /v1/\xff HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /v1/health HTTP/1.1\r\n\r\n", 400}, {"GET /v1/health HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"GET /v1/health http/1.1\r\nHost: h\r\n\r\n", 505},
      {cat(std::string(17, 'A'), " /v1/health HTTP/1.1\r\nHost: h\r\n\r\n"), 400}});
}

TEST_CASE("[fault-30] another method is 405 with the one that is allowed, whatever else is wrong, and counts for nothing") {
  EdgeBox box(accepting);
  const std::vector<std::pair<std::string, std::string>> table{{"/v1/hooks", "POST"},
      {"/v1/health", "GET"}, {"/v1/jobs/" + k_job, "GET"}, {"/v1/jobs/" + k_job + "/events", "GET"},
      {"/v1/artifacts/" + k_digest, "PUT"}, {"/v1/artifacts/" + k_digest + ".minisig", "PUT"}};
  for (const auto& [path, allowed] : table)
    for (const char* method :
        {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"}) {
      if (method == allowed)
        continue;
      INFO(method << " " << path);
      const std::string answer = box.exchange(cat(method, " ", path,
          " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"));
      CHECK(status_of(answer) == 405);
      CHECK(has(answer, cat("Allow: ", allowed, "\r\n")));
      CHECK(body_of(answer).empty() == (std::string_view(method) == "HEAD"));
    }
  CHECK(box.said().empty());
}

TEST_CASE("any other path is 404, also what would be one of ours after decoding") {
  std::vector<Bad> cases;
  for (const auto& path : {std::string("/"), std::string("/v1"), std::string("/v1/"),
           std::string("/v1/hooks/"), std::string("//v1/hooks"), std::string("/v1/%68ooks"),
           std::string("/v1/x/../hooks"), std::string("/v1/jobs/"), "/v1/jobs/" + k_job + "0",
           std::string("/v1/jobs/0123456789ABCDEF"), "/v1/jobs/" + k_job + "/events/",
           "/v1/artifacts/" + k_digest.substr(1), "/v1/artifacts/" + k_digest + ".age",
           "/v1/artifacts/../" + k_digest})
    cases.push_back({get(path), 404});
  check_all(cases);
}

TEST_CASE("a GET with a body is 400") {
  check_all({{"GET /v1/health HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", 400}});
}

TEST_CASE("[fault-21] a slow head and a slow body are cut off at the whole request's deadline, drip by drip too") {
  EdgeBox box(accepting, {.idle = Millis{60'000}, .request = Millis{400}});
  const std::string request = post("{\"a\":1}");
  for (const size_t sent : {size_t{20}, request.size() - 3}) {
    const Fd fd = box.connect();
    const auto began = os::real_clock().mono();
    say(fd.get(), std::string_view(request).substr(0, sent));
    std::thread drip([&] {
      for (int i = 0; i < 10; ++i) {
        os::real_clock().sleep(Millis{100});
        const char c = 'x';
        (void)::send(fd.get(), &c, sent < 50 ? 1 : 0, MSG_NOSIGNAL);
      }
    });
    const std::string answer = read_all(fd.get());
    const auto took = os::real_clock().mono() - began;
    drip.join();
    CHECK((answer.empty() || status_of(answer) == 408));
    CHECK_FALSE(has(answer, "<still open>"));
    CHECK(took < Millis{900});
  }
  CHECK(box.said().empty());
}

TEST_CASE("a connection on which nothing comes is closed, and holds no worker meanwhile") {
  EdgeBox box(accepting, {.workers = 1, .idle = Millis{500}});
  const Fd silent = box.connect();
  CHECK(status_of(box.exchange(post("{}"))) == 202);
  CHECK(read_all(silent.get()).empty());
}

TEST_CASE("[fault-32] 500 clients at once are all served by a bounded number of threads") {
  EdgeBox box(accepting, {.connections = 64, .workers = 8});
  std::vector<std::thread> clients;
  std::atomic<int> served = 0;
  for (int t = 0; t < 50; ++t)
    clients.emplace_back([&] {
      for (int i = 0; i < 10;
          ++i) { // a full backlog refuses a connection: such a client tries again
        auto fd = os::connect_unix(box.path(), Millis{5'000});
        if (!fd) {
          --i;
          continue;
        }
        say(fd->get(), post("{}"));
        served += status_of(read_all(fd->get())) == 202 ? 1 : 0;
      }
    });
  size_t most = 0;
  for (int i = 0; i < 20; ++i) {
    most = std::max(most, box.threads());
    os::real_clock().sleep(Millis{5});
  }
  for (auto& client : clients)
    client.join();
  CHECK(served == 500);
  CHECK(most <= 8 + 2);
}

TEST_CASE("[fault-32] 500 silent connections do not keep others out for longer than they may be idle") {
  EdgeBox box(accepting, {.connections = 32, .idle = Millis{300}});
  std::vector<Fd> silent;
  for (int i = 0; i < 90; ++i) // 32 seats and a backlog of 64
    if (auto fd = os::connect_unix(box.path(), Millis{1}))
      silent.push_back(std::move(*fd));
  CHECK(silent.size() >= 32);
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i)
    if (auto fd = os::connect_unix(box.path(), Millis{100})) {
      say(fd->get(), post("{}"));
      answer = read_all(fd->get(), "", Millis{20'000});
    }
  CHECK(status_of(answer) == 202);
}

TEST_CASE("a head that comes byte by byte is the same head") {
  EdgeBox box(accepting);
  const Fd fd = box.connect();
  for (const char c : post("{}"))
    say(fd.get(), std::string_view(&c, 1));
  CHECK(status_of(read_all(fd.get())) == 202);
}
