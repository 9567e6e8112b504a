#include "cli/laptop/deploy_roll.hpp"

#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/host_batches.hpp"

namespace chillbox::cli {

Result<void> roll_deploy(Call& call, const std::vector<RollPart>& parts, Deployed told) {
  std::vector<std::string> failed, untried;
  std::vector<int> codes;
  Error last{Code::failure, ""};
  const auto take = [&](size_t at, size_t) -> Result<void> {
    const auto& [host, deploy] = parts[at];
    call.error_printed = false;
    const auto done = deploy();
    codes.push_back(done ? 0 : exit_code(done.error().code));
    if (done)
      return {};
    last = done.error();
    failed.push_back(host);
    if (!call.error_printed) {
      call.terminal.print_error(cat(call.terminal.err(Style::bad, "chillboxctl:"), " ",
          printable(host, 200), ": ", printable(last.message, 2000)));
      told.host = host;
      told.code = last.code;
      told.message = last.message;
      if (call.terminal.json())
        call.terminal.print(answer_text("deploy", told));
    }
    return last.code == Code::interrupted ? done : Result<void>{};
  };
  const size_t taken = TRY(in_batches(
      parts.size(), {}, {take, [&] { return failed.empty() || call.args.has("keep-going"); }}));
  for (size_t i = taken; i < parts.size(); ++i)
    untried.push_back(parts[i].host);
  call.error_printed = false;
  if (failed.empty())
    return {};
  const bool alike = untried.empty() && joined_exit(codes) == codes.front();
  return fail(alike ? last.code : Code::partial,
      cat(codes.size() - failed.size(), " of ", parts.size(),
          " hosts took it; failed: ", printable(join(failed, ", "), 1000),
          untried.empty() ? "" : cat("; not tried: ", printable(join(untried, ", "), 1000))));
}

} // namespace chillbox::cli
