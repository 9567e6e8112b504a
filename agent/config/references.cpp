#include "config/references.hpp"

#include "config/crontab.hpp"

#include <algorithm>

namespace chillbox::config {
namespace {

// nullopt: a kind that this machine does not know.
std::optional<Kind> kind_of(const Service& service, const KnownKinds& kinds) {
  const auto found = kinds.find(service.lang);
  return found == kinds.end() ? std::nullopt : std::optional(found->second);
}

bool names_port(const Service& service) {
  return std::ranges::find(service.environment, "PORT", &Variable::name) !=
      service.environment.end();
}

Variables variables_of(const Site& site, const Service& service, const KnownKinds& kinds) {
  Variables variables = known_variables(site);
  for (const auto& variable : service.environment)
    set_variable(variables, variable.name, variable.value);
  const auto kind = kind_of(service, kinds);
  const auto listens = service.worker ? Kind::Listens::no
      : kind                          ? kind->listens
                                      : Kind::Listens::on_port;
  for (const auto& variable : k_agent_variables)
    if (has_variable(variable, service, listens))
      variables.try_emplace(std::string(variable.name));
  for (const auto& other : site.services)
    if (const auto known = kind_of(other, kinds); !known || known->hashed)
      variables.try_emplace(immutable_variable(other.name));
  return variables;
}

void check_words(
    const Location& at, const std::vector<std::string>& words, const Variables& variables) {
  if (const auto expanded = expand_words(words, variables); !expanded)
    at.problem(expanded.error().message);
}

void check_service(
    const Location& at, const Site& site, const Service& service, const KnownKinds& kinds) {
  const Variables variables = variables_of(site, service, kinds);
  std::vector<std::string> own;
  for (const auto& variable : service.environment)
    own.push_back(variable.name);
  for (const auto& [name, error] : broken_variables(variables, own))
    (at / "environment").problem(cat("'", name, "': ", error.message));
  check_words(at / "run-cmd", service.run_cmd, variables);
  check_words(at / "args", service.args, variables);
  check_words(at / "release_command", service.release_command, variables);
}

} // namespace

bool has_variable(const AgentVariable& variable, const Service& service, Kind::Listens listens) {
  switch (variable.when) {
  case AgentVariable::When::on_port:
    return listens == Kind::Listens::on_port ||
        (listens == Kind::Listens::on_socket && names_port(service));
  case AgentVariable::When::with_secrets: return service.secrets_config.has_value();
  case AgentVariable::When::worker: return service.worker;
  case AgentVariable::When::always: break;
  }
  return true;
}

std::optional<std::string> secret_name_problem(std::string_view name) {
  if (std::ranges::find(k_agent_variables, name, &AgentVariable::name) != k_agent_variables.end() ||
      name == "LISTEN_FDS" || name == "LISTEN_PID" || name == "LISTEN_FDNAMES")
    return "is set by chillbox itself: take the line out";
  return variable_name_problem(name);
}

std::string immutable_variable(const ServiceName& service) {
  std::string name = cat("CHILLBOX_IMMUTABLE_", service.str());
  std::ranges::transform(name, name.begin(), [](char c) {
    return c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

const Service* main_service(std::span<const Candidate> services) {
  const auto listens = std::ranges::find(services, true, &Candidate::listens);
  if (listens != services.end())
    return listens->service;
  const auto worker =
      std::ranges::find_if(services, [](const Candidate& c) { return c.service->worker; });
  return worker != services.end() ? worker->service
      : services.empty()          ? nullptr
                                  : services.front().service;
}

Variables known_variables(const Site& site) {
  Variables variables;
  for (const auto name : k_host_variables)
    variables.emplace(name, "");
  for (const auto& variable : site.env) // what a cmd will make is not known here
    set_variable(variables, variable.name, variable.cmd.empty() ? variable.value : "");
  return variables;
}

void check_references(const Location& at, const Site& site, const KnownKinds& kinds) {
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < site.services.size(); ++i) {
    const Service& service = site.services[i];
    check_service(location_of(at, site, i), site, service, kinds);
    const auto kind = kind_of(service, kinds);
    candidates.push_back(
        {&service, !service.worker && (!kind || kind->listens != Kind::Listens::no)});
  }
  if (kinds.empty() && !site.services.empty())
    return; // whose environment a crontab has depends on the kinds
  const Service* main = main_service(candidates);
  const Variables variables =
      main == nullptr ? known_variables(site) : variables_of(site, *main, kinds);
  for (size_t i = 0; i < site.crontab.size(); ++i)
    if (const auto read = parse_cron_line(site.crontab[i]))
      if (const auto expanded = expand_command(read->command, variables); !expanded)
        (at / "crontab")[i].problem(expanded.error().message);
}

Location location_of(const Location& at, const Site& site, size_t index) {
  const auto workers =
      static_cast<size_t>(std::ranges::find(site.services, true, &Service::worker) -
          site.services.begin()); // which come after the services
  return index < workers ? (at / "services")[index] : (at / "workers")[index - workers];
}

} // namespace chillbox::config
