// The HTTP client against a host of a few lines, one for each accident.
#include "catch.hpp"

#include "cli/http/client.hpp"
#include "cli/http/early_reply.hpp"
#include "cli/http/url.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"

#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <thread>

using namespace chillbox;
using namespace chillbox::cli;
using std::chrono::milliseconds;

namespace {

// Takes one connection, and does with it what the test says. `m_thread` is the last to be made.
class WireHost {
public:
  explicit WireHost(std::function<void(int)> talk, bool v6 = false)
      : m_listener(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 six{.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    sockaddr_in four{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const auto* address =
        v6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
    socklen_t size = v6 ? sizeof six : sizeof four;
    usable = ::bind(m_listener.get(), address, size) == 0 && ::listen(m_listener.get(), 8) == 0;
    sockaddr_in6 bound{};
    size = sizeof bound;
    ::getsockname(m_listener.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    port = ntohs(bound.sin6_port); // at the same place in both
    if (usable)
      m_thread = std::thread([this, talk = std::move(talk)] {
        const Fd client(::accept(m_listener.get(), nullptr, nullptr));
        if (client)
          talk(client.get());
      });
  }
  ~WireHost() {
    ::shutdown(m_listener.get(), SHUT_RDWR);
    if (m_thread.joinable())
      m_thread.join();
  }
  std::string url(std::string_view path = "/") const {
    return cat("http://127.0.0.1:", port, path);
  }
  bool usable = false;
  uint16_t port = 0;

private:
  Fd m_listener;
  std::thread m_thread;
};

std::string read_head(int fd) {
  std::string head;
  for (char c; head.find("\r\n\r\n") == head.npos && ::recv(fd, &c, 1, 0) == 1;)
    head += c;
  return head;
}

void say(int fd, std::string_view text) {
  (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

std::string answer(std::string_view status, std::string_view body) {
  return cat("HTTP/1.1 ", status, "\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

// Reads all that comes, and never answers.
void drain(int fd) {
  char waste[65536];
  while (::recv(fd, waste, sizeof waste, 0) > 0) {}
}

Fd big_file(uint64_t size) {
  Fd fd(::memfd_create("body", MFD_CLOEXEC));
  REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  return fd;
}

constexpr uint64_t k_big = 64 * 1024 * 1024;

Result<HttpReply> send(const HttpRequest& request) {
  return Http::create("")->send(request);
}

} // namespace

TEST_CASE("the answer to an upload that is refused on its head counts, whether or not the host reads on [fault-200]") {
  const bool reads_on = GENERATE(true, false);
  WireHost host([&](int fd) {
    read_head(fd);
    say(fd, answer("413 Too Large", R"({"error":"too large"})"));
    ::shutdown(fd, SHUT_WR);
    if (reads_on)
      drain(fd);
  });
  const Fd file = big_file(k_big);
  uint64_t sent = 0;
  const auto reply = send({.method = "PUT",
      .url = host.url(),
      .file = file.get(),
      .file_size = k_big,
      .sent = [&](uint64_t at) { sent = at; }});
  REQUIRE(reply);
  CHECK(reply->status == 413);
  CHECK(reply->body == R"({"error":"too large"})");
  CHECK(sent < k_big);
}

TEST_CASE("a host that closes in the middle of an upload without a word is unreachable") {
  WireHost host([](int fd) {
    read_head(fd);
    char some[4096];
    (void)::recv(fd, some, sizeof some, 0);
  });
  const Fd file = big_file(k_big);
  const auto reply =
      send({.method = "PUT", .url = host.url(), .file = file.get(), .file_size = k_big});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::unreachable);
  CHECK(reply.error().message.find("closed before an answer came") != std::string::npos);
}

TEST_CASE("an upload may take as long as bytes flow, and ends when none does [fault-201]") {
  WireHost slow([](int fd) { // ten times as long as a stall may be
    read_head(fd);
    std::this_thread::sleep_for(milliseconds(100));
    char some[300'000];
    for (int i = 0; i < 30; ++i) {
      (void)::recv(fd, some, 30'000, MSG_WAITALL);
      std::this_thread::sleep_for(milliseconds(50));
    }
    (void)::recv(fd, some, 100'000, MSG_WAITALL);
    say(fd, answer("201 Created", "{}"));
  });
  const Fd file = big_file(1'000'000);
  HttpRequest request{.method = "PUT",
      .url = slow.url(),
      .file = file.get(),
      .file_size = 1'000'000,
      .timeout = milliseconds::max(),
      .stall = milliseconds(400)};
  const auto done = send(request);
  REQUIRE(done);
  CHECK(done->status == 201);

  WireHost stuck([](int fd) {
    read_head(fd);
    std::this_thread::sleep_for(milliseconds(1500));
  });
  const Fd big = big_file(k_big);
  request.url = stuck.url();
  request.file = big.get();
  request.file_size = k_big;
  const auto ended = send(request);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Code::unreachable);
  CHECK(ended.error().message.find("stalled: no byte moved for") != std::string::npos);
}

TEST_CASE("the rest of a file is sent from where it is asked for") {
  std::string got;
  WireHost host([&](int fd) {
    const std::string head = read_head(fd);
    got.resize(6);
    (void)::recv(fd, got.data(), got.size(), MSG_WAITALL);
    got = head.substr(head.find("Content-Length"), 17) + " " + got;
    say(fd, answer("200 OK", "{}"));
  });
  const Fd file(::memfd_create("body", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), "0123456789", 10) == 10);
  REQUIRE(send(
      {.method = "PUT", .url = host.url(), .file = file.get(), .file_offset = 4, .file_size = 10}));
  CHECK(got == "Content-Length: 6 456789");
}

TEST_CASE("the deadline is one of the whole request, also while a header drips in [fault-202]") {
  WireHost host([](int fd) {
    read_head(fd);
    say(fd, "HTTP/1.1 200 OK\r\nX-Slow: ");
    for (int i = 0; i < 40; ++i) {
      say(fd, "x");
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  const auto began = std::chrono::steady_clock::now();
  const auto reply = send({.url = host.url("/v1/jobs/secret"), .timeout = milliseconds(400)});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::timed_out);
  CHECK(reply.error().message.find("secret") == std::string::npos);
  CHECK(std::chrono::steady_clock::now() - began < milliseconds(1500));
}

TEST_CASE("an answer without an end is cut at a limit, a stream goes to its reader") {
  WireHost endless([](int fd) {
    read_head(fd);
    say(fd, "HTTP/1.1 200 OK\r\n\r\n");
    const std::string piece(65536, 'x');
    for (int i = 0; i < 100; ++i)
      say(fd, piece);
  });
  CHECK(send({.url = endless.url()}).error().code == Code::too_large);

  WireHost stream([](int fd) {
    read_head(fd);
    say(fd, "HTTP/1.1 200 OK\r\n\r\none");
    say(fd, "two");
  });
  std::string got;
  REQUIRE(send({.url = stream.url(), .on_bytes = [&](std::string_view bytes) {
                  got += bytes;
                  return Result<void>{};
                }}));
  CHECK(got == "onetwo");
}

TEST_CASE("an IPv6 address is reached, and named with its brackets") {
  std::string head;
  WireHost host(
      [&](int fd) {
        head = read_head(fd);
        say(fd, answer("200 OK", "{}"));
      },
      true);
  if (!host.usable)
    return;
  REQUIRE(send({.url = cat("http://[::1]:", host.port, "/v1/health")}));
  CHECK(head.find(cat("Host: [::1]:", host.port, "\r\n")) != std::string::npos);
}

TEST_CASE("why there is no connection is said in words [fault-203]") {
  uint16_t closed = 0;
  {
    const WireHost gone([](int) {});
    closed = gone.port;
  }
  const auto refused = send({.url = cat("http://127.0.0.1:", closed)});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::unreachable);
  CHECK(refused.error().message.find("connection refused") != std::string::npos);
  const auto unknown = send({.url = "http://host.invalid"});
  CHECK(unknown.error().code == Code::unreachable);
  CHECK(unknown.error().message.find("could not resolve 'host.invalid'") != std::string::npos);
  WireHost plain([](int fd) {
    char some[100];
    (void)::recv(fd, some, sizeof some, 0);
    say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  const auto no_tls = send({.url = cat("https://127.0.0.1:", plain.port)});
  CHECK(no_tls.error().code == Code::unreachable);
  CHECK(no_tls.error().message.find("no TLS connection") != std::string::npos);
}

TEST_CASE("an answer that comes early is read as far as it goes") {
  auto parse = [](std::string bytes, bool ended) { return parse_early_reply(bytes, ended); };
  CHECK_FALSE(parse("HTTP/1.1 413 Too", false));
  CHECK_FALSE(parse("HTTP/1.1 413 x\r\nContent-Length: 5\r\n\r\nabc", false));
  CHECK(parse("HTTP/1.1 413 x\r\ncontent-length: 3\r\n\r\nabcd", false)->body == "abc");
  CHECK(parse("HTTP/1.1 413 x\r\nContent-Length: 5\r\n\r\nabc", true)->body == "abc");
  CHECK(parse("HTTP/1.0 503 x\r\n\r\nabc", true)->status == 503);
  CHECK(parse("HTTP/1.1 502 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n", false)->status == 502);
  std::string after = "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK_FALSE(parse_early_reply(after, false));
  CHECK(after.empty());
  for (const char* bad : {"", "HTTP/1.1 413", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 4x3 a\r\n\r\n"})
    CHECK(parse(bad, true)->status == 0);
}

TEST_CASE("the environment names a proxy as curl reads it") {
  std::map<std::string, std::string> set;
  auto proxy = [&](const char* url) {
    return proxy_of(*parse_url(url), [&](const char* name) { return set[name]; });
  };
  CHECK_FALSE(*proxy("http://host"));
  set = {{"http_proxy", "http://p.example:3128/"}, {"HTTP_PROXY", "http://wrong:1"},
      {"https_proxy", "jo:p%40ss@[::1]"}, {"no_proxy", "a.example, .b.example,10.0.0.0/8"}};
  CHECK((*proxy("http://host"))->origin() == "http://p.example:3128");
  CHECK((*proxy("https://host"))->origin() == "http://[::1]:1080");
  CHECK((*proxy("https://host"))->user == "jo");
  CHECK((*proxy("https://host"))->password == "p@ss");
  for (const char* direct :
      {"http://a.example", "http://x.A.example:80", "http://b.example", "http://10.1.2.3:8080"})
    CHECK_FALSE(*proxy(direct));
  for (const char* through : {"http://aa.example", "http://11.0.0.1", "http://b.example.org"})
    CHECK(*proxy(through));
  set["no_proxy"] = "*";
  CHECK_FALSE(*proxy("http://host"));
  set = {{"http_proxy", ""}, {"HTTP_PROXY", "http://wrong:1"}};
  CHECK_FALSE(*proxy("http://host"));
  set = {{"ALL_PROXY", "socks5://p:1"}};
  CHECK(proxy("http://host").error().message.find("only http:// proxies") != std::string::npos);
}
