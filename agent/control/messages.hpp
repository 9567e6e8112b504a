// What crosses the control socket, as values that both programs use: the daemon writes them, the
// command reads them, the store keeps some of them as rows. messages.cpp has the one table of the
// members of each (members.hpp says what reading tolerates), from which docs/control.schema.json is
// written too.
//
// Times are milliseconds since 1970, UTC; 0: not yet, or never.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "control/certificate.hpp"
#include "control/fleet.hpp"
#include "control/json.hpp"
#include "control/names.hpp"
#include "control/people.hpp"
#include "control/rollout.hpp"
#include "control/runs.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

// --- what is asked: the arguments of every verb, of which each takes its own
struct Arguments {
  std::optional<std::string> site, service, version, job, why, message, name, fingerprint, head,
      sha256, signature, person, role, key, roster, order;
  std::optional<uint64_t> number, serial, limit, lines, after;
  std::optional<bool> wait, follow, dry_run, no_watch, purge, with_data, during_hold,
      allow_downgrade, allow_jump, staging, newer, terminal, detach, revoke;
  std::optional<uint64_t> timeout_ms, since_ms, until_ms;
  std::optional<std::vector<std::string>> words;   // of a command
  std::optional<std::vector<std::string>> streams; // of logs; none: all
  std::optional<std::string> term;                 // the kind of terminal of who asks
  std::optional<std::vector<std::string>> sites, ssh;
};

// --- jobs
// What the one who asked for it allows or wants; the store has their JSON (store/jobs.cpp).
struct JobOptions {
  bool allow_downgrade = false, allow_jump = false; // of the serial
  bool no_watch = false;
  bool purge = false;     // remove: the site's data, too
  bool with_data = false; // rollback: the site's data, too
  bool retry = false;     // of a job that failed
};

struct Job {
  std::string id; // 16 hex digits, of store::new_job_id()
  JobKind kind{};
  SiteName site;
  std::string version; // deploy: wanted; rollback: asked for, "" : the last good one
  std::string sha256;  // deploy, secrets: of the encrypted file; restore: of the backup
  uint64_t size = 0;
  std::string service; // restart, start, stop: "" all
  std::string actor;   // store::k_webhook_actor and the sender's name, "uid:0 root", ...
  JobOptions options;
  JobState state = JobState::queued;
  std::string step;     // the journal: last step begun
  std::string release;  // the release it makes or goes to, once known
  std::string previous; // the one that was live when it began
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  int64_t gap_ms = 0;       // downtime of a stop-first switch, 0: none
  std::optional<Code> code; // nullopt: no error (so far)
  std::string message;      // the verdict, one line
  std::string key; // id of the webhook key that announced it, "" : none did, or that was before
                   // keys had one
};
bool is_open(JobState state); // not ended: queued, running, waiting

struct JobEvent {
  uint64_t number = 0; // 1.. within the job
  int64_t time_ms = 0;
  std::string step;
  EventKind kind = EventKind::info;
  std::string text;
};

struct JobList {
  std::vector<Job> jobs;
};
struct UploadState {
  uint64_t received = 0;
  bool running = false;
};
struct JobAnswer {
  Job job;
  std::optional<std::vector<JobEvent>> events; // of `job` and what runs one, with --json
  std::optional<UploadState> upload = {};      // over HTTP, of one that waits for it
};

// --- releases
struct Release {
  std::string id; // VERSION-N, unique in its site: the directory's name
  std::string version;
  uint64_t serial = 0;
  ReleaseState state = ReleaseState::staged;
  Slot slot = Slot::none; // the one it has or last had
  std::string last_log;   // of a failed one: the last lines of the service that failed
  std::string signer;     // name of the key that signed it
  int64_t created_ms = 0, live_ms = 0;
  std::string message; // why it failed
};
struct ReleaseStatus : Release {
  bool live = false, withdrawn = false;
  std::string distrust; // why its signature no longer counts, "" : it does
};
struct ReleaseList {
  std::string site, live; // the id of the live one, "" : none
  std::vector<ReleaseStatus> releases;
  uint64_t serial = 0, secrets_serial = 0; // the greatest that was installed, 0: none was
};

// --- the host and its sites
struct ServiceStatus {
  std::string name, lang;
  Slot slot = Slot::none;
  ServiceState state = ServiceState::files;
  std::optional<uint32_t> restarts; // since it was started: after a crash, or when the kernel ended
                                    // it for want of memory; not of Redis
};
struct Hold {
  std::string actor, why;
  int64_t time_ms = 0;
};
struct SiteStatus {
  std::string site;
  SiteState state = SiteState::none;
  std::string version, release, previous_good; // of the live release: version, id; "" : none
  std::string waiting;                         // what is wrong or awaited, and what to do about it
  std::string down;    // why visitors are not served, though nobody wished it; "" : they are
  std::string warning; // what speaks against the live release
  int64_t live_ms = 0;
  bool maintenance = false, drained = false;
  std::optional<Hold> hold;
  std::optional<std::string> distrust; // why what is live is not started again, "" : it is
  std::vector<ServiceStatus> services;
};
struct HostStatus {
  std::string version, recipient, server_name;
  bool sealed = false, drained = false;
  uint64_t uptime_s = 0, running = 0, waiting_unlock = 0; // jobs
  uint64_t unlock_failures = 0, unlock_wait_s = 0;
  uint64_t refused_webhooks = 0, refused_uploads = 0; // since the start
  int64_t newest_ms = 0;                              // of the audit trail
  std::string nginx; // why no visitor is served; "" : NGINX answers
  std::optional<FleetSeat> fleet;
  std::optional<EngineStatus> engine; // of the fleet
  std::vector<std::string> warnings;
};
struct SiteList {
  std::vector<SiteStatus> sites;
};
struct Status {
  HostStatus host;
  std::vector<SiteStatus> sites;
  std::vector<Certificate> certificates; // of each live site, and of the host's own name
};
struct Ping {
  std::string version;
  bool sealed = false;
  int64_t pid = 0;
  std::optional<std::string> not_upgraded; // why the last upgrade failed
};
// What a laptop needs to know before it packs: for which machine and which key, and what is there.
struct Deployer { // a trusted key
  std::string name, id;
  std::vector<std::string> sites; // none: all
};
struct SiteFacts {
  std::string site;
  std::string version, release, sha256; // live, "" : nothing is
  std::string signer, actor;            // whose key signed that, who brought it
  int64_t live_ms = 0;
  std::vector<std::string> names;          // host names, the first is the main one
  std::string url;                         // of the first, "" : nothing is live
  uint64_t serial = 0, secrets_serial = 0; // the greatest that was installed, 0: none was
  std::optional<Hold> hold;
  // Of the newest order of a rollout that the host has seen, 0: none; nullopt: it cannot be read.
  std::optional<uint64_t> order_serial;
};
struct Facts {
  std::string version, recipient, server_name; // of chillboxd
  std::string actor;                           // as whom it answers: "uid:0 root"
  Role role = Role::unknown;                   // and what that one may
  std::vector<std::string> may;                // only of these sites; none: of all
  bool sealed = false;
  int64_t started_ms = 0; // of chillboxd, and so locked at least since then, if it is
  uint64_t artifact_max = 0, http_port = 80;
  std::vector<Deployer> deployers;
  std::vector<std::string> sites;
  std::optional<SiteFacts> site;
  std::optional<UploadState> upload; // of the artifact that was asked about
  std::optional<FleetSeat> fleet;
  std::string report_key; // a public key of minisign, with which the host signs what it reports
  bool engine = false;    // it reaches the fleet's engine, so that hosts can walk a rollout
  // Of the machine, which chillboxctl adds there: "Debian GNU/Linux 12 (bookworm)", "x86_64",
  // "glibc 2.36" or "musl 1.2", "3.11.2"; "" : not there, or not known.
  std::string os, arch, libc, python;
};
struct NginxText {
  std::string site, text;
};

// --- the audit trail
struct AuditEntry {
  uint64_t number = 0;
  int64_t time_ms = 0;
  std::string actor, verb, site, text, outcome; // outcome: "ok" or a code's name
};
struct AuditTrail {
  std::vector<AuditEntry> entries;
};
struct AuditProof {
  uint64_t entries = 0;
  std::string head; // NUMBER:HASH of the newest one
};

// --- what other verbs answer
struct Unlocked {
  std::optional<bool> changed; // false: the host was already unlocked, and nothing else is set
  std::optional<std::string> recipient;
  std::optional<std::vector<std::string>> sites;  // started
  std::optional<std::vector<std::string>> failed; // "SITE: why it is not up"
  // "SITE: why it will not start after a boot"; it is up now
  std::optional<std::vector<std::string>> after_boot;
};
struct Locked {
  bool was_unsealed = false;
};
struct Maintenance {
  std::string site;
  bool maintenance = false, was = false;
};
struct Drained {
  std::string site; // "" : every site of the host
  bool drained = false, was = false;
};
struct Upgraded {
  std::string version; // the daemon: of the program that runs; --json: of the new one
  std::optional<std::string> from;
  std::optional<bool> sealed; // afterwards
};
struct HoldReleased {
  bool was_held = false;
};
struct Withdrawal {
  std::string site;
  std::vector<std::string> releases; // ids
  std::string live;                  // one of them that is live, "" : none
};
struct SecretsWithdrawal {
  std::string site;
  uint64_t serial = 0, sets = 0; // sets: so many were withdrawn
};
struct KeyUse {
  std::string site, version; // version "" : its secret set
};
struct KeyUses {
  std::vector<KeyUse> uses;
};
struct Kept {
  std::string site, version;
};
struct Pruned {
  bool dry_run = false;
  uint64_t bytes = 0;
  std::vector<std::string> paths;
};
struct Done {}; // nothing to add

// --- a plan
struct ValueChange {
  std::string name;
  Change change = Change::none;
  std::string before, after; // digests that only this host can make, "" : none
};
struct ServiceChange {
  std::string name, lang;
  Change change = Change::none;
  std::vector<std::string> why;
  std::vector<ValueChange> environment;
};
struct SetChange {
  std::vector<std::string> added, removed;
};
struct PlannedNginx {
  std::string diff;
  bool reload = false;
};
struct PlannedDisk { // bytes, inodes
  uint64_t needed = 0, free = 0, inodes_needed = 0, inodes_free = 0;
};
struct PlannedMemory { // bytes
  uint64_t needed = 0, available = 0;
};
struct PlannedDowntime { // downtime
  bool expected = false;
  int64_t last_ms = 0; // how long it was the last time, 0: not measured
  std::string reason;
};
struct Plan {
  std::string site, from, to; // versions; from "" : nothing is live
  bool change = false;
  std::vector<ServiceChange> services;
  SetChange hosts, cron;
  std::vector<std::string> other; // what else of the site file and its files changes
  std::vector<PlainName> plain;   // names that will answer on http only
  PlannedNginx nginx;
  PlannedDisk disk;
  PlannedMemory memory;
  PlannedDowntime downtime;
  std::vector<std::string> drift;    // where the host is not as the store has it
  std::vector<std::string> warnings; // what a deploy would not refuse
  std::vector<std::string> problems; // what it would refuse
  // Of an artifact:
  std::optional<std::string> sha256, signer;
  std::optional<uint64_t> serial, installed_serial;
};

// --- over HTTP, from the edge
struct JobLinks {
  std::string status, events;
  std::optional<std::string> artifact, signature; // of a job that waits for files
};
struct Accepted {
  std::string job;
  JobLinks links;
};
struct Order {
  std::string site;
  std::optional<std::string> version;
  std::string sha256;
  uint64_t size = 0;
  std::optional<bool> watch;
};
struct Announcement { // the body of a webhook
  std::string type, timestamp;
  Order data;
};
struct EventBatch {
  std::vector<JobEvent> events;
  bool ended = false;
};

// --- errors
struct ErrorData {
  std::optional<std::vector<std::string>> available; // what there is instead
  std::optional<std::string> job, state, step;       // of a job that failed
};
struct Failure {
  Code code = Code::failure;
  std::string message;
  std::optional<ErrorData> data;
};
struct ErrorAnswer {
  Failure error;
};

// For every message above.
template <class T> Json to_json(const T& message);
template <class T> std::string to_text(const T& message);
// With "schema": "chillbox.VERB.v1".
template <class T> std::string answer_text(std::string_view verb, const T& message);
// corrupt: not an object, or without the name of its site.
template <class T> Result<T> from_json(const Json& json);
// The same of a text. corrupt: also when it is not JSON.
template <class T> Result<T> read_answer(std::string_view text);

// The answers of the control socket and of `chillboxctl --json` by the name in their schema.
struct Answer {
  std::string_view name;
  Json (*schema)(Json& defs);
};
const std::vector<Answer>& answers();

} // namespace chillbox::control
