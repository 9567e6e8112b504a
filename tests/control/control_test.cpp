#include "catch.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "control/control.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <thread>

using namespace chillbox;
using namespace chillbox::control;
using namespace std::chrono_literals;

namespace {

struct Pair {
  Fd near, far;
  Pair() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    near = Fd(fds[0]);
    far = Fd(fds[1]);
  }
  void raw(std::string_view bytes) {
    REQUIRE(::write(far.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
};

SecretBytes secret(std::string_view text) {
  return SecretBytes(bytes_of(text));
}

} // namespace

TEST_CASE("frames arrive whole and in order, also an empty one and the largest") {
  Pair pair;
  const std::string largest(k_max_control_frame, 'x');
  std::thread writer([&] {
    CHECK(write_frame(pair.far.get(), "one"));
    CHECK(write_frame(pair.far.get(), ""));
    CHECK(write_frame(pair.far.get(), largest));
  });
  CHECK(read_frame(pair.near.get(), 5s).value() == "one");
  CHECK(read_frame(pair.near.get(), 5s).value().empty());
  CHECK(read_frame(pair.near.get(), 5s).value() == largest);
  writer.join();
}

TEST_CASE("frames also pass through pipes, as ssh gives them") {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  const Fd in(fds[0]), out(fds[1]);
  CHECK(write_frame(out.get(), "{}"));
  CHECK(read_frame(in.get(), 1s).value() == "{}");
}

TEST_CASE("a frame over the limit is refused on both sides, before anything is read or allocated") {
  Pair pair;
  CHECK(write_frame(pair.near.get(), std::string(k_max_control_frame + 1, 'x')).error().code ==
      Code::too_large);
  pair.raw(std::string_view("\x01\x00\x10\x00", 4)); // 1 MiB + 1
  CHECK(read_frame(pair.near.get(), 1s).error().message ==
      "frame of 1048577 bytes: the limit is 1048576");
  pair.raw("\xff\xff\xff\xff");
  CHECK(read_frame(pair.near.get(), 1s).error().code == Code::too_large);
}

TEST_CASE("an end between frames is not_found, an end within one is corrupt") {
  SECTION("between") {
    Pair pair;
    CHECK(write_frame(pair.far.get(), "a"));
    pair.far.reset();
    CHECK(read_frame(pair.near.get(), 1s).value() == "a");
    CHECK(read_frame(pair.near.get(), 1s).error().code == Code::not_found);
  }
  SECTION("in the length") {
    Pair pair;
    pair.raw(std::string_view("\x05\x00", 2));
    pair.far.reset();
    CHECK(read_frame(pair.near.get(), 1s).error().code == Code::corrupt);
  }
  SECTION("in the body") {
    Pair pair;
    pair.raw(std::string_view("\x05\x00\x00\x00"
                              "abc",
        7));
    pair.far.reset();
    CHECK(read_frame(pair.near.get(), 1s).error().message == "frame is cut off: 3 of 5 bytes came");
  }
}

TEST_CASE("a slow drip does not stretch the deadline of a frame") {
  Pair pair;
  std::thread drip([&] {
    pair.raw(std::string_view("\x64\x00\x00\x00", 4));
    for (int i = 0; i < 6; ++i) {
      std::this_thread::sleep_for(30ms);
      pair.raw("x");
    }
  });
  const auto start = std::chrono::steady_clock::now();
  CHECK(read_frame(pair.near.get(), 100ms).error().code == Code::timed_out);
  CHECK(std::chrono::steady_clock::now() - start >= 99ms);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  drip.join();
}

TEST_CASE("a reader that stops reading, or is gone, ends the writer with an error and no signal") {
  Pair pair;
  const std::string large(k_max_control_frame, 'x');
  CHECK(write_frame(pair.near.get(), large, 50ms).error().code == Code::timed_out);
  pair.far.reset();
  CHECK(write_frame(pair.near.get(), "x").error().code == Code::unreachable);
}

TEST_CASE("[fault-403] an answer may be larger than a request, and one that is too large is an error that says so") {
  const auto answered = [](size_t size) {
    Pair pair;
    std::thread daemon([&, size] {
      (void)read_frame(pair.far.get(), 10s);
      (void)write_result(
          pair.far.get(), result_text(cat("{\"text\":\"", std::string(size, 'x'), "\"}")));
    });
    auto result = call(pair.near.get(), "releases", {}, nullptr, {}, 20s);
    daemon.join();
    return result;
  };
  CHECK(answered(2 * k_max_control_frame).value().size() > 2 * k_max_control_frame);
  const Error error = answered(k_max_control_answer).error();
  CHECK(error.code == Code::too_large);
  CHECK(error.message.find("ask for less, as with -n") != std::string::npos);
}

TEST_CASE("a secret frame comes into guarded memory, within its own limit") {
  init_crypto();
  Pair pair;
  CHECK(write_secret_frame(pair.far.get(), secret("correct horse")));
  CHECK(read_secret_frame(pair.near.get(), 1s).value().text() == "correct horse");
  CHECK(write_secret_frame(pair.far.get(), SecretBytes()));
  CHECK(read_secret_frame(pair.near.get(), 1s).value().empty());
  CHECK(write_secret_frame(pair.far.get(), secret(std::string(4097, 'x'))));
  CHECK(read_secret_frame(pair.near.get(), 1s).error().code == Code::too_large);
}

TEST_CASE("a request comes back as it was sent; another version names both") {
  const auto request = parse_request(request_text("rollback", {.site = "blog"})).value();
  CHECK(request.verb == "rollback");
  CHECK(request.args.site == "blog");
  CHECK_FALSE(parse_request(R"({"v":1,"verb":"status"})").value().args.site);
  const auto other = parse_request(R"({"v":2,"words":["status"]})").error().message;
  CHECK(other ==
      "request: protocol version 2, this chillboxd speaks 1: use the chillboxctl of the same release");
  for (const char* bad : {"", "[]", "{}", R"({"v":"1","verb":"a"})", R"({"v":1})",
           R"({"v":1,"verb":7})", R"({"v":1,"verb":"a","args":[]})", R"({"v":-1,"verb":"a"})"})
    CHECK(parse_request(bad).error().code == Code::invalid);
}

TEST_CASE("a newer chillboxctl can upgrade its daemon, and may say more than is known here") {
  CHECK(parse_request(R"({"v":2,"verb":"upgrade"})")->verb == "upgrade");
  CHECK(
      parse_request(R"({"v":1,"verb":"a","args":{"site":"b","colour":1},"more":{}})")->args.site ==
      "b");
}

TEST_CASE("call gives each event to the caller and returns the result with its schema") {
  init_crypto();
  Pair pair;
  std::string verb, passphrase;
  std::thread daemon([&] {
    const auto text = read_frame(pair.far.get(), 5s);
    verb = parse_request(*text).value().verb;
    passphrase = read_secret_frame(pair.far.get(), 5s).value().text();
    CHECK(write_frame(pair.far.get(), event_text({{"step", 1}})));
    CHECK(write_frame(pair.far.get(), event_text({{"step", 2}})));
    CHECK(write_frame(
        pair.far.get(), result_text(R"({"recipient":"age1x","schema":"chillbox.unlock.v1"})")));
  });
  std::vector<int> steps;
  const SecretBytes word = secret("opensesame");
  const auto result = call(
      pair.near.get(), "unlock", {}, &word, [&](const Json& e) { steps.push_back(e["step"]); }, 5s);
  daemon.join();
  CHECK(result.value() == R"({"recipient":"age1x","schema":"chillbox.unlock.v1"})");
  CHECK(steps == std::vector<int>{1, 2});
  CHECK(verb == "unlock");
  CHECK(passphrase == "opensesame");
}

TEST_CASE("a result is returned as it came, however another daemon writes its frame") {
  for (const char* frame :
      {R"({"result":{"b":1,"a":{"c":[2]}}})", R"( {"result": {"b":1,"a":{"c":[2]}} })"}) {
    Pair pair;
    CHECK(write_frame(pair.far.get(), frame));
    const auto result = call(pair.near.get(), "status", {}, nullptr, nullptr, 1s);
    CHECK(parse_json(result.value(), 1000).value() == Json({{"a", {{"c", {2}}}}, {"b", 1}}));
  }
}

TEST_CASE("call returns the daemon's error with its code and message") {
  Pair pair;
  CHECK(write_frame(pair.far.get(), error_text({Code::not_found, "site 'shop': no such site"})));
  const auto error = call(pair.near.get(), "rollback", {}, nullptr, nullptr, 1s).error();
  CHECK(error.code == Code::not_found);
  CHECK(error.message == "site 'shop': no such site");
}

TEST_CASE("a daemon that refuses and closes at once is still heard") {
  Pair pair;
  CHECK(write_frame(
      pair.far.get(), error_text({Code::denied, "user 'bob' is not in group chillbox-admin"})));
  pair.far.reset();
  CHECK(call(pair.near.get(), "status", {}, nullptr, nullptr, 1s).error().code == Code::denied);
}

TEST_CASE("a daemon that goes, keeps silent or talks nonsense ends the call") {
  Pair pair;
  SECTION("gone") {
    pair.far.reset();
    CHECK(call(pair.near.get(), "status", {}, nullptr, nullptr, 1s).error().code ==
        Code::unreachable);
  }
  SECTION("silent") {
    CHECK(call(pair.near.get(), "status", {}, nullptr, nullptr, 30ms).error().code ==
        Code::timed_out);
  }
  SECTION("nonsense") {
    CHECK(write_frame(pair.far.get(), "SSH-2.0-OpenSSH"));
    CHECK_FALSE(call(pair.near.get(), "status", {}, nullptr, nullptr, 1s));
  }
  SECTION("not an object") {
    CHECK(write_frame(pair.far.get(), "[]"));
    CHECK(call(pair.near.get(), "status", {}, nullptr, nullptr, 1s).error().code == Code::corrupt);
  }
}
