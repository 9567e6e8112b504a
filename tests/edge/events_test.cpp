#include "box.hpp"

#include "edge/events.hpp"

using namespace chillbox;
using namespace chillbox::edge;

namespace {

std::string batch(int from, int to, bool ended) {
  std::string events;
  for (int i = from; i <= to; ++i)
    events +=
        cat(i > from ? "," : "", R"({"number":)", i, R"(,"time_ms":1,"step":"stage","kind":")",
            ended && i == to ? "end" : "begin", R"(","text":"t)", i, R"("})");
  return cat(R"({"events":[)", events, R"(],"ended":)", ended ? "true" : "false", "}");
}

const std::string k_target = "/v1/jobs/" + k_job + "/events?cap=a.b";

} // namespace

TEST_CASE("an event is a message with its number, its kind and one line of JSON") {
  const auto events = event_batch(
      R"({"events":[{"number":7,"time_ms":5,"step":"check","kind":"log","text":"a\nb\r\u0000"}],"ended":false})",
      6);
  CHECK(events.last == 7);
  CHECK_FALSE(events.ended);
  CHECK(events.text ==
      "id: 7\nevent: log\ndata: {\"kind\":\"log\",\"number\":7,\"step\":\"check\",\"text\":\"a\\nb\\r\\u0000\",\"time_ms\":5}\n\n");
  CHECK(event_batch(R"({"events":[],"ended":true})", 6).last == 6);
}

TEST_CASE("a stream gives what is there, then what comes, and ends after the end") {
  EdgeBox box([](const Said& said) -> std::optional<Reply> {
    if (said.fields[3].empty())
      return Reply{"200", batch(1, 2, false)};
    return Reply{"200", said.fields[2] == "2" ? batch(3, 3, false) : batch(4, 4, true)};
  });
  const std::string answer = box.exchange(get(k_target));
  CHECK(status_of(answer) == 200);
  CHECK(has(answer, "Content-Type: text/event-stream\r\n"));
  CHECK(has(answer, "X-Accel-Buffering: no\r\n"));
  CHECK_FALSE(has(answer, "Transfer-Encoding"));
  CHECK_FALSE(has(answer, "Content-Length"));
  size_t at = 0;
  for (int i = 1; i <= 4; ++i) {
    const auto found =
        answer.find(cat("id: ", i, "\nevent: ", i == 4 ? "end" : "begin", "\ndata: {"), at);
    REQUIRE(found != std::string::npos);
    at = found;
  }
  CHECK(answer.ends_with("}\n\n"));
  const auto said = box.said();
  REQUIRE(said.size() == 3);
  CHECK(said[0].fields == std::vector<std::string>{k_job, "a.b", "0", ""});
  CHECK(said[1].fields == std::vector<std::string>{k_job, "a.b", "2", "wait"});
}

TEST_CASE("an event reaches its reader when it comes, not when the stream ends") {
  std::atomic<bool> more = false;
  EdgeBox box([&](const Said& said) -> std::optional<Reply> {
    if (said.fields[3].empty())
      return Reply{"200", batch(1, 1, false)};
    while (!more)
      os::real_clock().sleep(Millis{5});
    return Reply{"200", batch(2, 2, true)};
  });
  const Fd fd = box.connect();
  say(fd.get(), get(k_target));
  CHECK(has(read_all(fd.get(), "id: 1\n"), "id: 1\n"));
  more = true;
  CHECK(has(read_all(fd.get()), "id: 2\n"));
}

TEST_CASE("a reader that comes back continues where it was, by Last-Event-ID before ?after") {
  EdgeBox box([](const Said&) { return Reply{"200", batch(9, 9, true)}; });
  box.exchange(get(k_target + "&after=5"));
  box.exchange(get(k_target + "&after=5", "Last-Event-ID: 8\r\n"));
  const auto said = box.said(2);
  CHECK(said[0].fields[2] == "5");
  CHECK(said[1].fields[2] == "8");
  for (const char* bad :
      {"&after=x", "&after=-1", "&after=1&after=2", "&after=18446744073709551616"})
    CHECK(status_of(box.exchange(get(k_target + bad))) == 400);
  CHECK(status_of(box.exchange(get(k_target, "Last-Event-ID: x\r\n"))) == 400);
}

TEST_CASE("a job that has ended without further events ends its stream at once") {
  EdgeBox box([](const Said&) { return Reply{"200", R"({"events":[],"ended":true})"}; });
  const std::string answer = box.exchange(get(k_target + "&after=4"));
  CHECK(status_of(answer) == 200);
  CHECK_FALSE(has(answer, "<still open>"));
}

TEST_CASE("while nothing happens there is a heartbeat, and a monitor that cannot wait is not asked in circles") {
  EdgeBox box([](const Said&) { return Reply{"200", R"({"events":[],"ended":false})"}; });
  const Fd fd = box.connect();
  say(fd.get(), get(k_target));
  CHECK(has(read_all(fd.get(), "\n:\n\n", Millis{3'000}), "\n:\n\n"));
  CHECK(box.said().size() <= 4);
}

TEST_CASE("someone who may not see a job gets 401 before any stream begins") {
  EdgeBox box([](const Said&) {
    return Reply{"401", R"({"error":{"code":"denied","message":"not authorized"}})"};
  });
  CHECK(status_of(box.exchange(get(k_target))) == 401);
  CHECK(status_of(box.exchange(get("/v1/jobs/" + k_job + "?cap=a.b"))) == 401);
  CHECK(status_of(box.exchange(get("/v1/jobs/" + k_job))) == 401);
  CHECK(box.said().size() == 2);
}

TEST_CASE("streams over their number are sent away, until one ends") {
  std::atomic<bool> over = false;
  EdgeBox box(
      [&](const Said& said) -> std::optional<Reply> {
        if (said.verb != PacketVerb::job_events)
          return accepting(said);
        if (over)
          return Reply{"200", batch(2, 2, true)};
        return said.fields[3].empty() ? std::optional(Reply{"200", batch(1, 1, false)})
                                      : std::nullopt;
      },
      {.streams = 2, .answer = Millis{500}, .poll = Millis{500}});
  const Fd one = box.connect();
  const Fd two = box.connect();
  say(one.get(), get(k_target));
  say(two.get(), get(k_target));
  CHECK(has(read_all(one.get(), "id: 1\n"), "id: 1\n"));
  CHECK(has(read_all(two.get(), "id: 1\n"), "id: 1\n"));
  const std::string third = box.exchange(get(k_target));
  CHECK(status_of(third) == 503);
  CHECK(has(third, "Retry-After: "));
  CHECK(status_of(box.exchange(post("{}"))) == 202);
  over = true;
  read_all(one.get());
  read_all(two.get()); // the monitor gave no answer: both ended
  CHECK(status_of(box.exchange(get(k_target))) == 200);
}

TEST_CASE("[fault-1111] one job has some of the streams, one webhook key most, and others get theirs [attack-W65]") {
  EdgeBox box(
      [&](const Said& said) -> std::optional<Reply> {
        return said.fields[3].empty() ? std::optional(Reply{"200", batch(1, 1, false)})
                                      : std::nullopt;
      },
      {.streams = 4, .job_streams = 2, .key_streams = 3, .poll = Millis{20'000}});
  std::vector<Fd> open;
  const auto follow = [&](const std::string& job, const std::string& key) {
    Fd fd = box.connect();
    say(fd.get(), get(cat("/v1/jobs/", job, "/events?cap=", job, ".", key, ".9.m")));
    const std::string answer = read_all(fd.get(), "id: 1\n");
    if (has(answer, "id: 1\n"))
      open.push_back(std::move(fd));
    return answer;
  };
  const std::string other(16, 'b'), third(16, 'c');
  CHECK(has(follow(k_job, "k"), "id: 1\n"));
  CHECK(has(follow(k_job, "k"), "id: 1\n"));
  const std::string refused = follow(k_job, "k");
  CHECK(status_of(refused) == 503);
  CHECK(has(refused, "2 event streams of this job are open"));
  CHECK(has(follow(other, "k"), "id: 1\n"));
  CHECK(has(follow(other, "k"), "3 event streams of this webhook key are open"));
  CHECK(has(follow(third, "l"), "id: 1\n"));
}

TEST_CASE("[fault-35] an answer that is not as agreed is 500 with a request id and no detail") {
  for (const char* answer : {"nonsense", "{}", R"({"events":[{"number":"x"}],"ended":false})",
           R"({"events":7,"ended":false})"}) {
    EdgeBox box([&](const Said&) { return Reply{"200", answer}; });
    const std::string response = box.exchange(get(k_target));
    CHECK(status_of(response) == 500);
    CHECK(has(response, R"({"error":{"code":"failure","message":"internal error","request":")"));
    CHECK_FALSE(has(body_of(response), "json"));
    CHECK_FALSE(has(body_of(response), "exception"));
  }
}

TEST_CASE("[fault-35] such an answer in the middle of a stream ends the stream, not the edge") {
  EdgeBox box([](const Said& said) -> std::optional<Reply> {
    if (said.verb != PacketVerb::job_events)
      return accepting(said);
    return Reply{"200", said.fields[3].empty() ? batch(1, 1, false) : "nonsense"};
  });
  const std::string answer = box.exchange(get(k_target));
  CHECK(has(answer, "id: 1\n"));
  CHECK_FALSE(has(answer, "<still open>"));
  CHECK(status_of(box.exchange(post("{}"))) == 202);
}

TEST_CASE("a job and the host's health are asked of the monitor") {
  EdgeBox box([](const Said& said) -> std::optional<Reply> {
    return Reply{"200",
        said.verb == PacketVerb::health ? R"({"status":"ok","sealed":true})" : R"({"job":{}})"};
  });
  CHECK(body_of(box.exchange(get("/v1/health"))) == R"({"status":"ok","sealed":true})");
  CHECK(body_of(box.exchange(get("/v1/jobs/" + k_job, "Authorization: Bearer a.b\r\n"))) ==
      R"({"job":{}})");
  const auto said = box.said();
  REQUIRE(said.size() == 2);
  CHECK(said[0].fields.empty());
  CHECK(said[1].fields == std::vector<std::string>{k_job, "a.b"});
}
