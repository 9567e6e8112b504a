// Steps of the schema (migrations.cpp): notices, and what is counted of sites.
#pragma once

#include <string_view>

namespace chillbox::store {

// store/notices.hpp says what they are. rank: of the severity, so that the least can go first.
// outbox_targets: what is known of those that were tried, by the name of their file.
inline constexpr std::string_view k_notices = R"sql(
CREATE TABLE notices(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL,
  site TEXT NOT NULL,
  subject TEXT NOT NULL,
  state TEXT NOT NULL,
  rank INTEGER NOT NULL,
  text TEXT NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  count INTEGER NOT NULL,
  tell TEXT NOT NULL,
  told_ms INTEGER NOT NULL,
  calm_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX notices_open ON notices(event, site, subject) WHERE state = 'open';
CREATE INDEX notices_once ON notices(event, site, subject) WHERE state = 'once';
CREATE INDEX notices_tell ON notices(number) WHERE tell <> '';

CREATE TABLE outbox(
  id TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  state TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  more INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  sent_ms INTEGER NOT NULL,
  error TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_of ON outbox(target, first_ms);
CREATE INDEX outbox_open ON outbox(next_ms) WHERE state IN ('gathering', 'waiting');

CREATE TABLE outbox_notices(
  message TEXT NOT NULL REFERENCES outbox(id) ON DELETE CASCADE,
  notice INTEGER NOT NULL,
  what TEXT NOT NULL,
  PRIMARY KEY(message, notice)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox_targets(
  name TEXT PRIMARY KEY,
  file TEXT NOT NULL,
  disabled TEXT NOT NULL,
  error TEXT NOT NULL,
  sent_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// Counters that no history takes away. Only of sites that have a row here: a sender who names
// others adds nothing.
inline constexpr std::string_view k_totals = R"sql(
CREATE TABLE totals(
  site TEXT NOT NULL,
  what TEXT NOT NULL,
  kind TEXT NOT NULL,
  result TEXT NOT NULL,
  number INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  PRIMARY KEY(site, what, kind, result)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER jobs_total AFTER UPDATE OF open ON jobs
  WHEN old.open = 1 AND new.open = 0 AND EXISTS (SELECT 1 FROM sites WHERE site = new.site)
BEGIN
  INSERT INTO totals VALUES(new.site, 'job', new.kind,
    iif(new.state = 'failed', coalesce(new.code, 'failed'), new.state), 1,
    iif(new.started_ms > 0, max(0, new.finished_ms - new.started_ms), 0))
  ON CONFLICT DO UPDATE SET number = number + 1, ms = ms + excluded.ms;
END;
CREATE TRIGGER runs_total AFTER UPDATE OF ended_ms ON cron_runs
  WHEN old.ended_ms = 0 AND new.ended_ms <> 0 AND EXISTS (SELECT 1 FROM sites WHERE site = new.site)
BEGIN
  INSERT INTO totals VALUES(new.site, 'run', new.kind, new.state, 1, max(0, new.ended_ms - new.started_ms))
  ON CONFLICT DO UPDATE SET number = number + 1, ms = ms + excluded.ms;
END;
CREATE TRIGGER skips_total AFTER INSERT ON cron_runs
  WHEN new.ended_ms <> 0 AND EXISTS (SELECT 1 FROM sites WHERE site = new.site)
BEGIN
  INSERT INTO totals VALUES(new.site, 'run', new.kind, new.state, 1, 0)
  ON CONFLICT DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER more_skips_total AFTER UPDATE OF count ON cron_runs
  WHEN new.count > old.count AND EXISTS (SELECT 1 FROM sites WHERE site = new.site)
BEGIN
  INSERT INTO totals VALUES(new.site, 'run', new.kind, new.state, new.count - old.count, 0)
  ON CONFLICT DO UPDATE SET number = number + excluded.number;
END;
)sql";

// What was counted of a site in an hour; times: requests by duration, "12 0 3".
inline constexpr std::string_view k_hours = R"sql(
CREATE TABLE hours(
  site TEXT NOT NULL,
  hour INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  cpu_ms INTEGER NOT NULL,
  memory INTEGER NOT NULL,
  times TEXT NOT NULL,
  PRIMARY KEY(site, hour)
) STRICT, WITHOUT ROWID;
)sql";

} // namespace chillbox::store
