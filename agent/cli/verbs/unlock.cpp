// unlock, lock: decrypt the host's identity into memory, and wipe it from there.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/gate_host.hpp"
#include "cli/laptop/host_record.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

#include <unistd.h>

namespace chillbox::cli {
namespace {

constexpr std::array k_unlock_options{k_passphrase_fd,
    Option{"--all", ArgKind::flag, "",
        "from the laptop: each host that it knows, one after the other"}};

using std::chrono::milliseconds;

// On a small host the key derivation takes seconds, and starting the sites takes longer.
constexpr milliseconds k_unlock_timeout{10 * 60'000};

// After a wrong passphrase the host takes the next one only after a while: it is counted down.
void wait_for_next_try(const Call& call) {
  const auto text = ask(call.paths, {.verb = "status"});
  const auto status = text ? control::read_answer<control::Status>(*text)
                           : Result<control::Status>(std::unexpected(text.error()));
  for (uint64_t left = status ? status->host.unlock_wait_s : 1; left > 0; --left) {
    if (call.terminal.live())
      call.terminal.print_unfinished(cat("\rwrong passphrase, next try in ", left, " s \x1b[K"));
    os::real_clock().sleep(os::Millis(1'000)); // the host asks for it; the seconds are shown
  }
  if (call.terminal.live())
    call.terminal.print_unfinished("\r\x1b[K");
  say_on_terminal("wrong passphrase, try again");
}

// Three tries for a person, one for a descriptor.
Result<std::string> ask_unlock(Call& call) {
  constexpr int k_tries = 3;
  for (int tried = 1;; ++tried) {
    const SecretBytes passphrase =
        TRY(ask_passphrase(call.args, "passphrase of the host", Ask::once));
    auto answer =
        ask(call.paths, {.verb = "unlock", .secret = &passphrase, .timeout = k_unlock_timeout});
    if (answer || answer.error().code != Code::denied || tried == k_tries ||
        call.args.has("passphrase-fd"))
      return answer;
    wait_for_next_try(call);
  }
}

Result<void> unlock_all(Call& call) {
  if (call.args.has("passphrase-fd"))
    return fail(
        Code::usage, "--passphrase-fd is for one host at a time: run it once for each host");
  std::vector<std::string> problems, failed;
  const auto records = load_hosts(Places::find(), &problems);
  if (records.empty() && problems.empty())
    return fail(Code::not_found, "no host is known here yet: chillboxctl setup root@HOST");
  for (const std::string& problem : problems) {
    call.terminal.print_error(printable(problem, 500));
    failed.push_back(problem.substr(0, problem.find(": ")));
  }
  std::vector<std::string> words{"unlock"};
  if (call.terminal.json())
    words.emplace_back("--json");
  if (call.terminal.quiet())
    words.emplace_back("--quiet");
  if (call.terminal.err(Style::bold, "x") == "x") // there are no colours here either
    words.emplace_back("--no-color");
  for (const HostRecord& record : records) {
    call.terminal.print_status(call.terminal.err(Style::bold, cat("== ", record.name)));
    const auto host = host_of(record);
    const auto code = host ? unlock_there(*host, words, ::isatty(STDIN_FILENO) == 1)
                           : Result<int>(std::unexpected(host.error()));
    if (!code)
      call.terminal.print_error(printable(code.error().message, 500));
    if (!code || *code != 0)
      failed.push_back(record.name);
    if (code && *code == exit_code(Code::interrupted))
      return fail(Code::interrupted, "interrupted");
  }
  return failed.empty() ? Result<void>{}
                        : fail(Code::partial, cat("not unlocked: ", join(failed, ", ")));
}

Result<void> run_unlock(Call& call) {
  if (call.args.has("all"))
    return unlock_all(call);
  // Before anyone types, check that a daemon runs and that the host is locked.
  const std::string text = TRY(ask(call.paths, {.verb = "ping", .timeout = milliseconds(5'000)}));
  const auto state = TRY(control::read_answer<control::Ping>(text));
  if (!state.sealed) {
    if (call.terminal.json())
      call.terminal.print(control::answer_text("unlock",
          control::Unlocked{
              .changed = false, .recipient = {}, .sites = {}, .failed = {}, .after_boot = {}}));
    else
      call.terminal.print("unchanged: the host is unlocked");
    return {};
  }
  const std::string answer = TRY(ask_unlock(call));
  const auto unlocked = TRY(control::read_answer<control::Unlocked>(answer));
  const auto failed = unlocked.failed.value_or(std::vector<std::string>{});
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    call.terminal.print("unlocked");
  if (!call.terminal.json() && unlocked.sites && !unlocked.sites->empty())
    call.terminal.print(cat("started: ", printable(join(*unlocked.sites, ", "), 2000)));
  if (!call.terminal.json())
    for (const auto& later : unlocked.after_boot.value_or(std::vector<std::string>{}))
      call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"),
          " it runs, but will not start after a boot: ", printable(later, 1000)));
  if (failed.empty())
    return {};
  call.error_printed = call.terminal.json();
  return fail(Code::failure,
      cat("unlocked, but not every site is up: ", printable(join(failed, "; "), 2000)));
}

Result<void> run_lock(Call& call) {
  const auto locked =
      TRY(ask_or_print<control::Locked>(call, {.verb = "lock", .timeout = milliseconds(60'000)}));
  if (locked)
    call.terminal.print(locked->was_unsealed
            ? "locked: the host key is wiped, running services keep running"
            : "unchanged: the host is locked");
  return {};
}

} // namespace

extern constinit const Verb k_unlock{"unlock", Group::seal, Where::host,
    "unlock the host with its passphrase", k_unlock_options, run_unlock, "all"};
extern constinit const Verb k_lock{
    "lock", Group::seal, Where::host, "lock the host: wipe its key from memory", {}, run_lock};

} // namespace chillbox::cli
