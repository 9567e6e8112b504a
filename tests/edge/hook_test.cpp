#include "box.hpp"

using namespace chillbox;
using namespace chillbox::edge;

TEST_CASE("a webhook reaches the monitor as it was signed, and its answer comes back with the job's place") {
  EdgeBox box(accepting);
  const std::string answer = box.exchange(post("{\"a\": 1}\n"));
  CHECK(status_of(answer) == 202);
  CHECK(has(answer, "Location: /v1/jobs/0123456789abcdef?cap=x.y\r\n"));
  CHECK(has(answer, "Content-Type: application/json\r\n"));
  CHECK(has(answer, "Cache-Control: no-store\r\n"));
  CHECK(body_of(answer) ==
      R"({"job":"0123456789abcdef","links":{"status":"/v1/jobs/0123456789abcdef?cap=x.y"}})");
  const auto said = box.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].verb == PacketVerb::hook);
  CHECK(said[0].fields ==
      std::vector<std::string>{
          "msg_1", "1614265330", "v1,abc", "", "", "{\"a\": 1}\n", "application/json"});
}

TEST_CASE("the edge serves the same in its sandbox") {
  EdgeBox box(accepting, {}, true);
  for (int i = 0; i < 3; ++i)
    CHECK(status_of(box.exchange(post("{}"))) == 202);
  CHECK(status_of(box.exchange(get("/elsewhere"))) == 404);
  CHECK(WEXITSTATUS(box.stop()) == 1);
}

TEST_CASE("GitHub's headers are passed on as they came") {
  EdgeBox box(accepting);
  const std::string request =
      "POST /v1/hooks HTTP/1.0\r\nX-Hub-Signature-256: sha256=ab\r\nX-GitHub-Delivery: 72d3162e\r\nContent-Length: 13\r\n\r\nHello, World!";
  CHECK(status_of(box.exchange(request)) == 202);
  CHECK(box.said(1)[0].fields ==
      std::vector<std::string>{"", "", "", "sha256=ab", "72d3162e", "Hello, World!", ""});
}

TEST_CASE("what the monitor refuses is passed on, a 503 with a time to come back") {
  std::string status = "409";
  EdgeBox box(
      [&](const Said&) { return Reply{status, R"({"error":{"code":"conflict","message":"m"}})"}; });
  CHECK(status_of(box.exchange(post("{}"))) == 409);
  status = "503";
  const std::string busy = box.exchange(post("{}"));
  CHECK(status_of(busy) == 503);
  CHECK(has(busy, "Retry-After: 5\r\n"));
}

TEST_CASE("[fault-19] the monitor's own Retry-After is passed on") {
  EdgeBox box([](const Said&) { return Reply{"503", "{}", "", -1, {"30"}}; });
  CHECK(has(box.exchange(post("{}")), "Retry-After: 30\r\n"));
}

TEST_CASE("[fault-20] a monitor that does not answer in time is a 503, never a 202, also when the answer comes later") {
  EdgeBox box(
      [](const Said& said) -> std::optional<Reply> {
        if (said.sequence == 1)
          os::real_clock().sleep(Millis{400});
        return accepting(said);
      },
      {.answer = Millis{200}});
  const std::string answer = box.exchange(post("{}"));
  CHECK(status_of(answer) == 503);
  CHECK(has(answer, "Retry-After: 5\r\n"));
  CHECK(has(answer, R"("code":"throttled")"));
  os::real_clock().sleep(Millis{300});
  CHECK(status_of(box.exchange(post("{}"))) == 202);
}

TEST_CASE("an answer that is none of ours is not passed on") {
  EdgeBox box(
      [](const Said& said) -> std::optional<Reply> {
        return said.sequence == 1 ? Reply{"99999", "{}"} : Reply{"202", "{}"};
      },
      {.answer = Millis{200}});
  CHECK(status_of(box.exchange(post("{}"))) == 503);
  CHECK(status_of(box.exchange(post("{}"))) == 202);
}

TEST_CASE("[fault-1] a webhook without id, timestamp or signature is 401 without detail and never reaches the monitor") {
  EdgeBox box(accepting);
  std::string first;
  for (const char* missing : {"webhook-id: msg_1\r\n", "webhook-timestamp: 1614265330\r\n",
           "webhook-signature: v1,abc\r\n"}) {
    std::string request = post("{}");
    request.erase(request.find(missing), std::string_view(missing).size());
    const std::string answer = box.exchange(request);
    CHECK(status_of(answer) == 401);
    if (first.empty())
      first = body_of(answer);
    CHECK(body_of(answer) == first);
  }
  CHECK(first == R"({"error":{"code":"denied","message":"not authorized"}})");
  CHECK(status_of(box.exchange(post("{}", "X-Hub-Signature: sha1=ab\r\n"))) ==
      202); // next to a good one it means nothing
  CHECK(box.said().size() == 1);
}

TEST_CASE("[fault-14] a sha1 signature alone is 401") {
  EdgeBox box(accepting);
  CHECK(
      status_of(box.exchange(
          "POST /v1/hooks HTTP/1.0\r\nX-Hub-Signature: sha1=ab\r\nX-GitHub-Delivery: 1\r\nContent-Length: 0\r\n\r\n")) ==
      401);
  CHECK(box.said().empty());
}

TEST_CASE("[fault-22] a body of 64 KiB is taken, one byte more is 413") {
  EdgeBox box(accepting);
  const std::string most(64 * 1024, 'x');
  CHECK(status_of(box.exchange(post(most))) == 202);
  REQUIRE(box.said(1)[0].fields[5] == most);
  CHECK(status_of(box.exchange(post(most + "x"))) == 413);
  CHECK(box.said().size() == 1);
}

TEST_CASE("[fault-28] %0d%0a in a header and in a body is text and stays as it is") {
  EdgeBox box(accepting);
  std::string request = post("{\"a\":\"%0d%0a\"}");
  request.replace(request.find("msg_1"), 5, "m%0d%0aX-Evil:%201%41");
  CHECK(status_of(box.exchange(request)) == 202);
  const auto fields = box.said(1)[0].fields;
  CHECK(fields[0] == "m%0d%0aX-Evil:%201%41");
  CHECK(fields[5] == "{\"a\":\"%0d%0a\"}");
}

TEST_CASE("[fault-31] a client that goes away in the middle of its body leaves no job") {
  EdgeBox box(accepting);
  {
    const Fd fd = box.connect();
    const std::string request = post("{\"type\":\"site.deploy\"}");
    say(fd.get(), std::string_view(request).substr(0, request.size() - 3));
    os::real_clock().sleep(Millis{50});
  }
  os::real_clock().sleep(Millis{100});
  CHECK(status_of(box.exchange(post("{}"))) == 202);
  CHECK(box.said().size() == 1);
}

TEST_CASE("[fault-33] what a client says about its own address reaches nobody") {
  EdgeBox box(accepting);
  CHECK(status_of(box.exchange(post("{}",
            "X-Forwarded-For: 127.0.0.1\r\nREMOTE-ADDR: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n"))) ==
      202);
  const auto said = box.said(1);
  for (const auto& field : said[0].fields)
    CHECK(field.find("127.0.0.1") == std::string::npos);
}

TEST_CASE("an answered client may send the next webhook on the same connection, so many and no more") {
  EdgeBox box(accepting, {.requests = 3});
  const Fd fd = box.connect();
  for (int i = 0; i < 3; ++i) {
    say(fd.get(), post(cat("{\"n\":", i, "}"), "", ""));
    const std::string answer = read_all(fd.get(), "x.y\"}}");
    CHECK(status_of(answer) == 202);
    CHECK(has(answer, i < 2 ? "Keep-Alive: " : "Connection: close"));
  }
  CHECK(read_all(fd.get()).empty()); // closed
  CHECK(box.said().size() == 3);
}

TEST_CASE("after an error the connection is closed") {
  EdgeBox box([](const Said&) { return Reply{"409", "{}"}; });
  const Fd fd = box.connect();
  say(fd.get(), post("{}", "", ""));
  const std::string answer = read_all(fd.get());
  CHECK(status_of(answer) == 409);
  CHECK(has(answer, "Connection: close\r\n"));
  CHECK_FALSE(has(answer, "Keep-Alive"));
  CHECK_FALSE(has(answer, "<still open>"));
}

TEST_CASE("webhooks that wait for the monitor hold no thread, and each gets its own answer") {
  std::atomic<bool> open = false;
  EdgeBox box([&](const Said& said) -> std::optional<Reply> {
    while (!open)
      os::real_clock().sleep(Millis{5});
    return Reply{"202", said.fields[5]};
  });
  std::vector<Fd> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(box.connect());
    say(clients.back().get(), post(cat("{\"n\":", i, "}")));
  }
  os::real_clock().sleep(Millis{300});
  CHECK(box.threads() == 2);
  open = true;
  for (int i = 0; i < 100; ++i)
    CHECK(body_of(read_all(clients[static_cast<size_t>(i)].get())) == cat("{\"n\":", i, "}"));
  CHECK(box.threads() == 2);
}

TEST_CASE("a client that sends its body late, or does not take its answers, holds up nobody else") {
  const std::string large(100'000, 'x');
  EdgeBox box(
      [&](const Said& said) {
        return Reply{"202", said.fields[5] == "large" ? cat("\"", large, "\"") : "{}"};
      },
      {.requests = 1000});
  const std::string whole = post("{\"late\":true}");
  const Fd late = box.connect();
  say(late.get(), std::string_view(whole).substr(0, whole.size() - 3));
  const Fd deaf = box.connect();
  for (int i = 0; i < 8; ++i) { // more than its socket takes
    say(deaf.get(), post("large", "", ""));
    os::real_clock().sleep(Millis{20});
  }
  for (int i = 0; i < 20; ++i)
    CHECK(status_of(box.exchange(post("{}"))) == 202);
  say(late.get(), std::string_view(whole).substr(whole.size() - 3));
  CHECK(status_of(read_all(late.get())) == 202);
  CHECK(status_of(read_all(deaf.get(), "xxx\"")) == 202);
}

TEST_CASE("[fault-29] a second request sent after the first is ignored, and the connection is closed") {
  EdgeBox box(accepting);
  const std::string answer = box.exchange(post("{\"n\":1}", "", "") + post("{\"n\":2}", "", ""));
  CHECK(status_of(answer) == 202);
  CHECK(answer.find("HTTP/1.1", 8) == std::string::npos);
  CHECK_FALSE(has(answer, "<still open>"));
  const auto said = box.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].fields[5] == "{\"n\":1}");
}

TEST_CASE("the edge ends with 1 when the monitor is gone") {
  EdgeBox box(accepting);
  CHECK(status_of(box.exchange(post("{}"))) == 202);
  const int status = box.stop();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 1);
}
