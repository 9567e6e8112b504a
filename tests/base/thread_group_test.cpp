#include "catch.hpp"

#include "base/guarded.hpp"
#include "base/thread_group.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>

using namespace chillbox;

TEST_CASE("an exception becomes the error of what it met, whatever was thrown [attack-C13]") {
  const auto one = guarded("verb", []() -> int { throw std::runtime_error("no\nsuch thing"); });
  REQUIRE_FALSE(one);
  CHECK(one.error().code == Code::failure);
  CHECK(one.error().message.starts_with("verb: internal error: no"));
  CHECK(one.error().message.find('\n') == std::string::npos);
  CHECK_FALSE(guarded("verb", [] { throw std::bad_alloc(); }));
  CHECK_FALSE(guarded("verb", [] { throw 7; }));
}

TEST_CASE("what throws nothing passes as it is") {
  CHECK(guarded("verb", [] { return 5; }).value() == 5);
  CHECK(guarded("verb", [] {}).has_value());
  CHECK(guarded("verb", []() -> Result<int> { return fail(Code::busy, "later"); }).error().code ==
      Code::busy);
}

TEST_CASE("a thread that throws ends alone, and the group ends after it [attack-C13]") {
  std::atomic<int> ends = 0;
  {
    ThreadGroup group([&] { ++ends; });
    REQUIRE(group.start("one", [] { throw std::runtime_error("x"); }));
    REQUIRE(group.start("two", [] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }));
  }
  CHECK(ends == 2);
}

TEST_CASE("what a thread held is gone before it counts as ended") {
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> seen = held;
  ThreadGroup group;
  REQUIRE(group.start("one", [held = std::move(held)] {}));
  group.wait();
  CHECK(seen.expired());
}

TEST_CASE("a thread that the kernel refuses is an error, not the end of the process [attack-C13]") {
#ifdef CHILLBOX_SANITIZED
  WARN("not under a sanitizer, which needs the memory that is taken away here");
  return;
#endif
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit small{64 << 20, 64 << 20}; // a stack is 8 MB as a rule
    ::setrlimit(RLIMIT_AS, &small);
    std::atomic<bool> done = false;
    ThreadGroup group;
    bool refused = false;
    for (int i = 0; i < 100 && !refused; ++i) {
      const auto started = group.start("many", [&] {
        while (!done)
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
      });
      refused = !started && started.error().code == Code::throttled;
    }
    done = true;
    group.wait();
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
