// States and kinds that cross the control socket and lie in the store, each with one table of
// names. `unknown` is what a program reads that a newer one wrote; it is never written.
#pragma once

#include "base/names.hpp"

#include <span>
#include <string_view>

namespace chillbox::control {

// watch: the agent's own, of a live release whose watch was cut by a job that failed then. restore:
// of the site's data, from a backup.
enum class JobKind {
  deploy,
  rollback,
  restart,
  start,
  stop,
  secrets,
  remove,
  ping,
  watch,
  restore,
  unknown
};
// waiting_upload and waiting_unlock: begun, and not running until something comes.
enum class JobState {
  queued,
  running,
  waiting_upload,
  waiting_unlock,
  done,
  failed,
  superseded,
  cancelled,
  unknown
};
// begin, done, undo: of a step. info: a line for its reader. log: what a program wrote. end: the
// last one of a job.
enum class EventKind { begin, done, undo, info, log, end, unknown };
// staged: being made; good: was live and held, or is; unproven: was live, or is, and was not
// watched to the end; failed: never went live, or was rolled back; removed: its directory is gone.
enum class ReleaseState { staged, good, unproven, failed, removed, unknown };
// It can be live, or become so again.
constexpr bool is_kept(ReleaseState state) {
  return state == ReleaseState::good || state == ReleaseState::unproven;
}
// done: code 0; lost: nobody knows its end; skipped: it did not run.
enum class CronState { running, done, failed, lost, skipped, unknown };
// cron: an entry of the crontab; command: what an operator ran.
enum class RunKind { cron, command, unknown };
// none: no release is live; refused: its signer is not trusted any more; degraded: something of it
// does not run as it should; sealed: it waits for an unlock.
enum class SiteState { none, live, stopped, refused, degraded, sealed, unknown };
// files: nothing runs, NGINX serves it; crashing: started again and again; displaced: a stranger
// listens on its port.
enum class ServiceState {
  files,
  starting,
  started,
  stopped,
  crashed,
  crashing,
  displaced,
  unknown
};
// off: none is wanted; waiting: the host is not reached under the names yet, and no CA was asked;
// ordering, verifying, installing: under way; backing_off: it failed and is tried again; attention:
// a person is needed, and it is tried again once a day.
enum class CertificateState {
  off,
  waiting,
  ordering,
  verifying,
  installing,
  valid,
  backing_off,
  attention,
  unknown
};
enum class AlertLevel { none, warning, error, expired, unknown };
enum class Change { none, added, changed, removed, unknown };
// Of people who come in by ssh: each may what those before it may.
enum class Role { look, deploy, admin, unknown };
// A host in a rollout: waiting -> staged -> begun -> live -> done, or failed; done -> rolled_back
// or stuck, which has the release and should not: its rollback failed, or it failed with it. live:
// switched, within its bake, of the hosts' own walk alone, as these two: skipped_sealed: locked
// when it was to begin; outside: it lost its slot meanwhile, or something else was made live there.
enum class HostTurn {
  waiting,
  staged,
  begun,
  live,
  done,
  failed,
  rolled_back,
  stuck,
  skipped_sealed,
  outside,
  unknown
};

std::string_view name(JobKind kind);
std::string_view name(JobState state);
std::string_view name(EventKind kind);
std::string_view name(ReleaseState state);
std::string_view name(CronState state);
std::string_view name(RunKind kind);
std::string_view name(SiteState state);
std::string_view name(ServiceState state);
std::string_view name(CertificateState state);
std::string_view name(AlertLevel level);
std::string_view name(Change change);
std::string_view name(Role role);
std::string_view name(HostTurn turn);

// The value of that name, for the enums above and Slot; another name: unknown, or none.
template <class E> E named(std::string_view name);
// All names, without that of `unknown`.
template <class E> std::span<const std::string_view> names_of();

} // namespace chillbox::control
