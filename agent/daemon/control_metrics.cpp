// Metrics, and the tokens with which they are read over HTTP.
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/metrics.hpp"
#include "daemon/control_verbs.hpp"
#include "daemon/metrics.hpp"
#include "daemon/metrics_tokens.hpp"
#include "daemon/report_links.hpp"

namespace chillbox::daemon {

using control::Role;

namespace {

// Of those sites only that the caller may see.
Result<control::Metrics> metrics(const Call& call) {
  const auto known = TRY(call.state.monitor.facts());
  rollout::Facts facts = *known;
  const auto hidden = [&](const std::string& site) {
    return site != control::k_host_certificate && !may_see(call, site);
  };
  std::erase_if(facts.sites, [&](const auto& one) { return hidden(one.site.str()); });
  std::erase_if(facts.certificates, [&](const auto& one) { return hidden(one.site); });
  std::erase_if(facts.backups, [&](const auto& one) { return hidden(one.site.str()); });
  const auto format = call.args.name.value_or("") == "openmetrics"
      ? control::MetricsFormat::openmetrics
      : control::MetricsFormat::text;
  return control::Metrics{.text = render_metrics(facts, format, call.state.monitor.series_max())};
}

MetricsTokens tokens_of(const Call& call) {
  return {call.host().disk, call.host().paths};
}

Result<control::MetricsTokenAdded> token_add(const Call& call) {
  const auto name = TRY(required(call.args.name, "name"));
  auto token = TRY(tokens_of(call).add(name, call.host().clock.wall_ms()));
  log::info(cat("metrics: ", call.actor, " made the token '", name, "'"));
  return control::MetricsTokenAdded{name, std::move(token)};
}

Result<control::MetricsTokens> token_list(const Call& call) {
  control::MetricsTokens all;
  all.tokens = TRY(tokens_of(call).list());
  return all;
}

Result<control::Done> token_remove(const Call& call) {
  const auto name = TRY(required(call.args.name, "name"));
  TRY(tokens_of(call).remove(name));
  log::info(cat("metrics: ", call.actor, " removed the token '", name, "'"));
  return control::Done{};
}

Result<control::ReportLink> report_link(const Call& call) {
  constexpr uint64_t k_longest_ms = 366ULL * 24 * 3'600'000;
  auto& host = call.host();
  const uint64_t time = call.args.timeout_ms.value_or(0);
  if (time < 1'000 || time > k_longest_ms)
    return fail(Code::invalid, "a link to the report is for a second to 366 days");
  const std::string& name = host.config.server_name;
  if (name == "_")
    return fail(Code::conflict,
        "this host has no name of its own, which the link would be on: host.server_name of chillboxd.toml");
  const int64_t until_s = (host.clock.wall_ms() + static_cast<int64_t>(time)) / 1000;
  const auto link = TRY(ReportLinks(host.disk, host.paths).make(until_s));
  log::info(cat("report: ", call.actor, " made a link to it"));
  const auto port = host.config.https_port;
  return control::ReportLink{
      cat("https://", name, port == 443 ? std::string() : cat(":", port), "/v1/report/", link),
      until_s * 1000};
}

Result<control::Done> report_revoke(const Call& call) {
  TRY(ReportLinks(call.host().disk, call.host().paths).revoke());
  log::info(cat("report: ", call.actor, " revoked all links to it"));
  return control::Done{};
}

constexpr ControlVerb k_metrics_verbs[] = {
    {"metrics", answer<metrics>, false, Role::look, Reach::filtered},
    {"report_link", answer<report_link>, true},
    {"report_revoke", answer<report_revoke>, true},
    {"metrics_token_add", answer<token_add>, true},
    {"metrics_token_list", answer<token_list>},
    {"metrics_token_remove", answer<token_remove>, true},
};

} // namespace

std::span<const ControlVerb> metrics_verbs() {
  return k_metrics_verbs;
}

} // namespace chillbox::daemon
