#include "cli/fleet/installed_serial.hpp"

#include "base/text.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/target.hpp"
#include "control/messages.hpp"

#include <algorithm>

namespace chillbox::cli {

Result<uint64_t> installed_serial(
    const std::vector<std::string>& names, const SiteName& site, bool secrets) {
  std::vector<Host> hosts;
  for (const auto& name : names)
    hosts.push_back(TRY_IN("--for", target_named(Places::find(), name)).host);
  const auto answers =
      TRY(run_in_parallel(hosts, {.words = {"releases", "--json", "--", site.str()}}));
  uint64_t serial = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].code == exit_code(Code::not_found))
      continue; // no such site there yet
    if (answers[i].code != 0)
      return fail(
          answers[i].code == exit_code(Code::unreachable) ? Code::unreachable : Code::failure,
          cat("--for ", hosts[i].name, ": ", printable(answers[i].last_error, 300)));
    const auto list = TRY_IN(
        cat("--for ", hosts[i].name), control::read_answer<control::ReleaseList>(answers[i].out));
    serial = std::max(serial, secrets ? list.secrets_serial : list.serial);
    for (const auto& release : list.releases) // all that a host of an earlier version says
      serial = std::max(serial, secrets ? 0 : release.serial);
  }
  return serial;
}

} // namespace chillbox::cli
