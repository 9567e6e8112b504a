#include "edge/route.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::edge {
namespace {

constexpr std::string_view k_artifacts = "/v1/artifacts/";
constexpr std::string_view k_jobs = "/v1/jobs/";
constexpr std::string_view k_report = "/v1/report/";
constexpr std::string_view k_minisig = ".minisig";
constexpr std::string_view k_events = "/events";

bool hex_digits(std::string_view s, size_t size) {
  return s.size() == size && std::ranges::all_of(s, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool strip(std::string_view& s, std::string_view end) {
  if (!s.ends_with(end))
    return false;
  s.remove_suffix(end.size());
  return true;
}

bool token(std::string_view s) {
  return !s.empty() && s.size() <= 128 && std::ranges::all_of(s, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
        c == '_' || c == '-';
  });
}

std::optional<Route> match(std::string_view path) {
  if (path == "/v1/hooks")
    return Route{.action = Action::hook, .id = {}, .capability = {}};
  if (path == "/v1/health")
    return Route{.action = Action::health, .id = {}, .capability = {}};
  if (path == "/metrics")
    return Route{.action = Action::metrics, .id = {}, .capability = {}};
  if (path.starts_with(k_report)) {
    path.remove_prefix(k_report.size());
    if (token(path))
      return Route{.action = Action::report, .id = path, .capability = {}};
  } else if (path.starts_with(k_artifacts)) {
    path.remove_prefix(k_artifacts.size());
    const bool minisig = strip(path, k_minisig);
    if (hex_digits(path, 64))
      return Route{.action = minisig ? Action::upload_minisig : Action::upload_artifact,
          .id = path,
          .capability = {}};
  } else if (path.starts_with(k_jobs)) {
    path.remove_prefix(k_jobs.size());
    const bool events = strip(path, k_events);
    if (hex_digits(path, 16))
      return Route{
          .action = events ? Action::job_events : Action::job, .id = path, .capability = {}};
  }
  return std::nullopt;
}

std::string_view method_of(Action action) {
  switch (action) {
  case Action::hook: return "POST";
  case Action::upload_artifact:
  case Action::upload_minisig: return "PUT";
  default: return "GET";
  }
}

// The value of `key` in a query; `count`: how often it occurs.
std::string_view parameter(std::string_view query, std::string_view key, int& count) {
  std::string_view found;
  for (const std::string_view part : split(query, '&')) {
    if (!part.starts_with(key) || part.size() == key.size() || part[key.size()] != '=')
      continue;
    found = part.substr(key.size() + 1);
    ++count;
  }
  return found;
}

} // namespace

std::optional<Refusal> find_route(const RequestHead& head, Route& route) {
  const auto found = match(head.path);
  if (!found)
    return Refusal{.status = 404, .code = "not_found", .message = "nothing here"};
  const std::string_view method = method_of(found->action);
  if (head.method != method)
    return Refusal{.status = 405,
        .code = "method_not_allowed",
        .message = cat("only ", method, " here"),
        .allow = method};
  route = *found;
  int given = head.has("authorization") ? 1 : 0;
  // A token of the metrics is no part of an address, which logs of others have.
  if (route.action != Action::metrics)
    route.capability = parameter(head.query, "cap", given);
  if (given > 1)
    return Refusal{.status = 400, .code = "invalid", .message = "the capability is given twice"};
  std::string_view bearer = head.value("authorization");
  if (bearer.starts_with("Bearer ")) {
    bearer.remove_prefix(7);
    route.capability = bearer;
  }
  if (!token(route.capability))
    route.capability = {};
  int afters = 0;
  std::string_view after = parameter(head.query, "after", afters);
  if (head.has("last-event-id")) // what a reader that comes back knows is newer than its URL
    after = head.value("last-event-id");
  const auto number = parse_u64(after);
  if (afters > 1 || (!after.empty() && !number))
    return Refusal{.status = 400,
        .code = "invalid",
        .message = "after or last-event-id: must be the number of an event"};
  route.after = number.value_or(0);
  return std::nullopt;
}

bool takes_body(Action action) {
  return method_of(action) != "GET";
}

uint64_t body_limit(Action action, uint64_t artifact_max) {
  switch (action) {
  case Action::hook: return k_max_hook;
  case Action::upload_artifact: return artifact_max;
  case Action::upload_minisig: return k_max_minisig;
  default: return 0;
  }
}

} // namespace chillbox::edge
