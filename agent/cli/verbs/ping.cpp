// ping: checks that chillboxd answers.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"

#include "cli/core/terminal.hpp"

#include "base/text.hpp"

#include <thread>

namespace chillbox::cli {
namespace {

constexpr std::array k_ping_options{
    Option{"--wait", ArgKind::duration, "TIME", "keep trying for this long"}};

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds k_ping_again{200}; // while nobody listens, nobody can say that he will

Result<std::string> try_once(const os::Paths& paths) {
  return ask(paths, {.verb = "ping", .timeout = milliseconds(5'000)});
}

Result<std::string> ping_until(const os::Paths& paths, milliseconds wait) {
  const auto end = steady_clock::now() + wait;
  for (;;) {
    auto answer = try_once(paths);
    if (answer || answer.error().code == Code::denied || steady_clock::now() >= end)
      return answer;
    std::this_thread::sleep_for(k_ping_again);
  }
}

Result<void> run_ping(Call& call) {
  const std::string answer =
      TRY(ping_until(call.paths, call.args.duration("wait", milliseconds(0))));
  const auto ping = TRY(control::read_answer<control::Ping>(answer));
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    call.terminal.print(cat("chillboxd ", printable(ping.version, 40), ", pid ", ping.pid, ", ",
        ping.sealed ? "locked" : "unlocked"));
  return {};
}

} // namespace

extern constinit const Verb k_ping{
    "ping", Group::show, Where::host, "ask whether chillboxd answers", k_ping_options, run_ping};

} // namespace chillbox::cli
