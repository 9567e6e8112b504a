// The pure half: whatever bytes come are a head with one meaning, or a refusal.
#include "box.hpp"

#include "edge/request_head.hpp"
#include "edge/route.hpp"

using namespace chillbox;
using namespace chillbox::edge;

namespace {

struct Outcome {
  std::optional<Refusal> refusal;
  size_t size = 0;
  RequestHead head;
};

Outcome parse(std::string_view bytes) {
  Outcome o;
  o.refusal = find_head(bytes, 0, o.size);
  if (!o.refusal && o.size > 0)
    o.refusal = parse_head(bytes.substr(0, o.size), o.head);
  return o;
}

// Deterministic: the same faults in every run.
struct Dice {
  uint32_t state = 12345;
  uint32_t below(uint32_t n) { return ((state = state * 1664525U + 1013904223U) >> 8) % n; }
};

// Changes, drops, doubles or inserts a byte, a few times; bytes that mean something to a parser are
// likelier than others.
std::string mutate(std::string text, Dice& dice) {
  static constexpr std::string_view k_nasty{"\r\n\0 \t:;,=+-%_\x7f\x80\xff?&/09aZ", 25};
  for (uint32_t i = 0; i <= dice.below(4); ++i) {
    const uint32_t at = dice.below(static_cast<uint32_t>(text.size()));
    const char c = k_nasty[dice.below(static_cast<uint32_t>(k_nasty.size()))];
    switch (dice.below(4)) {
    case 0: text[at] = c; break;
    case 1: text.erase(at, 1); break;
    case 2: text.insert(at, 1, c); break;
    default: text.insert(at, text.substr(at, dice.below(40))); break;
    }
  }
  return text;
}

} // namespace

TEST_CASE("a head is parsed into its parts, byte by byte as it came") {
  const std::string request =
      "PUT /v1/artifacts/x?cap=a&after=2 HTTP/1.1\r\nHost: h\r\nX-A:\t b c \r\nEmpty:\r\nContent-Length: 12\r\n\r\nbody";
  const auto o = parse(request);
  REQUIRE_FALSE(o.refusal);
  CHECK(o.size == request.size() - 4);
  CHECK(o.head.method == "PUT");
  CHECK(o.head.path == "/v1/artifacts/x");
  CHECK(o.head.query == "cap=a&after=2");
  CHECK(o.head.value("x-a") == "b c");
  CHECK(o.head.value("HOST") == "h");
  CHECK(o.head.has("empty"));
  CHECK(o.head.value("empty").empty());
  CHECK_FALSE(o.head.has("x-b"));
  CHECK(o.head.content_length == 12U);
  CHECK(o.head.keep_alive);
}

TEST_CASE("only HTTP/1.1 without 'Connection: close' keeps the connection") {
  CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n").head.keep_alive);
  CHECK_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").head.keep_alive);
  CHECK_FALSE(
      parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n").head.keep_alive);
  CHECK_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n").head.keep_alive);
  CHECK_FALSE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").head.keep_alive);
}

TEST_CASE("every beginning of a good head is unfinished, neither refused nor complete") {
  const std::string request = post("{}");
  const size_t whole = request.size() - 2;
  for (size_t n = 0; n < whole; ++n) {
    const auto o = parse(std::string_view(request).substr(0, n));
    CHECK_FALSE(o.refusal);
    CHECK(o.size == 0);
  }
  CHECK(parse(request).size == whole);
}

TEST_CASE("a head is the same however its bytes arrive") {
  const std::string request = post("{}");
  size_t size = 0;
  for (size_t n = 1; n <= request.size() && size == 0; ++n)
    CHECK_FALSE(find_head(std::string_view(request).substr(0, n), n - 1, size));
  CHECK(size == request.size() - 2);
}

TEST_CASE("each limit takes its last value and refuses the next") {
  const auto sized = [](size_t n) {
    const std::string front = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    return front + std::string(n - front.size() - 4, 'x') + "\r\n\r\n";
  };
  CHECK_FALSE(parse(sized(k_max_head)).refusal);
  CHECK(parse(sized(k_max_head + 1)).refusal.value().status == 431);
  const auto lines = [](size_t n) {
    std::string text = "GET / HTTP/1.0\r\n";
    for (size_t i = 0; i < n; ++i)
      text += cat("X-", i, ": y\r\n");
    return text + "\r\n";
  };
  CHECK_FALSE(parse(lines(k_max_headers)).refusal);
  CHECK(parse(lines(k_max_headers + 1)).refusal.value().status == 431);
  CHECK_FALSE(parse(cat("GET /", std::string(k_max_target - 1, 'a'), " HTTP/1.0\r\n\r\n")).refusal);
  CHECK(parse(cat("GET /", std::string(k_max_target, 'a'), " HTTP/1.0\r\n\r\n"))
            .refusal.value()
            .status == 414);
  CHECK(parse("GET / HTTP/1.0\r\nContent-Length: 0000000002\r\n\r\n").head.content_length == 2U);
  CHECK(
      parse("GET / HTTP/1.0\r\nContent-Length: 00000000002\r\n\r\n").refusal.value().status == 400);
}

TEST_CASE("100,000 damaged heads are each refused, unfinished, or clean") {
  const std::vector<std::string> seeds{post("{}", "X-Hub-Signature-256: sha256=ab\r\n"),
      get("/v1/jobs/" + k_job + "/events?cap=a.b&after=3", "Last-Event-ID: 4\r\n"),
      "PUT /v1/artifacts/" + k_digest + "?cap=a.b HTTP/1.0\r\nContent-Length: 5\r\n\r\n12345"};
  Dice dice;
  int clean = 0;
  int routed = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string bytes = mutate(seeds[static_cast<size_t>(i) % seeds.size()], dice);
    const auto o = parse(bytes);
    if (o.refusal || o.size == 0)
      continue;
    ++clean;
    bool good = o.size <= bytes.size() && o.head.headers.size() <= k_max_headers;
    for (const auto& h : o.head.headers)
      good = good && h.name.data() >= bytes.data() &&
          h.value.data() + h.value.size() <= bytes.data() + o.size &&
          h.name.find_first_of(" \t\r\n:_") == std::string_view::npos &&
          h.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
    good = good &&
        o.head.path.find_first_of(std::string_view(" \t\r\n\0?", 6)) == std::string_view::npos;
    Route route;
    if (!find_route(o.head, route)) {
      ++routed;
      good = good && (route.id.empty() || route.id.size() == 16 || route.id.size() == 64) &&
          route.capability.size() <= 128 &&
          route.capability.find_first_of("%/ &=") == std::string_view::npos;
    }
    if (!good)
      FAIL(printable(bytes, 2'000));
  }
  CHECK(clean > 1'000);
  CHECK(routed > 500);
}

TEST_CASE("damaged requests on the socket are each answered once or not at all, and the edge keeps running") {
  EdgeBox box(accepting, {.request = Millis{200}}, true);
  Dice dice;
  for (int i = 0; i < 400; ++i) {
    const Fd fd = box.connect();
    const std::string bytes = mutate(post("{\"a\":1}"), dice);
    say(fd.get(), bytes);
    ::shutdown(fd.get(), SHUT_WR);
    const std::string answer = read_all(fd.get());
    INFO(printable(bytes, 2'000));
    CHECK((answer.empty() || status_of(answer) >= 200));
    CHECK(answer.find("\r\n\r\n") == answer.rfind("\r\n\r\n"));
    CHECK_FALSE(has(answer, "<still open>"));
  }
  CHECK(status_of(box.exchange(post("{}"))) == 202);
}

TEST_CASE("an idle edge does not wake up") {
  EdgeBox box(accepting);
  CHECK(status_of(box.exchange(post("{}"))) == 202);
  os::real_clock().sleep(Millis{2'500}); // past the last look at idle connections
  const auto switches = [&] {
    uint64_t sum = 0;
    for (const auto& task :
        std::filesystem::directory_iterator(cat("/proc/", box.pid(), "/task"))) {
      std::ifstream status(task.path() / "status");
      for (std::string line; std::getline(status, line);)
        if (line.starts_with("voluntary_ctxt_switches:"))
          sum += std::stoull(line.substr(line.find(':') + 1));
    }
    return sum;
  };
  const uint64_t before = switches();
  os::real_clock().sleep(Millis{3'000});
  CHECK(switches() == before);
}
