// Every call that changes a file or starts a program fails once, in each kind of job, with each
// errno of a bad day: below the Disk seam, so that the middle of each of its changes is meant too,
// and SQLite's own calls. The old release is live, or the new one whole, and nothing is left
// behind.
#include "rollout/host.hpp"

#include "crash/calls.hpp"
#include "os/files.hpp"

#include <array>
#include <cstdlib>

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::string k_services =
    R"([{"name":"app","lang":"python","secrets_config":"app.cfg","health":{"deadline":"2s"}}])";

// The n-th call below `top`, or the n-th start of a program, fails once.
class Failing final : public CallHook {
public:
  Failing(std::string top, uint64_t n, int error)
      : m_top(std::move(top)), m_left(n), m_error(error) {
    hook_calls(this);
  }
  ~Failing() override { hook_calls(nullptr); }
  int before(const Call& call) override {
    if (call.kind != Call::Kind::spawn && !is_ours(call.path))
      return 0;
    if (m_left == 0 || --m_left != 0)
      return 0;
    what = cat(name(call.kind), " ", call.path.substr(std::min(call.path.size(), m_top.size())));
    return m_error;
  }
  void after(const Call&) override {}
  std::string what; // that failed; "" : it did not come to that

private:
  // Not the laptop's desk, and not what the fakes of OpenRC's programs write.
  bool is_ours(const std::string& path) const {
    return path.starts_with(m_top) &&
        std::ranges::none_of(std::array{"/desk", "/proc", "/run/supervise-", "/run/openrc"},
            [&](const char* theirs) { return path.starts_with(m_top + theirs); });
  }
  std::string m_top;
  uint64_t m_left;
  int m_error;
};

struct FaultHost : Host {
  FaultHost() {
    unlock();
    REQUIRE(secrets({{"app/app.cfg", "one"}}).state == JobState::done);
    REQUIRE(deploy(Order{.version = "1.0.0", .services = k_services}).state == JobState::done);
    REQUIRE(deploy(Order{.version = "2.0.0", .services = k_services}).state == JobState::done);
    live = "2.0.0";
  }
  store::Job ask(JobKind kind, int n) {
    if (kind == JobKind::deploy)
      return queue_deploy({.version = cat("3.0.", n),
          .domain = cat("www", n % 2, ".example"),
          .services = k_services});
    if (kind != JobKind::secrets)
      return queue(kind);
    const Sent sent = laptop.pack_secrets("blog", {{"app/app.cfg", cat("secret ", n)}});
    upload(sent);
    return queue(kind, "blog", "", sent);
  }
  std::string live;
};

std::string left_behind(Host& host) {
  std::string wrong;
  for (const auto& dir : {host.paths.artifacts(), host.paths.secret_sets(), host.paths.site(site()),
           host.paths.releases(site()), host.paths.live(site()), host.config.nginx_dir,
           host.paths.init_d(), host.paths.conf_d(), host.paths.slots(), host.paths.secrets()})
    for (const auto& name : must(host.disk.list(dir)))
      if (os::is_temporary_name(name) || name.ends_with(".next"))
        wrong += cat("left in ", dir, ": ", name, "\n");
  return wrong;
}

std::string reason_of(int error) {
  switch (error) {
  case ENOSPC: return "no space left on device";
  case EMFILE: return "too many open files";
  case EACCES: return "permission denied";
  default: return "input/output error";
  }
}

// CHILLBOX_FAULTS=1: every call (`make call-faults`); else every 9th of each errno, another for
// each.
uint64_t stride() {
  const char* wanted = std::getenv("CHILLBOX_FAULTS");
  return wanted == nullptr ? 9 : static_cast<uint64_t>(std::atol(wanted));
}

void fail_everywhere(JobKind kind, int error) {
  FaultHost host;
  uint64_t failed = 0, struck = 0;
  for (uint64_t n = 1 + static_cast<uint64_t>(error) % stride();; n += stride()) {
    const auto job = host.ask(kind, static_cast<int>(n));
    const auto before = host.live;
    std::string what;
    {
      Failing failing(host.paths.root, n, error);
      host.run(job);
      what = failing.what;
    }
    auto ended = host.look(job.id);
    INFO(store::name(kind) << ", call " << n << ": " << what << ": " << reason_of(error) << ": "
                           << ended.message);
    if (ended.finished_ms == 0) { // its end could not be written: the next start does it
      host.restart();
      host.unlock();
      must(rollout::bring_up(host.context(), site(), true));
      ended = host.run(job);
    }
    REQUIRE((ended.state == JobState::done || ended.state == JobState::failed));
    if (ended.state == JobState::failed) {
      ++failed;
      CHECK((ended.message.find(reason_of(error)) != std::string::npos ||
          ended.message.find("state.db") != std::string::npos)); // SQLite has its own words
      CHECK(ended.message.find('\n') == std::string::npos);
    }
    const auto now = host.live =
        must(host.store().release(site(), host.row().live)).value().version;
    CHECK((now == before || ended.state == JobState::done));
    CHECK(disagreement(host, now) == "");
    CHECK(left_behind(host) == "");
    if (what.empty())
      break;
    ++struck;
    REQUIRE(n < 5000);
  }
  if (std::getenv("CHILLBOX_FAULTS") != nullptr)
    WARN(store::name(kind) << ": " << struck << " calls failed with '" << reason_of(error) << "', "
                           << failed << " jobs failed");
}

} // namespace

TEST_CASE("[fault-88] [fault-89] [fault-91] every call of a deploy fails once") {
  fail_everywhere(JobKind::deploy, GENERATE(ENOSPC, EIO, EMFILE, EACCES));
}
TEST_CASE("[fault-88] [fault-89] every call of a rollback fails once") {
  fail_everywhere(JobKind::rollback, GENERATE(ENOSPC, EIO, EMFILE, EACCES));
}
TEST_CASE("[fault-88] [fault-89] every call of a secrets update fails once") {
  fail_everywhere(JobKind::secrets, GENERATE(ENOSPC, EIO, EMFILE, EACCES));
}
