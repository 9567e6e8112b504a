// For the programs that attack a running host: webhooks made by hand, one connection each, from any
// address of the loopback network, because NGINX counts requests by address.
#pragma once

#include "base/text.hpp"
#include "crypto/mutant.hpp"
#include "crypto/webhook.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

namespace chillbox::gate {

using Clock = std::chrono::steady_clock;
using test::Dice;
using test::Webhook;

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "gate: %s\n", why.c_str());
  std::exit(2);
}

inline SecretBytes read_key(const char* path) {
  std::FILE* file = std::fopen(path, "r");
  char line[200] = {};
  if (file == nullptr || std::fgets(line, sizeof line, file) == nullptr)
    give_up(cat("cannot read ", path));
  std::fclose(file);
  auto key = crypto::parse_webhook_key(trim(line));
  if (!key)
    give_up(key.error().message);
  return std::move(*key);
}

// "unix:PATH" or "127.0.0.1:PORT"; from: one of some thousand addresses of this machine.
inline int connect_to(const std::string& to, size_t from) {
  timeval limit{20, 0};
  if (to.starts_with("unix:")) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, to.c_str() + 5, sizeof un.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&un), sizeof un) == 0)
      return fd;
    ::close(fd);
    return -1;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x10000 + static_cast<uint32_t>(from % 4096));
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&in), sizeof in) == 0) {
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons(static_cast<uint16_t>(std::atoi(to.c_str() + to.find(':') + 1)));
    if (::connect(fd, reinterpret_cast<sockaddr*>(&in), sizeof in) == 0)
      return fd;
  }
  ::close(fd);
  return -1;
}

inline Webhook signed_webhook(
    const SecretBytes& key, const std::string& id, const std::string& body) {
  Webhook w{.id = id,
      .timestamp = std::to_string(std::time(nullptr)),
      .signature = {},
      .body = body,
      .github = {},
      .github_delivery = {}};
  w.signature = crypto::sign_webhook(key, w.id, w.timestamp, w.body);
  return w;
}

inline std::string order(std::string_view type, std::string_view data) {
  return cat(R"({"type":")", type, R"(","data":{)", data, "}}");
}

inline std::string request(const Webhook& w) {
  return cat(
      "POST /v1/hooks HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ",
      w.body.size(), "\r\nwebhook-id: ", w.id, "\r\nwebhook-timestamp: ", w.timestamp,
      "\r\nwebhook-signature: ", w.signature, "\r\n\r\n", w.body);
}

// Sends all and reads to the end. 0: no answer.
inline int talk(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      break; // refused before all of it was read: the answer may be there
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  std::string answer;
  char piece[4096];
  for (ssize_t n = 0; (n = ::recv(fd, piece, sizeof piece, 0)) > 0;)
    answer.append(piece, static_cast<size_t>(n));
  return answer.starts_with("HTTP/1.") && answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0;
}

inline int ask(const std::string& to, size_t from, std::string_view bytes) {
  const int fd = connect_to(to, from);
  if (fd < 0)
    return 0;
  const int status = talk(fd, bytes);
  ::close(fd);
  return status;
}

} // namespace chillbox::gate
