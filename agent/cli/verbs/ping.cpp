// ping: checks that chillboxd answers.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

#include <thread>

namespace chillbox::cli {
namespace {

constexpr std::array k_options{
    Option{"--wait", ArgKind::duration, "TIME", "keep trying for this long"}};

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds k_ping_again{200};

Result<std::string> ping(const os::Paths& paths) {
  return ask(paths, {.verb = "ping", .timeout = milliseconds(5'000)});
}

Result<std::string> ping_until(const os::Paths& paths, milliseconds wait) {
  const auto end = steady_clock::now() + wait;
  for (;;) {
    auto answer = ping(paths);
    if (answer || answer.error().code == Code::denied || steady_clock::now() >= end)
      return answer;
    std::this_thread::sleep_for(k_ping_again);
  }
}

Result<void> run(Call& call) {
  const std::string answer =
      TRY(ping_until(call.paths, call.args.duration("wait", milliseconds(0))));
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    call.terminal.print(cat("chillboxd ", printable(member_text(answer, "version"), 40), ", pid ",
        member_number(answer, "pid"), ", ", member_flag(answer, "sealed") ? "locked" : "unlocked"));
  return {};
}

} // namespace

extern constinit const Verb k_ping{
    "ping", Group::show, Where::host, "ask whether chillboxd answers", k_options, run};

} // namespace chillbox::cli
