// validate: checks a site as pack would, without making anything.
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/pack/site_folder.hpp"

#include "base/text.hpp"
#include "config/service.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_validate_options{Option{"PATH", ArgKind::text, "",
    "a SITE.site.json or SITE.site.toml, or a folder that `pack` takes"}};

Result<void> run_validate(Call& call) {
  const std::string path = call.args.text("PATH");
  const SiteFolder folder = TRY(read_site_folder(path, "", TRY(Kinds::load(call.paths))));
  const config::Site& site = folder.site;
  auto warnings = config::site_warnings(site, folder.kinds.known());
  if (path != folder.file) // for a folder, the services' folders must exist too
    warnings = TRY_IN(folder.file,
        check_contents(folder, TRY_IN(folder.file, archive_entries(folder, folder.json))));
  for (const std::string& warning : warnings)
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"), " ", warning));
  const std::string version = site.version ? site.version->str() : "";
  if (call.terminal.json())
    call.terminal.print(answer_text("validate",
        Validated{.file = folder.file,
            .site = site.slug.str(),
            .version = version,
            .services = site.services.size()}));
  else
    call.terminal.print(cat(folder.file, ": ok: ", site.slug.str(),
        version.empty() ? ", no version in it" : cat(" ", version), ", ", site.services.size(),
        site.services.size() == 1 ? " service" : " services"));
  return {};
}

} // namespace

extern constinit const Verb k_validate{"validate", Group::laptop, Where::both,
    "check a site file, or a folder as `pack` would", k_validate_options, run_validate};

} // namespace chillbox::cli
