// first: starts a command, asks a web server again and again until it answers what is wanted, and
// says how long that took.
//
//   first --to 127.0.0.1:PORT|unix:PATH --want TEXT [--host NAME] [--path PATH] [--pause
//   MICROSECONDS] -- COMMAND...
//
// The clock starts just before the command does. A connection each time, HTTP/1.0; wanted is an
// answer 200 whose body begins with TEXT. Prints one JSON object: at (when that answer came, ms
// since 1970), first (ms until then), command (ms until the command ended, -1: not before the
// answer and killed then unless it ends by itself), code, asked (how many times), other (answers
// between that were neither the wanted one nor the first one's text).
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern char** environ;

namespace {

using Clock = std::chrono::steady_clock;
constexpr double k_give_up_ms = 120'000;

struct Options {
  std::string to = "127.0.0.1:80", host = "localhost", path = "/", want;
  useconds_t pause = 1'000;
  bool kill = false; // the command is a server: it ends when the answer came
  std::vector<char*> command;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "first: %s\n", why.c_str());
  std::exit(2);
}

int connect_to(const std::string& to) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (to.starts_with("unix:")) {
    auto& un = reinterpret_cast<sockaddr_un&>(storage);
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, to.c_str() + 5, sizeof un.sun_path - 1);
    size = sizeof un;
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons(static_cast<uint16_t>(std::atoi(to.c_str() + to.rfind(':') + 1)));
    size = sizeof in;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0)
    return fd;
  ::close(fd);
  return -1;
}

// "200 BODY", "" when there was no answer.
std::string ask(const Options& o) {
  const int fd = connect_to(o.to);
  if (fd < 0)
    return {};
  const timeval limit{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::string request = "GET " + o.path + " HTTP/1.0\r\nHost: " + o.host + "\r\n\r\n";
  std::string answer;
  std::array<char, 4096> buffer;
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0)
    for (ssize_t n; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
      answer.append(buffer.data(), static_cast<size_t>(n));
  ::close(fd);
  const auto end = answer.find("\r\n\r\n");
  return end == std::string::npos || answer.size() < 12
      ? std::string()
      : answer.substr(9, 3) + " " + answer.substr(end + 4);
}

Options parse(int argc, char** argv) {
  Options o;
  int i = 1;
  for (; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string name = argv[i];
    if (name == "--kill") {
      o.kill = true;
      continue;
    }
    if (++i == argc)
      give_up(name + ": a value is missing");
    if (name == "--to")
      o.to = argv[i];
    else if (name == "--host")
      o.host = argv[i];
    else if (name == "--path")
      o.path = argv[i];
    else if (name == "--want")
      o.want = argv[i];
    else if (name == "--pause")
      o.pause = static_cast<useconds_t>(std::atol(argv[i]));
    else
      give_up("no option " + name);
  }
  for (++i; i < argc; ++i)
    o.command.push_back(argv[i]);
  o.command.push_back(nullptr);
  if (o.want.empty() || o.command.size() < 2)
    give_up("--want and a command are needed");
  return o;
}

} // namespace

int main(int argc, char** argv) {
  Options o = parse(argc, argv);
  const std::string wanted = "200 " + o.want;
  const std::string before = ask(o);
  if (before.starts_with(wanted))
    give_up("it answers what is wanted before anything began: " + before);
  const auto begun = Clock::now();
  const auto passed = [&] {
    return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
  };
  pid_t child = -1;
  if (::posix_spawnp(&child, o.command[0], nullptr, nullptr, o.command.data(), environ) != 0)
    give_up(std::string("start ") + o.command[0] + ": " + std::strerror(errno));
  double first = -1, ended = -1, at = 0;
  int status = 0;
  size_t asked = 0, other = 0;
  while (first < 0 || ended < 0) {
    if (first < 0) {
      const std::string now = ask(o);
      ++asked;
      if (now.starts_with(wanted)) {
        first = passed();
        at = std::chrono::duration<double, std::milli>(
            std::chrono::system_clock::now().time_since_epoch())
                 .count();
        if (o.kill)
          ::kill(child, SIGTERM);
      } else {
        other += now == before ? 0 : 1;
      }
    }
    if (ended < 0 && ::waitpid(child, &status, WNOHANG) == child)
      ended = passed();
    if (passed() > k_give_up_ms || (ended >= 0 && first < 0 && status != 0))
      break;
    ::usleep(o.pause);
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::printf(
      "{\"at\":%.0f,\"first\":%.1f,\"command\":%.1f,\"code\":%d,\"asked\":%zu,\"other\":%zu}\n", at,
      first, ended, code, asked, other);
  return first < 0 ? 1 : 0;
}
