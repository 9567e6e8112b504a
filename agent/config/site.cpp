#include "config/site.hpp"

#include "base/json.hpp"
#include "config/backup.hpp"
#include "config/crontab.hpp"
#include "config/references.hpp"
#include "config/service.hpp"
#include "config/tls.hpp"
#include "config/toml.hpp"

#include <algorithm>

namespace chillbox::config {
namespace {

std::optional<Version> read_version(const Location& at, const Json& json) {
  if (!json.is_string())
    return at.refuse(json, "a string: a semantic version");
  auto version = Version::parse(json.get_ref<const std::string&>());
  if (!version) {
    at.problem(version.error().message);
    return std::nullopt;
  }
  return *std::move(version);
}

// A list of host names without doubles; each becomes one of the site's domains.
void read_names(const Location& at, const Json& json, const TextRule& rule, Site& site,
    std::vector<std::string>& seen) {
  if (!detail::check_list(at, json, 100))
    return;
  for (size_t i = 0; i < json.size(); ++i) {
    const auto name = Text{rule}(at[i], json[i]);
    if (!name)
      continue;
    if (std::ranges::find(seen, *name) != seen.end())
      at[i].problem(cat("'", *name, "' appears twice"));
    seen.push_back(*name);
    if (std::ranges::find(site.domains, *name) == site.domains.end())
      site.domains.push_back(*name);
  }
}

void read_domains(const Location& at, const Json& json, Site& site) {
  std::vector<std::string> seen;
  read_names(at, json, k_host_name, site, seen);
}

void read_aliases(const Location& at, const Json& json, Site& site) {
  read_names(at, json, k_served_name, site, site.aliases);
}

void read_server_name(const Location& at, const Json& json, Site& site) {
  if (const auto name = Text{k_host_name}(at, json)) {
    site.server_name = *name;
    site.domains.push_back(*name);
  }
}

void read_contact(const Location& at, const Json& json, Site& site) {
  static const Table<Site> k_contact{{"owner", into(&Site::contact_owner, Text{k_line})},
      {"technical", into(&Site::contact_technical, Text{k_line})}};
  read_object(at, json, k_contact, site);
}

void read_env(const Location& at, const Json& json, Site& site) {
  read_variables(at, json, true, site.env);
  std::vector<std::string> names;
  for (const auto& variable : site.env)
    names.push_back(variable.name);
  for (const auto& [name, error] : broken_variables(known_variables(site), names))
    at.problem(cat("'", name, "': ", error.message));
}

void read_crontab(const Location& at, const Json& json, Site& site) {
  if (!detail::check_list(at, json, 100))
    return;
  for (size_t i = 0; i < json.size(); ++i) {
    if (!json[i].is_string()) {
      at[i].refuse(json[i], "a string: five fields and a command");
      continue;
    }
    const auto& line = json[i].get_ref<const std::string&>();
    if (const auto read = parse_cron_line(line); !read)
      at[i].problem(read.error().message);
    else if (const auto words = split_argv(line); !words)
      at[i].problem(words.error().message);
    else
      site.crontab.push_back(line);
  }
}

void read_redis(const Location& at, const Json& json, Site& site) {
  site.has_redis = true;
  if (!json.is_object()) {
    at.refuse(json, "an object: options of redis.conf and their values");
    return;
  }
  if (json.size() > 200)
    at.problem(cat("holds ", json.size(), " options, the limit is 200"));
  for (const auto& [name, value] : json.items()) {
    const Location here = at / name;
    if (const auto problem = redis_option_problem(name))
      here.problem(cat("'", printable(name, 70), "' ", *problem));
    else if (!value.is_number())
      site.redis[name] = Text{k_line}(here, value).value_or("");
    else if (const auto number = Integer{0, 1'000'000'000'000'000}(here, value))
      site.redis[name] = std::to_string(*number);
  }
}

Read<Site> service_list(bool worker) {
  return [worker](const Location& at, const Json& json, Site& site) {
    if (!detail::check_list(at, json, 64))
      return;
    for (size_t i = 0; i < json.size(); ++i)
      read_service(at[i], json[i], worker, site);
  };
}

void read_store(const Location& at, const Json& json, Site& site) {
  if (const auto store = Choice{{"disk", "tmpfs"}}(at, json))
    site.confidential = *store == "tmpfs";
}

// Who makes backups reads it again (config/backup.hpp).
void check_site_backup(const Location& at, const Json& json, Site&) {
  SiteBackup backup;
  read_site_backup(at, json, backup);
}

const Table<RunOn>& run_on_table() {
  static const Table<RunOn> k_run_on{{"crontab", into(&RunOn::crontab, Text{k_where})},
      {"release_command", into(&RunOn::release_command, Text{k_where})}};
  return k_run_on;
}

// Read in this order, whatever the file's: domains come after server_name, and what uses variables
// after env.
const Table<Site>& site_table() {
  static const Table<Site> k_site{{"name", into(&Site::title, Text{k_title}), true},
      {"server_name", read_server_name, true}, {"domain_list", read_domains},
      {"aliases", read_aliases}, {"version", into(&Site::version, read_version)},
      {"contact", read_contact}, {"release", into(&Site::release, Text{k_line})}, {"env", read_env},
      {"crontab", read_crontab}, {"run_on", into(&Site::run_on, run_on_table())},
      {"redis", read_redis}, {"services", service_list(false)}, {"workers", service_list(true)},
      {"watch", into(&Site::watch, Duration{.zero = true})},
      {"keep_releases", into(&Site::keep_releases, Integer{1, 100})}, {"store", read_store},
      {"tls", read_tls}, {"backup", check_site_backup},
      {"status_page", into(&Site::status_page, Boolean{})},
      {"notices", checked<Site>(Boolean{})}, // for daemon/site_notices.cpp
      {"$schema", checked<Site>(Text{k_line})}};
  return k_site;
}

void check_kinds(const Location& at, const Site& site, const KnownKinds& kinds) {
  if (kinds.empty())
    return;
  for (size_t i = 0; i < site.services.size(); ++i) {
    const Service& service = site.services[i];
    const auto other = service.worker ? Kind::Role::service : Kind::Role::worker;
    const auto found = kinds.find(service.lang);
    if (service.lang.empty() || !service.of.empty() ||
        (found != kinds.end() && found->second.role != other) ||
        (found == kinds.end() && is_administrators_kind(service.lang)))
      continue;
    std::vector<std::string> names;
    for (const auto& [name, kind] : kinds)
      if (kind.role != other)
        names.push_back(name);
    (location_of(at, site, i) / "lang")
        .refuse(service.lang,
            cat("one of ", join(names, ", "),
                ", or x-NAME for a handler of the host's administrator"),
            names);
  }
}

// What can be said once all of the file is read.
void complete(const Location& at, Site& site, const KnownKinds& kinds) {
  adopt_services(at, site, kinds);
  check_kinds(at, site, kinds);
  check_references(at, site, kinds);
}

} // namespace

Result<Site> parse_site(std::string_view text, const SiteName& slug, const KnownKinds& kinds) {
  const Json json = TRY(parse_json(text, k_max_site_json));
  Problems problems;
  Site site{.slug = slug};
  read_object({problems, "$"}, json, site_table(), site);
  complete({problems, "$"}, site, kinds);
  if (!problems.empty())
    return problems.error();
  return site;
}

Result<TomlSite> parse_site_toml(
    std::string_view text, std::string_view file, const SiteName& slug, const KnownKinds& kinds) {
  Lines lines;
  const Json json = TRY(parse_toml(text, file, lines));
  Problems problems(file, &lines);
  TomlSite out{.site = Site{.slug = slug}, .json = dump(json) + "\n"};
  read_object({problems, ""}, json, site_table(), out.site);
  complete({problems, ""}, out.site, kinds);
  if (!problems.empty())
    return problems.error();
  return out;
}

Result<void> require_resolved(const Site& site) {
  Problems problems;
  for (const auto& variable : site.env)
    if (!variable.cmd.empty() && variable.value.empty())
      problems.add("$.env",
          cat("'", variable.name,
              "' has a cmd but no value: pack the site with chillboxctl pack, which runs it"));
  if (!problems.empty())
    return problems.error();
  return {};
}

} // namespace chillbox::config
