// secrets pack: makes a secret set of the files DIR/SERVICE/FILE.
#include "cli/core/options.hpp"
#include "cli/pack/encrypt_and_sign.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr std::array k_secrets_pack_options{
    Option{"DIR", ArgKind::text, "", "folder with SERVICE/FILE"},
    Option{"-s,--site", ArgKind::site, "SITE", "the site that they are for", true},
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

namespace fs = std::filesystem;
using Entries = std::vector<artifact::PackEntry>;

Result<std::vector<fs::directory_entry>> list(const fs::path& dir) {
  std::error_code error;
  std::vector<fs::directory_entry> found;
  for (const auto& entry : fs::directory_iterator(dir, error))
    found.push_back(entry);
  if (error)
    return fail_errno(cat("read ", printable(dir.string(), 1024)), error.value());
  std::ranges::sort(found);
  return found;
}

Result<void> add_files(Entries& entries, const fs::path& dir, const std::string& service) {
  for (const auto& entry : TRY(list(dir))) {
    const std::string name = entry.path().filename();
    if (entry.is_symlink() || !entry.is_regular_file())
      return fail(Code::invalid,
          cat(printable(entry.path().string(), 1024),
              ": a service's folder of secrets may contain only files"));
    entries.push_back({.name = cat(service, "/", name),
        .source = entry.path(),
        .content = {},
        .link_target = {}});
  }
  return {};
}

Result<void> run_secrets_pack(Call& call) {
  const std::string dir = call.args.text("DIR");
  TRY(check_signer_args(call.args,
      cat("chillboxctl secrets pack ", printable(dir, 200),
          " -s SITE -R recipient.txt -k deployer.key -o out")));
  const SiteName site = TRY(SiteName::parse(call.args.text("site")));
  Entries entries;
  for (const auto& entry : TRY(list(dir))) {
    const std::string name = entry.path().filename();
    if (name.starts_with('.'))
      continue;
    if (entry.is_symlink() || !entry.is_directory())
      return fail(Code::invalid,
          cat(printable(entry.path().string(), 1024), ": secrets must be in DIR/SERVICE/FILE"));
    TRY_IN(printable(entry.path().string(), 1024), ServiceName::parse(name));
    TRY(add_files(entries, entry.path(), name));
  }
  if (entries.empty())
    return fail(Code::invalid, cat(printable(dir, 1024), ": contains no SERVICE/FILE"));
  const ArtifactSigner signer = TRY(prepare_signer(call));
  const SignedArtifact sealed =
      TRY(encrypt_and_sign(call, signer, std::move(entries), site, std::nullopt));
  print_artifact(call, "secrets-pack", site, "", sealed);
  return {};
}

} // namespace

extern constinit const Verb k_secrets_pack{"secrets pack", Group::laptop, Where::laptop,
    "make an encrypted, signed set of a site's secrets", k_secrets_pack_options, run_secrets_pack};

} // namespace chillbox::cli
