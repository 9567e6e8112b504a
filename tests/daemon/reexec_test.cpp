#include "catch.hpp"

#include "daemon/reexec.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

using namespace chillbox;
using namespace chillbox::daemon;

namespace {

Inherited two_sockets() {
  Inherited h;
  h.control = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  h.hook = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return h;
}

} // namespace

TEST_CASE("without a program before it there is nothing to take") {
  ::unsetenv("CHILLBOX_HANDOVER");
  const auto taken = take_inherited();
  REQUIRE(taken);
  CHECK_FALSE(taken->control);
  CHECK_FALSE(taken->vault.socket);
}

TEST_CASE("what was handed over is closed at the next exec, and not found again") {
  const int control = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ::setenv("CHILLBOX_HANDOVER", ("1 " + std::to_string(control) + " -1 -1 -1").c_str(), 1);
  const auto taken = take_inherited();
  REQUIRE(taken);
  CHECK(taken->control.get() == control);
  CHECK((::fcntl(control, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(taken->vault.pid == -1);
  CHECK(::getenv("CHILLBOX_HANDOVER") == nullptr);
}

TEST_CASE("another format and a descriptor that is not open are no surprise") {
  ::setenv("CHILLBOX_HANDOVER", "2 something else", 1);
  const auto other = take_inherited();
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Code::conflict);
  ::setenv("CHILLBOX_HANDOVER", "1 900 901 902 77", 1);
  const auto closed = take_inherited();
  REQUIRE(closed);
  CHECK_FALSE(closed->control);
  CHECK(closed->vault.pid == -1);
}

TEST_CASE("a program that cannot be executed leaves everything as it was") {
  const Inherited h = two_sockets();
  const Error error = execute("/nonexistent/chillboxd", h);
  CHECK(error.message.find("/nonexistent/chillboxd") != std::string::npos);
  CHECK((::fcntl(h.hook.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(::getenv("CHILLBOX_HANDOVER") == nullptr);
}
