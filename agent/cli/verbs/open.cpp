// open: a site's address, in the browser of a desktop; elsewhere it is only printed.
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/project.hpp"
#include "cli/laptop/target.hpp"
#include "os/runner.hpp"

#include "base/text.hpp"

#include <unistd.h>

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_open_options{k_project_site, k_to_host, k_env};

constexpr std::chrono::milliseconds k_open_patience{30'000};
constexpr os::Millis k_browser{10'000};

// The program that opens an address on this desktop; "": there is no desktop, or nobody looks.
std::string browser(const Terminal& terminal) {
  if (!terminal.out_is_terminal() || terminal.json())
    return "";
  if (!environment("DISPLAY").empty() || !environment("WAYLAND_DISPLAY").empty())
    return find_program("xdg-open").value_or("");
#ifdef __APPLE__
  return find_program("open").value_or("");
#else
  return "";
#endif
}

Result<void> run_open(Call& call) {
  const std::string site = call.args.text("SITE");
  const auto project = TRY(find_project());
  const auto targets = TRY(find_targets(Places::find(),
      {.flag = call.args.list("host"),
          .env_name = call.args.text("env"),
          .project = project ? &*project : nullptr,
          .example = "chillboxctl open",
          .choose = chooser()}));
  const Target& target = targets.front();
  const auto text = TRY(run_quietly(target.host, {"facts", "--json", "--", site}, k_open_patience));
  const auto facts = TRY_IN(target.host.name, control::read_answer<control::Facts>(text));
  const std::string url = facts.site ? facts.site->url : "";
  if (url.empty())
    return fail(Code::not_found, cat(site, " is not live on ", target.host.name));
  if (!url.starts_with("http://") && !url.starts_with("https://")) // a file, or a program's option
    return fail(Code::corrupt,
        cat(target.host.name, " says that the address of ", site, " is '", printable(url, 200),
            "', which is none of a website: it is not opened"));
  if (call.terminal.json()) {
    call.terminal.print(answer_text("open", Opened{.site = site, .url = url}));
    return {};
  }
  call.terminal.print(printable(url, 500));
  if (const std::string program = browser(call.terminal); !program.empty())
    (void)os::real_runner().run({.argv = {program, url},
        .env = whole_environment(),
        .timeout = k_browser,
        .no_new_privs = false,
        .leaves_daemon = true});
  return {};
}

} // namespace

extern constinit const Verb k_open{"open", Group::laptop, Where::laptop,
    "print the address of a site, and open it in a browser", k_open_options, run_open};

} // namespace chillbox::cli
