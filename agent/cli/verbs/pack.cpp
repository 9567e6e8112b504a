// pack: a site's folder to an artifact.
#include "cli/core/terminal.hpp"
#include "cli/core/verbs.hpp"
#include "cli/pack/archive_summary.hpp"
#include "cli/pack/encrypt_and_sign.hpp"
#include "cli/pack/site_commands.hpp"
#include "cli/pack/wheels.hpp"

#include "base/text.hpp"

namespace chillbox::cli {

Result<void> run_pack(Call& call) {
  const auto target = TRY(wheel_target(call.args));
  const SiteFolder folder = TRY(read_site_folder(call.args.text("DIR"), call.args.text("source")));
  const SiteName& slug = folder.site.slug;
  const ArtifactSigner signer = TRY(prepare_signer(call.args));
  const Laptop laptop{os::real_runner(), !call.args.has("no-commands"),
      [&](std::string_view line) { call.terminal.print_status(line); }};
  const Version version = TRY(version_of(folder, laptop));
  const auto values = TRY(env_values(folder, version, laptop));
  const std::string json = TRY(packed_json(folder, version, values));
  TRY_IN(cat(folder.file, ", as it is packed"), config::parse_site(json, slug));
  Progress progress(call.terminal);
  if (target)
    TRY(fetch_wheels(folder, *target, os::real_runner(), progress));
  TRY(tell_added_hashes(folder, progress));
  auto immutable = TRY(make_immutable(folder, laptop));
  const LayoutOptions how{std::move(immutable), target.has_value()};
  auto entries = TRY_IN(slug.str(), archive_entries(folder, json, how));
  const ArchiveSummary contents = summarize(folder.site, entries);
  const SignedArtifact sealed =
      TRY(encrypt_and_sign(call, signer, std::move(entries), slug, version));
  print_artifact(call, "pack", slug, version.str(), sealed, &contents);
  return {};
}

} // namespace chillbox::cli
