// releases: lists the releases of a site.
#include "base/text.hpp"
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"

#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_releases_options{k_project_site, k_limit};

Result<void> run_releases(Call& call) {
  const Question question{.verb = "releases",
      .args = {
          .site = call.args.text("SITE"), .limit = call.args.number("lines", k_default_releases)}};
  const auto list = TRY(ask_or_print<control::ReleaseList>(call, question));
  if (!list)
    return {};
  if (list->live.empty() && list->releases.empty() && list->serial > 0)
    return fail(Code::not_found,
        cat("no site '", list->site, "' on this host: it was removed, and takes serials over ",
            list->serial));
  const int64_t now = os::real_clock().wall_ms();
  Table table{
      {"", "RELEASE", "VERSION", "STATE", "SLOT", "SERIAL", "LIVE SINCE", "SIGNED BY", "WHY"}, {}};
  for (const auto& r : list->releases)
    table.rows.push_back({r.live ? "*" : " ", r.id, r.version,
        std::string(r.withdrawn ? "withdrawn" : name(r.state)), std::string(letter(r.slot)),
        std::to_string(r.serial), format_when(r.live_ms, now), r.signer,
        r.message.empty() ? r.distrust : r.message});
  print_table(call.terminal, table, "no release yet");
  return {};
}

} // namespace

extern constinit const Verb k_releases{"releases", Group::show, Where::host,
    "show the releases of a site", k_releases_options, run_releases};

} // namespace chillbox::cli
