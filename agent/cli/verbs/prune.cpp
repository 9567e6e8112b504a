// prune: removes old releases and files now.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_options{
    k_site_or_all, Option{"--dry-run", ArgKind::flag, "", "only print what would be removed"}};

Result<void> run(Call& call) {
  const bool dry_run = call.args.has("dry-run");
  const Question question{.verb = "prune",
      .args = {{"site", call.args.text("SITE")}, {"dry_run", dry_run}},
      .timeout = std::chrono::milliseconds(300'000)};
  const std::string answer = TRY(ask(call.paths, question, &call.error_data));
  if (call.terminal.json()) {
    call.terminal.print(answer);
    return {};
  }
  const auto paths = member_list(answer, "paths");
  for (const auto& path : paths)
    call.terminal.print(printable(path, 1024));
  call.terminal.print_status(paths.empty()
          ? "nothing to remove"
          : cat(dry_run ? "would remove " : "removed ", paths.size(), ", ",
                human_size(member_number(answer, "bytes"))));
  return {};
}

} // namespace

extern constinit const Verb k_prune{
    "prune", Group::act, Where::host, "remove old releases and files now", k_options, run};

} // namespace chillbox::cli
