// A service of the crash tests' site: answers each request with "VERSION SECRET\n", where SECRET is
// the first line of its secret file or "-". Starts in a millisecond, so that thousands of rollouts
// fit into a test. An own handler starts it (tests/crash/handler).
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

volatile std::sig_atomic_t g_stop = 0;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream in(path);
  return std::getline(in, line) ? line : "-";
}

void answer(int fd, const std::string& body) {
  char request[4096];
  pollfd wait{fd, POLLIN, 0};
  if (poll(&wait, 1, 2000) == 1 && read(fd, request, sizeof request) > 0) {
    const std::string text =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body;
    if (write(fd, text.data(), text.size()) < 0)
      std::perror("write");
  }
  close(fd);
}

} // namespace

int main() {
  const std::string body =
      variable("CHILLBOX_VERSION") + " " + first_line(variable("SECRETS_CONFIG")) + "\n";
  constexpr int listener = 3; // as it is handed over
  struct sigaction stop{};
  stop.sa_handler = [](int) { g_stop = 1; };
  sigaction(SIGTERM, &stop, nullptr); // no SA_RESTART: accept returns
  while (g_stop == 0)
    if (const int fd = accept(listener, nullptr, nullptr); fd >= 0)
      answer(fd, body);
  // What waits to be accepted is still answered.
  pollfd more{listener, POLLIN, 0};
  while (poll(&more, 1, 0) == 1)
    answer(accept(listener, nullptr, nullptr), body);
}
