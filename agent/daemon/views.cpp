#include "daemon/views.hpp"

namespace chillbox::daemon {

control::Json view(const store::Job& job) {
  return {{"id", job.id}, {"kind", store::name(job.kind)}, {"site", job.site.str()},
      {"version", job.version}, {"state", store::name(job.state)}, {"step", job.step},
      {"actor", job.actor}, {"release", job.release}, {"previous", job.previous},
      {"created_ms", job.created_ms}, {"started_ms", job.started_ms},
      {"finished_ms", job.finished_ms}, {"gap_ms", job.gap_ms},
      {"code", job.code ? std::string(code_name(*job.code)) : ""}, {"message", job.message}};
}

control::Json view(const store::JobEvent& event) {
  return {{"number", event.number}, {"time_ms", event.time_ms}, {"step", event.step},
      {"kind", store::name(event.kind)}, {"text", event.text}};
}

control::Json view(const store::Release& release, const std::string& live) {
  return {{"id", release.id}, {"version", release.version}, {"serial", release.serial},
      {"state", store::name(release.state)}, {"live", release.id == live},
      {"slot", letter(release.slot)}, {"created_ms", release.created_ms},
      {"live_ms", release.live_ms}, {"signer", release.signer}, {"message", release.message},
      {"last_log", release.last_log}};
}

control::Json view(const store::CronRun& run) {
  return {{"id", run.id}, {"site", run.site.str()}, {"release", run.release}, {"line", run.line},
      {"actor", run.actor}, {"state", store::name(run.state)}, {"started_ms", run.started_ms},
      {"ended_ms", run.ended_ms}, {"code", run.code ? control::Json(*run.code) : control::Json()},
      {"count", run.count}, {"text", run.text}};
}

control::Json view(const store::AuditEntry& entry) {
  return {{"number", entry.number}, {"time_ms", entry.time_ms}, {"actor", entry.actor},
      {"verb", entry.verb}, {"site", entry.site}, {"text", entry.text}, {"outcome", entry.outcome}};
}

} // namespace chillbox::daemon
