// releases: lists the releases of a site.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/reply.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_options{k_site};

Result<void> run(Call& call) {
  const Question question{.verb = "releases", .args = {{"site", call.args.text("SITE")}}};
  return show_table(call, question,
      {{"", "RELEASE", "VERSION", "STATE", "SLOT", "SERIAL", "LIVE SINCE", "SIGNED BY", "WHY"}, {}},
      "no release yet", [](const std::string& answer, Table& table) -> Result<void> {
        for (const ReleaseView& r : TRY(parse_releases(answer)))
          table.rows.push_back({r.live ? "*" : " ", r.id, r.version,
              r.withdrawn ? "withdrawn" : r.state, r.slot, std::to_string(r.serial),
              format_time(r.live_ms), r.signer, r.message.empty() ? r.distrust : r.message});
        return {};
      });
}

} // namespace

extern constinit const Verb k_releases{
    "releases", Group::show, Where::host, "show the releases of a site", k_options, run};

} // namespace chillbox::cli
