// top: what the sites of a host serve and use, again and again.
#include "cli/core/daemon.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"
#include "cli/top/top_screen.hpp"

#include "base/text.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <thread>

namespace chillbox::cli {
namespace {

constexpr std::array k_top_options{
    Option{"--once", ArgKind::flag, "", "print it once, after two seconds"},
};
constexpr std::chrono::seconds k_again{2}; // a picture is of so long: what happened in it is a rate

Result<void> run_top(Call& call) {
  const bool once = call.args.has("once");
  if (!call.terminal.json()) {
    const os::Paths paths = call.paths;
    const TopSource here{.name = "", .sample = [paths](int fd) {
                           for (;; std::this_thread::sleep_for(k_again)) {
                             const auto answer = ask(paths, {.verb = "top"});
                             std::string line =
                                 answer ? *answer : dump(Json{{"trouble", answer.error().message}});
                             line += '\n';
                             std::string_view rest = line;
                             if (os::write_fully(fd, rest) != 0)
                               return;
                           }
                         }};
    return run_top({here}, call.terminal, once);
  }
  for (;; std::this_thread::sleep_for(k_again)) {
    call.terminal.print(TRY(ask(call.paths, {.verb = "top"}, &call.error_data)));
    if (once)
      return {};
  }
}

} // namespace

extern constinit const Verb k_top{
    "top", Group::show, Where::host, "watch what the sites serve and use", k_top_options, run_top};

} // namespace chillbox::cli
