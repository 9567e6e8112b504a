#include "cli/laptop/rollout_state.hpp"

#include "base/text.hpp"
#include "control/json.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_state = 4 << 20;

Json json_of(const RolloutRules& r) {
  return {{"canary", r.canary}, {"batch", r.batch}, {"max_unavailable", r.max_unavailable},
      {"bake_ms", r.bake.count()}, {"drain_ms", r.drain.count()}, {"on_failure", r.on_failure},
      {"by", r.by}, {"deadline_ms", r.deadline.count()}, {"via", r.via}};
}

RolloutRules rules_in(const Json& json) {
  const auto ms = [&](const char* key) {
    return std::chrono::milliseconds(control::u64_or(json, key, 0));
  };
  return {control::u64_or(json, "canary", 1), control::u64_or(json, "batch", 1),
      control::u64_or(json, "max_unavailable", 1), ms("bake_ms"), ms("drain_ms"),
      control::string_or(json, "on_failure", "stop"), control::string_or(json, "by", "laptop"),
      ms("deadline_ms"), control::string_or(json, "via", "")};
}

Json json_of(const RolledHost& h) {
  return {{"name", h.name}, {"state", h.state}, {"before", h.before},
      {"before_version", h.before_version}, {"job", h.job}, {"message", h.message},
      {"code", h.code}, {"order", control::to_json(h.order)}, {"path", h.path},
      {"ordered", h.ordered}};
}

Result<RolledHost> host_in(const Json& json) {
  const auto text = [&](const char* key) { return control::string_or(json, key, ""); };
  RolledHost host{text("name"), text("state"), text("before"), text("before_version"), text("job"),
      text("message"), text("code"), {}, text("path"),
      control::bool_or(json, "ordered", text("state") != "staged")};
  if (const auto order = json.find("order"); order != json.end())
    host.order = TRY(control::from_json<control::Arguments>(*order));
  return host;
}

} // namespace

std::string rollout_file(const Places& places, const std::string& site, const std::string& env) {
  return cat(places.state, "/rollouts/", site, env.empty() ? "" : ".", env, ".json");
}

std::string rollout_stop_file(
    const Places& places, const std::string& site, const std::string& env) {
  return rollout_file(places, site, env) + ".stop";
}

Result<RolloutState> read_rollout(
    const Places& places, const std::string& site, const std::string& env) {
  const std::string path = rollout_file(places, site, env);
  const auto text = read_own_file(path, k_max_state);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found,
        cat("no rollout of '", site, "'", env.empty() ? "" : cat(" in ", env),
            " was begun here: chillboxctl rollout run"));
  const Json json = TRY_IN(path, parse_json(TRY(text), k_max_state));
  RolloutState state{control::string_or(json, "site", ""), control::string_or(json, "env", ""),
      control::string_or(json, "version", ""), control::bool_or(json, "switching", false),
      control::bool_or(json, "ended", false), {}, {}, control::string_or(json, "signed_order", ""),
      control::u64_or(json, "order_serial", 0), control::bool_or(json, "taken", false)};
  if (const auto rules = json.find("rules"); rules != json.end())
    state.rules = rules_in(*rules);
  if (const auto hosts = json.find("hosts"); hosts != json.end() && hosts->is_array())
    for (const Json& host : *hosts)
      state.hosts.push_back(TRY_IN(path, host_in(host)));
  return state;
}

Result<void> write_rollout(const Places& places, const RolloutState& state) {
  Json hosts = Json::array();
  for (const auto& host : state.hosts)
    hosts.push_back(json_of(host));
  const Json json{{"site", state.site}, {"env", state.env}, {"version", state.version},
      {"switching", state.switching}, {"ended", state.ended}, {"rules", json_of(state.rules)},
      {"hosts", hosts}, {"signed_order", state.signed_order}, {"order_serial", state.order_serial},
      {"taken", state.taken}};
  return write_own_file(
      rollout_file(places, state.site, state.env), dump(json) + "\n", k_max_state);
}

RolloutReport report_of(const RolloutState& state) {
  RolloutReport report{state.site, state.env, state.version,
      state.ended           ? "ended"
          : state.switching ? "switching"
                            : "staging",
      {}};
  for (const auto& host : state.hosts)
    report.hosts.push_back(
        {host.name, host.state, host.before_version, host.code, host.message, host.job});
  return report;
}

} // namespace chillbox::cli
