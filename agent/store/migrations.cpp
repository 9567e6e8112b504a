#include "store/migrations_seen.hpp"
#include "store/schema.hpp"

#include <array>

namespace chillbox::store {
namespace {

// Times are milliseconds since 1970, UTC. What says "" in a value of types.hpp is '' here; NULL is
// only for "no code yet".
constexpr std::string_view k_v1 = R"sql(
CREATE TABLE meta(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- seq is the order of arrival; open is 1 until the job has ended
CREATE TABLE jobs(
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  open INTEGER NOT NULL,
  kind TEXT NOT NULL,
  site TEXT NOT NULL,
  version TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  service TEXT NOT NULL,
  actor TEXT NOT NULL,
  options TEXT NOT NULL,
  state TEXT NOT NULL,
  step TEXT NOT NULL,
  release TEXT NOT NULL,
  previous TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  finished_ms INTEGER NOT NULL,
  code TEXT,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_open ON jobs(site) WHERE open = 1;

CREATE TABLE events(
  job INTEGER NOT NULL REFERENCES jobs(seq) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  step TEXT NOT NULL,
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY(job, number)
) STRICT, WITHOUT ROWID;

-- the replay memory; it may outlive the job that it names
CREATE TABLE deliveries(
  seq INTEGER PRIMARY KEY,
  sender TEXT NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  by_body INTEGER NOT NULL,
  job TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  UNIQUE(sender, id)
) STRICT;
CREATE INDEX deliveries_body ON deliveries(sender, body) WHERE by_body = 1;

CREATE TABLE releases(
  seq INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  id TEXT NOT NULL,
  version TEXT NOT NULL,
  serial INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  secrets TEXT NOT NULL,
  state TEXT NOT NULL,
  slot TEXT NOT NULL,
  digest TEXT NOT NULL,
  nginx TEXT NOT NULL,
  last_log TEXT NOT NULL,
  signer TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  live_ms INTEGER NOT NULL,
  message TEXT NOT NULL,
  UNIQUE(site, id)
) STRICT;

CREATE TABLE sites(
  site TEXT PRIMARY KEY,
  live TEXT NOT NULL,
  previous_good TEXT NOT NULL,
  stopped INTEGER NOT NULL,
  user_ours INTEGER NOT NULL,
  ports TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts(
  host TEXT PRIMARY KEY,
  site TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- greatest serial ever installed ('site', 'secrets') and number given to a release ('release'); they outlive the site
CREATE TABLE counters(
  site TEXT NOT NULL,
  what TEXT NOT NULL,
  value INTEGER NOT NULL,
  PRIMARY KEY(site, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE secret_sets(
  site TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  serial INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  signer TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE unlock_attempts(
  only INTEGER PRIMARY KEY CHECK(only = 1),
  failures INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;

-- hash = BLAKE2b over the previous entry's hash and this entry's fields
CREATE TABLE audit(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  verb TEXT NOT NULL,
  site TEXT NOT NULL,
  text TEXT NOT NULL,
  outcome TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
)sql";

constexpr std::string_view k_gap = "ALTER TABLE jobs ADD COLUMN gap_ms INTEGER NOT NULL DEFAULT 0";

constexpr std::string_view k_keep = R"sql(
CREATE TABLE holds(
  site TEXT PRIMARY KEY,
  actor TEXT NOT NULL,
  why TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- what programs said, which goes before the rest of a job's events
CREATE INDEX events_output ON events(job) WHERE kind = 'log';
)sql";

// Runs of the crontab's entries. state: running, done, failed, lost, skipped; ended_ms is 0 while
// it runs, code NULL when there is none.
constexpr std::string_view k_cron_runs = R"sql(
CREATE TABLE cron_runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  site TEXT NOT NULL,
  release TEXT NOT NULL,
  line TEXT NOT NULL,
  actor TEXT NOT NULL,
  state TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  code INTEGER,
  count INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX cron_runs_line ON cron_runs(site, line);
CREATE INDEX cron_runs_open ON cron_runs(id) WHERE ended_ms = 0;
)sql";

constexpr std::string_view k_job_key = "ALTER TABLE jobs ADD COLUMN key TEXT NOT NULL DEFAULT ''";

// Who signed what, and what is never good again. used_sets: the secret sets that a release may come
// back with.
constexpr std::string_view k_trust = R"sql(
ALTER TABLE releases ADD COLUMN signer_key TEXT NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN kept_by TEXT NOT NULL DEFAULT '';

CREATE TABLE used_sets(
  site TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  serial INTEGER NOT NULL,
  signer TEXT NOT NULL,
  signer_key TEXT NOT NULL,
  kept_by TEXT NOT NULL,
  PRIMARY KEY(site, sha256)
) STRICT, WITHOUT ROWID;
INSERT INTO used_sets SELECT site, sha256, serial, signer, '', '' FROM secret_sets;

CREATE TABLE withdrawn(
  site TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  version TEXT NOT NULL,
  serial INTEGER NOT NULL,
  actor TEXT NOT NULL,
  why TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY(site, sha256)
) STRICT, WITHOUT ROWID;
)sql";

// What is kept of the past is bounded for each source, so that none can push another's out. number:
// 1, 2, ... of its sender or source; a job's source is who asked for it, and a ping's is one of its
// own.
constexpr std::string_view k_bounds = R"sql(
CREATE TABLE deliveries_of(
  sender TEXT NOT NULL,
  number INTEGER NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  by_body INTEGER NOT NULL,
  job TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY(sender, number),
  UNIQUE(sender, id)
) STRICT, WITHOUT ROWID;
INSERT INTO deliveries_of
  SELECT sender, row_number() OVER (PARTITION BY sender ORDER BY seq), id, body, by_body, job, time_ms FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_of RENAME TO deliveries;
CREATE INDEX deliveries_body ON deliveries(sender, body) WHERE by_body = 1;

ALTER TABLE jobs ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET source = numbered.source, number = numbered.number FROM (
  SELECT seq, iif(kind = 'ping', 'ping ', '') || actor AS source,
    row_number() OVER (PARTITION BY kind = 'ping', actor ORDER BY seq) AS number FROM jobs
) AS numbered WHERE jobs.seq = numbered.seq;
CREATE UNIQUE INDEX jobs_source ON jobs(source, number);
CREATE INDEX jobs_open_source ON jobs(source) WHERE open = 1;
)sql";

// What was made for a site in places that are not the agent's alone: user, group, directories. Kept
// as long as the thing is.
constexpr std::string_view k_assets = R"sql(
CREATE TABLE assets(
  site TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY(site, kind, name)
) STRICT, WITHOUT ROWID;
ALTER TABLE sites DROP COLUMN user_ours;
)sql";

// Each user's own, so that one's wrong passphrases keep nobody else out. What was counted for all
// of them is root's now.
constexpr std::string_view k_unlock_failures = R"sql(
CREATE TABLE unlock_failures(
  uid INTEGER PRIMARY KEY,
  failures INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
INSERT INTO unlock_failures SELECT 0, failures, last_ms FROM unlock_attempts WHERE failures > 0;
DROP TABLE unlock_attempts;
)sql";

// Certificates of sites and of the host, by the name of their file. chain, key: what is served,
// from which the file can be written again; key is '' when it may not reach a disk. pending: the
// order that is under way, facts: the rest of what the room tls knows, both JSON.
// certificate_orders: what a CA was asked for, for the budgets, which outlives the certificate.
constexpr std::string_view k_certificates = R"sql(
CREATE TABLE certificates(
  id TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  state TEXT NOT NULL,
  next_ms INTEGER NOT NULL,
  wanted TEXT NOT NULL,
  chain TEXT NOT NULL,
  key TEXT NOT NULL,
  pending TEXT NOT NULL,
  facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE certificate_orders(
  seq INTEGER PRIMARY KEY,
  certificate TEXT NOT NULL,
  names TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL
) STRICT;
CREATE INDEX certificate_orders_of ON certificate_orders(certificate, time_ms);
)sql";

// What is asked for often is found without reading what is only kept.
constexpr std::string_view k_indexes = R"sql(
CREATE INDEX releases_needed ON releases(sha256) WHERE state IN ('good', 'unproven', 'staged');
CREATE INDEX releases_of ON releases(site, seq);
CREATE INDEX jobs_of ON jobs(site, seq);
CREATE INDEX cron_runs_of ON cron_runs(site, id);
CREATE INDEX jobs_artifact ON jobs(sha256, seq) WHERE sha256 <> '';
UPDATE releases SET nginx = '' WHERE state IN ('failed', 'removed');
)sql";

// What operators run is a run, too. service: whose environment it has.
constexpr std::string_view k_runs = R"sql(
ALTER TABLE cron_runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'cron';
ALTER TABLE cron_runs ADD COLUMN service TEXT NOT NULL DEFAULT '';
)sql";

// A period of a history is found by its times.
constexpr std::string_view k_by_time = R"sql(
CREATE INDEX jobs_at ON jobs(created_ms);
CREATE INDEX jobs_of_at ON jobs(site, created_ms);
CREATE INDEX cron_runs_at ON cron_runs(site, kind, started_ms);
CREATE INDEX audit_at ON audit(time_ms);
)sql";

// A site's history may be long, and what it can go back to is short.
constexpr std::string_view k_kept = R"sql(
CREATE INDEX releases_kept ON releases(site, seq) WHERE state IN ('good', 'unproven');
)sql";

// A ping is of no site, whatever its row says: it costs two indexes less.
constexpr std::string_view k_of_sites = R"sql(
DROP INDEX jobs_of;
DROP INDEX jobs_of_at;
CREATE INDEX jobs_of ON jobs(site, seq) WHERE kind <> 'ping';
CREATE INDEX jobs_of_at ON jobs(site, created_ms) WHERE kind <> 'ping';
)sql";

// What pruning looks at.
constexpr std::string_view k_present = R"sql(
CREATE INDEX releases_present ON releases(site, seq) WHERE state <> 'removed';
)sql";

constexpr std::array k_steps{k_v1, k_gap, k_keep, k_cron_runs, k_job_key, k_trust, k_bounds,
    k_assets, k_unlock_failures, k_certificates, k_indexes, k_runs, k_notices, k_totals, k_hours,
    k_by_time, k_kept, k_of_sites, k_present};

} // namespace

std::span<const std::string_view> migrations() {
  return k_steps;
}

} // namespace chillbox::store
