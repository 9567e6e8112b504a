#include "cli/laptop/deploy_artifact.hpp"

#include "artifact/pack.hpp"
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/laptop/artifact_cache.hpp"
#include "cli/laptop/machine_facts.hpp"
#include "cli/laptop/wheel_cache.hpp"
#include "cli/pack/archive_summary.hpp"
#include "cli/pack/site_commands.hpp"
#include "crypto/hash.hpp"
#include "os/disk.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

Laptop laptop_of(Call& call) {
  return {os::real_runner(), !call.args.has("no-commands"),
      [&terminal = call.terminal](std::string_view line) { terminal.print_status(line); }};
}

bool says_version(const SiteFolder& folder) {
  return folder.site.version || makefile_inspects(folder.dir, "VERSION") ||
      os::real_disk().exists(folder.dir + "/VERSION");
}

// Of what goes in: a version that was only counted is not part of it.
std::string tree_of(
    const artifact::Packed& packed, const std::string& site_json, const DeployVersion& version) {
  std::string site = site_json;
  if (version.automatic)
    if (auto json = parse_json(site_json, config::k_max_site_json)) {
      json->erase("version");
      site = dump(*json);
    }
  return crypto::sha256_of(bytes_of(cat(packed.rest_sha256.str(), " ", site))).str();
}

void print_warnings(Call& call, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings)
    call.terminal.print_status(
        cat(call.terminal.err(Style::warn, "warning:"), " ", printable(warning, 1000)));
}

struct Contents {
  std::vector<artifact::PackEntry> entries;
  std::string site_json, wheels;
};

Result<Contents> contents_of(Call& call, const DeployPlan& plan, const control::Facts& facts,
    const DeployVersion& version, DeployLines& lines) {
  const SiteFolder& folder = plan.folder;
  const Laptop laptop = laptop_of(call);
  const Version parsed = TRY(Version::parse(version.text));
  const auto values = TRY(env_values(folder, parsed, laptop));
  Contents contents;
  contents.site_json = TRY(packed_json(folder, parsed, values));
  TRY_IN(cat(folder.file, ", as it is packed"),
      config::parse_site(contents.site_json, folder.site.slug));
  auto collected = TRY(collect_cached(
      plan.places, folder, facts, call.args.has("refresh"), os::real_runner(), lines));
  contents.wheels = std::move(collected.text);
  auto hashes = TRY(make_immutable(folder, laptop));
  const LayoutOptions how{std::move(hashes), true, std::move(collected.replaced)};
  contents.entries = TRY_IN(plan.site(), archive_entries(folder, contents.site_json, how, nullptr));
  print_warnings(call, TRY_IN(plan.site(), check_contents(folder, contents.entries)));
  return contents;
}

Result<artifact::Packed> pack_to(const std::string& path, const Contents& contents,
    const DeployPlan& plan, const std::vector<std::string>& recipients, DeployLines& lines) {
  const DeferInterrupt defer;
  artifact::PackRequest request{contents.entries, recipients, 0, path, false, {}};
  request.apart = cat(plan.site(), "/", plan.site(), ".site.json");
  request.progress = [&](uint64_t done, uint64_t total) {
    lines.percent("pack", done, total);
    if (!interrupted())
      return;
    lines.end_line();
    std::error_code error;
    const std::string begun = cat(".", fs::path(path).filename().string(), ".tmp.");
    for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), error))
      if (entry.path().filename().string().starts_with(begun))
        fs::remove(entry.path(), error);
    leave_interrupted();
  };
  return TRY_IN(plan.site(), artifact::pack(request));
}

} // namespace

Result<DeployVersion> deploy_version(Call& call, const DeployPlan& plan,
    const control::SiteFacts& there, const DeployMemory& memory) {
  if (call.args.has("version"))
    return DeployVersion{
        TRY_IN("--version", Version::parse(call.args.text("version"))).str(), false};
  if (says_version(plan.folder)) {
    const Version said = TRY(version_of(plan.folder, laptop_of(call)));
    return DeployVersion{said.str(), false};
  }
  if (plan.git) {
    const std::string text = version_of_git(*plan.git);
    TRY_IN("the version that git describes", Version::parse(text));
    return DeployVersion{text, text != plan.git->tag};
  }
  const uint64_t there_now = counted_version(there.version).value_or(0);
  const uint64_t known = counted_version(memory.version).value_or(0);
  return DeployVersion{cat("0.0.", std::max(there_now, known) + 1), true};
}

uint64_t serial_for(uint64_t newest, int64_t now) {
  return std::max(static_cast<uint64_t>(std::max<int64_t>(now, 0)) / 60, newest + 1);
}

Result<void> pack_for(Call& call, DeployPlan& plan, const Target& target,
    const control::Facts& facts, const DeployVersion& version, DeployMemory& memory,
    DeployLines& lines) {
  const std::vector<std::string> recipients =
      plan.recipients.empty() ? std::vector{facts.recipient} : plan.recipients;
  const std::string readers = join(recipients, " ");
  if (plan.packed && plan.packed->version == version.text && plan.packed->recipient == readers) {
    memory.pending = *plan.packed;
    lines.line("pack", "the same artifact as for the others");
    return {};
  }
  const auto cache = TRY(ArtifactCache::open(plan.places, target.host.name, plan.site()));
  const std::string fresh = cache.fresh();
  const Contents contents = TRY(contents_of(call, plan, facts, version, lines));
  const auto packed = TRY(pack_to(fresh, contents, plan, recipients, lines));
  const std::string tree = tree_of(packed, contents.site_json, version);
  const auto& old = memory.pending;
  Fd held;
  if (old.tree == tree && old.version == version.text && old.recipient == readers &&
      old.path == cache.kept(old.sha256) && os::real_disk().size(old.path) == old.size)
    held = ArtifactCache::hold(old.path);
  const bool again = static_cast<bool>(held);
  std::error_code error;
  if (again) {
    fs::remove(fresh, error);
  } else {
    const std::string kept = cache.kept(packed.sha256.str());
    held = ArtifactCache::hold(fresh);
    fs::rename(fresh, kept, error);
    if (error)
      return fail_errno(cat("rename ", fresh), error.value());
    memory.pending = {tree, version.text, readers, kept, packed.sha256.str(), hex(packed.blake2b),
        packed.size, packed.files};
  }
  cache.remove_others(memory.pending.path);
  plan.artifacts.push_back(std::move(held));
  if (!plan.recipients.empty())
    plan.packed = memory.pending;
  lines.line("pack",
      cat(packed.files, packed.files == 1 ? " file, " : " files, ", human_size(packed.size),
          contents.wheels.empty() ? "" : "; ", contents.wheels, again ? "; as before" : ""));
  return {};
}

} // namespace chillbox::cli
