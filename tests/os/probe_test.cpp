// Against a server of the worst kind, one connection at a time.
#include "catch.hpp"
#include "support.hpp"

#include "base/fd.hpp"
#include "os/probe.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

using namespace chillbox;
using namespace chillbox::os;
using os_test::has;
using os_test::TempDir;

namespace {

class Server {
public:
  explicit Server(std::function<void(int)> serve)
      : m_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), m_serve(std::move(serve)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    path = m_dir / "s.sock";
    std::memcpy(a.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(m_fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
    REQUIRE(::listen(m_fd.get(), 4) == 0);
    m_thread = std::thread([this] {
      const Fd client(::accept(m_fd.get(), nullptr, nullptr));
      char buffer[4096];
      const ssize_t n = ::recv(client.get(), buffer, sizeof buffer, 0);
      request.assign(buffer, n > 0 ? static_cast<size_t>(n) : 0);
      m_serve(client.get());
    });
  }
  ~Server() {
    ::shutdown(m_fd.get(), SHUT_RDWR);
    m_thread.join();
  }
  Result<ProbeAnswer> ask(int timeout_ms = 2000) {
    return probe(
        {.socket = path, .path = "/up", .host = "example.org", .timeout = Millis{timeout_ms}});
  }
  std::string path, request;

private:
  TempDir m_dir;
  Fd m_fd;
  std::function<void(int)> m_serve;
  std::thread m_thread;
};

void say(int fd, std::string_view text) {
  static_cast<void>(::send(fd, text.data(), text.size(), MSG_NOSIGNAL));
}

} // namespace

TEST_CASE("a probe asks with HTTP/1.0 and gives back status and body") {
  Server server([](int fd) { say(fd, "HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\nbody"); });
  const auto answer = server.ask();
  REQUIRE(answer);
  CHECK(answer->status == 302); // and it did not follow
  CHECK(answer->body == "body");
  CHECK(answer->location == "/login");
  CHECK(server.request.starts_with("GET /up HTTP/1.0\r\nHost: example.org\r\n"));
}

TEST_CASE("a probe of a visitor has the headers with which NGINX passes one on") {
  Server server([](int fd) { say(fd, "HTTP/1.1 200 OK\r\n\r\n"); });
  REQUIRE(probe({.socket = server.path, .path = "/", .host = "example.org", .scheme = "https"}));
  CHECK(has(server.request, "\r\nX-Forwarded-Proto: https\r\n"));
  CHECK(has(server.request, "\r\nX-Forwarded-For: 127.0.0.1\r\n"));
  CHECK(has(server.request, "\r\nX-Forwarded-Host: example.org\r\n"));
}

TEST_CASE("a probe ends at the announced length, although the server keeps the connection") {
  Server server([](int fd) {
    say(fd, "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\n\r\nok");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  });
  const auto begun = std::chrono::steady_clock::now();
  CHECK(server.ask()->body == "ok");
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(300));
}

TEST_CASE("[fault-105] a slow drip, silence and an endless body are bounded") {
  SECTION("drip") {
    Server server([](int fd) {
      say(fd, "HTTP/1.1 200 OK\r\n\r\n");
      for (int i = 0; i < 20; ++i) {
        say(fd, "x");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    CHECK(server.ask(150).error().code == Code::timed_out);
  }
  SECTION("silence") {
    Server server([](int) { std::this_thread::sleep_for(std::chrono::milliseconds(300)); });
    const auto error = server.ask(100).error();
    CHECK(error.code == Code::timed_out);
    CHECK(error.message == server.path + ": no answer");
  }
  SECTION("endless") {
    Server server([](int fd) {
      say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
      const std::string block(65536, 'x');
      while (::send(fd, block.data(), block.size(), MSG_NOSIGNAL) > 0) {}
    });
    const auto answer = server.ask();
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body.size() <= 64 * 1024);
  }
}

TEST_CASE("what is not HTTP is an error that shows it") {
  Server server([](int fd) { say(fd, "220 mail\x1b[31m ready\r\n"); });
  const auto error = server.ask().error();
  CHECK(error.code == Code::invalid);
  CHECK(has(error.message, "'220 mail\\x1b[31m ready"));
}

TEST_CASE("[fault-1274] a head that is longer than what is read is said to be that") {
  Server server([](int fd) {
    say(fd, "HTTP/1.0 200 OK\r\nX-Long: " + std::string(70'000, 'x') + "\r\n\r\n");
  });
  const auto error = server.ask().error();
  CHECK(error.code == Code::invalid);
  CHECK(has(error.message, "the head of the answer has over 64 KiB, which is the limit"));
}

TEST_CASE("nobody there is unreachable, over a socket and over TCP") {
  CHECK_FALSE(probe({.socket = "/no/such.sock"}));
  const auto tcp = probe({.port = 1, .timeout = Millis{1000}});
  REQUIRE_FALSE(tcp);
  CHECK(tcp.error().code == Code::unreachable);
  CHECK(tcp.error().message == "127.0.0.1:1: connect: connection refused");
}

TEST_CASE("a path or host with a line break is never sent") {
  CHECK(probe({.port = 1, .path = "/a\r\nX: y"}).error().code == Code::invalid);
  CHECK(probe({.port = 1, .path = "/", .host = "a b"}).error().code == Code::invalid);
  CHECK(probe({.port = 1, .path = "no-slash"}).error().code == Code::invalid);
}

TEST_CASE("[fault-401] many probes at once take as long as the slowest, and each has its own answer") {
  constexpr size_t k_many = 150; // more than are open at once
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<Probe> requests;
  for (size_t i = 0; i < k_many; ++i) {
    const std::string body = std::to_string(100 + i);
    servers.push_back(std::make_unique<Server>([i, body](int fd) {
      if (i % 50 == 7)
        std::this_thread::sleep_for(std::chrono::milliseconds(1'200)); // says nothing in time
      say(fd, "HTTP/1.0 200 OK\r\n\r\n" + body);
    }));
    requests.push_back({.socket = servers.back()->path, .timeout = Millis{600}});
  }
  requests.push_back({.socket = "/nonexistent/s.sock", .timeout = Millis{600}});
  requests.push_back({.path = "no path"});
  const auto begun = std::chrono::steady_clock::now();
  const auto answers = probe_all(requests);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(3 * 600));
  REQUIRE(answers.size() == k_many + 2);
  for (size_t i = 0; i < k_many; ++i)
    if (i % 50 == 7)
      CHECK(answers[i].error().code == Code::timed_out);
    else
      CHECK(answers[i].value().body == std::to_string(100 + i));
  CHECK(answers[k_many].error().code == Code::unreachable);
  CHECK(answers[k_many + 1].error().code == Code::invalid);
  CHECK(probe_all({}).empty());
}

namespace {

// Of a port, any number of connections: each gets what `answer` makes of what was asked on it.
class PortServer {
public:
  explicit PortServer(std::function<void(int fd, const std::vector<std::string>& hosts)> serve)
      : m_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    REQUIRE(::bind(m_fd.get(), reinterpret_cast<const sockaddr*>(&a), size) == 0);
    REQUIRE(::listen(m_fd.get(), 64) == 0);
    REQUIRE(::getsockname(m_fd.get(), reinterpret_cast<sockaddr*>(&a), &size) == 0);
    port = ntohs(a.sin_port);
    m_thread = std::thread([this, serve] {
      for (;;) {
        const Fd client(::accept(m_fd.get(), nullptr, nullptr));
        if (!client)
          return;
        ++connections;
        serve(client.get(), asked_on(client.get()));
      }
    });
  }
  ~PortServer() {
    ::shutdown(m_fd.get(), SHUT_RDWR);
    m_thread.join();
  }
  std::vector<Result<ProbeAnswer>> ask(const std::vector<std::string>& hosts) const {
    std::vector<Probe> requests;
    for (const auto& host : hosts)
      requests.push_back({.port = port, .host = host, .timeout = Millis{400}, .shared = true});
    return probe_all(requests);
  }
  uint16_t port = 0;
  std::atomic<int> connections{0};

private:
  // Until the request that says it is the last one.
  static std::vector<std::string> asked_on(int fd) {
    std::string text;
    char buffer[4096];
    while (text.find("Connection: close\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0)
        break;
      text.append(buffer, static_cast<size_t>(n));
    }
    std::vector<std::string> hosts;
    for (size_t at = text.find("Host: "); at != std::string::npos; at = text.find("Host: ", at + 1))
      hosts.push_back(text.substr(at + 6, text.find("\r\n", at) - at - 6));
    return hosts;
  }
  Fd m_fd;
  std::thread m_thread;
};

std::string good(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::vector<std::string> many_names() {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i)
    names.push_back("site" + std::to_string(i) + ".example");
  return names;
}

void check_bodies(
    const std::vector<Result<ProbeAnswer>>& answers, const std::vector<std::string>& names) {
  REQUIRE(answers.size() == names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    INFO(names[i]);
    REQUIRE(answers[i]);
    CHECK(answers[i]->body == names[i]);
  }
}

} // namespace

TEST_CASE("[fault-401] questions that share a port are asked on one connection, and each has its own answer") {
  const PortServer server([](int fd, const std::vector<std::string>& hosts) {
    std::string all;
    for (const auto& host : hosts)
      all += good(host);
    for (size_t at = 0; at < all.size(); at += 1000) // a border may be anywhere
      say(fd, all.substr(at, 1000));
  });
  const auto names = many_names();
  check_bodies(server.ask(names), names);
  CHECK(server.connections == 1);
}

TEST_CASE("[fault-401] what a shared connection does not answer is asked alone") {
  std::string first;
  SECTION("it is closed before the rest") {
    first = good("site0.example") + good("site1.example");
  }
  SECTION("an answer without a length") {
    first = good("site0.example") + "HTTP/1.1 200 OK\r\n\r\nsite1.example";
  }
  SECTION("something else than HTTP") {
    first = good("site0.example") + "220 mail\r\n\r\n";
  }
  SECTION("nothing at all") {}
  const PortServer server([&](int fd, const std::vector<std::string>& hosts) {
    say(fd, hosts.size() > 1 ? first : good(hosts.at(0)));
  });
  const auto names = many_names();
  check_bodies(server.ask(names), names);
  CHECK(server.connections > 90);
}

TEST_CASE("[fault-401] who stays silent on a shared connection is late, and nobody else") {
  std::vector<Fd> held;
  const PortServer server([&](int fd, const std::vector<std::string>& hosts) {
    for (const auto& host : hosts)
      if (host != "two")
        say(fd, good(host));
      else {
        held.emplace_back(::dup(fd));
        return;
      }
  });
  const auto begun = std::chrono::steady_clock::now();
  const auto answers = server.ask({"one", "two", "three"});
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(1'000));
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].value().body == "one");
  CHECK(answers[1].error().code == Code::timed_out);
  CHECK(answers[2].value().body == "three");
  CHECK(server.connections == 3);
}

TEST_CASE("[fault-401] a port where nobody listens is unreachable for each question that shares it") {
  std::vector<Probe> requests(3, Probe{.port = 1, .timeout = Millis{1'000}, .shared = true});
  for (const auto& answer : probe_all(requests))
    CHECK(answer.error().message == "127.0.0.1:1: connect: connection refused");
}
