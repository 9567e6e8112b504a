#include "cli/laptop/bring_release.hpp"

#include "base/text.hpp"
#include "cli/core/program.hpp"
#include "cli/laptop/secret_doc.hpp"
#include "os/disk.hpp"

namespace chillbox::cli {

// Secrets first: a release that uses them does not start without.
Result<void> bring_release(Call& call, const std::string& site, const std::string& host,
    const std::string& env, bool yes) {
  const auto project = TRY(find_project());
  std::vector<std::string> common{"-H", host};
  if (!env.empty())
    common.insert(common.end(), {"-e", env});
  const auto step = [&](std::vector<std::string> words) -> Result<void> {
    words.insert(words.end(), common.begin(), common.end());
    if (yes)
      words.emplace_back("--yes");
    const int code = run_program(words);
    if (code == 0)
      return {};
    call.error_exit = code;
    return fail(Code::failure, cat(words[0], " to ", host, " failed, exit ", code));
  };
  if (project && os::real_disk().exists(secret_place(*project, site, env).path))
    TRY(step({"secrets", "push"}));
  return step({"deploy"});
}

} // namespace chillbox::cli
