#include "rollout/manifest.hpp"
#include "rollout/assets.hpp"
#include "rollout/loaded_release.hpp"
#include "rollout/trust.hpp"

#include "base/text.hpp"
#include "config/site.hpp"
#include "control/json.hpp"
#include "store/counters.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>

namespace chillbox::rollout {
namespace {

using control::Json;

constexpr std::string_view k_schema = "chillbox.site-state.v1";
constexpr size_t k_most = 16 * 1024 * 1024; // the NGINX texts of 100 releases
constexpr std::array<const char*, 4> k_serials{"site", "secrets", "release", k_secrets_floor};

std::string path_of(const os::Paths& paths, const SiteName& site) {
  return paths.site(site) + "/state.json";
}

struct TextMember {
  const char* name;
  std::string store::Release::* member;
};
constexpr TextMember k_texts[] = {{"id", &store::Release::id},
    {"version", &store::Release::version}, {"sha256", &store::Release::sha256},
    {"secrets", &store::Release::secrets}, {"digest", &store::Release::digest},
    {"nginx", &store::Release::nginx}, {"signer", &store::Release::signer},
    {"signer_key", &store::Release::signer_key}, {"kept_by", &store::Release::kept_by}};

Json json_of(const store::Release& release) {
  Json json{{"state", store::name(release.state)}, {"slot", letter(release.slot)},
      {"serial", release.serial}, {"created_ms", release.created_ms}, {"live_ms", release.live_ms}};
  for (const auto& text : k_texts)
    json[text.name] = release.*text.member;
  return json;
}

store::Release release_of(const Json& json, const SiteName& site) {
  store::Release release{{}, site};
  for (const auto& text : k_texts)
    release.*text.member = control::string_or(json, text.name, "");
  release.slot = parse_slot(control::string_or(json, "slot", ""));
  release.serial = control::u64_or(json, "serial", 0);
  release.created_ms = static_cast<int64_t>(control::u64_or(json, "created_ms", 0));
  release.live_ms = static_cast<int64_t>(control::u64_or(json, "live_ms", 0));
  release.state =
      control::string_or(json, "state", "") == store::name(store::ReleaseState::unproven)
      ? store::ReleaseState::unproven
      : store::ReleaseState::good;
  return release;
}

Result<Json> state_of(store::Store& store, const store::SiteRow& row) {
  Json json{{"schema", k_schema}, {"live", row.live}, {"previous_good", row.previous_good},
      {"stopped", row.stopped}, {"ports", row.ports}, {"releases", Json::array()},
      {"serials", Json::object()}, {"assets", Json::array()}};
  for (const char* what : k_serials)
    json["serials"][what] = TRY(store.serial(row.site, what));
  for (const auto& asset : TRY(store.assets(row.site)))
    json["assets"].push_back({{"kind", asset.kind}, {"name", asset.name}, {"id", asset.id}});
  for (const auto& release : TRY(store.kept_releases(row.site))) // newest first
    json["releases"].push_back(json_of(release));
  if (const auto set = TRY(store.secret_set(row.site)))
    json["secret_set"] = {{"sha256", set->sha256}, {"serial", set->serial},
        {"received_ms", set->received_ms}, {"signer", set->signer}};
  json["used_sets"] = Json::array();
  for (const auto& set : TRY(store.used_sets(row.site)))
    json["used_sets"].push_back({{"sha256", set.sha256}, {"serial", set.serial},
        {"signer", set.signer}, {"signer_key", set.signer_key}, {"kept_by", set.kept_by}});
  json["withdrawn"] = Json::array();
  for (const auto& w : TRY(store.withdrawn(row.site)))
    json["withdrawn"].push_back({{"sha256", w.sha256}, {"version", w.version}, {"serial", w.serial},
        {"actor", w.actor}, {"why", w.why}, {"time_ms", w.time_ms}});
  if (const auto hold = TRY(store.hold(row.site)))
    json["hold"] = {{"actor", hold->actor}, {"why", hold->why}, {"time_ms", hold->time_ms}};
  return json;
}

Result<Json> read_manifest(os::Disk& disk, const os::Paths& paths, const SiteName& site) {
  auto json = TRY(control::parse_json(TRY(disk.read(path_of(paths, site), k_most)), k_most));
  if (!json.is_object() || control::string_or(json, "schema", "") != k_schema)
    return fail(Code::corrupt, cat(path_of(paths, site), ": not a ", k_schema));
  return json;
}

const Json& member(const Json& json, const char* name) {
  static const Json k_none = Json::object();
  const auto it = json.find(name);
  return it == json.end() ? k_none : *it;
}

// Jobs and verbs write the file: the last one that reads the store has to be the last that writes.
std::mutex& mutex_of(const SiteName& site) {
  static std::array<std::mutex, 16> all; // so that sites rarely wait for each other's disk
  return all[std::hash<std::string>{}(site.str()) % all.size()];
}

Result<void> restore_rest(store::Store& store, const SiteName& site, const Json& json) {
  for (const char* what : k_serials)
    TRY(store.raise_serial(site, what, control::u64_or(member(json, "serials"), what, 0)));
  std::vector<store::Asset> assets;
  for (const Json& one : member(json, "assets"))
    assets.push_back({site, control::string_or(one, "kind", ""),
        control::string_or(one, "name", ""), control::string_or(one, "id", "")});
  TRY(store.put_assets(assets));
  if (const Json& set = member(json, "secret_set"); !set.empty())
    TRY(store.put_secret_set(
        {site, control::string_or(set, "sha256", ""), control::u64_or(set, "serial", 0),
            static_cast<int64_t>(control::u64_or(set, "received_ms", 0)),
            control::string_or(set, "signer", "")}));
  for (const Json& set : member(json, "used_sets")) // over the one above, which has no fingerprint
    TRY(store.put_used_set({site, control::string_or(set, "sha256", ""),
        control::u64_or(set, "serial", 0), 0, control::string_or(set, "signer", ""),
        control::string_or(set, "signer_key", ""), control::string_or(set, "kept_by", "")}));
  for (const Json& w : member(json, "withdrawn"))
    TRY(store.withdraw({site, control::string_or(w, "sha256", ""),
        control::string_or(w, "version", ""), control::u64_or(w, "serial", 0),
        control::string_or(w, "actor", ""), control::string_or(w, "why", ""),
        static_cast<int64_t>(control::u64_or(w, "time_ms", 0))}));
  if (const Json& hold = member(json, "hold"); !hold.empty())
    TRY(store.put_hold({{control::string_or(hold, "actor", ""), control::string_or(hold, "why", ""),
                            static_cast<int64_t>(control::u64_or(hold, "time_ms", 0))},
        site}));
  return {};
}

// Where the link points is what visitors get; what the file says may be of a moment before.
Result<std::string> live_release(os::Disk& disk, const os::Paths& paths, const SiteName& site,
    const std::vector<store::Release>& releases, const std::string& said) {
  const auto link = TRY(disk.read_link(paths.current(site)));
  const std::string id = link ? link->substr(link->rfind('/') + 1) : std::string();
  return std::ranges::any_of(releases, [&](const auto& release) { return release.id == id; })
      ? id
      : said;
}

Result<std::string> restore_site(os::Disk& disk, const os::Paths& paths, store::Store& store,
    const SiteName& site, const Json& json, int64_t now_ms) {
  std::vector<store::Release> releases;
  for (const Json& one : member(json, "releases"))
    if (auto release = release_of(one, site);
        !release.id.empty() && disk.exists(paths.releases(site) + "/" + release.id))
      releases.push_back(std::move(release));
  const auto has = [&](const std::string& id) {
    return std::ranges::any_of(releases, [&](const auto& release) { return release.id == id; });
  };
  const std::string said = control::string_or(json, "live", "");
  store::SiteRow row{.site = site};
  row.live = TRY(live_release(disk, paths, site, releases, has(said) ? said : ""));
  const std::string before =
      row.live == said ? control::string_or(json, "previous_good", "") : said;
  row.previous_good = has(before) ? before : "";
  row.stopped = control::bool_or(json, "stopped", false);
  row.ports = control::string_or(json, "ports", "");
  std::ranges::reverse(releases); // the store takes the last as the newest
  std::string version = "nothing";
  for (auto& release : releases) {
    if (release.id == row.live) {
      version = release.version;
      release.live_ms = release.live_ms == 0 ? now_ms : release.live_ms;
      TRY(store.raise_serial(
          site, "site", release.serial)); // the file may be from before its switch
    }
    TRY(store.put_release(release));
  }
  TRY(store.put_site(row));
  TRY(restore_rest(store, site, json));
  if (const auto parsed = read_site(disk, cat(paths.releases(site), "/", row.live), site))
    TRY(store.claim_hosts(site, parsed->domains));
  TRY(store.raise_serial(
      site, std::string(store::k_manifest), control::u64_or(json, "revision", 0)));
  return cat("site '", site.str(), "' was restored as ", path_of(paths, site), " says: ", version,
      " is live, ", releases.size(), releases.size() == 1 ? " release" : " releases");
}

} // namespace

Result<void> write_manifest(HostContext& host, const SiteName& site) {
  const std::scoped_lock lock(mutex_of(site));
  const auto row = TRY(host.store.site(site));
  if (!row)
    return {};
  Json json = TRY(state_of(host.store, *row));
  uint64_t before = 0;
  if (auto now = read_manifest(host.disk, host.paths, site)) {
    before = control::u64_or(*now, "revision", 0);
    now->erase("revision");
    if (*now == json)
      return {};
  }
  const std::string counter(store::k_manifest);
  const uint64_t counted = TRY(host.store.serial(site, counter));
  json["revision"] = counted > before ? counted : TRY(host.store.next_number(site, counter));
  return host.disk.write(path_of(host.paths, site), control::dump(json) + "\n", 0600);
}

std::vector<std::string> restore_from_manifests(
    os::Disk& disk, const os::Paths& paths, store::Store& store, int64_t now_ms) {
  std::vector<std::string> lines;
  for (const auto& name : disk.list(paths.sites()).value_or(std::vector<std::string>{})) {
    const auto site = SiteName::parse(name);
    const bool is_linked = site && disk.exists(paths.current(*site));
    if (!site || (!is_linked && !disk.exists(path_of(paths, *site)))) // of what may not be started
      continue;                                                       // a boot takes the link
    const auto json = read_manifest(disk, paths, *site);
    const auto known = store.site(*site);
    if (!json) {
      if (known && !*known) {
        lines.push_back(cat("site '", name,
            "' is on the disk but not in the store: ", json.error().message, ": deploy it again"));
        if (const auto adopted =
                is_linked ? adopt_site(disk, paths, store, *site, lines) : Result<void>{};
            !adopted)
          lines.push_back(adopted.error().message);
      }
      continue;
    }
    const auto revision = store.serial(*site, std::string(store::k_manifest));
    if (!revision || control::u64_or(*json, "revision", 0) <= *revision)
      continue;
    const auto done = restore_site(disk, paths, store, *site, *json, now_ms);
    lines.push_back(
        done ? *done : cat("site '", name, "' cannot be restored: ", done.error().message));
  }
  return lines;
}

} // namespace chillbox::rollout
