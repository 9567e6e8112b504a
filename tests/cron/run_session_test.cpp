#include "base/text.hpp"
#include "cron/run_session.hpp"
#include "os/io.hpp"
#include "os/socket.hpp"

#include "catch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

using namespace chillbox;
using namespace chillbox::cron;
using control::RunFrame;
using control::RunFrames;

namespace {

struct TempDir { // of the test
  std::string place = (std::filesystem::temp_directory_path() / "chillbox-run-XXXXXX").string();
  TempDir() { REQUIRE(::mkdtemp(place.data()) != nullptr); }
  ~TempDir() { std::filesystem::remove_all(place); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return place; }
};

template <class T> T must(Result<T>&& r) {
  INFO((r ? std::string() : r.error().message));
  REQUIRE(r.has_value());
  if constexpr (!std::is_void_v<T>)
    return std::move(*r);
}

} // namespace

TEST_CASE("frames come in any pieces, and what is none breaks the stream") {
  const std::string two =
      control::run_frame(RunFrame::input, "abc") + control::run_frame(RunFrame::stop);
  RunFrames frames;
  std::vector<std::string> got;
  for (const char c : two) {
    frames.feed({&c, 1});
    for (std::string frame; !(frame = frames.next()).empty();)
      got.push_back(frame);
  }
  CHECK(got == std::vector<std::string>{"iabc", "s"});
  for (const auto& bad : {std::string("\0\0\0\0", 4), std::string("\xff\xff\xff\xff")}) {
    RunFrames broken;
    broken.feed(bad);
    CHECK(broken.next().empty());
    CHECK(broken.broken());
  }
}

namespace {

// A session with nobody's command: the test writes what one would.
struct Session {
  TempDir dir;
  Mask mask{SecretStrings{}};
  RunSession session;

  explicit Session(bool detached)
      : session({dir.path() + "/sock", false, detached, 0}, mask,
            os::LogWriter(Fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                "out.log", 1 << 20, 1)) {}

  Fd connect(RunFrame first, std::string_view bytes = {}) {
    Fd client = must(os::connect_unix(dir.path() + "/sock", os::Millis{5'000}));
    must(os::write_all(client.get(), bytes_of(control::run_frame(first, bytes))));
    return client;
  }
  Fd attach() { return connect(RunFrame::window, "24 80"); }
  void says(int stream, std::string_view text) {
    REQUIRE(os::write_fully(session.streams()[static_cast<size_t>(stream)], text) == 0);
  }
};

// All frames until the stream ends.
std::vector<std::string> frames_of(const Fd& client) {
  RunFrames frames;
  std::vector<std::string> got;
  std::array<char, 4096> buffer;
  for (ssize_t n; (n = os::read_some(client.get(), buffer.data(), buffer.size())) > 0;) {
    frames.feed({buffer.data(), static_cast<size_t>(n)});
    for (std::string frame; !(frame = frames.next()).empty();)
      got.push_back(frame);
  }
  return got;
}

} // namespace

TEST_CASE("who is attached gets the output, the end last; it is kept too") {
  Session s(true);
  must(s.session.begin());
  const Fd client = s.attach();
  std::vector<std::string> got;
  std::thread reader([&] { got = frames_of(client); });
  s.says(1, "out\n");
  std::this_thread::sleep_for(os::Millis{200}); // the one order that two pipes have
  s.says(2, "err");
  const Fd other = s.connect(RunFrame::stop); // takes the streams from nobody
  CHECK(must(os::wait_readable(s.session.stop_asked(), os::Deadline(os::Millis{5'000}))));
  s.session.finish(7, "why");
  reader.join();
  CHECK(join(got, "|") == "oout\n|rerr|x7 why");
  CHECK(s.session.last_lines() == "out\nerr");
  CHECK(must(os::real_disk().read(s.dir.path() + "/out.log", 100)) == "out\nerr");
}

TEST_CASE("one that goes is not the end of the input, and the next one takes its place") {
  Session s(false);
  std::thread first([&] {
    Fd client = s.attach();
    REQUIRE(os::write_all(client.get(), bytes_of(control::run_frame(RunFrame::input, "half "))));
    std::this_thread::sleep_for(os::Millis{200});
  });
  must(s.session.begin());
  std::array<char, 100> buffer{};
  const int in = s.session.streams()[0];
  CHECK(os::read_some(in, buffer.data(), buffer.size()) == 5);
  first.join();
  const Fd second = s.attach();
  const std::string rest =
      control::run_frame(RunFrame::input, "whole") + control::run_frame(RunFrame::end_of_input);
  must(os::write_all(second.get(), bytes_of(rest)));
  CHECK(os::read_some(in, buffer.data(), buffer.size()) == 5);
  CHECK(os::read_some(in, buffer.data(), buffer.size()) == 0);
  s.session.finish(0, "");
}
