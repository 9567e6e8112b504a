// What values, commands and crontab lines of a site file may refer to. One table for all of them
// and for both programs: the laptop checks names by it, and what runs on the host gets exactly
// these (rollout/service_kind.hpp gives the values).
#pragma once

#include "config/expand.hpp"
#include "config/fields.hpp"
#include "config/site.hpp"

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

struct AgentVariable {
  enum class When { always, on_port, with_secrets, worker };
  std::string_view name;
  When when = When::always;
  bool site_may_set = false; // the site's own value goes before the agent's
};

// site.json(5) has the same table.
inline constexpr auto k_agent_variables = std::to_array<AgentVariable>({{"PATH"},
    {"HOME", AgentVariable::When::always, true}, {"LANG", AgentVariable::When::always, true},
    {"TMPDIR", AgentVariable::When::always, true}, {"HOST", AgentVariable::When::always, true},
    {"PORT", AgentVariable::When::on_port}, {"SECRETS_CONFIG", AgentVariable::When::with_secrets},
    {"VIRTUAL_ENV_BIN"}, {"CHILLBOX_SITE"}, {"CHILLBOX_SERVICE"}, {"CHILLBOX_VERSION"},
    {"CHILLBOX_RELEASE_DIR"}, {"CHILLBOX_SERVICE_DIR"}, {"CHILLBOX_BUILD_DIR"},
    {"CHILLBOX_DATA_DIR"}, {"CHILLBOX_WORKER", AgentVariable::When::worker}});

// Does what runs of such a service have it?
bool has_variable(const AgentVariable& variable, const Service& service, Kind::Listens listens);
// Why a variable of a secret file may not have this name; nullopt: it may.
std::optional<std::string> secret_name_problem(std::string_view name);

// CHILLBOX_IMMUTABLE_NAME of a service.
std::string immutable_variable(const ServiceName& service);

// Whose environment a crontab entry has: the first service that listens, else the first worker,
// else whatever there is.
struct Candidate {
  const Service* service;
  bool listens;
};
const Service* main_service(std::span<const Candidate> services);

// The variables that values may refer to, the host's and the site's; their values are not known or
// expanded yet.
Variables known_variables(const Site& site);
// Every reference in the site file, once all of it is read. What depends on a kind that is not
// known is left to the host.
void check_references(const Location& at, const Site& site, const KnownKinds& kinds);
// The location of a service or worker in the file.
Location location_of(const Location& at, const Site& site, size_t index);

} // namespace chillbox::config
