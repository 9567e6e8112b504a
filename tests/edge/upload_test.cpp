#include "box.hpp"

#include "os/io.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <thread>

using namespace chillbox;
using namespace chillbox::edge;

namespace {

constexpr const char* k_cap = "0123456789abcdef.00ff";

const Reply k_no_room{"503", R"({"error":{"code":"no_space","message":"no space"}})"};

std::string put(const std::string& name, std::string_view body, std::string_view more = "") {
  return cat("PUT /v1/artifacts/", name, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", more,
      "Content-Length: ", body.size(), "\r\n\r\n", body);
}

// Lends the edge a pipe for upload_begin, takes what comes, and says `stored` to a good
// upload_done.
struct Inbox {
  Inbox() {
    std::array<int, 2> ends;
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    file = Fd(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    reader = std::jthread([this, from = Fd(ends[0])](const std::stop_token& stop) {
      std::array<char, 65536> piece;
      for (;;) {
        const bool last = stop.stop_requested();
        const ssize_t n = os::read_some(from.get(), piece.data(), piece.size());
        if (n > 0)
          taken.append(piece.data(), static_cast<size_t>(n));
        else if (last)
          return;
        else
          os::real_clock().sleep(Millis{5});
      }
    });
  }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  Monitor monitor() const {
    return [this](const Said& said) -> std::optional<Reply> {
      if (said.verb == PacketVerb::upload_begin)
        return Reply{"200", "{}", "t1", file.get()};
      return said.verb == PacketVerb::upload_done && said.fields[1] != "ok"
          ? k_no_room
          : Reply{"201", R"({"stored":true})"};
    };
  }
  std::string content() { // after the answer, before which all of it is in the pipe
    reader.request_stop();
    reader.join();
    return taken;
  }
  Fd file;
  std::string taken;
  std::jthread reader; // ends before what it writes to
};

std::string noise(size_t size) {
  std::string out(size, '\0');
  uint32_t n = 1;
  for (char& c : out)
    c = static_cast<char>((n = n * 1664525U + 1013904223U) >> 24);
  return out;
}

} // namespace

TEST_CASE("an upload goes into what the monitor lent, byte by byte as it came, and is then reported") {
  Inbox inbox;
  EdgeBox box(inbox.monitor());
  const std::string bytes = noise(3 * 1024 * 1024 + 17);
  const std::string answer = box.exchange(put(k_digest + "?cap=" + k_cap, bytes));
  CHECK(status_of(answer) == 201);
  CHECK(body_of(answer) == R"({"stored":true})");
  CHECK((inbox.content() == bytes));
  const auto said = box.said();
  REQUIRE(said.size() == 2);
  CHECK(said[0].verb == PacketVerb::upload_begin);
  CHECK(said[0].fields ==
      std::vector<std::string>{k_digest, "artifact", k_cap, std::to_string(bytes.size()), "0"});
  CHECK(said[1].verb == PacketVerb::upload_done);
  CHECK(said[1].fields == std::vector<std::string>{"t1", "ok"});
}

TEST_CASE("an upload works confined, where nothing can be opened") {
  Inbox inbox;
  EdgeBox box(inbox.monitor(), {}, true);
  const std::string bytes = noise(200'000);
  CHECK(status_of(box.exchange(put(k_digest + "?cap=" + k_cap, bytes))) == 201);
  CHECK((inbox.content() == bytes));
}

TEST_CASE("a signature is its own kind of upload, and small") {
  Inbox inbox;
  EdgeBox box(inbox.monitor());
  CHECK(status_of(box.exchange(put(k_digest + ".minisig", "untrusted comment: x\n",
            cat("Authorization: Bearer ", k_cap, "\r\n")))) == 201);
  CHECK(box.said(1)[0].fields == std::vector<std::string>{k_digest, "minisig", k_cap, "21", "0"});
  CHECK(status_of(box.exchange(put(k_digest + ".minisig?cap=" + k_cap, std::string(8'193, 'x')))) ==
      413);
}

TEST_CASE("an upload without a capability, or with one that cannot be ours, is 401 and the monitor is not asked") {
  EdgeBox box(accepting);
  for (const std::string& name : {k_digest, k_digest + "?cap=", k_digest + "?cap=a%2eb",
           k_digest + "?cap=" + std::string(129, 'a'), k_digest + "?xcap=a.b"})
    CHECK(status_of(box.exchange(put(name, "x"))) == 401);
  CHECK(status_of(box.exchange(put(k_digest, "x", "Authorization: Basic YTpi\r\n"))) == 401);
  CHECK(status_of(box.exchange(put(k_digest + "?cap=a.b&cap=c.d", "x"))) == 400);
  CHECK(status_of(box.exchange(put(k_digest + "?cap=a.b", "x", "Authorization: Bearer a.b\r\n"))) ==
      400);
  CHECK(box.said().empty());
}

TEST_CASE("an upload is refused by its head, while the client still keeps its body back, and counted [attack-B2]") {
  EdgeBox box(accepting);
  const Fd fd = box.connect();
  say(fd.get(),
      cat("PUT /v1/artifacts/", k_digest,
          " HTTP/1.0\r\nHost: h\r\nContent-Length: 900000000\r\n\r\n"));
  CHECK(status_of(read_all(fd.get(), "authorized\"}}")) == 401);
  CHECK(
      status_of(box.exchange(post("{}", "", "Connection: close\r\n").replace(0, 4, "PUT"))) == 405);
  for (int i = 0; i < 500 && box.refused_uploads() + box.refused_hooks() < 2; ++i)
    os::real_clock().sleep(Millis{10});
  CHECK(box.refused_uploads() == 1);
  CHECK(box.refused_hooks() == 1);
}

TEST_CASE("an upload ends when its bytes come too slowly, or at the end of its time [attack-B2]") {
  Inbox inbox;
  const bool slow = GENERATE(true, false);
  EdgeBox box(inbox.monitor(),
      {.upload_piece = Millis{slow ? 300 : 60'000}, .upload = Millis{slow ? 60'000 : 300}});
  const Fd fd = box.connect();
  say(fd.get(),
      cat("PUT /v1/artifacts/", k_digest,
          "?cap=a.b HTTP/1.0\r\nHost: h\r\nContent-Length: 100\r\n\r\n12345"));
  CHECK_FALSE(has(read_all(fd.get(), "", Millis{3'000}), "<still open>"));
}

TEST_CASE("an upload takes as long as it needs while its bytes come [fault-201]") {
  Inbox inbox;
  EdgeBox box(inbox.monitor(), {.upload_piece = Millis{400}});
  const std::string bytes = noise(10 * 64 * 1024);
  const Fd fd = box.connect();
  say(fd.get(),
      cat("PUT /v1/artifacts/", k_digest,
          "?cap=a.b HTTP/1.0\r\nHost: h\r\nContent-Length: ", bytes.size(), "\r\n\r\n"));
  for (size_t at = 0; at < bytes.size(); at += 64 * 1024) {
    os::real_clock().sleep(Millis{100}); // a second together
    say(fd.get(), bytes.substr(at, 64 * 1024));
  }
  CHECK(status_of(read_all(fd.get(), "stored")) == 201);
  CHECK((inbox.content() == bytes));
}

TEST_CASE("an upload that goes on says where, and the monitor learns it and the size of the whole [fault-205]") {
  Inbox inbox;
  EdgeBox box(inbox.monitor());
  const std::string to = k_digest + "?cap=" + k_cap;
  CHECK(status_of(box.exchange(put(to, "6789", "Content-Range: bytes 6-9/10\r\n"))) == 201);
  CHECK(box.said(1)[0].fields == std::vector<std::string>{k_digest, "artifact", k_cap, "10", "6"});
}

TEST_CASE("a Content-Range that is not the rest of an artifact is refused on the head [fault-205] [attack-B2]") {
  EdgeBox box(accepting, {.artifact_max = 1'000});
  const std::string to = k_digest + "?cap=" + k_cap;
  for (const char* range :
      {"", "bytes", "bytes 6-9", "bytes 6-9/*", "bytes */10", "bytes 6-8/10", "bytes 5-9/10",
          "bytes 9-6/10", "bytes 06-9/10", "bytes +6-9/10", "bytes 6-9/11", "octets 6-9/10",
          "bytes 6-9/10, 1-2/3", "bytes 18446744073709551612-18446744073709551615/0",
          "bytes 18446744073709551611-18446744073709551614/18446744073709551615"}) {
    INFO(range);
    const int status =
        status_of(box.exchange(put(to, "6789", cat("Content-Range: ", range, "\r\n"))));
    CHECK((status == 400 || status == 413));
  }
  CHECK(status_of(box.exchange(put(to, "6789", "Content-Range: bytes 997-1000/1001\r\n"))) == 413);
  CHECK(status_of(box.exchange(put(
            to, "6789", "Content-Range: bytes 6-9/10\r\nContent-Range: bytes 6-9/10\r\n"))) == 400);
  CHECK(status_of(box.exchange(put(k_digest + ".minisig?cap=" + k_cap, "6789",
            "Content-Range: bytes 6-9/10\r\n"))) == 400);
  CHECK(box.said().empty());
}

TEST_CASE("what the monitor says against an upload is passed on before the body was read") {
  EdgeBox box([](const Said&) {
    return Reply{"401", R"({"error":{"code":"denied","message":"not authorized"}})"};
  });
  const Fd fd = box.connect();
  say(fd.get(),
      cat("PUT /v1/artifacts/", k_digest,
          "?cap=a.b HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n",
          std::string(5'000, 'x')));
  CHECK(status_of(read_all(fd.get(), "authorized\"}}")) == 401);
}

TEST_CASE("[fault-42] an upload over the host's limit is 413 before anything is written") {
  EdgeBox box(accepting, {.artifact_max = 1'000});
  CHECK(status_of(box.exchange(put(k_digest + "?cap=a.b", std::string(1'001, 'x')))) == 413);
  CHECK(box.said().empty());
}

TEST_CASE("[fault-42] bytes after the announced size are not written") {
  Inbox inbox;
  EdgeBox box(inbox.monitor());
  const std::string answer = box.exchange(put(k_digest + "?cap=a.b", "12345") + "6789");
  CHECK(status_of(answer) == 201);
  CHECK(inbox.content() == "12345");
}

TEST_CASE("[fault-31] an upload that is cut off is reported to the monitor as such") {
  Inbox inbox;
  EdgeBox box(inbox.monitor());
  {
    const Fd fd = box.connect();
    say(fd.get(),
        cat("PUT /v1/artifacts/", k_digest,
            "?cap=a.b HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n12345"));
    box.said(1);
  }
  const auto said = box.said(2);
  CHECK(said[1].verb == PacketVerb::upload_done);
  CHECK(said[1].fields == std::vector<std::string>{"t1", "cut off after 5 of 100 bytes"});
}

TEST_CASE("[fault-88] a monitor that takes no more of an upload, for a full disk, says why, and the edge keeps running") {
  std::array<int, 2> ends;
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  ::close(ends[0]);
  const Fd full(ends[1]);
  const bool early = GENERATE(true, false); // with the head, or behind it
  EdgeBox box(
      [&](const Said& said) -> std::optional<Reply> {
        return said.verb == PacketVerb::upload_begin ? Reply{"200", "{}", "t1", full.get()}
            : said.verb == PacketVerb::upload_done   ? k_no_room
                                                     : accepting(said);
      },
      {}, true);
  const Fd fd = box.connect();
  const std::string all = put(k_digest + "?cap=a.b", std::string(100'000, 'x'));
  say(fd.get(), all.substr(0, all.size() - (early ? 0 : 100'000)));
  (void)box.said(1);
  if (!early)
    say(fd.get(), std::string(100'000, 'x'));
  const std::string answer = read_all(fd.get(), "no space\"}}");
  CHECK(status_of(answer) == 503);
  CHECK(has(answer, R"("code":"no_space")"));
  const auto said = box.said(2);
  CHECK(said[1].fields[0] == "t1");
  CHECK(has(said[1].fields[1], "write to the monitor: "));
  CHECK(status_of(box.exchange(post("{}"))) == 202);
}

TEST_CASE("uploads over their number are sent away, and webhooks still pass") {
  Inbox inbox;
  EdgeBox box(inbox.monitor(), {.uploads = 1});
  const Fd slow = box.connect();
  say(slow.get(),
      cat("PUT /v1/artifacts/", k_digest,
          "?cap=a.b HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n12345"));
  box.said(1);
  const std::string second = box.exchange(put(k_digest + "?cap=a.b", "x"));
  CHECK(status_of(second) == 503);
  CHECK(has(second, "Retry-After: "));
  CHECK(status_of(box.exchange(post("{}"))) == 201);
  say(slow.get(), std::string(95, 'x'));
  CHECK(status_of(read_all(slow.get(), "true}")) == 201);
  CHECK(status_of(box.exchange(put(k_digest + "?cap=a.b", "x"))) == 201);
}

TEST_CASE("what the host has already wants no file: its answer is passed on, and the bytes that come all the same are dropped") {
  EdgeBox box([](const Said&) { return Reply{"200", R"({"stored":true})"}; });
  const std::string answer = box.exchange(put(k_digest + "?cap=a.b", noise(50'000)));
  CHECK(status_of(answer) == 200);
  CHECK(body_of(answer) == R"({"stored":true})");
  CHECK(box.said().size() == 1);
}

TEST_CASE("[fault-35] an answer without a file, which cannot be, is 500 with a request id and no more") {
  EdgeBox box([](const Said&) { return Reply{"200", "{}", "t1"}; });
  const std::string answer = box.exchange(put(k_digest + "?cap=a.b", "x"));
  CHECK(status_of(answer) == 500);
  CHECK(has(answer, R"({"error":{"code":"failure","message":"internal error","request":")"));
  CHECK_FALSE(has(answer, "upload_begin"));
}
