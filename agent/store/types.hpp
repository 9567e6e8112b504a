// The rows of the store as values.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::store {

enum class JobKind { deploy, rollback, restart, start, stop, secrets, remove, ping };
// waiting_upload and waiting_unlock are jobs that were begun and gave their place up until
// something comes.
enum class JobState {
  queued,
  running,
  waiting_upload,
  waiting_unlock,
  done,
  failed,
  superseded,
  cancelled
};

// Eleven digits of the time, five of a counter that begins anywhere: ids grow, so that the jobs of
// one transaction lie side by side in the index, and a commit writes a few pages of it instead of
// one for each job. They need not be secret: who may see a job holds its capability.
std::string new_job_id(int64_t now_ms);

inline constexpr std::string_view k_webhook_actor = "webhook:";

struct Job {
  std::string id; // 16 hex digits, of new_job_id()
  JobKind kind{};
  SiteName site;
  std::string version; // deploy: wanted; rollback: asked for, "" : the last good one
  std::string sha256;  // deploy, secrets: of the encrypted file
  uint64_t size = 0;
  std::string service; // restart, start, stop: "" all
  std::string actor;   // k_webhook_actor and the sender's name, "uid:0 root", ...
  std::string options; // JSON object: allow_downgrade, allow_jump, purge, ...
  JobState state = JobState::queued;
  std::string step;     // the journal: last step begun
  std::string release;  // the release it makes or goes to, once known
  std::string previous; // the one that was live when it began
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  int64_t gap_ms = 0;       // for how long a service that must not run twice was away, 0: none was
  std::optional<Code> code; // nullopt: no error (so far)
  std::string message;      // the verdict, one line
  std::string key; // id of the webhook key that announced it, "" : none did, or that was before
                   // keys had one
};

struct JobEvent {
  uint64_t number = 0; // 1.. within the job
  int64_t time_ms = 0;
  std::string step;
  std::string kind; // begin, done, undo, info, log, end
  std::string text;
};

// staged: being made; good: was live and held (or is); failed: never went live or was rolled back;
// removed: its directory is gone
enum class ReleaseState { staged, good, failed, removed };

struct Release {
  std::string id; // VERSION-N, unique in its site: the directory's name
  SiteName site;
  std::string version;
  uint64_t serial = 0;
  std::string sha256;  // of the artifact
  std::string secrets; // sha256 of the secret set that it was started with, "" : none
  ReleaseState state = ReleaseState::staged;
  Slot slot = Slot::none; // the one it has or last had
  std::string digest;     // of the release directory, once sealed
  std::string nginx;      // the text of its NGINX file
  std::string last_log;   // of a failed one: the last lines of the service that failed
  std::string signer;     // name of the key that signed it
  std::string
      signer_key;      // its fingerprint (artifact/verify.hpp); "" : from before they were recorded
  std::string kept_by; // an administrator for whom it stays good without that key, "" : nobody
  int64_t created_ms = 0, live_ms = 0;
  std::string message; // why it failed
};

struct SiteRow {
  SiteName site;
  std::string live;          // release id, "" : none
  std::string previous_good; // where a rollback without a version goes
  bool stopped = false;      // an operator stopped it
  std::string ports;         // JSON: ports by service and slot
};

// What was made for a site in a place that is not the agent's alone. It outlives the site's row, as
// the thing outlives the site.
struct Asset {
  SiteName site;
  std::string kind; // "user", "group", "directory"
  std::string name; // of a directory: its path
  std::string id;   // uid or gid; "" of a user or group that is being made, and of directories
};

struct SecretSet {
  SiteName site;
  std::string sha256;
  uint64_t serial = 0;
  int64_t received_ms = 0;
  std::string signer, signer_key, kept_by; // as a release's
};

// A release that is never good again. It outlives the release, and the site.
struct Withdrawn {
  SiteName site;
  std::string sha256; // of the artifact
  std::string version;
  uint64_t serial = 0;
  std::string actor, why;
  int64_t time_ms = 0;
};

// Deploys of the site are refused until somebody releases it.
struct Hold {
  SiteName site;
  std::string actor, why;
  int64_t time_ms = 0;
};

struct CronRun {
  uint64_t id = 0; // given by the store
  SiteName site;
  std::string release; // whose entry it is
  std::string line;    // the entry as the site file has it
  std::string actor;   // "" : its time had come; else who asked
  std::string state =
      "running"; // done: code 0; failed; lost: nobody knows its end; skipped: it did not run
  int64_t started_ms = 0, ended_ms = 0;
  std::optional<int> code; // as a shell says it
  uint64_t count = 1; // skipped: so many times in a row for the same reason, the last at ended_ms
  std::string text;   // its last lines; skipped, lost: why
};

struct AuditEntry {
  uint64_t number = 0;
  int64_t time_ms = 0;
  std::string actor, verb, site, text, outcome; // outcome: "ok" or a code name
};

// The newest entry's number and hash. Whoever kept one elsewhere can prove later that nobody wrote
// another trail up to there, root included.
struct AuditHead {
  uint64_t entries = 0, number = 0;
  std::string hash; // hex
  std::string text() const { return std::to_string(number) + ":" + hash; }
};

std::string_view name(JobKind kind);
std::string_view name(JobState state);
std::string_view name(ReleaseState state);
bool is_open(JobState state); // not ended: queued, running, waiting

} // namespace chillbox::store
