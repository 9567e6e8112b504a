// Verbs that show.
#include "artifact/stager.hpp"
#include "base/text.hpp"
#include "daemon/control_server.hpp"
#include "daemon/views.hpp"
#include "rollout/steps.hpp"
#include "rollout/trust.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr size_t k_most_rows = 1000;

std::string_view slot_text(openrc::SlotState state) {
  switch (state) {
  case openrc::SlotState::starting: return "starting";
  case openrc::SlotState::started: return "started";
  case openrc::SlotState::crashed: return "crashed";
  case openrc::SlotState::stopped: break;
  }
  return "stopped";
}

// Why no visitor of any site is served; "" : NGINX answers.
std::string nginx_trouble(const rollout::HostContext& world) {
  if (world.paths.testing())
    return ""; // this machine's NGINX is not the test's
  const auto& config = world.config;
  const auto answer = nginx::probe({.port = config.http_port,
      .path = "/healthcheck/",
      .host = config.server_name,
      .timeout = os::Millis{2'000}});
  return answer
      ? ""
      : cat("NGINX does not answer on port ", config.http_port,
            ": no site is served: ", answer.error().message, ": `rc-service nginx start`");
}

struct ServiceState {
  std::string state = "files";
  uint32_t restarts =
      0; // since it was started: after a crash, or when the kernel ended it for want of memory
  std::string trouble; // what is wrong and what to do
};

// Of all copies of one service.
ServiceState look_at(rollout::HostContext& world, const config::Site& site,
    const store::SiteRow& row, const rollout::PlannedService& p, Slot slot) {
  ServiceState seen;
  if (p.kind.listens == rollout::ServiceKind::Listens::no && !p.service.worker)
    return seen;
  const std::string who = cat("service '", p.service.name.str(), "'");
  const auto first = rollout::slot_name(site, p, slot, 0);
  seen.state = slot_text(world.slots.state(first).value_or(openrc::SlotState::stopped));
  for (uint32_t i = 1; i <= p.service.count; ++i) {
    const auto name = rollout::slot_name(site, p, slot, p.service.worker ? i : 0);
    seen.restarts += world.slots.respawns(name);
    const auto next = world.slots.crash_loop(name);
    if (!next || seen.state != "started")
      continue;
    seen.state = "crashing";
    seen.trouble = cat(who, " keeps crashing, ",
        next->count() > 0 ? cat("its next start is in ", (next->count() + 999) / 1000, " s")
                          : "it was just started again",
        ": see `chillboxctl logs ", site.slug.str(), "/", p.service.name.str(), "`");
  }
  const auto port = rollout::port_of(row, p.service.name, slot);
  if (const auto stranger =
          port && !row.stopped ? rollout::stranger_at(world, *port, first) : std::nullopt) {
    seen.state = "displaced";
    seen.trouble = cat(who, ": on its port ", *port, " listens ", os::describe(*stranger),
        ", which is none of its processes: end that one");
  }
  return seen;
}

} // namespace

size_t ControlServer::limit_of(const Json& args, size_t fallback) {
  return std::clamp<size_t>(control::u64_or(args, "limit", fallback), 0, k_most_rows);
}

Result<SiteName> ControlServer::site_of(const Json& args) {
  return SiteName::parse(TRY(control::string_at(args, "site")));
}

Result<Json> ControlServer::ping(const Call&) {
  Json json{
      {"version", CHILLBOX_VERSION}, {"sealed", !m_world.vault.unsealed()}, {"pid", ::getpid()}};
  const std::lock_guard lock(m_mutex);
  if (!m_not_upgraded.empty())
    json["not_upgraded"] = m_not_upgraded;
  return json;
}

Result<Json> ControlServer::site_view(const store::SiteRow& row) {
  Json json{{"site", row.site.str()}, {"state", "none"}, {"version", ""}, {"release", row.live},
      {"live_ms", 0}, {"waiting", ""}, {"previous_good", row.previous_good},
      {"services", Json::array()}};
  if (const auto hold = TRY(m_world.store.hold(row.site)))
    json["hold"] = {{"actor", hold->actor}, {"why", hold->why}, {"time_ms", hold->time_ms}};
  const bool maintained = m_world.disk.exists(nginx::maintenance_flag(m_world.paths, row.site));
  json["maintenance"] = maintained;
  if (row.live.empty())
    return json;
  json["state"] = row.stopped ? "stopped" : "live";
  const auto release = TRY(m_world.store.release(row.site, row.live));
  if (!release)
    return json;
  json["version"] = release->version;
  json["live_ms"] = release->live_ms;
  const auto good = rollout::check_live(m_world, *release);
  json["distrust"] = good ? "" : good.error().message;
  if (!good && !row.stopped && !m_world.disk.exists(m_world.paths.live(row.site))) {
    json["state"] = "refused";
    json["waiting"] = good.error().message;
    return json;
  }
  // Somebody moved the link by hand: shown, and put right by the next job, never in silence (faults
  // 121).
  if (const auto link = m_world.disk.read_link(m_world.paths.current(row.site));
      !link || *link != "releases/" + row.live) {
    json["state"] = "degraded";
    json["waiting"] = cat("`current` points to '",
        link && *link ? printable(**link, 100) : "nothing", "', the live release is ", row.live,
        ": `chillboxctl restart ", row.site.str(), "` puts it right");
  }
  rollout::JobControl signals;
  rollout::JobContext r(m_world, store::Job{.site = row.site}, signals);
  r.release = *release;
  if (auto loaded = rollout::load_release(r); !loaded) {
    json["state"] = loaded.error().code == Code::sealed ? "sealed" : "degraded";
    json["waiting"] = loaded.error().message;
    return json;
  }
  const auto missing =
      row.stopped ? std::vector<std::string>{} : rollout::missing_secrets(m_world, r.site);
  for (const auto& p : r.services) {
    const auto seen = look_at(m_world, r.site, row, p, release->slot);
    if (seen.state != "started" && seen.state != "files" && missing.empty() && !row.stopped)
      json["state"] = "degraded";
    if (!seen.trouble.empty())
      json["waiting"] = seen.trouble;
    json["services"].push_back({{"name", p.service.name.str()}, {"lang", p.service.lang},
        {"slot", letter(release->slot)}, {"state", seen.state}, {"restarts", seen.restarts}});
  }
  if (r.site.has_redis) {
    const auto state =
        m_world.slots.state(rollout::redis_slot(row.site)).value_or(openrc::SlotState::stopped);
    if (state != openrc::SlotState::started && !row.stopped)
      json["state"] = "degraded";
    json["services"].push_back(
        {{"name", "redis"}, {"lang", "redis"}, {"slot", ""}, {"state", slot_text(state)}});
  }
  if (!good)
    json["waiting"] =
        cat("runs until it is replaced or the host is rebooted: ", good.error().message);
  if (maintained)
    json["waiting"] = cat("visitors get the maintenance page: `chillboxctl maintenance off ",
        row.site.str(), "` ends that");
  if (!missing.empty()) {
    json["state"] = "sealed";
    json["waiting"] = cat("waits for ", join(missing, ", "), ": `chillboxctl unlock`");
  }
  return json;
}

Result<Json> ControlServer::sites(const Call&) {
  Json list = Json::array();
  for (const auto& row : TRY(m_world.store.sites()))
    list.push_back(TRY(site_view(row)));
  return Json{{"sites", std::move(list)}};
}

Result<Json> ControlServer::status(const Call& call) {
  Json result = TRY(sites(call));
  size_t waiting = 0;
  for (const auto& job : TRY(m_world.store.unfinished()))
    waiting += job.state == store::JobState::waiting_unlock ? 1 : 0;
  const auto attempts = TRY(m_world.store.attempts(call.visit.uid));
  const auto failures = TRY(m_world.store.unlock_failures());
  const auto entries = TRY(m_world.store.audit_entries(1));
  const int64_t newest =
      entries.empty() ? 0 : entries[0].time_ms; // a clock that is behind it was set back
  Json warnings = Json::array();
  {
    const std::lock_guard lock(m_mutex);
    for (const auto& text : m_warnings)
      warnings.push_back(text);
  }
  result["host"] = {{"version", CHILLBOX_VERSION}, {"sealed", !m_world.vault.unsealed()},
      {"recipient",
          std::string(trim(m_world.disk.read(m_world.paths.recipient(), 256).value_or("")))},
      {"server_name", m_world.config.server_name},
      {"uptime_s",
          std::chrono::duration_cast<std::chrono::seconds>(m_world.clock.mono() - m_started)
              .count()},
      {"running", m_engine.running()}, {"waiting_unlock", waiting}, {"unlock_failures", failures},
      {"unlock_wait_s", (unlock_wait_ms(attempts) + 999) / 1000}, {"newest_ms", newest},
      {"nginx", nginx_trouble(m_world)},
      {"refused_webhooks", m_ask.refused_webhooks ? m_ask.refused_webhooks() : 0},
      {"refused_uploads", m_ask.refused_uploads ? m_ask.refused_uploads() : 0},
      {"warnings", std::move(warnings)}};
  return result;
}

Result<Json> ControlServer::releases(const Call& call) {
  const auto site = TRY(site_of(call.args));
  const auto row = TRY(m_world.store.site(site));
  const auto releases = TRY(m_world.store.releases(site));
  if (!row && releases.empty())
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  Json list = Json::array();
  for (const auto& release : releases) {
    Json one = view(release, row ? row->live : "");
    const auto good = rollout::check_release(m_world, release);
    one["distrust"] = good ? "" : good.error().message;
    one["withdrawn"] = !rollout::check_withdrawn(m_world, site, release.sha256, 0);
    list.push_back(std::move(one));
  }
  return Json{{"site", site.str()}, {"live", row ? row->live : ""}, {"releases", std::move(list)}};
}

Result<Json> ControlServer::jobs(const Call& call) {
  Json list = Json::array();
  for (const auto& job :
      TRY(m_world.store.jobs(control::string_or(call.args, "site", ""), limit_of(call.args, 20))))
    list.push_back(view(job));
  return Json{{"jobs", std::move(list)}};
}

Result<Json> ControlServer::job(const Call& call) {
  return follow(call, TRY(control::string_at(call.args, "job")),
      control::bool_or(call.args, "follow", false), false);
}

// Sends the job's events, and waits for more of them until it has ended when asked to.
Result<Json> ControlServer::follow(
    const Call& call, const std::string& id, bool to_the_end, bool as_error) {
  constexpr os::Millis k_look_again{2'000};
  uint64_t after = control::u64_or(call.args, "after", 0);
  for (;;) {
    const uint64_t seen = m_changes.count();
    const auto job = TRY(m_world.store.job(id));
    if (!job)
      return fail(Code::not_found, cat("no job '", printable(id, 40), "'"));
    const auto events = TRY(m_world.store.events(id, after));
    for (const auto& event : events) {
      TRY(control::write_frame(call.fd, control::event_text(view(event))));
      after = event.number;
    }
    if (!events.empty())
      continue;
    if (job->finished_ms != 0 && as_error && job->code)
      return fail(*job->code, job->message);
    if (job->finished_ms != 0 || !to_the_end)
      return Json{{"job", view(*job)}};
    TRY(may_wait(call, cat("; job ", id, " goes on")));
    m_changes.wait(seen, k_look_again);
  }
}

Result<Json> ControlServer::logs(const Call& call) {
  constexpr size_t k_tail = 256 * 1024;
  constexpr os::Millis k_pause{300};
  const auto site = TRY(site_of(call.args));
  const std::string only = control::string_or(call.args, "service", "");
  const size_t lines = std::clamp<size_t>(control::u64_or(call.args, "lines", 20), 0, 10'000);
  const std::string dir = m_world.paths.logs_of(site);
  std::vector<std::pair<std::string, uint64_t>> files; // service, offset that was shown
  for (const auto& file : TRY(m_world.disk.list(dir)))
    if (file.ends_with(".log") && (only.empty() || file == only + ".log"))
      files.emplace_back(file.substr(0, file.size() - 4), 0);
  if (files.empty())
    return fail(Code::not_found,
        cat("no log of '", site.str(), only.empty() ? "" : "/", printable(only, 40), "'"));
  for (bool first = true;; first = false) {
    for (auto& [service, offset] : files) {
      const std::string path = cat(dir, "/", service, ".log");
      const uint64_t size = m_world.disk.size(path);
      if (size < offset)
        offset = 0; // rotated
      const auto text = TRY(m_world.disk.tail(path, offset, k_tail));
      const auto end = text.rfind('\n');
      if (end == std::string::npos)
        continue;
      auto rows = split(std::string_view(text).substr(0, end), '\n');
      if (first && rows.size() > lines)
        rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(lines));
      for (auto row : rows)
        TRY(control::write_frame(
            call.fd, control::event_text({{"service", service}, {"line", printable(row, 4000)}})));
      offset = (text.size() < k_tail ? offset : size - text.size()) + end + 1;
    }
    if (!control::bool_or(call.args, "follow", false) || m_stopping)
      return Json::object();
    TRY(may_wait(call, ""));
    m_world.clock.sleep(k_pause);
  }
}

Result<Json> ControlServer::audit(const Call& call) {
  Json list = Json::array();
  for (const auto& entry : TRY(m_world.store.audit_entries(limit_of(call.args, 20))))
    list.push_back(view(entry));
  return Json{{"entries", std::move(list)}};
}

Result<Json> ControlServer::audit_verify(const Call& call) {
  const auto head = TRY(m_world.store.verify_audit(control::string_or(call.args, "head", "")));
  return Json{{"entries", head.entries}, {"head", head.text()}};
}

} // namespace chillbox::daemon
