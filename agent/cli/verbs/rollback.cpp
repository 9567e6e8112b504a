// rollback: goes back to an earlier release.
#include "cli/core/daemon.hpp"
#include "cli/core/data_loss.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr uint64_t k_choices = 20;

constexpr std::array k_rollback_options{
    k_project_site,
    Option{"[VERSION]", ArgKind::release, "",
        "version or release to go to (default: the last good one)"},
    Option{"--choose", ArgKind::flag, "", "show the releases that it can go to, and ask for one"},
    Option{"--with-data", ArgKind::flag, "",
        "go back to the snapshot of its data, too; the site stops for it"},
    k_yes,
    Option{"--during-hold", ArgKind::flag, "", "even while the site is on hold"},
    k_no_wait,
};

// The id of one of the releases that are kept and not live, the newest first.
Result<std::string> choose(Call& call, const std::string& site) {
  const auto list = TRY(control::read_answer<control::ReleaseList>(
      TRY(ask(call.paths, {.verb = "releases", .args = {.site = site, .limit = k_choices}}))));
  std::vector<std::string> ids;
  const int64_t now = os::real_clock().wall_ms();
  for (const auto& release : list.releases)
    if (!release.live && !release.withdrawn && control::is_kept(release.state)) {
      ids.push_back(release.id);
      call.terminal.print_status(
          cat("  ", ids.size(), ")  ", release.id, "  ", control::name(release.state), ", by ",
              printable(release.signer, 60), ", live ", format_age(release.live_ms, now)));
    }
  if (ids.empty())
    return fail(Code::not_found, cat("'", site, "' has no other release to go to"));
  const std::string answer =
      TRY(ask_line("which one? (Enter: 1)", "choosing a release", "name the version"));
  const auto word = trim(answer);
  const auto number = word.empty() ? std::optional<uint64_t>(1) : parse_u64(word);
  if (number && *number >= 1 && *number <= ids.size())
    return ids[*number - 1];
  if (std::ranges::find(ids, word) != ids.end())
    return std::string(word);
  return fail(Code::usage, cat("'", printable(word, 80), "' is none of them; nothing was changed"));
}

Result<void> run_rollback(Call& call) {
  const std::string site = call.args.text("SITE");
  std::string version = call.args.text("VERSION");
  if (call.args.has("choose") && !version.empty())
    return fail(Code::usage, "--choose asks for the release: do not name one");
  if (call.args.has("choose"))
    version = TRY(choose(call, site));
  control::Arguments args{
      .site = site, .version = version, .during_hold = call.args.has("during-hold")};
  if (call.args.has("with-data")) {
    const auto loss = TRY(show_data_loss(call, site, version));
    TRY(must_agree(
        call, cat("Roll '", site, "' back to ", loss.release, ", with its data?"), false));
    args.with_data = true;
  }
  return run_job_verb(call, "rollback", args);
}

} // namespace

extern constinit const Verb k_rollback{"rollback", Group::act, Where::host,
    "go back to a good release", k_rollback_options, run_rollback};

} // namespace chillbox::cli
