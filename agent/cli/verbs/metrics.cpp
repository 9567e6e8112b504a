// metrics: what a monitoring system reads, without a port; and the tokens of those that read it by
// HTTP.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "control/metrics.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_metrics_options{
    Option{"--openmetrics", ArgKind::flag, "",
        "in the format OpenMetrics 1.0, instead of the text format 0.0.4 of Prometheus"},
};
constexpr std::array k_metrics_token_options{
    Option{"ACTION", ArgKind::choice, "add|list|remove", "what to do"},
    Option{"[NAME]", ArgKind::text, "", "of the token: who reads with it"},
};

Result<void> run_metrics(Call& call) {
  control::Arguments args;
  if (call.args.has("openmetrics"))
    args.name = "openmetrics";
  const auto metrics = TRY(ask_or_print<control::Metrics>(call, {.verb = "metrics", .args = args}));
  if (metrics) {
    std::string_view text = metrics->text;
    if (text.ends_with('\n'))
      text.remove_suffix(1);
    call.terminal.print(text);
  }
  return {};
}

Result<void> list(Call& call) {
  return show_table<control::MetricsTokens>(call, {.verb = "metrics_token_list"},
      {{"NAME", "SINCE"}, {}}, "none: chillboxctl metrics token add NAME",
      [](const control::MetricsTokens& all, Table& table) {
        for (const auto& token : all.tokens)
          table.rows.push_back({token.name, format_time(token.created_ms)});
      });
}

Result<void> run_token(Call& call) {
  const std::string action = call.args.text("ACTION");
  if (action == "list")
    return list(call);
  if (!call.args.has("NAME"))
    return fail(Code::usage, cat("metrics token ", action, ": NAME is missing"));
  const control::Arguments args{.name = call.args.text("NAME")};
  if (action == "add") {
    const auto added = TRY(ask_or_print<control::MetricsTokenAdded>(
        call, {.verb = "metrics_token_add", .args = args}));
    if (added) {
      call.terminal.print(added->token);
      call.terminal.print_status(
          "keep it: the host has only its SHA-256. It is sent as: Authorization: Bearer TOKEN");
    }
    return {};
  }
  const auto removed =
      TRY(ask_or_print<control::Done>(call, {.verb = "metrics_token_remove", .args = args}));
  if (removed)
    call.terminal.print(cat("removed: the token '", *args.name, "' opens nothing any more"));
  return {};
}

} // namespace

extern constinit const Verb k_metrics{"metrics", Group::show, Where::host,
    "print what a monitoring system reads", k_metrics_options, run_metrics};
extern constinit const Verb k_metrics_token{"metrics token", Group::setup, Where::host,
    "let a monitoring system read /metrics with a token, and no more", k_metrics_token_options,
    run_token};

} // namespace chillbox::cli
