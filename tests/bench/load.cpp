// load: sends signed webhooks as fast as a server answers them, and says how fast that was.
//
//   load --to 127.0.0.1:PORT|unix:PATH --path PATH --key KEY [--style standard|github]
//   [--connections N] [--threads N] [--requests N]
//        [--body BYTES] [--close] [--expect STATUS]
//
// Every request has an id and a body of its own and is signed before the clock starts, so that only
// the server's work is in the figures, and every server is driven by the same code. Prints one JSON
// object: requests, errors, seconds, rate, and percentiles of the latency in ms. The latency is
// from the first byte of a request (with --close: from the connect) to the last byte of its answer.
// Any answer but the expected one, and any connection that ends without an answer, is an error; the
// first one is told.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string to, path = "/v1/hooks", key, style = "standard";
  size_t connections = 64, threads = 1, requests = 20'000, body = 1024;
  bool keep_alive = true;
  int expect = 202;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "load: %s\n", why.c_str());
  std::exit(2);
}

std::string hmac(const std::string& key, const std::string& text) {
  std::array<unsigned char, 32> out;
  unsigned size = out.size();
  ::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
      reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  return {reinterpret_cast<char*>(out.data()), size};
}

std::string base64(const std::string& bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()))));
  return out;
}

std::string from_base64(const std::string& text) {
  std::string out(text.size(), '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (n < 0)
    give_up("the key is not base64");
  out.resize(
      static_cast<size_t>(n) - static_cast<size_t>(std::count(text.begin(), text.end(), '=')));
  return out;
}

std::string hex(const std::string& bytes) {
  std::string out;
  for (const unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

// {"type":"host.ping", ...} padded to the size that was asked for.
std::string body_of(const Options& o, const std::string& id, const std::string& time) {
  std::string body = "{\"type\":\"host.ping\",\"timestamp\":\"" + time + "\",\"data\":{\"id\":\"" +
      id + "\",\"pad\":\"";
  const std::string end = "\"}}";
  if (body.size() + end.size() < o.body)
    body.append(o.body - body.size() - end.size(), 'x');
  return body + end;
}

std::vector<std::string> prepare(const Options& o) {
  const std::string time = std::to_string(std::time(nullptr));
  const std::string run = std::to_string(::getpid()) + "-" + time + "-";
  const std::string key =
      o.style == "standard" ? from_base64(o.key.substr(o.key.find('_') + 1)) : o.key;
  std::vector<std::string> all;
  all.reserve(o.requests);
  for (size_t i = 0; i < o.requests; ++i) {
    const std::string id = run + std::to_string(i);
    const std::string body = body_of(o, id, time);
    std::string head =
        "POST " + o.path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n";
    if (o.style == "standard")
      head += "webhook-id: " + id + "\r\nwebhook-timestamp: " + time +
          "\r\nwebhook-signature: v1," + base64(hmac(key, id + "." + time + "." + body));
    else
      head +=
          "X-GitHub-Delivery: " + id + "\r\nX-Hub-Signature-256: sha256=" + hex(hmac(key, body));
    head += "\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\nConnection: " + (o.keep_alive ? "keep-alive" : "close") + "\r\n\r\n";
    all.push_back(head + body);
  }
  return all;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address parse_address(const std::string& to) {
  Address a;
  if (to.starts_with("unix:")) {
    auto& un = reinterpret_cast<sockaddr_un&>(a.storage);
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, to.c_str() + 5, sizeof un.sun_path - 1);
    a.size = sizeof un;
    return a;
  }
  const auto colon = to.rfind(':');
  if (!to.starts_with("127.0.0.1:") || colon == std::string::npos)
    give_up("--to: 127.0.0.1:PORT or unix:PATH");
  auto& in = reinterpret_cast<sockaddr_in&>(a.storage);
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in.sin_port = htons(static_cast<uint16_t>(std::atoi(to.c_str() + colon + 1)));
  a.size = sizeof in;
  return a;
}

// What stands before the empty line of an answer.
struct Head {
  int status = 0;
  size_t total = 0; // bytes of head and body; 0: until the end of the connection
  bool closes = false;
};

bool parse_head(std::string_view bytes, Head& head) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return false;
  std::string text(bytes.substr(0, end + 2));
  std::transform(text.begin(), text.end(), text.begin(),
      [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  head.status = text.size() > 12 ? std::atoi(text.c_str() + 9) : 0;
  head.closes = text.find("\r\nconnection: close\r\n") != std::string::npos;
  const auto length = text.find("\r\ncontent-length: ");
  head.total = length == std::string::npos
      ? 0
      : end + 4 + static_cast<size_t>(std::atol(text.c_str() + length + 18));
  return true;
}

// The requests of all threads, handed out one by one.
struct Work {
  const Options& options;
  const Address address;
  const std::vector<std::string> requests;
  std::atomic<size_t> next{0};
};

class Thread {
public:
  Thread(Work& work, size_t connections)
      : m_work(work), m_epoll(::epoll_create1(EPOLL_CLOEXEC)), m_connections(connections) {}

  void run() {
    for (auto& c : m_connections)
      begin(c);
    std::array<epoll_event, 256> events;
    while (m_open > 0) {
      const int n = ::epoll_wait(m_epoll, events.data(), static_cast<int>(events.size()), 10'000);
      if (n == 0)
        give_up("no answer for 10 s");
      for (int i = 0; i < n; ++i)
        go_on(*static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr));
    }
  }

  std::vector<double> latencies; // ms
  std::map<std::string, size_t> errors;

private:
  struct Connection {
    int fd = -1;
    bool busy = false;
    std::string_view out; // what is left of the request
    std::string in;
    Head head;
    Clock::time_point since;
  };

  // The next request on this connection, on a new one where there is none.
  void begin(Connection& c) {
    const size_t at = m_work.next++;
    if (at >= m_work.requests.size())
      return end(c);
    c.out = m_work.requests[at];
    c.in.clear();
    c.head = {};
    c.since = Clock::now();
    m_open += c.busy ? 0 : 1;
    c.busy = true;
    if (c.fd < 0)
      open(c);
    send(c);
  }

  void end(Connection& c) {
    if (c.fd >= 0)
      ::close(c.fd);
    c.fd = -1;
    m_open -= c.busy ? 1 : 0;
    c.busy = false;
  }

  void open(Connection& c) {
    c.fd = ::socket(m_work.address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (m_work.address.storage.ss_family == AF_INET)
      ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Blocking: with a full backlog the server is what is waited for.
    if (::connect(c.fd, reinterpret_cast<const sockaddr*>(&m_work.address.storage),
            m_work.address.size) != 0)
      give_up("connect to " + m_work.options.to + ": " + std::strerror(errno));
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
    ::epoll_ctl(m_epoll, EPOLL_CTL_ADD, c.fd, &event);
  }

  // A request is far smaller than a socket's buffer: it never blocks for long.
  void send(Connection& c) {
    while (!c.out.empty()) {
      const ssize_t n = ::send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
      if (n < 0)
        return; // the answer, or the end, is told by the read side
      c.out.remove_prefix(static_cast<size_t>(n));
    }
  }

  void go_on(Connection& c) {
    std::array<char, 8192> buffer;
    const ssize_t n = ::recv(c.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n > 0) {
      c.in.append(buffer.data(), static_cast<size_t>(n));
      if (c.head.status == 0 && !parse_head(c.in, c.head))
        return;
      if (c.head.total == 0 || c.in.size() < c.head.total)
        return;
    }
    if (n <= 0 && (c.head.status == 0 || c.head.total != 0))
      errors["the connection ended without an answer"]++;
    else if (c.head.status != m_work.options.expect)
      errors["status " + std::to_string(c.head.status) + ": " +
          c.in.substr(c.in.find("\r\n\r\n") + 4, 200)]++;
    latencies.push_back(std::chrono::duration<double, std::milli>(Clock::now() - c.since).count());
    if (n <= 0 || c.head.closes || !m_work.options.keep_alive) {
      ::close(c.fd);
      c.fd = -1;
    }
    begin(c);
  }

  Work& m_work;
  int m_epoll;
  std::vector<Connection> m_connections;
  size_t m_open = 0;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--close") {
      o.keep_alive = false;
      continue;
    }
    if (++i == argc)
      give_up(name + ": a value is missing");
    const std::string value = argv[i];
    const auto number = static_cast<size_t>(std::atol(argv[i]));
    if (name == "--to")
      o.to = value;
    else if (name == "--path")
      o.path = value;
    else if (name == "--key")
      o.key = value;
    else if (name == "--style")
      o.style = value;
    else if (name == "--connections")
      o.connections = number;
    else if (name == "--threads")
      o.threads = number;
    else if (name == "--requests")
      o.requests = number;
    else if (name == "--body")
      o.body = number;
    else if (name == "--expect")
      o.expect = static_cast<int>(number);
    else
      give_up("no option " + name);
  }
  if (o.to.empty() || o.key.empty() || o.threads == 0 || o.connections < o.threads)
    give_up("--to and --key are needed, and as many connections as threads");
  return o;
}

} // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  Work work{o, parse_address(o.to), prepare(o)};
  std::vector<Thread> threads;
  for (size_t i = 0; i < o.threads; ++i)
    threads.emplace_back(work, o.connections / o.threads);
  const auto begun = Clock::now();
  std::vector<std::thread> running;
  for (auto& thread : threads)
    running.emplace_back([&] { thread.run(); });
  for (auto& thread : running)
    thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  std::vector<double> all;
  size_t errors = 0;
  for (const auto& thread : threads) {
    all.insert(all.end(), thread.latencies.begin(), thread.latencies.end());
    for (const auto& [what, count] : thread.errors) {
      std::fprintf(stderr, "load: %zu times: %s\n", count, what.c_str());
      errors += count;
    }
  }
  std::sort(all.begin(), all.end());
  const auto percentile = [&](double p) {
    return all.empty() ? 0.0 : all[static_cast<size_t>(p * static_cast<double>(all.size() - 1))];
  };
  std::printf(
      "{\"requests\":%zu,\"errors\":%zu,\"seconds\":%.3f,\"rate\":%.0f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}\n",
      all.size(), errors, seconds, static_cast<double>(all.size()) / seconds, percentile(0.5),
      percentile(0.9), percentile(0.99), percentile(1));
  return errors == 0 ? 0 : 1;
}
