#include "cli/laptop/defaults.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/laptop/target.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <unistd.h>

#include <algorithm>

namespace chillbox::cli {
namespace {

bool is_a_host() {
  const os::Paths paths = os::Paths::from_environment();
  os::Disk& disk = os::real_disk();
  return paths.testing() || disk.exists(paths.control_socket()) || disk.exists(paths.state());
}

// In `rollback 1.4.0` the word is the version, since no site is called so.
void shift(CommandLine& line, std::string_view site) {
  const std::string text = line.args.text(site);
  if (text.empty() || SiteName::parse(text.substr(0, text.find('/'))))
    return;
  Args moved;
  std::string_view next;
  bool after = false;
  for (const Option& option : line.verb->options) {
    const std::string_view key = key_of(option);
    if (after && next.empty() && is_position(option))
      next = key;
    after |= key == site;
    if (key != site)
      for (const std::string& value : line.args.list(key))
        moved.add(key, value);
  }
  if (next.empty() || line.args.has(next))
    return;
  moved.add(next, text);
  line.args = std::move(moved);
}

Result<void> fill_site(CommandLine& line) {
  for (const Option& option : line.verb->options) {
    if (!option.of_project)
      continue;
    const std::string_view key = key_of(option);
    shift(line, key);
    if (line.args.has(key))
      return check(option, line.args.text(key));
    const auto project = TRY(find_project());
    if (!project)
      return fail(Code::usage,
          cat("SITE is required: name it, or run ", line.verb->name,
              " in the folder of a project"));
    line.args.add(key, TRY(project->site()));
  }
  return {};
}

// Nothing is added where nothing is known: the error of the verb says what to do.
Result<void> fill_host(CommandLine& line) {
  if (line.verb->where != Where::host || !line.hosts.empty() || !line.inventory.empty() ||
      line.args.has(line.verb->here_with) || is_a_host())
    return {};
  const Places places = Places::find();
  auto project = TRY(find_project());
  const bool known = !load_hosts(places, nullptr).empty() || (project && !project->file.empty());
  if (!known)
    return {};
  for (const Target& target : TRY(find_targets(places,
           {.project = project ? &*project : nullptr,
               .example = cat("chillboxctl ", line.verb->name),
               .choose = chooser()})))
    line.hosts.push_back(target.record ? target.record->name : target.host.target);
  return {};
}

} // namespace

Result<void> fill_defaults(CommandLine& line) {
  TRY(fill_site(line));
  return fill_host(line);
}

} // namespace chillbox::cli
