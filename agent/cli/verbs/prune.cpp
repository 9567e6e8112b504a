// prune: removes old releases and files now.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_prune_options{
    k_site_or_all, Option{"--dry-run", ArgKind::flag, "", "only print what would be removed"}};

Result<void> run_prune(Call& call) {
  const bool dry_run = call.args.has("dry-run");
  const Question question{.verb = "prune",
      .args = {.site = call.args.text("SITE"), .dry_run = dry_run},
      .timeout = std::chrono::milliseconds(300'000)};
  const auto pruned = TRY(ask_or_print<control::Pruned>(call, question));
  if (!pruned)
    return {};
  for (const auto& path : pruned->paths)
    call.terminal.print(printable(path, 1024));
  call.terminal.print_status(pruned->paths.empty()
          ? "nothing to remove"
          : cat(dry_run ? "would remove " : "removed ", pruned->paths.size(), ", ",
                human_size(pruned->bytes)));
  return {};
}

} // namespace

extern constinit const Verb k_prune{"prune", Group::act, Where::host,
    "remove old releases and files now", k_prune_options, run_prune};

} // namespace chillbox::cli
