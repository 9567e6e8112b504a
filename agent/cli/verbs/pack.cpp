// pack: makes an artifact of a site's folder.
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/pack/archive_summary.hpp"
#include "cli/pack/collect.hpp"
#include "cli/pack/encrypt_and_sign.hpp"
#include "cli/pack/site_commands.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_pack_options{
    Option{"[DIR]", ArgKind::text, "",
        "folder with SITE.site.json (or .toml) and the services' folders, or that file (default: .)"},
    Option{"--source", ArgKind::text, "DIR",
        "where the services' folders are, if not next to the site file"},
    Option{"--wheels", ArgKind::flag, "",
        "collect what the Python services need into their dep/, with pip"},
    Option{"--no-wheels", ArgKind::flag, "", "pack although wheels are missing: the host has them"},
    Option{"--python", ArgKind::text, "VERSION",
        "collect wheels for this Python: what `python3 --version` prints on the host (default: this machine's)"},
    Option{"--platform", ArgKind::list, "TAG[,..]",
        "collect wheels for this platform (default with --python: musllinux_1_2_x86_64, which is Alpine)"},
    Option{"--new-hashes", ArgKind::flag, "",
        "collect wheels whose hash requirements.txt lacks, if it has hashes of others"},
    Option{
        "--no-commands", ArgKind::flag, "", "run no command that the site names: env[].cmd, make"},
    k_recipients,
    k_recipients_file,
    k_key,
    k_outdir,
    k_serial,
    k_for,
    k_expires,
    k_armor,
    k_passphrase_fd,
};

// "left out   .env, __pycache__/ (12), venv/"
void print_left_out(const LeftOut& left_out, Progress& progress) {
  std::vector<std::string> names;
  for (const auto& [name, count] : left_out)
    names.push_back(count == 1 ? name : cat(name, " (", count, ")"));
  if (!names.empty())
    progress.done("left out", join(names, ", "));
}

Result<void> run_pack(Call& call) {
  const std::string dir = call.args.text("DIR", ".");
  TRY(check_signer_args(call.args,
      cat("chillboxctl pack ", printable(dir, 200), " -R recipient.txt -k deployer.key -o out")));
  const auto options = TRY(collect_options(call.args));
  const SiteFolder folder =
      TRY(read_site_folder(dir, call.args.text("source"), TRY(Kinds::load(call.paths))));
  const SiteName& slug = folder.site.slug;
  const ArtifactSigner signer = TRY(prepare_signer(call));
  const Laptop laptop{os::real_runner(), !call.args.has("no-commands"),
      [&](std::string_view line) { call.terminal.print_status(line); }};
  const Version version = TRY(version_of(folder, laptop));
  const auto values = TRY(env_values(folder, version, laptop));
  const std::string json = TRY(packed_json(folder, version, values));
  TRY_IN(cat(folder.file, ", as it is packed"), config::parse_site(json, slug));
  Progress progress(call.terminal);
  auto replaced = TRY(collect(folder, options, os::real_runner(), progress));
  auto immutable = TRY(make_immutable(folder, laptop));
  const LayoutOptions how{std::move(immutable), options.collects, std::move(replaced)};
  LeftOut left_out;
  auto entries = TRY_IN(slug.str(), archive_entries(folder, json, how, &left_out));
  print_left_out(left_out, progress);
  for (const std::string& warning : TRY_IN(slug.str(), check_contents(folder, entries)))
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"), " ", warning));
  const ArchiveSummary contents = summarize(folder.site, entries);
  const SignedArtifact sealed =
      TRY(encrypt_and_sign(call, signer, std::move(entries), slug, version));
  print_artifact(call, "pack", slug, version.str(), sealed, &contents);
  return {};
}

} // namespace

extern constinit const Verb k_pack{"pack", Group::laptop, Where::laptop,
    "make an encrypted, signed artifact of a site", k_pack_options, run_pack};

} // namespace chillbox::cli
