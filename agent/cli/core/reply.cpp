#include "cli/core/reply.hpp"

#include "base/text.hpp"
#include "cli/core/json_fields.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace chillbox::cli {
namespace {

using control::bool_or;
using control::string_or;
using control::u64_or;

constexpr size_t k_most = 4 << 20;

Result<Json> parse_object(std::string_view text) {
  auto json = parse_json(text, k_most);
  if (!json)
    return fail(Code::corrupt, cat("answer of chillboxd: ", json.error().message));
  if (!json->is_object())
    return fail(Code::corrupt, "answer of chillboxd: not an object");
  return json;
}

std::string text_at(const Json& object, std::string_view key) {
  return string_or(object, key, "");
}
int64_t time_at(const Json& object, std::string_view key) {
  return static_cast<int64_t>(u64_or(object, key, 0));
}

// The elements of an array member; none when it is not there.
template <class F> auto each(const Json& object, std::string_view key, F read) {
  std::vector<decltype(read(object))> out;
  if (const auto array = object.is_object() ? object.find(key) : object.end();
      array != object.end() && array->is_array())
    for (const Json& element : *array)
      out.push_back(read(element));
  return out;
}

std::vector<std::string> texts_at(const Json& object, std::string_view key) {
  return each(
      object, key, [](const Json& e) { return e.is_string() ? e.get<std::string>() : dump(e); });
}

JobView job_from(const Json& j) {
  return {text_at(j, "id"), text_at(j, "kind"), text_at(j, "site"), text_at(j, "version"),
      text_at(j, "state"), text_at(j, "step"), text_at(j, "actor"), text_at(j, "release"),
      text_at(j, "previous"), text_at(j, "code"), text_at(j, "message"), time_at(j, "created_ms"),
      time_at(j, "started_ms"), time_at(j, "finished_ms"), time_at(j, "gap_ms")};
}

SiteView site_from(const Json& s) {
  auto service = [](const Json& e) {
    return ServiceView{
        text_at(e, "name"), text_at(e, "lang"), text_at(e, "slot"), text_at(e, "state")};
  };
  std::string held;
  if (const auto hold = s.find("hold"); hold != s.end() && hold->is_object())
    held = cat("held by ", text_at(*hold, "actor"), " since ",
        rfc3339(time_at(*hold, "time_ms") / 1000), ": ", text_at(*hold, "why"));
  return {text_at(s, "site"), text_at(s, "state"), text_at(s, "version"), text_at(s, "release"),
      text_at(s, "previous_good"), text_at(s, "waiting"), held, text_at(s, "distrust"),
      time_at(s, "live_ms"), each(s, "services", service)};
}

ReleaseView release_from(const Json& r) {
  return {text_at(r, "id"), text_at(r, "version"), text_at(r, "state"), text_at(r, "slot"),
      text_at(r, "signer"), text_at(r, "message"), text_at(r, "distrust"), u64_or(r, "serial", 0),
      bool_or(r, "live", false), bool_or(r, "withdrawn", false), time_at(r, "created_ms"),
      time_at(r, "live_ms")};
}

AuditView audit_from(const Json& a) {
  return {u64_or(a, "number", 0), time_at(a, "time_ms"), text_at(a, "actor"), text_at(a, "verb"),
      text_at(a, "site"), text_at(a, "text"), text_at(a, "outcome")};
}

CronRunView cron_run_from(const Json& r) {
  CronRunView run{.id = u64_or(r, "id", 0),
      .count = u64_or(r, "count", 0),
      .site = text_at(r, "site"),
      .release = text_at(r, "release"),
      .line = text_at(r, "line"),
      .actor = text_at(r, "actor"),
      .state = text_at(r, "state"),
      .text = text_at(r, "text"),
      .code = std::nullopt,
      .started_ms = time_at(r, "started_ms"),
      .ended_ms = time_at(r, "ended_ms")};
  if (r.is_object() && r.contains("code") && r["code"].is_number_integer())
    run.code = r["code"].get<int>();
  return run;
}

CronEntryView cron_entry_from(const Json& e) {
  return {u64_or(e, "number", 0), text_at(e, "line"), time_at(e, "next_ms"),
      cron_run_from(e.is_object() ? e.value("last", Json()) : Json())};
}

// For an answer of nginx or of something between: what its status means.
Code code_of_status(long status) {
  switch (status) {
  case 401:
  case 403: return Code::denied;
  case 404: return Code::not_found;
  case 409: return Code::conflict;
  case 413: return Code::too_large;
  case 400:
  case 422: return Code::invalid;
  case 429:
  case 503: return Code::busy;
  case 408:
  case 504: return Code::timed_out;
  case 502: return Code::unreachable;
  default: return Code::failure;
  }
}

Result<std::string> link_at(const Json& links, std::string_view key) {
  auto link = TRY(control::string_at(links, key));
  // Ours begin with one slash. Anything else could lead the artifact and its capability to another
  // host.
  if (!link.starts_with('/') || link.starts_with("//") || link != printable(link, 1024) ||
      link.find(' ') != std::string::npos)
    return fail(Code::corrupt,
        cat("links.", key, ": '", printable(link, 80), "' is not a path on this host"));
  return link;
}

} // namespace

std::string json_text(const Fields& fields) {
  Json object = Json::object();
  for (const auto& [key, value] : fields)
    std::visit([&](const auto& v) { object[key] = v; }, value);
  return dump(object);
}

std::string result_text(std::string_view name, Fields fields) {
  fields.emplace_back("schema", cat("chillbox.", name, ".v1"));
  return json_text(fields);
}

bool JobView::ended() const {
  constexpr std::array k_open{"queued", "running", "waiting-upload", "waiting-unlock"};
  for (const std::string_view name : k_open)
    if (state == name)
      return false;
  return true;
}

JobEvent event_from(const Json& e) {
  return {u64_or(e, "number", 0), time_at(e, "time_ms"), text_at(e, "step"), text_at(e, "kind"),
      text_at(e, "text")};
}

Result<JobEvent> parse_event(std::string_view text) {
  return event_from(TRY(parse_object(text)));
}

Result<JobView> parse_job(std::string_view text) {
  const Json answer = TRY(parse_object(text));
  const auto job = answer.find("job");
  if (job == answer.end() || !job->is_object())
    return fail(Code::corrupt, "answer of chillboxd: no job in it");
  return job_from(*job);
}

Result<std::vector<JobView>> parse_jobs(std::string_view text) {
  return each(TRY(parse_object(text)), "jobs", job_from);
}

Result<HostView> parse_status(std::string_view text) {
  const Json answer = TRY(parse_object(text));
  const Json host = answer.value("host", Json::object());
  return HostView{text_at(host, "version"), text_at(host, "recipient"),
      text_at(host, "server_name"), bool_or(host, "sealed", false), u64_or(host, "uptime_s", 0),
      u64_or(host, "running", 0), u64_or(host, "waiting_unlock", 0),
      u64_or(host, "unlock_failures", 0), u64_or(host, "unlock_wait_s", 0),
      u64_or(host, "refused_webhooks", 0), u64_or(host, "refused_uploads", 0),
      time_at(host, "newest_ms"), texts_at(host, "warnings"), text_at(host, "nginx"),
      each(answer, "sites", site_from)};
}

Result<std::vector<ReleaseView>> parse_releases(std::string_view text) {
  return each(TRY(parse_object(text)), "releases", release_from);
}

Result<std::vector<KeyUseView>> parse_key_uses(std::string_view text) {
  return each(TRY(parse_object(text)), "uses",
      [](const Json& u) { return KeyUseView{text_at(u, "site"), text_at(u, "version")}; });
}
Result<std::vector<AuditView>> parse_audit(std::string_view text) {
  return each(TRY(parse_object(text)), "entries", audit_from);
}

Result<CronRunView> parse_cron_run(std::string_view text) {
  const Json answer = TRY(parse_object(text));
  return cron_run_from(answer.value("run", Json()));
}

Result<std::vector<CronRunView>> parse_cron_runs(std::string_view text) {
  return each(TRY(parse_object(text)), "runs", cron_run_from);
}

Result<std::vector<CronEntryView>> parse_cron_entries(std::string_view text) {
  return each(TRY(parse_object(text)), "entries", cron_entry_from);
}

Result<Accepted> parse_accepted(std::string_view text) {
  const Json answer = TRY(parse_object(text));
  const Json links = answer.value("links", Json::object());
  Accepted accepted; // member by member: a TRY within braces that fails would leak those before it
  accepted.job = TRY(control::string_at(answer, "job"));
  accepted.status = TRY(link_at(links, "status"));
  accepted.events = TRY(link_at(links, "events"));
  accepted.artifact = TRY(link_at(links, "artifact"));
  accepted.signature = TRY(link_at(links, "signature"));
  return accepted;
}

Error parse_http_error(long status, std::string_view body) {
  if (const auto answer = parse_json(body, k_most); answer && answer->is_object())
    if (const auto error = answer->find("error"); error != answer->end() && error->is_object())
      return {code_from_name(string_or(*error, "code", "failure")),
          printable(string_or(*error, "message", "no reason was given"), 500)};
  // NGINX's own: another server of it than the one that chillboxd wrote.
  const std::string_view why = status == 404
      ? ": no chillbox answers to this name there: see server_name in its chillbox.toml"
      : "";
  return {code_of_status(status), cat("the host answered ", status, why)};
}

std::string member_text(std::string_view text, std::string_view key) {
  const auto object = parse_json(text, k_most);
  return object ? text_at(*object, key) : std::string();
}

uint64_t member_number(std::string_view text, std::string_view key) {
  const auto object = parse_json(text, k_most);
  return object ? u64_or(*object, key, 0) : 0;
}

bool member_flag(std::string_view text, std::string_view key) {
  const auto object = parse_json(text, k_most);
  return object && bool_or(*object, key, false);
}

std::vector<std::string> member_list(std::string_view text, std::string_view key) {
  const auto object = parse_json(text, k_most);
  return object ? texts_at(*object, key) : std::vector<std::string>();
}

std::string with_array(
    std::string_view object, std::string_view key, const std::vector<std::string>& elements) {
  auto json = parse_json(object, k_most);
  if (!json || !json->is_object())
    return std::string(object);
  Json array = Json::array();
  for (const std::string& element : elements)
    if (auto parsed = parse_json(element, k_most))
      array.push_back(std::move(*parsed));
  (*json)[std::string(key)] = std::move(array);
  return dump(*json);
}

std::string error_json(const Error& error, std::string_view data) {
  Json body{{"code", code_name(error.code)}, {"message", error.message}};
  if (auto parsed = parse_json(data, k_most))
    body["data"] = std::move(*parsed);
  return dump({{"schema", "chillbox.error.v1"}, {"error", std::move(body)}});
}

} // namespace chillbox::cli
