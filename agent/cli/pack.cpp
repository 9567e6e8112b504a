// pack: a site's folder to an artifact.
#include "cli/sealing.hpp"
#include "cli/site_folder.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

#include "base/text.hpp"

namespace chillbox::cli {

Result<void> run_pack(Call& call) {
  const SiteFolder folder = TRY(read_site_folder(call.args.text("DIR")));
  const config::Site& site = folder.site;
  if (!site.version)
    return fail(Code::invalid, cat(folder.file, ": has no \"version\": an artifact needs one"));
  const Sealer sealer = TRY(prepare_sealer(call.args));
  const auto values = TRY(env_values(folder, os::real_runner(), [&](std::string_view line) { call.terminal.note(line); }));
  const std::string json = TRY(with_env_values(folder.json, values));
  TRY_IN(cat(folder.file, ", with the values of its commands"), config::parse_site(json, site.slug));
  auto entries = TRY_IN(site.slug.str(), lay_out(folder, json));
  const Sealed sealed = TRY(seal(call, sealer, std::move(entries), site.slug, site.version));
  tell_sealed(call, "pack", site.slug, site.version->str(), sealed);
  return {};
}

} // namespace chillbox::cli
