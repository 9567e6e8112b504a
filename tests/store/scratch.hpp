// A store in a directory of its own that goes with the test, and values to put into it.
#pragma once

#include "catch.hpp"

#include "base/text.hpp"
#include "store/store.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace chillbox::store {

struct Scratch {
  Scratch() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "chillbox-store-XXXXXX").string();
    dir = ::mkdtemp(pattern.data());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::filesystem::remove_all(dir); }

  std::string file(const std::string& name = "state.db") const { return dir + "/" + name; }
  Store open() const {
    auto store = Store::open(file(), 1'000);
    if (!store)
      FAIL(store.error().message);
    return std::move(*store);
  }
  Error refusal() const {
    auto store = Store::open(file(), 1'000);
    if (store)
      FAIL("opened");
    return store.error();
  }
  std::string dir;
};

// The value, or the test fails with the error's message.
template <class T> T must(Result<T> result) {
  if (!result)
    FAIL(result.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*result);
}

inline SiteName site(const std::string& name = "blog") {
  return SiteName::parse(name).value();
}

inline Job new_job(
    const std::string& id, JobKind kind = JobKind::deploy, const std::string& of = "blog") {
  return Job{.id = id,
      .kind = kind,
      .site = site(of),
      .version = "1.2.3",
      .sha256 = std::string(64, 'a'),
      .size = 4096,
      .service = "",
      .actor = "webhook:ci",
      .options = {.no_watch = true},
      .state = JobState::queued,
      .step = "",
      .release = "",
      .previous = "",
      .created_ms = 5'000,
      .started_ms = 0,
      .finished_ms = 0,
      .code = {},
      .message = ""};
}

inline Intake delivery(const std::string& id, const std::string& body, const std::string& job,
    const std::string& of = "blog") {
  return Intake{.sender = "ci",
      .id = id,
      .body_hash = body,
      .by_body = false,
      .job = new_job(job, JobKind::deploy, of)};
}

inline IntakeAnswer accept_one(Store& store, const Intake& intake, uint32_t queue_max = 1'000) {
  auto answers = must(store.accept({intake}, queue_max, 6'000));
  REQUIRE(answers.size() == 1);
  return answers.front();
}

inline Release new_release(const std::string& id, const std::string& version = "1.0.0") {
  Release release{{.id = id, .version = version, .serial = 7, .slot = Slot::a}, site()};
  release.sha256 = std::string(64, 'b');
  release.digest = "d";
  release.nginx = "server {}\n";
  release.signer = "anna";
  release.created_ms = 10;
  return release;
}

} // namespace chillbox::store
