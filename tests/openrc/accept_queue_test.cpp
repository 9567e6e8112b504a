#include "fake_openrc.hpp"

#include "base/fd.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

using namespace chillbox;
using namespace chillbox::openrc;

namespace {

sockaddr_un address(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  std::memcpy(a.sun_path, path.c_str(), path.size() + 1);
  return a;
}

Fd listener(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto a = address(path);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(::listen(fd.get(), 16) == 0);
  return fd;
}

Fd client(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto a = address(path);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  return fd;
}

} // namespace

TEST_CASE("the accept queue counts who waits, and only at this socket") {
  Host host;
  const std::string path = host.at("/web.sock");
  CHECK_FALSE(accept_queue(path));
  const Fd web = listener(path), other = listener(host.at("/web.sock2"));
  CHECK(accept_queue(path) == 0U);
  const Fd one = client(path), two = client(path), elsewhere = client(host.at("/web.sock2"));
  CHECK(accept_queue(path) == 2U);
  const Fd taken(::accept(web.get(), nullptr, nullptr));
  CHECK(accept_queue(path) == 1U);
}

TEST_CASE("the accept queue is found through a link, and is nobody's when the listener is closed") {
  Host host;
  const std::string path = host.at("/web.a.sock"), link = host.at("/web.sock");
  fs::create_symlink(path, link);
  {
    const Fd web = listener(path);
    const Fd one = client(link);
    CHECK(accept_queue(link) == 1U);
  }
  CHECK_FALSE(accept_queue(link)); // the file is still there
}

TEST_CASE("the accept queue is found among many sockets") {
  Host host;
  std::vector<Fd> all;
  for (int i = 0; i < 400; ++i)
    all.push_back(listener(host.at("/s" + std::to_string(i))));
  const Fd one = client(host.at("/s399"));
  CHECK(accept_queue(host.at("/s399")) == 1U);
  CHECK(accept_queue(host.at("/s0")) == 0U);
}
