#include "rollout/data_exchange.hpp"

#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/redis.hpp"
#include "rollout/service_environment.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/slots.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"
#include "rollout/stop_first.hpp"

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "cron/task.hpp"
#include "os/exchange.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

namespace chillbox::rollout {
namespace {

struct Record {
  std::string job;
  uint64_t number = 0;          // of the snapshot
  uint64_t live = 0, other = 0; // directories: the data, and what is to become them
};

std::string record_file(const os::Paths& paths, const SiteName& site) {
  return snapshots_dir(paths, site) + "/exchange.json";
}

Result<std::optional<Record>> read_record(HostContext& host, const SiteName& site) {
  if (!host.disk.exists(record_file(host.paths, site)))
    return std::optional<Record>();
  const Json json = TRY_IN(record_file(host.paths, site),
      parse_json(TRY(host.disk.read(record_file(host.paths, site), 4096)), 4096));
  Record record;
  record.job = TRY(control::string_at(json, "job"));
  record.number = TRY(control::u64_at(json, "number"));
  record.live = TRY(control::u64_at(json, "live"));
  record.other = TRY(control::u64_at(json, "other"));
  return record;
}

Result<void> write_record(HostContext& host, const SiteName& site, const Record& r) {
  return host.disk.write(record_file(host.paths, site),
      dump(Json{{"job", r.job}, {"number", r.number}, {"live", r.live}, {"other", r.other}}), 0600,
      {::geteuid(), ::getegid()});
}

Result<bool> is_exchanged(HostContext& host, const SiteName& site, const Record& record) {
  const std::string data = host.paths.data(site),
                    kept = snapshot_data(host.paths, site, record.number);
  const uint64_t live = TRY(os::directory_number(data)), other = TRY(os::directory_number(kept));
  if (live == record.live && other == record.other)
    return false;
  if (live == record.other && other == record.live)
    return true;
  return fail(Code::corrupt,
      cat(data, " and ", kept, " are not the directories that job ", record.job,
          " was exchanging: somebody moved them. Put the right data at ", data, ", remove ",
          record_file(host.paths, site), " and run `chillboxctl start ", site.str(), "`"));
}

Result<void> exchange(HostContext& host, const SiteName& site, const Record& record) {
  return os::exchange_directories(
      host.paths.data(site), snapshot_data(host.paths, site, record.number));
}

// Whatever runs of the site, or is run of it by somebody.
Result<void> stop_all(HostContext& host, const SiteName& site) {
  cron::Tasks tasks(host.disk, host.clock, host.paths);
  TRY(tasks.kill_all(site));
  TRY(stop_slots(host, site, Slot::none));
  return tasks.kill_all(site); // one that began before the record was there
}

Result<void> exchange_back(HostContext& host, const SiteName& site, const Record& record) {
  if (!TRY(is_exchanged(host, site, record)))
    return {};
  TRY(stop_all(host, site));
  return exchange(host, site, record);
}

// The snapshot is the data that were live until now.
Result<void> end_exchange(
    HostContext& host, const SiteName& site, const Record& record, const store::Job& job) {
  if (TRY(is_exchanged(host, site, record))) {
    const auto size = host.disk.measure(snapshot_data(host.paths, site, record.number));
    TRY(record_snapshot(host, site,
        {.number = record.number,
            .kind = std::string(store::name(job.kind)),
            .release = job.previous,
            .before = job.release,
            .job = job.id,
            .time_ms = host.clock.wall_ms(),
            .bytes = size ? size->bytes : 0,
            .entries = size ? size->entries : 0}));
  }
  return host.disk.remove(record_file(host.paths, site));
}

// The last that this release worked with.
Result<Snapshot> choose(HostContext& host, const SiteName& site, const std::string& release) {
  if (auto found = TRY(snapshot_for(host, site, release)))
    return std::move(*found);
  std::vector<std::string> others;
  for (const auto& s : TRY(snapshots_of(host, site)))
    others.push_back(cat(s.number, " of ", s.release));
  return fail(Code::not_found,
      cat("there is no snapshot of the data of ", release,
          others.empty() ? "" : cat(" (there is: ", join(others, ", "), ")"),
          ": one is made before a release_command; without --with-data the data stay as they are"));
}

struct Wanted {
  uint64_t number; // of the snapshot in whose place they are
  std::string what;
};
Result<Wanted> wanted_data(JobContext& r) {
  if (r.job.kind == store::JobKind::restore)
    return Wanted{r.prepared, "its data become those of the backup"};
  const auto snapshot = TRY(choose(r.host, r.job.site, r.release.row.id));
  return Wanted{snapshot.number,
      cat("its data go back to snapshot ", snapshot.number, ", taken before ", snapshot.before)};
}

Result<Next> run_stop_all(JobContext& r) {
  const auto& site = r.job.site;
  const auto wanted = TRY(wanted_data(r));
  const std::string data = r.host.paths.data(site),
                    kept = snapshot_data(r.host.paths, site, wanted.number);
  if (!os::same_filesystem(data, kept))
    return fail(Code::preflight,
        cat(data, " and ", kept, " are two file systems: they cannot change places"));
  TRY(settle_snapshots(r.host, site)); // whole on the disk first
  if (r.control.cancelled())
    return fail(Code::interrupted, "cancelled before the site stopped");
  TRY(write_record(r.host, site,
      {.job = r.job.id,
          .number = wanted.number,
          .live = TRY(os::directory_number(data)),
          .other = TRY(os::directory_number(kept))}));
  r.downtime_begun = r.host.clock.mono();
  r.info(cat("the site stops; ", wanted.what));
  TRY(stop_all(r.host, site));
  return Next::proceed;
}

Result<void> start_old(JobContext& r) {
  if (!r.old || r.was_stopped)
    return {};
  auto back = TRY(load(r.host, *r.old));
  auto row = r.row;
  TRY(assign_ports(r.host, row, back));
  TRY(start_slots(r.host, back, services_of(back.site, missing_secrets(r.host, back.site))));
  for (const auto& p : back.services)
    (void)wait_for_probe(r.host, r.control, back, p);
  return {};
}

// Never with other data than its own.
Result<void> undo_stop_all(JobContext& r) {
  const auto forget = [&r]() -> Result<void> {
    const auto record = TRY(read_record(r.host, r.job.site));
    if (!record || record->job != r.job.id)
      return {};
    if (TRY(is_exchanged(r.host, r.job.site, *record)))
      return fail(Code::failure, "its data are not the old ones");
    return r.host.disk.remove(record_file(r.host.paths, r.job.site));
  };
  TRY_IN("the site does not start again", forget());
  TRY_IN("the site does not start again", start_old(r));
  end_downtime(r);
  return {};
}

Result<Next> run_exchange(JobContext& r) {
  const auto record = TRY(read_record(r.host, r.job.site));
  if (!record || record->job != r.job.id)
    return fail(Code::corrupt, "the record of this exchange is gone");
  if (!TRY(is_exchanged(r.host, r.job.site, *record)))
    TRY(exchange(r.host, r.job.site, *record));
  TRY(share_data(r.host, r.release));
  r.info(r.job.kind == store::JobKind::restore
          ? "the data and the restored ones have changed places"
          : "the data and the snapshot have changed places");
  return Next::proceed;
}

Result<void> undo_exchange(JobContext& r) {
  const auto record = TRY_IN("the data are not as they were", read_record(r.host, r.job.site));
  if (record && record->job == r.job.id)
    TRY_IN("the data are not as they were", exchange_back(r.host, r.job.site, *record));
  return {};
}

Result<Next> run_keep_data(JobContext& r) {
  if (const auto record = TRY(read_record(r.host, r.job.site))) {
    TRY(end_exchange(r.host, r.job.site, *record, r.job));
    r.info(cat("what the data were until now is snapshot ", record->number));
    if (r.job.kind == store::JobKind::restore)
      r.job.message = cat("the data are restored; what they were is snapshot ", record->number,
          " (release ", r.release.row.id, ", slot ", letter(r.release.row.slot), ")");
  }
  return Next::proceed;
}

} // namespace

bool data_moves(const HostContext& host, const SiteName& site) {
  return host.disk.exists(record_file(host.paths, site));
}

Result<std::optional<uint64_t>> moving_snapshot(HostContext& host, const SiteName& site) {
  const auto record = TRY(read_record(host, site));
  return record ? std::optional(record->number) : std::nullopt;
}

Result<control::DataLoss> data_loss(
    HostContext& host, const SiteName& site, const std::string& wanted) {
  const auto row = TRY(host.store.site(site));
  if (!row)
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  std::string release = wanted.empty() ? row->previous_good : "";
  for (const auto& known :
      TRY(host.store.kept_releases(site))) // newest first, as a rollback chooses
    if (release.empty() && (known.id == wanted || known.version == wanted))
      release = known.id;
  if (release.empty())
    return fail(Code::not_found,
        cat("no good release '", printable(wanted, 80), "' of '", site.str(), "' to roll back to"));
  control::DataLoss loss{
      .site = site.str(), .release = release, .snapshot = TRY(choose(host, site, release))};
  if (const auto now = look_at_data(host, site, loss.snapshot.time_ms)) {
    loss.changed = now->changed;
    loss.newest_ms = now->newest_ms;
    loss.bytes = now->bytes;
  } else {
    loss.unknown = now.error().message; // it informs, and the way back must not depend on it
  }
  return loss;
}

Result<void> settle_exchange(HostContext& host, const SiteName& site) {
  const auto record = TRY(read_record(host, site));
  if (!record)
    return {};
  const auto job = TRY(host.store.job(record->job));
  const auto row = TRY(host.store.site(site));
  const bool committed = job && row && !job->release.empty() && row->live == job->release &&
      job->previous != job->release;
  if (committed)
    return end_exchange(host, site, *record, *job);
  if (TRY(is_exchanged(host, site, *record)))
    log::warn(cat("site '", site.str(), "': job ", record->job,
        " did not get to its end: the data are what they were before it"));
  TRY(exchange_back(host, site, *record));
  return host.disk.remove(record_file(host.paths, site));
}

extern const Step k_stop_all{.name = "stop",
    .run = run_stop_all,
    .undo = undo_stop_all,
    .ends_watch = true,
    .recorded_first = true};
extern const Step k_exchange{
    .name = "exchange", .run = run_exchange, .undo = undo_exchange, .recorded_first = true};
extern const Step k_keep_data{
    .name = "keep-data", .run = run_keep_data, .phase = Step::Phase::after_commit};

} // namespace chillbox::rollout
