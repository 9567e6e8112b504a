#include "rollout/redis.hpp"
#include "rollout/slots.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_come_up{10'000}; // it reads its data
constexpr size_t k_max_acl = 256 * 1024;
constexpr std::string_view k_service = "redis"; // no service of a site can have this name

std::string settings_dir(const HostContext& host, const SiteName& site) {
  return host.paths.site(site) + "/redis";
}
std::string data_dir(const HostContext& host, const SiteName& site) {
  return host.paths.data(site) + "/redis";
}

// Redis's own quoting: \ and " are escaped; control characters are in no value.
std::string redis_word(std::string_view word) {
  std::string out = "\"";
  for (const char c : word)
    out += c == '"' || c == '\\' ? cat("\\", c) : std::string(1, c);
  return out + "\"";
}

Result<std::string> option_line(const std::string& name, const std::string& value) {
  std::string line = name;
  const auto words = TRY_IN(cat("redis.", name), config::split_argv(value));
  for (const auto& word : words.empty() ? std::vector<std::string>{""} : words)
    line += " " + redis_word(word);
  return line + "\n";
}

// Defaults, what the site says, and last what it may not say.
Result<std::string> settings_text(const HostContext& host, const config::Site& site, bool acl) {
  std::string text =
      "# Written by chillboxd from the site file; changes are overwritten.\nmaxclients 100\nmaxmemory 64mb\n"
      "repl-diskless-sync-delay 0\n"; // nobody but a dump for a snapshot waits for it
  for (const auto& [name, value] : site.redis)
    text += TRY(option_line(name, value));
  const auto& slug = site.slug;
  text += cat("port 0\nprotected-mode yes\nunixsocket ", redis_word(redis_socket(host.paths, slug)),
      "\nunixsocketperm 700\ndir ", redis_word(data_dir(host, slug)),
      "\ndbfilename dump.rdb\ndaemonize no\nsupervised no\npidfile \"\"\nlogfile \"\"\n");
  return acl ? cat(text, "aclfile ", redis_word(settings_dir(host, slug) + "/users.acl"), "\n")
             : text;
}

Result<void> wait_until_up(HostContext& host, const SiteName& site) {
  const auto name = redis_slot(site);
  const os::Millis end = host.clock.mono() + k_come_up;
  while (!openrc::accept_queue(redis_socket(host.paths, site))) {
    const auto state = host.slots.state(name);
    if (host.clock.mono() >= end || host.slots.respawns(name) > 0 || !state ||
        *state == openrc::SlotState::crashed)
      return fail(Code::unhealthy,
          cat("redis does not come up: ", host.paths.logs_of(site), "/redis.log says why"));
    host.clock.sleep(os::Millis{10}); // that it listens is no event
  }
  return {};
}

} // namespace

std::string redis_socket(const os::Paths& paths, const SiteName& site) {
  return paths.data(site) + "/redis/redis.sock";
}
bool is_redis_socket(const os::Paths& paths, const SiteName& site, const std::string& path) {
  return path == redis_socket(paths, site) || path == paths.slots_of(site) + "/redis.sock";
}
std::string redis_link(const os::Paths& paths, const SiteName& site) {
  return cat(paths.root, "/run/redis/", site.str(), ".sock");
}

std::optional<std::string> redis_program(HostContext& host) {
  for (const char* path : {"/usr/bin/redis-server", "/usr/bin/valkey-server",
           "/usr/local/bin/redis-server", "/usr/local/bin/valkey-server"})
    if (host.disk.exists(host.paths.root + path))
      return path;
  return std::nullopt;
}

openrc::SlotName redis_slot(const SiteName& site) {
  return {site, ServiceName::parse(k_service).value(), Slot::a};
}
bool is_redis(const openrc::SlotName& name) {
  return name.service.str() == k_service;
}

Result<void> start_redis(HostContext& host, const LoadedRelease& release) {
  const auto& site = release.site;
  if (!site.has_redis)
    return {};
  const auto program = redis_program(host);
  if (!program)
    return fail(Code::preflight, std::string(k_no_redis));
  const std::string brought = release.dir(host.paths) + "/redis/users.acl";
  const bool acl = host.disk.exists(brought);
  const auto rules = acl ? TRY(host.disk.read(brought, k_max_acl)) : std::string();
  const auto settings = TRY(settings_text(host, site, acl));
  const os::Owner readable{::geteuid(), release.user.gid};
  const std::string dir = settings_dir(host, site.slug);
  TRY(host.disk.make_dir(dir, 0750, readable));
  TRY(host.disk.make_dir(data_dir(host, site.slug), 0700, {release.user.uid, release.user.gid}));
  TRY(os::write_if_changed(host.disk, dir + "/users.acl", rules, 0640, readable));
  TRY(os::write_if_changed(host.disk, dir + "/redis.conf", settings, 0640, readable));
  const std::string run = host.paths.root + "/run/redis";
  if (!host.disk.exists(run)) // the host's own Redis may have made it
    TRY(host.disk.make_dir(run, 0755, {::geteuid(), ::getegid()}));
  TRY(host.disk.set_link(redis_socket(host.paths, site.slug), redis_link(host.paths, site.slug)));
  openrc::SlotSpec spec{.name = redis_slot(site.slug)};
  spec.release = crypto::sha256_of(bytes_of(cat(settings, rules)))
                     .str(); // whose slot it is: of these settings
  spec.argv = {*program, dir + "/redis.conf"};
  spec.env = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"HOME", data_dir(host, site.slug)}};
  spec.cwd = data_dir(host, site.slug);
  spec.user = release.user.name;
  spec.limits.tasks_max = host.config.tasks_default;
  spec.log = host.paths.logs_of(site.slug) + "/redis.log";
  spec.log_size = host.config.log_size;
  spec.log_files = host.config.log_files;
  TRY_IN("redis", host.slots.start(spec));
  return wait_until_up(host, site.slug);
}

Result<void> stop_redis(HostContext& host, const SiteName& site) {
  if (!host.disk.exists(settings_dir(host, site)))
    return {}; // it has none
  TRY_IN("redis", host.slots.stop(redis_slot(site)));
  TRY(host.disk.remove_tree(settings_dir(host, site)));
  const auto link = TRY(host.disk.read_link(redis_link(host.paths, site)));
  return is_redis_socket(host.paths, site, link.value_or(""))
      ? host.disk.remove(redis_link(host.paths, site))
      : Result<void>{};
}

} // namespace chillbox::rollout
