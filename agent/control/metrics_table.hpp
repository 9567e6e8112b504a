// The tables of control/metrics.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/metrics.hpp"

namespace chillbox::control {

constexpr auto table(const Metrics*) {
  return message("metrics", "", Member{"text", &Metrics::text, "as a monitoring system reads it"});
}

constexpr auto table(const MetricsToken*) {
  return message("metrics_token", "Who has it may read /metrics.",
      Member{"name", &MetricsToken::name, ""}, Member{"created_ms", &MetricsToken::created_ms, ""});
}

constexpr auto table(const MetricsTokens*) {
  return message("metrics_tokens", "", Member{"tokens", &MetricsTokens::tokens, "by name"});
}

constexpr auto table(const MetricsTokenAdded*) {
  return message("metrics_token_added", "", Member{"name", &MetricsTokenAdded::name, ""},
      Member{"token", &MetricsTokenAdded::token, "not kept: it is shown this once"});
}

constexpr auto table(const ReportLink*) {
  return message("report_link", "Who has it may read the report of the host.",
      Member{"url", &ReportLink::url, "on the host's own name, by https"},
      Member{"until_ms", &ReportLink::until_ms, "until then, or until all links are revoked"});
}

} // namespace chillbox::control
