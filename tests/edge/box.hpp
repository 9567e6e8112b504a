// An edge in a process of its own, as it runs on a host. The test plays the monitor at the other
// end of a real packet pair, and clients that send given bytes over a real socket.
#pragma once

#include "catch.hpp"

#include "base/text.hpp"
#include "control/packet.hpp"
#include "edge/edge.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace chillbox::edge {

using control::PacketVerb;
using os::Millis;

inline const std::string k_job = "0123456789abcdef";
inline const std::string k_digest(64, 'a');

// What the edge sent, and what the monitor answers. nullopt: no answer.
struct Said {
  PacketVerb verb{};
  uint64_t sequence = 0;
  std::vector<std::string> fields;
};
struct Reply {
  std::string status = "200";
  std::string body = "{}";
  std::string ticket = {};
  int fd = -1;
  std::vector<std::string> more = {};
};
using Monitor = std::function<std::optional<Reply>(const Said&)>;

// Everything that came until the other side closed, or until it contains `until`.
inline std::string read_all(int fd, std::string_view until = "", Millis timeout = Millis{8'000}) {
  std::string out;
  const auto deadline = os::real_clock().mono() + timeout;
  while (os::real_clock().mono() < deadline) {
    const auto ready = os::wait_readable(fd, deadline - os::real_clock().mono());
    if (!ready || !*ready)
      break;
    char buffer[4096];
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0)
      return out;
    out.append(buffer, static_cast<size_t>(n));
    if (!until.empty() && out.find(until) != std::string::npos)
      return out;
  }
  return out + "<still open>";
}

inline void say(int fd, std::string_view bytes) {
  (void)os::write_all(fd, bytes_of(bytes), Millis{5'000});
}

struct EdgeBox {
  explicit EdgeBox(Monitor answers, EdgeOptions options = {}, bool confined = false)
      : m_answers(std::move(answers)) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "chillbox-edge-XXXXXX").string();
    m_dir = ::mkdtemp(pattern.data());
    auto listener = os::listen_unix(path(), 0600, {::geteuid(), ::getegid()}, 64).value();
    auto pair = os::packet_pair().value();
    m_pid = ::fork();
    if (m_pid == 0) {
      pair.first.reset();
      options.listener_fd = listener.get();
      options.monitor_fd = pair.second.get();
      if (confined &&
          !os::confine({.profile = os::Profile::edge,
              .user = {},
              .chroot_to = {},
              .memory_limit = 1ULL << 30,
              .file_limit = options.artifact_max,
              .open_files = 1024}))
        ::_exit(99);
      ::_exit(edge_main(options));
    }
    m_end = std::move(pair.first);
    m_thread = std::thread([this] { play(); });
  }
  EdgeBox(const EdgeBox&) = delete;
  EdgeBox& operator=(const EdgeBox&) = delete;
  ~EdgeBox() {
    if (m_pid > 0)
      stop();
    std::filesystem::remove_all(m_dir);
  }
  // The monitor goes away. Returns the edge's exit status as of waitpid.
  int stop() {
    m_stop = true;
    m_thread.join();
    m_end.reset();
    int status = 0;
    ::waitpid(m_pid, &status, 0);
    m_pid = -1;
    return status;
  }

  // The refusals that it has reported.
  uint64_t refused_hooks() const { return m_refused_hooks; }
  uint64_t refused_uploads() const { return m_refused_uploads; }
  std::string path() const { return m_dir + "/hook.sock"; }
  std::string dir() const { return m_dir; }
  pid_t pid() const { return m_pid; }
  size_t threads() const {
    const std::filesystem::directory_iterator tasks(cat("/proc/", m_pid, "/task"));
    return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
  }
  Fd connect() const { return os::connect_unix(path(), Millis{2'000}).value(); }
  std::string exchange(std::string_view request) const {
    const Fd fd = connect();
    say(fd.get(), request);
    return read_all(fd.get());
  }
  std::vector<Said> said() const {
    const std::scoped_lock lock(m_mutex);
    return m_said;
  }
  // Waits until the edge has sent so many packets.
  std::vector<Said> said(size_t count) const {
    for (int i = 0; i < 500 && said().size() < count; ++i)
      os::real_clock().sleep(Millis{10});
    REQUIRE(said().size() >= count);
    return said();
  }

private:
  void play() {
    while (!m_stop) {
      auto packet = os::receive_packet(m_end.get(), control::k_max_packet, Millis{20});
      if (!packet || !*packet)
        continue;
      for (const auto& view :
          control::parse_packets((*packet)->bytes).value_or(std::vector<control::PacketView>{}))
        answer({view.verb, view.sequence, {view.fields.begin(), view.fields.end()}});
    }
  }
  void answer(const Said& one) {
    if (one.verb == PacketVerb::refused) {
      m_refused_hooks += parse_u64(one.fields.at(0)).value();
      m_refused_uploads += parse_u64(one.fields.at(1)).value();
      return;
    }
    {
      const std::scoped_lock lock(m_mutex);
      m_said.push_back(one);
    }
    const auto reply = m_answers(one);
    if (!reply)
      return;
    const auto bytes = reply->more.empty()
        ? control::make_packet(
              PacketVerb::answer, one.sequence, {reply->status, reply->body, reply->ticket})
        : control::make_packet(PacketVerb::answer, one.sequence,
              {reply->status, reply->body, reply->ticket, reply->more[0]});
    (void)os::send_packet(m_end.get(), bytes, reply->fd);
  }

  Monitor m_answers;
  std::string m_dir;
  pid_t m_pid = -1;
  Fd m_end;
  std::thread m_thread;
  std::atomic<bool> m_stop = false;
  std::atomic<uint64_t> m_refused_hooks = 0, m_refused_uploads = 0;
  mutable std::mutex m_mutex;
  std::vector<Said> m_said;
};

// Answers 202 to everything, as if it were a webhook.
inline std::optional<Reply> accepting(const Said&) {
  return Reply{"202",
      R"({"job":"0123456789abcdef","links":{"status":"/v1/jobs/0123456789abcdef?cap=x.y"}})",
      "/v1/jobs/0123456789abcdef?cap=x.y"};
}

inline std::string post(std::string_view body, std::string_view more = "",
    std::string_view last = "Connection: close\r\n") {
  return cat(
      "POST /v1/hooks HTTP/1.1\r\nHost: h\r\nwebhook-id: msg_1\r\nwebhook-timestamp: 1614265330\r\nwebhook-signature: v1,abc\r\n",
      "Content-Type: application/json\r\n", more, "Content-Length: ", body.size(), "\r\n", last,
      "\r\n", body);
}
inline std::string get(std::string_view target, std::string_view more = "") {
  return cat("GET ", target, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", more, "\r\n");
}

inline int status_of(std::string_view response) {
  return response.starts_with("HTTP/1.1 ")
      ? static_cast<int>(parse_u64(response.substr(9, 3)).value_or(0))
      : 0;
}
inline bool has(std::string_view text, std::string_view part) {
  UNSCOPED_INFO(text);
  return text.find(part) != std::string_view::npos;
}
inline std::string body_of(const std::string& response) {
  const auto at = response.find("\r\n\r\n");
  return at == std::string::npos ? "" : response.substr(at + 4);
}

} // namespace chillbox::edge
