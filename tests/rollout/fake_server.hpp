// A server that answers each GET with what its function says (NGINX gets the host name behind the
// path when it is asked whose it is): a service behind a unix socket, NGINX on a loopback port.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/socket.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

namespace chillbox::test {

struct Answer {
  int status = 200;
  std::string body;
  std::string location = {};
};

class FakeServer {
public:
  using Answers = std::function<Answer(std::string_view path)>;

  // Over a stale file of an earlier process, as gunicorn does it.
  FakeServer(
      const std::string& socket_path, Answers answers, const std::atomic<bool>* busy = nullptr)
      : m_answers(std::move(answers)), m_path(socket_path), m_busy(busy) {
    ::unlink(socket_path.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_path.c_str(),
        std::min(socket_path.size(), sizeof address.sun_path - 1));
    m_listener = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    m_open = ::bind(m_listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    begin();
  }
  FakeServer(uint16_t port, Answers answers) : m_answers(std::move(answers)) { // 0: any
    auto listener = os::listen_tcp_loopback(port, 64);
    m_open = listener.has_value();
    if (listener)
      m_listener = std::move(*listener);
    begin();
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    const uint64_t one = 1;
    (void)!::write(m_stop.get(), &one, sizeof one);
    m_thread.join();
    if (!m_path.empty())
      ::unlink(m_path.c_str());
  }

  bool open() const { return m_open; }
  uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(m_listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

private:
  void begin() {
    if (m_open)
      ::listen(m_listener.get(), 64);
    m_thread = std::thread([this] { serve(); });
  }
  void serve() const {
    for (;;) {
      pollfd fds[] = {{m_listener.get(), POLLIN, 0}, {m_stop.get(), POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0 || fds[1].revents != 0)
        return;
      if (m_busy != nullptr && *m_busy) { // who comes waits in the queue
        std::this_thread::sleep_for(os::Millis{1});
        continue;
      }
      const Fd client(::accept4(m_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client)
        converse(client.get());
    }
  }
  void converse(int client) const {
    std::string request;
    char buffer[2048];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::recv(client, buffer, sizeof buffer, 0);
      if (n <= 0)
        return;
      request.append(buffer, static_cast<size_t>(n));
    }
    const auto words = split(request, ' ');
    std::string path(words.size() > 1 ? words[1] : "");
    if (const auto host = request.find("\r\nHost: ");
        path.starts_with("/.chillbox/") && host != std::string::npos)
      path += cat(" ", request.substr(host + 8, request.find('\r', host + 2) - host - 8));
    const auto answer = m_answers(path);
    const std::string text = cat("HTTP/1.0 ", answer.status,
        " -\r\nContent-Length: ", answer.body.size(),
        answer.location.empty() ? "" : "\r\nLocation: ", answer.location, "\r\n\r\n", answer.body);
    (void)!::send(client, text.data(), text.size(), MSG_NOSIGNAL);
  }

  Answers m_answers;
  std::string m_path;
  const std::atomic<bool>* m_busy = nullptr;
  Fd m_listener;
  Fd m_stop{::eventfd(0, EFD_CLOEXEC)};
  bool m_open = false;
  std::thread m_thread;
};

} // namespace chillbox::test
