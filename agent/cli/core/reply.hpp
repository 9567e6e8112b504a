// What the daemon answers, as values: over the control socket and, for jobs, over HTTP. A member
// that is missing or of another type is empty: a newer daemon may say more, an older one less. What
// is no JSON object at all is corrupt.
#pragma once

#include "base/error.hpp"
#include "control/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct JobEvent {
  uint64_t number = 0;
  int64_t time_ms = 0;
  std::string step;
  std::string kind; // begin, done, undo, info, log, end
  std::string text;
};

struct JobView {
  std::string id, kind, site, version, state, step, actor, release, previous, code, message;
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  int64_t gap_ms = 0; // for how long a service that must not run twice was away
  bool ended() const; // in one of the states that last
};

struct ServiceView {
  std::string name, lang, slot, state;
};

struct SiteView {
  std::string site, state, version, release, previous_good, waiting,
      held;             // held: "by WHO since ...: WHY"
  std::string distrust; // why what is live is not started again, "" : it is
  int64_t live_ms = 0;
  std::vector<ServiceView> services;
};

struct HostView {
  std::string version, recipient, server_name;
  bool sealed = false;
  uint64_t uptime_s = 0, running = 0, waiting_unlock = 0, unlock_failures = 0, unlock_wait_s = 0;
  uint64_t refused_webhooks = 0, refused_uploads = 0; // since the start
  int64_t newest_ms = 0;                              // of the audit trail
  std::vector<std::string> warnings;
  std::string nginx; // why no visitor is served; "" : NGINX answers
  std::vector<SiteView> sites;
};

struct ReleaseView {
  std::string id, version, state, slot, signer, message, distrust;
  uint64_t serial = 0;
  bool live = false, withdrawn = false;
  int64_t created_ms = 0, live_ms = 0;
};

struct KeyUseView {
  std::string site, version; // version "" : its secret set
};

struct AuditView {
  uint64_t number = 0;
  int64_t time_ms = 0;
  std::string actor, verb, site, text, outcome;
};

struct CronRunView {
  uint64_t id = 0, count = 0;
  std::string site, release, line, actor, state,
      text; // state: running, done, failed, lost, skipped; "" : no run
  std::optional<int> code;
  int64_t started_ms = 0, ended_ms = 0;
};

struct CronEntryView {
  uint64_t number = 0;
  std::string line;
  int64_t next_ms = 0; // 0: never
  CronRunView last;
};

JobEvent event_from(const Json& event);
Result<JobEvent> parse_event(std::string_view text);
// {"job":{...}}
Result<JobView> parse_job(std::string_view text);
Result<std::vector<JobView>> parse_jobs(std::string_view text);
Result<HostView> parse_status(std::string_view text); // of `status` and of `sites`
Result<std::vector<ReleaseView>> parse_releases(std::string_view text);
Result<std::vector<AuditView>> parse_audit(std::string_view text);
Result<std::vector<KeyUseView>> parse_key_uses(std::string_view text);
Result<CronRunView> parse_cron_run(std::string_view text); // {"run":{...}}
Result<std::vector<CronRunView>> parse_cron_runs(std::string_view text);
Result<std::vector<CronEntryView>> parse_cron_entries(std::string_view text);

// What the edge answers to a delivery: {"job":"ID","links":{...}}.
struct Accepted {
  std::string job, status, events, artifact, signature; // the links begin with '/'
};
Result<Accepted> parse_accepted(std::string_view text);
// An error as the edge says it: {"error":{"code","message"}}. What is none of that gives `fallback`
// with the HTTP status.
Error parse_http_error(long status, std::string_view body);

// Single members of a flat answer; the fallback when it is not there.
uint64_t member_number(std::string_view text, std::string_view key);
std::string member_text(std::string_view text, std::string_view key);
bool member_flag(std::string_view text, std::string_view key);
std::vector<std::string> member_list(std::string_view text, std::string_view key);

// The object with one more member: the JSON texts in `elements` as an array.
std::string with_array(
    std::string_view object, std::string_view key, const std::vector<std::string>& elements);
// {"schema":"chillbox.error.v1","error":{"code","message","data"}}
std::string error_json(const Error& error, std::string_view data);

} // namespace chillbox::cli
