#include "rollout/service_environment.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"
#include "config/references.hpp"
#include "openrc/secret_variables.hpp"
#include "os/runner.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr std::string_view k_hook_path = "/usr/local/bin:/usr/bin:/bin";
constexpr std::string_view k_host_path =
    "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

// Whole ones, as gunicorn counts them.
std::string seconds(const std::optional<std::chrono::milliseconds>& time) {
  return time ? std::to_string((time->count() + 999) / 1000) : std::string();
}

std::string digits(const std::optional<uint32_t>& n) {
  return n ? std::to_string(*n) : std::string();
}

std::string service_dir(const ServiceContext& place) {
  return cat(place.release_dir, "/", place.service->folder());
}
std::string build_dir(const ServiceContext& place) {
  return cat(place.release_dir, "/.chillbox/", place.service->folder());
}

// A value that is not to be expanded any more.
std::string literal(std::string_view value) {
  std::string out;
  for (const char c : value)
    out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

// Of those in config::k_agent_variables each that a service of this kind has. In what is not a copy
// of it (a build, a release_command) PORT and CHILLBOX_WORKER are 0.
config::Variables agent_variables(HostContext& host, const ServiceContext& place) {
  config::Variables values{{"PATH", join(program_folders(place), ":")}, {"HOST", "127.0.0.1"},
      {"PORT", std::to_string(place.port)}, {"CHILLBOX_WORKER", std::to_string(place.index)},
      {"VIRTUAL_ENV_BIN", build_dir(place) + "/venv/bin"}};
  if (const auto& secrets = place.service->secrets_config)
    values["SECRETS_CONFIG"] =
        cat(host.paths.secrets_of(place.site->slug), "/", place.service->folder(), "/", *secrets);
  for (const auto& [name, value] : hook_environment(host, place))
    values.try_emplace(name, value);
  const auto listens = place.kind == nullptr ? config::Kind::Listens::no : place.kind->listens;
  config::Variables out;
  for (const auto& variable : config::k_agent_variables)
    if (config::has_variable(variable, *place.service, listens))
      out.emplace(variable.name, literal(values.at(std::string(variable.name))));
  for (const auto& other : place.site->services)
    if (const auto found = values.find(config::immutable_variable(other.name));
        found != values.end())
      out.emplace(found->first, literal(found->second));
  return out;
}

bool may_set(std::string_view name) {
  const auto* found =
      std::ranges::find(config::k_agent_variables, name, &config::AgentVariable::name);
  return found != config::k_agent_variables.end() && found->site_may_set;
}

} // namespace

Environment hook_environment(HostContext& host, const ServiceContext& place) {
  const auto& s = *place.service;
  const auto& site = *place.site;
  Environment env{
      {"PATH", std::string(k_hook_path)},
      {"LANG", "C.UTF-8"},
      {"HOME", host.paths.data(site.slug)},
      {"TMPDIR", "/tmp"},
      {"CHILLBOX_SITE", site.slug.str()},
      {"CHILLBOX_SERVICE", s.name.str()},
      {"CHILLBOX_VERSION", place.version},
      {"CHILLBOX_RELEASE_DIR", place.release_dir},
      {"CHILLBOX_SERVICE_DIR", service_dir(place)},
      {"CHILLBOX_BUILD_DIR", build_dir(place)},
      {"CHILLBOX_CACHE_DIR", cache_dir(host, site, place.release_dir)},
      {"CHILLBOX_WHEELHOUSE", host.paths.wheelhouse()},
      {"CHILLBOX_DATA_DIR", cat(host.paths.data(site.slug), "/", s.folder())},
      {"CHILLBOX_APP", s.app},
      {"CHILLBOX_WORKERS", digits(s.workers)},
      {"CHILLBOX_THREADS", digits(s.threads)},
      {"CHILLBOX_STOP_TIMEOUT", seconds(s.stop_timeout)},
      {"CHILLBOX_PRELOAD", s.preload ? "true" : ""},
      {"CHILLBOX_WORKER_CLASS", s.worker_class},
      {"CHILLBOX_MAX_REQUESTS", digits(s.max_requests)},
      {"CHILLBOX_MAX_REQUESTS_JITTER", digits(s.max_requests_jitter)},
      {"CHILLBOX_LOG_LEVEL", s.log_level},
      {"CHILLBOX_REQUEST_TIMEOUT", seconds(s.web.request_timeout)},
  };
  for (const auto& other : site.services)
    if (const auto path = immutable_path(host, place.release_dir, other.name.str()))
      env.emplace_back(config::immutable_variable(other.name), *path);
  if (place.slot != Slot::none) {
    env.emplace_back("CHILLBOX_SLOT", letter(place.slot));
    env.emplace_back(
        "CHILLBOX_SOCKET", openrc::slot_socket(host.paths, {site.slug, s.name, place.slot}));
    if (place.port != 0)
      env.emplace_back("CHILLBOX_PORT", std::to_string(place.port));
  }
  return env;
}

config::Variables site_variables(HostContext& host, const config::Site& site,
    const std::string& version, const PortVariables& ports) {
  const auto& config = host.config;
  config::Variables v{
      {"SLUGNAME", site.slug.str()},
      {"VERSION", version},
      {"SERVER_NAME", site.server_name},
      {"SERVER_PORT", std::to_string(config.http_port)},
      {"CHILLBOX_SERVER_NAME", config.server_name},
      {"CHILLBOX_SERVER_PORT", std::to_string(config.http_port)},
      {"CHILLBOX_SUBNET",
          config.subnet.empty() ? "127.0.0.0/8"
                                : config.subnet}, // templates say "allow ...;" with it
      {"TECH_EMAIL", config.tech_email},
      {"S3_ENDPOINT_URL", config.s3_endpoint_url},
      {"ARTIFACT_BUCKET_NAME", config.artifact_bucket},
      {"IMMUTABLE_BUCKET_NAME", config.immutable_bucket},
      {"IMMUTABLE_BUCKET_DOMAIN_NAME",
          config.immutable_bucket_domain.empty() ? std::string(nginx::k_immutable_host)
                                                 : config.immutable_bucket_domain},
  };
  for (const auto& variable : site.env)
    config::set_variable(v, variable.name, variable.value);
  for (const auto& [name, port] : ports)
    v[name] = std::to_string(port);
  return v;
}

config::Variables run_variables(HostContext& host, const ServiceContext& place) {
  auto variables = site_variables(host, *place.site, place.version, place.ports);
  for (const auto& variable : place.service->environment)
    config::set_variable(variables, variable.name, variable.value);
  const auto own_ports = own_port_variables(*place.service);
  if (place.port != 0)
    for (const auto& name : own_ports)
      variables[name] = std::to_string(place.port);
  for (const auto& [name, value] : agent_variables(host, place))
    if (name == "PORT" ? place.port != 0 || own_ports.empty() || !variables.contains(name)
                       : !may_set(name) || !variables.contains(name))
      variables[name] = value;
  return variables;
}

config::Variables service_variables(HostContext& host, const config::Site& site,
    const config::Service& service, const ServiceKind* kind) {
  return run_variables(host,
      {&site, &service, site.version ? site.version->str() : "", "", Slot::none, 0, {}, {}, kind});
}

Result<Environment> service_environment(HostContext& host, const ServiceContext& place) {
  const auto expanded = TRY(config::expand_all(run_variables(host, place)));
  Environment env(expanded.begin(), expanded.end());
  for (auto& [name, value] : hook_environment(host, place))
    if (name != "CHILLBOX_CACHE_DIR" && !expanded.contains(name))
      env.emplace_back(name, std::move(value));
  if (place.kind == nullptr)
    return env;
  for (const std::string& line : place.kind->environment)
    if (const auto name = line.substr(0, line.find('=')); !expanded.contains(name))
      env.emplace_back(name, line.substr(std::min(line.size(), name.size() + 1)));
  return env;
}

std::string secrets_env_path(const HostContext& host, const ServiceContext& place) {
  const auto& file = place.service->secrets_env;
  return file
      ? cat(host.paths.secrets_of(place.site->slug), "/", place.service->folder(), "/", *file)
      : std::string();
}

Result<void> check_secret_variables(const HostContext& host, const config::Site& site) {
  for (const auto& service : site.services) {
    Environment scratch;
    TRY(openrc::add_secret_variables(
        secrets_env_path(host, {&site, &service, "", "", Slot::none, 0, {}}), scratch));
    for (auto& [name, value] : scratch)
      wipe(value.data(), value.size());
  }
  return {};
}

std::vector<std::string> program_folders(const ServiceContext& place) {
  std::vector<std::string> folders;
  if (place.kind != nullptr) {
    for (const auto& name : place.kind->built_programs)
      folders.push_back(cat(build_dir(place), "/", name));
    for (const auto& name : place.kind->programs)
      folders.push_back(cat(service_dir(place), "/", name));
  }
  folders.push_back(service_dir(place));
  for (const auto folder : split(k_host_path, ':'))
    folders.emplace_back(folder);
  return folders;
}

Result<std::vector<std::string>> program_argv(
    HostContext& host, const ServiceContext& place, const std::vector<std::string>& words) {
  auto argv = TRY(config::expand_words(words, run_variables(host, place)));
  std::string& program = argv[0];
  if (program.starts_with('/'))
    return argv;
  if (program.find('/') != std::string::npos) {
    program = cat(service_dir(place), "/", program);
    return argv;
  }
  const auto folders = program_folders(place);
  for (const auto& folder : folders)
    if (const std::string path = cat(folder, "/", program);
        !program.empty() && os::is_program(path)) {
      program = path;
      return argv;
    }
  return fail(
      Code::not_found, cat("no program '", printable(program, 100), "' in ", join(folders, ", ")));
}

std::vector<std::string> own_port_variables(const config::Service& service) {
  std::vector<std::string> names;
  for (const auto name : {"PORT", "CHILL_PORT"})
    if (!service.worker &&
        std::ranges::find(service.environment, name, &config::Variable::name) !=
            service.environment.end())
      names.emplace_back(name);
  return names;
}

} // namespace chillbox::rollout
