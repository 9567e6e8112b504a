#include "config/service.hpp"

#include "config/references.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace chillbox::config {
namespace {

constexpr size_t k_max_variables = 1000;
constexpr std::chrono::seconds k_longest_stop{3'600};
constexpr std::chrono::seconds k_longest_probe{
    60}; // of one check: a job that is cancelled waits for it

std::optional<std::string> read_variable_name(const Location& at, const Json& json) {
  if (!json.is_string())
    return at.refuse(json, "a string: the name of a variable");
  auto name = json.get<std::string>();
  if (const auto problem = variable_name_problem(name)) {
    at.problem(cat("'", printable(name, 70), "' ", *problem));
    return std::nullopt;
  }
  return name;
}

// Half a variable is not kept: it would cause a second problem later.
std::optional<Variable> read_variable(const Location& at, const Json& json, bool with_cmd) {
  static const Table<Variable> k_with_cmd{{"name", into(&Variable::name, read_variable_name), true},
      {"value", into(&Variable::value, Text{k_value})},
      {"cmd", into(&Variable::cmd, Text{k_command})}};
  static const Table<Variable> k_plain{{"name", into(&Variable::name, read_variable_name), true},
      {"value", into(&Variable::value, Text{k_value}), true}};
  Variable variable;
  read_object(at, json, with_cmd ? k_with_cmd : k_plain, variable);
  if (with_cmd && json.is_object() && !json.contains("value") && !json.contains("cmd"))
    at.problem("must have a value, or a cmd that makes one on the laptop");
  return variable.name.empty() ? std::nullopt : std::optional(std::move(variable));
}

void read_environment(const Location& at, const Json& json, Service& service) {
  read_variables(at, json, false, service.environment);
}

// Of the artifact, with a meaning of their own.
constexpr std::array<std::string_view, 3> k_folders{"nginx", "redis", "immutable"};

// The name is also that of a folder in the artifact.
std::optional<ServiceName> read_name(const Location& at, const Json& json) {
  if (!json.is_string())
    return at.refuse(json, "a string: the service's name");
  const auto& text = json.get_ref<const std::string&>();
  auto name = ServiceName::parse(text);
  if (!name) {
    at.problem(name.error().message);
    return std::nullopt;
  }
  if (std::ranges::find(k_folders, text) != k_folders.end()) {
    at.problem(cat(
        "'", text, "' is a folder of the artifact with a meaning of its own: choose another name"));
    return std::nullopt;
  }
  return *std::move(name);
}

std::optional<std::string> read_lang(const Location& at, const Json& json) {
  if (!json.is_string() || !is_kind_name(json.get_ref<const std::string&>()))
    return at.refuse(json,
        "the name of a kind: at most 32 lower-case letters, digits and \"-\", a letter first");
  return json.get<std::string>();
}

void read_of(const Location& at, const Json& json, Service& service) {
  if (const auto name = read_name(at, json))
    service.of = name->str();
}

void read_strategy(const Location& at, const Json& json, Service& service) {
  if (const auto text = Choice{{"overlap", "stop-first"}}(at, json))
    service.strategy = *text == "overlap" ? Strategy::overlap : Strategy::stop_first;
}

void read_health(const Location& at, const Json& json, Service& service) {
  static const Table<Health> k_health{{"path", into(&Health::path, Text{k_health_path})},
      {"interval", into(&Health::interval, Duration{.most = k_longest_probe})},
      {"timeout", into(&Health::timeout, Duration{.most = k_longest_probe})},
      {"deadline", into(&Health::deadline, Duration{})},
      {"count", into(&Health::count, Integer{1, 100})}};
  read_object(at, json, k_health, service.health);
  service.health.declared = json.is_object() && json.contains("path");
}

// Percent of one processor: 50, or "50%".
std::optional<int64_t> read_percent(const Location& at, const Json& json) {
  constexpr Integer k_percent{1, 9999};
  if (!json.is_string())
    return k_percent(at, json);
  std::string_view text = json.get_ref<const std::string&>();
  if (text.ends_with('%'))
    text.remove_suffix(1);
  const auto number = parse_u64(text);
  if (!number || *number < 1 || *number > 9999)
    return at.refuse(json, "percent of one processor: \"50%\" or a whole number from 1 to 9999");
  return static_cast<int64_t>(*number);
}

const Table<Resources>& resources_table() {
  static const Table<Resources> k_resources{
      {"memory_max", into(&Resources::memory_max, Size{1'000'000, 1ULL << 40})},
      {"cpu_max", into(&Resources::cpu_max, read_percent)},
      {"cpus", into(&Resources::cpus, Text{k_cpu_list})},
      {"tasks_max", into(&Resources::tasks_max, Integer{1, 100'000})}};
  return k_resources;
}

Table<Service> common_fields() {
  return {{"name", into(&Service::name, read_name), true},
      {"handler", into(&Service::handler, Text{k_handler})}, {"environment", read_environment},
      {"secrets_config", into(&Service::secrets_config, Text{k_file_name})},
      {"secrets_env", into(&Service::secrets_env, Text{k_file_name})},
      {"secrets_export_dockerfile", checked<Service>(Text{k_folder})},
      {"manifest", into(&Service::manifest, Text{k_folder})},
      {"niceness", into(&Service::niceness, Integer{-20, 19})}, {"strategy", read_strategy},
      {"release_command", into(&Service::release_command, Argv{})},
      {"stop_timeout", into(&Service::stop_timeout, Duration{.most = k_longest_stop})},
      {"resources", into(&Service::resources, resources_table())}};
}

void read_paths(const Location& at, const Json& json, Web& web) {
  if (!json.is_object()) {
    at.refuse(json, "an object: paths on the web and the folders that are served there");
    return;
  }
  if (json.size() > 20)
    at.problem(cat("holds ", json.size(), " paths, the limit is 20"));
  for (const auto& [path, folder] : json.items()) {
    const Location here = at / path;
    if (path == "/" || !k_web_path.ok(path) || path.size() > k_web_path.max)
      here.problem(cat("is no path for files: it must be ", k_web_path.allowed, ", and not \"/\""));
    else if (auto text = Text{k_web_folder}(here, folder))
      web.paths[path] = *std::move(text);
  }
}

Read<Service> web_field(Read<Web> read) {
  return [read = std::move(read)](const Location& at, const Json& json, Service& service) {
    read(at, json, service.web);
  };
}

Table<Service> web_fields() {
  return {{"at", web_field(into(&Web::at, Text{k_web_path}))}, {"paths", web_field(read_paths)},
      {"not_found", web_field(into(&Web::not_found, Text{k_folder}))},
      {"fallback", web_field(into(&Web::fallback, Text{k_folder}))},
      {"body_max", web_field(into(&Web::body_max, Size{1'000'000, 1ULL << 40}))},
      {"request_timeout", web_field(into(&Web::request_timeout, Duration{}))}};
}

const Table<Service>& service_table() {
  static const Table<Service> k_table = [] {
    Table<Service> table = common_fields();
    const Integer workers{1, 64};
    const Integer requests{0, 1'000'000'000};
    const Table<Service> own{{"lang", into(&Service::lang, read_lang), true},
        {"app", into(&Service::app, Text{k_app})}, {"health", read_health},
        {"listen", into(&Service::listen, Choice{{"port", "fd"}})},
        {"run-cmd", into(&Service::run_cmd, Argv{})}, {"args", into(&Service::args, Argv{})},
        {"workers", into(&Service::workers, workers)},
        {"threads", into(&Service::threads, Integer{1, 1000})},
        {"preload", into(&Service::preload, Boolean{})},
        {"workers_minimum", into(&Service::workers_minimum, workers)},
        {"workers_maximum", into(&Service::workers_maximum, workers)},
        {"worker_class",
            into(&Service::worker_class,
                Choice{{"sync", "gevent", "uvicorn.workers.UvicornWorker"}})},
        {"max_requests", into(&Service::max_requests, requests)},
        {"max_requests_jitter", into(&Service::max_requests_jitter, requests)},
        {"log_level",
            into(&Service::log_level, Choice{{"debug", "info", "warning", "error", "critical"}})}};
    table.insert(table.end(), own.begin(), own.end());
    const Table<Service> web = web_fields();
    table.insert(table.end(), web.begin(), web.end());
    return table;
  }();
  return k_table;
}

const Table<Service>& worker_table() {
  static const Table<Service> k_table = [] {
    Table<Service> table = common_fields();
    const Table<Service> own{{"lang", into(&Service::lang, read_lang)}, {"of", read_of},
        {"run-cmd", into(&Service::run_cmd, Argv{}), true},
        {"count", into(&Service::count, Integer{1, 64})}};
    table.insert(table.end(), own.begin(), own.end());
    return table;
  }();
  return k_table;
}

// Two names that differ in case only would be one folder on a laptop that does not see the
// difference.
bool same_but_for_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view k_crontab_log = "cron"; // of what a site's crontab runs

void check_worker_counts(const Location& at, const Service& s) {
  const bool above = s.workers_minimum && s.workers && *s.workers < *s.workers_minimum;
  const bool below = s.workers_maximum && s.workers && *s.workers > *s.workers_maximum;
  if (above || below)
    (at / "workers").problem("must lie between workers_minimum and workers_maximum");
  if (s.workers_minimum && s.workers_maximum && *s.workers_minimum > *s.workers_maximum)
    (at / "workers_minimum").problem("is greater than workers_maximum");
}

// Every path on the web has one owner.
void check_web(const Location& at, const Site& site, const Service& service) {
  const auto paths_of = [](const Service& s) {
    std::map<std::string, std::string> paths; // and where in the file they are
    if (!s.worker)
      paths[s.web.at.empty() ? cat("/", s.name.str(), "/") : s.web.at] =
          s.web.at.empty() ? "name" : "at";
    for (const auto& [path, folder] : s.web.paths)
      paths[path] = "paths";
    return paths;
  };
  for (const auto& [path, folder] : service.web.paths)
    if (!folder.starts_with("data:") && !folder.starts_with(service.name.str() + "/"))
      (at / "paths" / path)
          .problem(cat("'", folder, "' must begin with '", service.name.str(),
              "/', the service's folder in the release, or with 'data:'"));
  if (service.web.paths.contains(service.web.at))
    (at / "at").problem(cat("'", service.web.at, "' is also one of its paths"));
  for (const auto& other : site.services)
    for (const auto theirs = paths_of(other); const auto& [path, field] : paths_of(service))
      if (theirs.contains(path))
        (at / field).problem(cat("'", path, "' is already a path of '", other.name.str(), "'"));
}

// What nothing of a kind runs has no command.
void check_runs(const Location& at, const Service& service, const KnownKinds& kinds) {
  const auto kind = kinds.find(service.lang);
  if (service.worker || kind == kinds.end() || kind->second.listens != Kind::Listens::no)
    return;
  for (const auto& [field, words] :
      {std::pair{"run-cmd", &service.run_cmd}, std::pair{"args", &service.args}})
    if (!words->empty())
      (at / field)
          .problem(cat("nothing of lang '", service.lang, "' runs: NGINX serves its files"));
}

// Of the fields that the file has, those that nothing of the kind reads.
std::vector<std::string> unread(const Service& service, const KnownKinds& kinds) {
  const auto kind = kinds.find(service.lang);
  if (service.worker || kind == kinds.end() || !kind->second.fields)
    return {};
  std::vector<std::string> names;
  std::ranges::copy_if(service.fields, std::back_inserter(names), [&](const auto& name) {
    return std::ranges::find(*kind->second.fields, name) == kind->second.fields->end();
  });
  return names;
}

// A word by which a command shows that it was written for a shell. begins: with a program.
std::optional<std::string> word_for_shell(const std::vector<std::string>& argv, bool begins) {
  static const auto k_builtins = split("cd exec source export ulimit", ' ');
  static const auto k_operators = split("&& || | & > >> < 2>&1 2>/dev/null", ' ');
  if (begins && !argv.empty()) {
    const auto end = argv[0].find('=');
    if (std::ranges::find(k_builtins, argv[0]) != k_builtins.end() ||
        (end != std::string::npos && !variable_name_problem(argv[0].substr(0, end))))
      return argv[0];
  }
  for (size_t at = begins ? 1 : 0; at < argv.size(); ++at)
    if (std::ranges::find(k_operators, argv[at]) != k_operators.end() &&
        !(at > 0 && argv[at - 1].size() == 2 && argv[at - 1][0] == '-')) // awk -F '|'
      return argv[at];
  return std::nullopt;
}

// A worker `of` a service is made from it: its own variables come on top.
void adopt(const Location& at, Service& worker, const Site& site, const KnownKinds& kinds) {
  const auto service =
      std::ranges::find(site.services, worker.of, [](const Service& s) { return s.name.str(); });
  if (service == site.services.end() || service->worker) {
    std::vector<std::string> names;
    for (const auto& other : site.services)
      if (!other.worker)
        names.push_back(other.name.str());
    (at / "of").refuse(worker.of, "the name of a service of this file", names);
    return;
  }
  const auto kind = kinds.find(service->lang);
  if (kind != kinds.end() && kind->second.listens == Kind::Listens::no)
    (at / "of").problem(
        cat("service '", worker.of, "' has lang '", service->lang, "', of which nothing runs"));
  if (!worker.lang.empty() || worker.secrets_config || worker.secrets_env ||
      !worker.manifest.empty() || worker.handler != worker.name.str())
    at.problem(cat("lang, handler, manifest, secrets_config and secrets_env are those of service '",
        worker.of, "': take them out, or take out `of`"));
  worker.lang = service->lang;
  worker.handler = service->handler;
  worker.secrets_config = service->secrets_config;
  worker.secrets_env = service->secrets_env;
  worker.environment.insert(
      worker.environment.begin(), service->environment.begin(), service->environment.end());
}

} // namespace

void read_variables(
    const Location& at, const Json& json, bool with_cmd, std::vector<Variable>& out) {
  if (!detail::check_list(at, json, k_max_variables))
    return;
  for (size_t i = 0; i < json.size(); ++i) {
    auto variable = read_variable(at[i], json[i], with_cmd);
    if (!variable)
      continue;
    if (std::ranges::find(out, variable->name, &Variable::name) != out.end())
      (at[i] / "name").problem(cat("'", variable->name, "' appears twice in this list"));
    else
      out.push_back(*std::move(variable));
  }
}

void read_service(const Location& at, const Json& json, bool worker, Site& site) {
  static const ServiceName k_nameless = ServiceName::parse("nameless-until-it-is-read").value();
  Service service{.name = k_nameless};
  service.worker = worker;
  read_object(at, json, worker ? worker_table() : service_table(), service);
  if (service.handler.empty())
    service.handler = service.name.str();
  if (service.name != k_nameless)
    for (const auto& other : site.services)
      if (same_but_for_case(other.name.str(), service.name.str()))
        (at / "name")
            .problem(cat("'", service.name.str(), "' is the name of another service or worker"));
  check_worker_counts(at, service);
  if (service.name != k_nameless)
    check_web(at, site, service);
  if (!service.health.declared && !service.web.at.empty())
    service.health.path = service.web.at;
  if (!service.run_cmd.empty() && !service.args.empty())
    (at / "args").problem("write them into run-cmd");
  if (worker && json.is_object() && !json.contains("of") && !json.contains("lang"))
    (at / "lang").problem("is missing, and so is `of`, the service that it belongs to");
  for (const auto name : k_fields_of_some_kinds)
    if (json.is_object() && json.contains(name))
      service.fields.emplace_back(name);
  site.services.push_back(std::move(service));
}

void adopt_services(const Location& at, Site& site, const KnownKinds& kinds) {
  for (size_t i = 0; i < site.services.size(); ++i) {
    if (!site.services[i].of.empty())
      adopt(location_of(at, site, i), site.services[i], site, kinds);
    check_runs(location_of(at, site, i), site.services[i], kinds);
    if (const auto why = taken_name(site.services[i].name.str()); !kinds.empty() && !why.empty())
      (location_of(at, site, i) / "name").problem(why);
  }
}

std::string taken_name(const std::string& name) {
  for (const auto folder : k_folders)
    if (same_but_for_case(name, folder))
      return cat("'", name, "' is '", folder,
          "' but for case, a folder of the artifact with a meaning of its own: choose another name");
  if (same_but_for_case(name, k_crontab_log))
    return cat("'", name, "' is the name of the crontab's log: choose another name");
  return {};
}

std::vector<std::string> site_warnings(const Site& site, const KnownKinds& kinds) {
  const bool has_tls =
      site.tls.mode == Tls::Mode::provided || site.tls.challenge == Tls::Challenge::dns_01;
  std::vector<std::string> lines;
  for (const auto& service : site.services)
    if (has_tls && service.folder() == k_tls_secrets &&
        (service.secrets_config || service.secrets_env))
      lines.push_back(cat("service '", service.name.str(), "': its folder of the secret set, ",
          k_tls_secrets, "/, is also that of the site's certificate: choose another name"));
  for (const auto& service : site.services)
    if (const auto names = unread(service, kinds); !names.empty())
      lines.push_back(cat("service '", service.name.str(), "': ", join(names, ", "),
          names.size() == 1 ? " does" : " do", " nothing for lang '", service.lang, "'"));
  for (const auto& service : site.services)
    for (const auto& [field, argv] : {std::pair{"run-cmd", &service.run_cmd},
             {"args", &service.args}, {"release_command", &service.release_command}})
      if (const auto word = word_for_shell(*argv, argv != &service.args))
        lines.push_back(cat("service '", service.name.str(), "': ", field, " has '",
            printable(*word, 60),
            "', which only a shell understands, and none runs it: write [\"sh\", \"-c\", \"...\"]"));
  return lines;
}

} // namespace chillbox::config
