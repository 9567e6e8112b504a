#include "control/messages.hpp"

#include "control/admin_table.hpp"
#include "control/backups_table.hpp"
#include "control/carried_table.hpp"
#include "control/certificate_table.hpp"
#include "control/facts_table.hpp"
#include "control/fleet_table.hpp"
#include "control/full_status.hpp"
#include "control/hours_table.hpp"
#include "control/job_report_table.hpp"
#include "control/log_table.hpp"
#include "control/members.hpp"
#include "control/metrics_table.hpp"
#include "control/notices_table.hpp"
#include "control/people_table.hpp"
#include "control/plan_table.hpp"
#include "control/restore_table.hpp"
#include "control/rollout_table.hpp"
#include "control/runs_table.hpp"
#include "control/snapshots_table.hpp"
#include "control/usage_table.hpp"
#include "control/webhook_table.hpp"

namespace chillbox::control {

void detail::write_string(std::string& out, std::string_view text) {
  const bool is_plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (is_plain)
    out.append("\"").append(text).append("\"");
  else
    out += dump(Json(text));
}

// A row is "name in JSON, member, what it is". What has no row stays in its process.

constexpr auto table(const Arguments*) {
  using A = Arguments;
  return message("arguments", "What a verb is asked with.", Member{"site", &A::site, ""},
      Member{"service", &A::service, ""}, Member{"version", &A::version, ""},
      Member{"job", &A::job, ""}, Member{"why", &A::why, ""}, Member{"message", &A::message, ""},
      Member{"name", &A::name, ""}, Member{"fingerprint", &A::fingerprint, ""},
      Member{"head", &A::head, ""}, Member{"sha256", &A::sha256, ""},
      Member{"signature", &A::signature, ""}, Member{"number", &A::number, ""},
      Member{"serial", &A::serial, ""}, Member{"limit", &A::limit, ""},
      Member{"lines", &A::lines, ""}, Member{"after", &A::after, ""}, Member{"wait", &A::wait, ""},
      Member{"follow", &A::follow, ""}, Member{"dry_run", &A::dry_run, ""},
      Member{"no_watch", &A::no_watch, ""}, Member{"purge", &A::purge, ""},
      Member{"with_data", &A::with_data, ""}, Member{"during_hold", &A::during_hold, ""},
      Member{"allow_downgrade", &A::allow_downgrade, ""}, Member{"allow_jump", &A::allow_jump, ""},
      Member{"newer", &A::newer, ""}, Member{"staging", &A::staging, ""},
      Member{"terminal", &A::terminal, ""}, Member{"detach", &A::detach, ""},
      Member{"timeout_ms", &A::timeout_ms, ""},
      Member{"since_ms", &A::since_ms, "both ends included"}, Member{"until_ms", &A::until_ms, ""},
      Member{"words", &A::words, ""}, Member{"streams", &A::streams, "of logs; none: all"},
      Member{"term", &A::term, ""}, Member{"person", &A::person, ""}, Member{"role", &A::role, ""},
      Member{"key", &A::key, ""}, Member{"revoke", &A::revoke, ""}, Member{"sites", &A::sites, ""},
      Member{"ssh", &A::ssh, ""}, Member{"roster", &A::roster, "a signed one"},
      Member{"order", &A::order, "of a rollout, signed"});
}

constexpr auto table(const JobOptions*) {
  using O = JobOptions;
  return message("job_options", "What the one who asked for a job allows or wants.",
      Member{"allow_downgrade", &O::allow_downgrade, "of the serial"},
      Member{"allow_jump", &O::allow_jump, "of the serial"}, Member{"no_watch", &O::no_watch, ""},
      Member{"purge", &O::purge, "remove: the site's data, too"},
      Member{"with_data", &O::with_data, "rollback: the site's data, too"},
      Member{"retry", &O::retry, "of a job that failed"});
}

constexpr auto table(const Job*) {
  return message("job", "What was asked for, and how it went.",
      Member{"id", &Job::id, "16 hex digits"}, Member{"kind", &Job::kind, ""},
      Member{"site", &Job::site, ""},
      Member{"version", &Job::version, "wanted; of a rollback \"\": the last good one"},
      Member{"sha256", &Job::sha256, "of the artifact; of a restore: of the backup"},
      Member{"service", &Job::service, "of a restart, start or stop; \"\": the whole site"},
      Member{"options", &Job::options, ""}, Member{"state", &Job::state, ""},
      Member{"step", &Job::step, "the last one begun"},
      Member{"actor", &Job::actor, "\"webhook:SENDER\" or \"uid:NUMBER NAME\""},
      Member{"release", &Job::release, "the one it makes or goes to, once known"},
      Member{"previous", &Job::previous, "the release that was live when it began"},
      Member{"created_ms", &Job::created_ms, ""},
      Member{"started_ms", &Job::started_ms, "0: not yet"},
      Member{"finished_ms", &Job::finished_ms, "0: not yet"},
      Member{"gap_ms", &Job::gap_ms, "downtime of a stop-first switch, 0: none"},
      Member{"code", &Job::code, "\"\": no error, or not yet"},
      Member{"message", &Job::message, "the verdict, one line"});
}

constexpr auto table(const JobEvent*) {
  return message("job_event", "A line of a job's history.",
      Member{"number", &JobEvent::number, "from 1, within the job"},
      Member{"time_ms", &JobEvent::time_ms, ""}, Member{"step", &JobEvent::step, ""},
      Member{"kind", &JobEvent::kind, ""}, Member{"text", &JobEvent::text, ""});
}

constexpr auto table(const JobList*) {
  return message("job_list", "", Member{"jobs", &JobList::jobs, "newest first"});
}

constexpr auto table(const UploadState*) {
  return message("upload", "An artifact of which the host has a part.",
      Member{
          "received", &UploadState::received, "bytes that the host has: an upload continues there"},
      Member{"running", &UploadState::running, "more are on their way"});
}

constexpr auto table(const JobAnswer*) {
  return message("job_answer", "", Member{"job", &JobAnswer::job, ""},
      Member{"events", &JobAnswer::events, "unless they were printed as they came"},
      Member{"upload", &JobAnswer::upload, "while it waits for one, over HTTP"});
}

constexpr auto table(const Release*) {
  return message("release", "A version of a site as it was installed on this host.",
      Member{"id", &Release::id, "VERSION-N"}, Member{"version", &Release::version, ""},
      Member{"serial", &Release::serial, ""}, Member{"state", &Release::state, ""},
      Member{"slot", &Release::slot, "where its copies run, or last ran"},
      Member{"created_ms", &Release::created_ms, ""},
      Member{"live_ms", &Release::live_ms, "when it went live the last time, 0: never"},
      Member{"signer", &Release::signer, "name of the trusted key"},
      Member{"message", &Release::message, "why it failed"},
      Member{"last_log", &Release::last_log, "the last lines of the service that failed"});
}

constexpr auto table(const ReleaseStatus*) {
  using R = ReleaseStatus;
  return message("release_status", "A release, and whether it may be started.",
      table(static_cast<const Release*>(nullptr)), Member{"live", &R::live, ""},
      Member{"withdrawn", &R::withdrawn, "it is never started again"},
      Member{"distrust", &R::distrust, "why its signature no longer counts, \"\": it does"});
}

constexpr auto table(const ReleaseList*) {
  return message("release_list", "", Member{"site", &ReleaseList::site, ""},
      Member{"live", &ReleaseList::live, "id of the live release, \"\": none"},
      Member{"releases", &ReleaseList::releases, "newest first"},
      Member{"serial", &ReleaseList::serial,
          "the greatest serial that was installed of its releases, 0: none"},
      Member{"secrets_serial", &ReleaseList::secrets_serial, "and of its secret sets"});
}

constexpr auto table(const ServiceStatus*) {
  using S = ServiceStatus;
  return message("service_status", "A service of a live site.", Member{"name", &S::name, ""},
      Member{"lang", &S::lang, "its kind"}, Member{"slot", &S::slot, ""},
      Member{"state", &S::state, ""},
      Member{
          "restarts", &S::restarts, "since it was started: after a crash, or for want of memory"});
}

constexpr auto table(const Hold*) {
  return message("hold", "Deploys of the site are refused until it is released.",
      Member{"actor", &Hold::actor, "who holds it"}, Member{"why", &Hold::why, ""},
      Member{"time_ms", &Hold::time_ms, ""});
}

constexpr auto table(const SiteStatus*) {
  using S = SiteStatus;
  return message("site_status", "A site of this host, now.", Member{"site", &S::site, ""},
      Member{"state", &S::state, ""}, Member{"version", &S::version, "of the live release"},
      Member{"release", &S::release, "id of the live release, \"\": none"},
      Member{"previous_good", &S::previous_good, "where a rollback without a version goes"},
      Member{"waiting", &S::waiting, "what is wrong or awaited, and what to do about it"},
      Member{"down", &S::down,
          "why visitors are not served, though nobody stopped the site, \"\": they are"},
      Member{"warning", &S::warning, "what speaks against the live release"},
      Member{"live_ms", &S::live_ms, ""},
      Member{"maintenance", &S::maintenance, "visitors get the maintenance page"},
      Member{"drained", &S::drained, "/SITE/ready answers 503 until `undrain`"},
      Member{"hold", &S::hold, ""},
      Member{"distrust", &S::distrust, "why what is live is not started again, \"\": it is"},
      Member{"services", &S::services, ""});
}

constexpr auto table(const HostStatus*) {
  using H = HostStatus;
  return message("host_status", "The host, now.", Member{"version", &H::version, "of chillboxd"},
      Member{"recipient", &H::recipient, "what artifacts are encrypted to"},
      Member{"server_name", &H::server_name, ""}, Member{"sealed", &H::sealed, ""},
      Member{"drained", &H::drained, "every /SITE/ready answers 503 until `undrain`"},
      Member{"uptime_s", &H::uptime_s, "of chillboxd"}, Member{"running", &H::running, "jobs"},
      Member{"waiting_unlock", &H::waiting_unlock, "jobs"},
      Member{"unlock_failures", &H::unlock_failures, "of all users, in a row"},
      Member{"unlock_wait_s", &H::unlock_wait_s, "until this user may try again"},
      Member{"refused_webhooks", &H::refused_webhooks, "since chillboxd started"},
      Member{"refused_uploads", &H::refused_uploads, "since chillboxd started"},
      Member{"newest_ms", &H::newest_ms, "of the newest entry of the audit trail"},
      Member{"nginx", &H::nginx, "why no visitor is served, \"\": NGINX answers"},
      Member{"fleet", &H::fleet, "of which it is one"},
      Member{"engine", &H::engine, "of the fleet, if it has one"},
      Member{"warnings", &H::warnings, ""});
}

constexpr auto table(const SiteList*) {
  return message("site_list", "", Member{"sites", &SiteList::sites, ""});
}

constexpr auto table(const Status*) {
  return message("status", "", Member{"host", &Status::host, ""},
      Member{"sites", &Status::sites, ""},
      Member{
          "certificates", &Status::certificates, "of each live site, and of the host's own name"});
}

constexpr auto table(const FullStatus*) {
  return message("status", "", table(static_cast<const Status*>(nullptr)),
      Member{
          "backups", &FullStatus::backups, "of the live sites, when there is a target for them"});
}

constexpr auto table(const Ping*) {
  return message("ping", "", Member{"version", &Ping::version, "of chillboxd"},
      Member{"sealed", &Ping::sealed, ""}, Member{"pid", &Ping::pid, ""},
      Member{"not_upgraded", &Ping::not_upgraded, "why the last upgrade failed"});
}

constexpr auto table(const NginxText*) {
  return message("nginx_text", "", Member{"site", &NginxText::site, ""},
      Member{"text", &NginxText::text, "the configuration that is in force"});
}

constexpr auto table(const Done*) {
  return message("done", "");
}

constexpr auto table(const ErrorData*) {
  using D = ErrorData;
  return message("error_data", "", Member{"available", &D::available, "what there is"},
      Member{"job", &D::job, ""}, Member{"state", &D::state, ""}, Member{"step", &D::step, ""});
}

constexpr auto table(const Failure*) {
  return message("failure", "", Member{"code", &Failure::code, ""},
      Member{"message", &Failure::message, ""}, Member{"data", &Failure::data, ""});
}

constexpr auto table(const ErrorAnswer*) {
  return message("error_answer", "", Member{"error", &ErrorAnswer::error, ""});
}

bool is_open(JobState state) {
  return state == JobState::queued || state == JobState::running ||
      state == JobState::waiting_upload || state == JobState::waiting_unlock;
}

CHILLBOX_MESSAGE(Arguments)
CHILLBOX_MESSAGE(JobEvent)
CHILLBOX_MESSAGE(JobList)
CHILLBOX_MESSAGE(JobAnswer)
CHILLBOX_MESSAGE(ReleaseList)
CHILLBOX_MESSAGE(SiteList)
CHILLBOX_MESSAGE(Status)
CHILLBOX_MESSAGE(FullStatus)
CHILLBOX_MESSAGE(Ping)
CHILLBOX_MESSAGE(Facts)
CHILLBOX_MESSAGE(LogEntry)
CHILLBOX_MESSAGE(LogEntries)
CHILLBOX_MESSAGE(LogNews)
CHILLBOX_MESSAGE(JobReport)
CHILLBOX_MESSAGE(NginxText)
CHILLBOX_MESSAGE(CronList)
CHILLBOX_MESSAGE(CronHistory)
CHILLBOX_MESSAGE(CronAnswer)
CHILLBOX_MESSAGE(Certificate)
CHILLBOX_MESSAGE(CertificateList)
CHILLBOX_MESSAGE(CertificateAnswer)
CHILLBOX_MESSAGE(CertificateCheck)
CHILLBOX_MESSAGE(CertificateRenewal)
CHILLBOX_MESSAGE(AcmeAccount)
CHILLBOX_MESSAGE(AuditTrail)
CHILLBOX_MESSAGE(AuditProof)
CHILLBOX_MESSAGE(Unlocked)
CHILLBOX_MESSAGE(Locked)
CHILLBOX_MESSAGE(Maintenance)
CHILLBOX_MESSAGE(Drained)
CHILLBOX_MESSAGE(Roster)
CHILLBOX_MESSAGE(SignedRoster)
CHILLBOX_MESSAGE(RosterTaken)
CHILLBOX_MESSAGE(RolloutOrder)
CHILLBOX_MESSAGE(SignedOrder)
CHILLBOX_MESSAGE(HostReport)
CHILLBOX_MESSAGE(SignedReport)
CHILLBOX_MESSAGE(RolloutStop)
CHILLBOX_MESSAGE(OrderedRollouts)
CHILLBOX_MESSAGE(OrderTaken)
CHILLBOX_MESSAGE(Upgraded)
CHILLBOX_MESSAGE(HoldReleased)
CHILLBOX_MESSAGE(JobsImported)
CHILLBOX_MESSAGE(Withdrawal)
CHILLBOX_MESSAGE(SecretsWithdrawal)
CHILLBOX_MESSAGE(BackupList)
CHILLBOX_MESSAGE(BackupAnswer)
CHILLBOX_MESSAGE(BackupArchive)
CHILLBOX_MESSAGE(Metrics)
CHILLBOX_MESSAGE(MetricsTokens)
CHILLBOX_MESSAGE(MetricsTokenAdded)
CHILLBOX_MESSAGE(ReportLink)
CHILLBOX_MESSAGE(RunAnswer)
CHILLBOX_MESSAGE(RunList)
CHILLBOX_MESSAGE(Snapshot)
CHILLBOX_MESSAGE(SnapshotList)
CHILLBOX_MESSAGE(DataLoss)
CHILLBOX_MESSAGE(RestorePlan)
CHILLBOX_MESSAGE(RestoredTo)
CHILLBOX_MESSAGE(KeyUses)
CHILLBOX_MESSAGE(Kept)
CHILLBOX_MESSAGE(Pruned)
CHILLBOX_MESSAGE(Person)
CHILLBOX_MESSAGE(People)
CHILLBOX_MESSAGE(PersonAdded)
CHILLBOX_MESSAGE(PersonRemoved)
CHILLBOX_MESSAGE(NoticeList)
CHILLBOX_MESSAGE(NotifyTargets)
CHILLBOX_MESSAGE(NotifyTested)
CHILLBOX_MESSAGE(NotifyRetried)
CHILLBOX_MESSAGE(NoticeMessage)
CHILLBOX_MESSAGE(Done)
CHILLBOX_MESSAGE(Plan)
CHILLBOX_MESSAGE(Accepted)
CHILLBOX_MESSAGE(Announcement)
CHILLBOX_MESSAGE(EventBatch)
CHILLBOX_MESSAGE(ErrorData)
CHILLBOX_MESSAGE(ErrorAnswer)

const std::vector<Answer>& answers() {
  static const std::vector<Answer> all{
      {"audit", schema_of<AuditTrail>},
      {"audit_verify", schema_of<AuditProof>},
      {"backup_create", schema_of<BackupAnswer>},
      {"backup_get", schema_of<BackupArchive>},
      {"backup_list", schema_of<BackupList>},
      {"backup_put", schema_of<BackupAnswer>},
      {"backup_verify", schema_of<BackupAnswer>},
      {"cron_history", schema_of<CronHistory>},
      {"cron_list", schema_of<CronList>},
      {"cron_run", schema_of<CronAnswer>},
      {"data_loss", schema_of<DataLoss>},
      {"drain", schema_of<Drained>},
      {"drain_host", schema_of<Drained>},
      {"error", schema_of<ErrorAnswer>},
      {"facts", schema_of<Facts>},
      {"fleet_take", schema_of<RosterTaken>},
      {"hold", schema_of<Done>},
      {"hours", schema_of<Hours>},
      {"job", schema_of<JobAnswer>},
      {"jobs", schema_of<JobList>},
      {"jobs_import", schema_of<JobsImported>},
      {"key_uses", schema_of<KeyUses>},
      {"lock", schema_of<Locked>},
      {"logs", schema_of<LogEntries>},
      {"maintenance_off", schema_of<Maintenance>},
      {"maintenance_on", schema_of<Maintenance>},
      {"metrics", schema_of<Metrics>},
      {"report_link", schema_of<ReportLink>},
      {"report_revoke", schema_of<Done>},
      {"metrics_token_add", schema_of<MetricsTokenAdded>},
      {"metrics_token_list", schema_of<MetricsTokens>},
      {"metrics_token_remove", schema_of<Done>},
      {"nginx_show", schema_of<NginxText>},
      {"notices", schema_of<NoticeList>},
      {"notify_list", schema_of<NotifyTargets>},
      {"notify_retry", schema_of<NotifyRetried>},
      {"notify_test", schema_of<NotifyTested>},
      {"people_add", schema_of<PersonAdded>},
      {"people_list", schema_of<People>},
      {"people_remove", schema_of<PersonRemoved>},
      {"ping", schema_of<Ping>},
      {"plan", schema_of<Plan>},
      {"prune", schema_of<Pruned>},
      {"release_hold", schema_of<HoldReleased>},
      {"releases", schema_of<ReleaseList>},
      {"report_jobs", schema_of<JobReport>},
      {"reload", schema_of<Done>},
      {"remove", schema_of<JobAnswer>},
      {"restart", schema_of<JobAnswer>},
      {"restore", schema_of<JobAnswer>},
      {"restore_plan", schema_of<RestorePlan>},
      {"restore_to", schema_of<RestoredTo>},
      {"retry", schema_of<JobAnswer>},
      {"rollback", schema_of<JobAnswer>},
      {"secrets_withdraw", schema_of<SecretsWithdrawal>},
      {"rollout_look", schema_of<OrderedRollouts>},
      {"rollout_resume", schema_of<Done>},
      {"rollout_stop", schema_of<Done>},
      {"rollout_take", schema_of<OrderTaken>},
      {"run", schema_of<RunAnswer>},
      {"run_show", schema_of<RunAnswer>},
      {"run_stop", schema_of<RunAnswer>},
      {"runs", schema_of<RunList>},
      {"sites", schema_of<SiteList>},
      {"snapshots", schema_of<SnapshotList>},
      {"start", schema_of<JobAnswer>},
      {"status", schema_of<FullStatus>},
      {"stop", schema_of<JobAnswer>},
      {"tls", schema_of<CertificateList>},
      {"tls_account", schema_of<AcmeAccount>},
      {"tls_check", schema_of<CertificateCheck>},
      {"tls_renew", schema_of<CertificateRenewal>},
      {"tls_revoke", schema_of<CertificateAnswer>},
      {"top", schema_of<Usage>},
      {"trust_keep", schema_of<Kept>},
      {"undrain", schema_of<Drained>},
      {"undrain_host", schema_of<Drained>},
      {"unlock", schema_of<Unlocked>},
      {"upgrade", schema_of<Upgraded>},
      {"withdraw", schema_of<Withdrawal>},
  };
  return all;
}

} // namespace chillbox::control
