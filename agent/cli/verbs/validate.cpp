// validate: what pack would say, without making anything.
#include "cli/core/json_fields.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verbs.hpp"
#include "cli/pack/site_folder.hpp"

#include "base/text.hpp"

namespace chillbox::cli {

Result<void> run_validate(Call& call) {
  const std::string path = call.args.text("PATH");
  const SiteFolder folder = TRY(read_site_folder(path));
  const config::Site& site = folder.site;
  if (path != folder.file) // a folder: its services must be there too
    TRY_IN(folder.file, archive_entries(folder, folder.json));
  const std::string version = site.version ? site.version->str() : "";
  if (call.terminal.json())
    call.terminal.print(result_text("validate",
        {{"file", folder.file}, {"site", site.slug.str()}, {"version", version},
            {"services", uint64_t{site.services.size()}}}));
  else
    call.terminal.print(cat(folder.file, ": ok: ", site.slug.str(),
        version.empty() ? ", no version in it" : cat(" ", version), ", ", site.services.size(),
        site.services.size() == 1 ? " service" : " services"));
  return {};
}

} // namespace chillbox::cli
