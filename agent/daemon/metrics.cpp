#include "daemon/metrics.hpp"

#include "base/text.hpp"

#include <array>

namespace chillbox::daemon {
namespace {

using control::Exposition;
using control::Label;
using control::MetricKind;
using rollout::Facts;
using rollout::ServiceFacts;
using rollout::SiteFacts;

std::string code_text(uint16_t code) {
  return std::to_string(1000 + code).substr(1);
}

template <class V>
void maybe(Exposition& out, control::Labels labels, const std::optional<V>& value) {
  if (value)
    out.sample(labels, *value);
}

void machine(Exposition& out, const Facts& f) {
  const auto gauge = [&](std::string_view name, std::string_view help, const auto& value) {
    out.family(name, MetricKind::gauge, help);
    maybe(out, {}, value);
  };
  const auto& m = f.machine;
  gauge("chillbox_host_load1", "Load average of the last minute.", m.load1);
  gauge("chillbox_host_processors", "Processors that are online.", std::optional(m.processors));
  gauge("chillbox_host_uptime_seconds", "Since the boot.", m.uptime_s);
  gauge("chillbox_host_memory_bytes", "Memory of the machine.", m.memory_total);
  gauge("chillbox_host_memory_available_bytes", "Memory that programs can still get.",
      m.memory_available);
  const auto of_disk = [&](uint64_t os::Space::* what) {
    return m.disks.empty() ? std::nullopt : std::optional(m.disks[0].space.*what);
  };
  // Some file systems do not count their inodes.
  const bool inodes = of_disk(&os::Space::total_inodes).value_or(0) > 0;
  const auto of_inodes = [&](uint64_t os::Space::* what) {
    return inodes ? of_disk(what) : std::nullopt;
  };
  gauge("chillbox_host_disk_bytes", "Size of the disk of /var/lib/chillbox.",
      of_disk(&os::Space::total_bytes));
  gauge("chillbox_host_disk_avail_bytes", "What is free of it.", of_disk(&os::Space::free_bytes));
  gauge("chillbox_host_disk_inodes", "Inodes of that disk.", of_inodes(&os::Space::total_inodes));
  gauge(
      "chillbox_host_disk_inodes_free", "Those that are free.", of_inodes(&os::Space::free_inodes));
}

void agent(Exposition& out, const Facts& f) {
  const auto& a = f.agent;
  out.family("chillbox_build", MetricKind::info, "The chillboxd that answers.");
  out.info({{"version", a.version}});
  out.family("chillbox_start_time_seconds", MetricKind::gauge,
      "When chillboxd started: counters of requests begin at 0 then.");
  out.time({}, a.started_ms);
  out.family("chillbox_sealed", MetricKind::gauge, "1 while the host is locked.");
  out.sample({}, uint64_t{a.sealed});
  out.family("chillbox_unlock_failures", MetricKind::gauge,
      "Wrong passphrases since the last unlock of each user.");
  out.sample({}, a.unlock_failures);
  out.family("chillbox_agent_memory_bytes", MetricKind::gauge, "Memory of the monitor.");
  maybe(out, {}, a.memory);
  out.family("chillbox_jobs_open", MetricKind::gauge, "Jobs that have not ended, by state.");
  out.sample({{"state", "running"}}, a.jobs_running);
  out.sample({{"state", "waiting"}}, a.jobs_waiting());
  out.family("chillbox_webhooks_refused", MetricKind::counter, "Webhooks that were refused.");
  out.sample({}, a.refused_webhooks);
  out.family("chillbox_uploads_refused", MetricKind::counter, "Uploads that were refused.");
  out.sample({}, a.refused_uploads);
}

void certificates(Exposition& out, const Facts& f) {
  out.family("chillbox_certificate_not_after_timestamp_seconds", MetricKind::gauge,
      "When the certificate that is served ends; of _host, the host's own name, too.");
  for (const auto& c : f.certificates)
    if (c.not_after_ms > 0)
      out.time({{"site", c.site}, {"certificate", c.id}}, c.not_after_ms);
  out.family("chillbox_certificate_failures", MetricKind::gauge,
      "Orders of a certificate that failed in a row.");
  for (const auto& c : f.certificates)
    out.sample({{"site", c.site}, {"certificate", c.id}}, c.failures);
}

void notices(Exposition& out, const Facts& f) {
  constexpr std::array<std::string_view, 3> k_severities{"info", "warning", "error"};
  out.family("chillbox_notices_open", MetricKind::gauge, "What is wrong now, by severity.");
  for (size_t i = 0; i < k_severities.size(); ++i)
    out.sample({{"severity", k_severities[i]}}, f.notices.open[i]);
  out.family("chillbox_outbox_pending", MetricKind::gauge, "Messages that wait to be sent.");
  out.sample({}, f.notices.waiting);
  out.family("chillbox_outbox_exhausted", MetricKind::gauge,
      "Messages that were given up; `notify retry` sends them again.");
  out.sample({}, f.notices.exhausted);
}

void backups(Exposition& out, const Facts& f) {
  const auto times = [&](std::string_view what, int64_t control::BackupState::* at) {
    out.family(cat("chillbox_backup_", what, "_timestamp_seconds"), MetricKind::gauge,
        "When the newest backup of the site was taken, stored, or proven by a restore.");
    for (const auto& backup : f.backups)
      if (backup.*at > 0)
        out.time({{"site", backup.site.str()}}, backup.*at);
  };
  times("taken", &control::BackupState::taken_ms);
  times("stored", &control::BackupState::stored_ms);
  times("proven", &control::BackupState::proven_ms);
}

bool is_up(const SiteFacts& site) {
  return site.state == control::SiteState::live && !site.maintenance;
}

void sites(Exposition& out, const Facts& f) {
  out.family("chillbox_site", MetricKind::info, "What is live.");
  for (const auto& s : f.sites)
    out.info({{"site", s.site.str()}, {"version", s.version}, {"release", s.release}});
  out.family("chillbox_site_up", MetricKind::gauge,
      "1 if the site is live, all its services run, and there is no maintenance.");
  for (const auto& s : f.sites)
    out.sample({{"site", s.site.str()}}, uint64_t{is_up(s)});
  out.family("chillbox_site_held", MetricKind::gauge, "1 while deploys of the site are refused.");
  for (const auto& s : f.sites)
    out.sample({{"site", s.site.str()}}, uint64_t{s.hold.has_value()});
  out.family(
      "chillbox_deploy_timestamp_seconds", MetricKind::gauge, "When the live release went live.");
  for (const auto& s : f.sites)
    if (s.live_ms > 0)
      out.time({{"site", s.site.str()}}, s.live_ms);
  out.family("chillbox_jobs", MetricKind::counter, "Jobs that ended, by kind and result.");
  for (const auto& s : f.sites)
    for (const auto& t : s.totals)
      if (t.what == "job")
        out.sample({{"site", t.site}, {"kind", t.kind}, {"result", t.result}}, t.number);
  out.family("chillbox_job_duration_seconds", MetricKind::summary, "How long they took.");
  for (const auto& s : f.sites)
    for (const auto& t : s.totals)
      if (t.what == "job")
        out.summary({{"site", t.site}, {"kind", t.kind}, {"result", t.result}}, t.number,
            static_cast<double>(t.ms) / 1000);
  out.family("chillbox_cron_runs", MetricKind::counter,
      "Runs of crontab entries that ended, or were skipped.");
  for (const auto& s : f.sites)
    for (const auto& t : s.totals)
      if (t.what == "run" && t.kind == "cron")
        out.sample({{"site", t.site}, {"result", t.result}}, t.number);
}

// A family that each service may have one sample of.
template <class Value> void of_services(Exposition& out, const Facts& f, std::string_view name,
    MetricKind kind, std::string_view help, Value&& value) {
  out.family(name, kind, help);
  for (const auto& site : f.sites)
    for (const auto& service : site.services)
      if (service.runs())
        maybe(out, {{"site", site.site.str()}, {"service", service.name}}, value(service));
}

void services(Exposition& out, const Facts& f) {
  const auto each = [&](std::string_view name, MetricKind kind, std::string_view help,
                        auto&& value) { of_services(out, f, name, kind, help, value); };
  using S = ServiceFacts;
  using Maybe = std::optional<uint64_t>;
  each("chillbox_service_up", MetricKind::gauge, "1 if it runs and does not keep crashing.",
      [](const S& s) { return Maybe(s.state == control::ServiceState::started); });
  each("chillbox_service_starts", MetricKind::counter,
      "Starts of its processes, of this release in its slot.",
      [](const S& s) { return Maybe(s.starts); });
  each("chillbox_service_cpu_seconds", MetricKind::counter, "Processor time of this release.",
      [](const S& s) {
        return s.usage.cpu_us ? std::optional(static_cast<double>(*s.usage.cpu_us) / 1e6)
                              : std::nullopt;
      });
  each("chillbox_service_memory_bytes", MetricKind::gauge, "Memory of its control group.",
      [](const S& s) { return s.usage.memory; });
  each("chillbox_service_memory_limit_bytes", MetricKind::gauge, "What it may have.",
      [](const S& s) { return s.usage.memory_limit; });
  each("chillbox_service_oom_kills", MetricKind::counter,
      "Processes that the kernel ended for want of memory.",
      [](const S& s) { return s.usage.oom_kills; });
  each("chillbox_service_tasks", MetricKind::gauge, "Processes and threads.",
      [](const S& s) { return s.usage.tasks; });
  each("chillbox_service_accept_queue", MetricKind::gauge,
      "Connections that wait to be accepted; of services on a unix socket.",
      [](const S& s) { return s.accept_queue ? Maybe(*s.accept_queue) : std::nullopt; });
}

template <class Each> void of_requests(Exposition& out, const Facts& f, std::string_view name,
    MetricKind kind, std::string_view help, Each&& each) {
  out.family(name, kind, help);
  for (const auto& site : f.sites)
    for (const auto& [service, requests] : site.counts.services)
      each(Label{"site", site.site.str()}, Label{"service", service}, requests);
}

void requests(Exposition& out, const Facts& f) {
  using R = nginx::RequestCounts;
  of_requests(out, f, "chillbox_http_requests", MetricKind::counter,
      "Requests, by status; service nginx: what NGINX answered itself.",
      [&](Label site, Label service, const R& r) {
        for (const auto& [code, count] : r.codes)
          out.sample({site, service, {"code", code_text(code)}}, count);
        if (r.other_codes > 0)
          out.sample({site, service, {"code", "other"}}, r.other_codes);
      });
  of_requests(out, f, "chillbox_http_request_duration_seconds", MetricKind::histogram,
      "From the first byte of a request to the last of its answer.",
      [&](Label site, Label service, const R& r) {
        out.histogram({site, service}, nginx::Histogram::k_bounds, r.seconds.counts, r.seconds.sum);
      });
  of_requests(out, f, "chillbox_http_upstream_duration_seconds", MetricKind::histogram,
      "As long as the service took for it.", [&](Label site, Label service, const R& r) {
        if (r.upstream_seconds.all() > 0)
          out.histogram({site, service}, nginx::Histogram::k_bounds, r.upstream_seconds.counts,
              r.upstream_seconds.sum);
      });
  of_requests(out, f, "chillbox_http_request_bytes", MetricKind::counter, "Bytes of requests.",
      [&](Label site, Label service, const R& r) { out.sample({site, service}, r.received); });
  of_requests(out, f, "chillbox_http_response_bytes", MetricKind::counter, "Bytes of answers.",
      [&](Label site, Label service, const R& r) { out.sample({site, service}, r.sent); });
  of_requests(out, f, "chillbox_http_cache", MetricKind::counter,
      "Requests that asked a cache of a template, by what it had.",
      [&](Label site, Label service, const R& r) {
        for (size_t i = 0; i < r.cache.size(); ++i)
          if (r.cache[i] > 0)
            out.sample({site, service, {"status", nginx::k_cache_states[i]}}, r.cache[i]);
      });
}

void counting(Exposition& out, const Facts& f) {
  out.family("chillbox_counts_bad_lines", MetricKind::counter,
      "Lines of NGINX's log of requests that are none.");
  for (const auto& site : f.sites)
    out.sample({{"site", site.site.str()}}, site.counts.bad_lines);
  out.family("chillbox_counts_last_timestamp_seconds", MetricKind::gauge,
      "When the newest request ended that was counted.");
  for (const auto& site : f.sites)
    if (site.counts.last_ms > 0)
      out.time({{"site", site.site.str()}}, site.counts.last_ms);
}

void left_out(Exposition& out, uint64_t count) {
  out.family("chillbox_metrics_left_out", MetricKind::gauge,
      "Series of sites that are left out because there are more than metrics.series_max.");
  out.sample({}, count);
}

Exposition of_host(const Facts& facts, control::MetricsFormat format, uint64_t missing) {
  Exposition out(format);
  agent(out, facts);
  machine(out, facts);
  notices(out, facts);
  left_out(out, missing);
  return out;
}

} // namespace

std::string render_metrics(const Facts& facts, control::MetricsFormat format, uint64_t series_max) {
  Exposition out = of_host(facts, format, 0);
  const uint64_t host = out.series();
  certificates(out, facts);
  backups(out, facts);
  sites(out, facts);
  services(out, facts);
  requests(out, facts);
  counting(out, facts);
  if (out.series() > series_max)
    out = of_host(facts, format, out.series() - host);
  return std::move(out).finish();
}

std::shared_ptr<const std::string> MetricsText::of(
    std::shared_ptr<const Facts> facts, control::MetricsFormat format, uint64_t series_max) {
  const std::scoped_lock lock(m_mutex);
  Kept& kept = m_kept.at(static_cast<size_t>(format));
  if (kept.facts != facts) {
    kept.text = std::make_shared<const std::string>(render_metrics(*facts, format, series_max));
    kept.facts = std::move(facts);
  }
  return kept.text;
}

} // namespace chillbox::daemon
