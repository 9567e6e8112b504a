#include "daemon/webhook_order.hpp"

#include "base/text.hpp"
#include "control/json.hpp"
#include "daemon/orders.hpp"
#include "daemon/webhook_body.hpp"
#include "rollout/acquire.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::daemon {
namespace {

using control::Json;

constexpr size_t k_max_body = 64 * 1024;

struct Type {
  std::string_view name;
  store::JobKind kind;
  bool new_sites; // it may name a site that does not exist yet
};
constexpr Type k_types[] = {{"site.deploy", store::JobKind::deploy, true},
    {"secrets.update", store::JobKind::secrets, true},
    {"site.rollback", store::JobKind::rollback, false},
    {"site.restart", store::JobKind::restart, false}, {"host.ping", store::JobKind::ping, true}};

bool allowed(const std::vector<std::string>& list, std::string_view name) {
  return list.empty() || std::ranges::find(list, name) != list.end();
}

// GitHub's own word that a webhook was set up: it has no type. Its header is not signed.
bool is_github_ping(const Json& json) {
  return json.is_object() && json.contains("zen") && json.contains("hook_id") &&
      !json.contains("type");
}

Result<Json> read_body(std::string_view body, std::string_view content_type) {
  const auto few = body.size() <= k_max_body ? essential_members(body) : std::nullopt;
  auto json = control::parse_json(few ? *few : body, k_max_body);
  const auto media_type = content_type.substr(0, content_type.find(';'));
  if (!json && !media_type.empty() && media_type != "application/json")
    return fail(Code::invalid,
        cat("body: content type must be application/json, and is '", printable(media_type, 80),
            "'"));
  return TRY_IN("body", std::move(json));
}

Result<std::string> read_type(const Json& json, const LoadedSender& sender) {
  if (sender.github && is_github_ping(json))
    return "host.ping";
  auto name = control::string_at(json, "type");
  if (!name && sender.github && json.is_object() && !json.contains("type"))
    return fail(Code::invalid,
        cat("body: ", name.error().message,
            ": GitHub's own events are not taken, a workflow can send chillbox's"));
  return TRY_IN("body", std::move(name));
}

} // namespace

Result<store::Job> read_order(std::string_view body, std::string_view content_type,
    const LoadedSender& sender, rollout::HostContext& host) {
  const Json json = TRY(read_body(body, content_type));
  const std::string name = TRY(read_type(json, sender));
  const auto type = std::ranges::find(k_types, name, &Type::name);
  if (type == std::end(k_types))
    return fail(Code::invalid,
        cat("body: type '", printable(name, 60),
            "' is not one of site.deploy, site.rollback, site.restart, secrets.update, host.ping"));
  if (!allowed(sender.types, name) && !(sender.github && is_github_ping(json)))
    return fail(Code::denied, "type");
  const Json data =
      json.contains("data") && json["data"].is_object() ? json["data"] : Json::object();
  // A ping is of no site, but the row of a job names one.
  const bool ping = type->kind == store::JobKind::ping;
  const std::string site = ping ? "host" : TRY_IN("body: data", control::string_at(data, "site"));
  store::Job job = new_job(host, type->kind, TRY_IN("body: data.site", SiteName::parse(site)),
      cat(store::k_webhook_actor, sender.name));
  if (!ping &&
      (!allowed(sender.sites, site) || (!type->new_sites && !TRY(host.store.site(job.site)))))
    return fail(Code::denied, "site");
  job.version = control::string_or(data, "version", "");
  if (!job.version.empty())
    (void)TRY_IN("body: data.version", Version::parse(job.version));
  if (job.kind == store::JobKind::deploy || job.kind == store::JobKind::secrets) {
    job.sha256 = TRY_IN("body: data.sha256",
        Digest::parse(TRY_IN("body: data", control::string_at(data, "sha256"))))
                     .str();
    job.size = TRY_IN("body: data", control::u64_at(data, "size"));
    if (job.size > host.config.artifact_max)
      return fail(Code::invalid,
          cat("body: data.size: ", job.size, " bytes, the limit is ", host.config.artifact_max,
              " (limits.artifact_max)"));
  }
  if (!ping)
    TRY(rollout::check_hold(host, job.site));
  job.options.no_watch = !control::bool_or(data, "watch", true);
  if (job.kind == store::JobKind::deploy && job.version.empty())
    return fail(Code::invalid, "body: data.version: must be a string");
  if (ping) {
    job.state = store::JobState::done;
    job.started_ms = job.finished_ms = job.created_ms;
    job.message = "pong";
  }
  return job;
}

} // namespace chillbox::daemon
