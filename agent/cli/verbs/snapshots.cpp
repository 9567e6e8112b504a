// snapshots: lists the snapshots of a site's data.
#include "control/snapshots.hpp"
#include "base/text.hpp"
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"

#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_snapshots_options{k_project_site};

Result<void> run_snapshots(Call& call) {
  const Question question{.verb = "snapshots", .args = {.site = call.args.text("SITE")}};
  const int64_t now = os::real_clock().wall_ms();
  return show_table<control::SnapshotList>(call, question,
      {{"NUMBER", "DATA OF", "TAKEN", "BEFORE", "SIZE", "ENTRIES"}, {}},
      "no snapshot; one is taken before a release_command",
      [&](const control::SnapshotList& list, Table& table) {
        for (const auto& s : list.snapshots)
          table.rows.push_back({std::to_string(s.number), s.release, format_when(s.time_ms, now),
              cat(s.kind, s.before.empty() ? "" : " ", s.before), human_size(s.bytes),
              std::to_string(s.entries)});
      });
}

} // namespace

extern constinit const Verb k_snapshots{"snapshots", Group::show, Where::host,
    "show the snapshots of a site's data", k_snapshots_options, run_snapshots};

} // namespace chillbox::cli
