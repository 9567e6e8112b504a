#!/usr/bin/env bats
# An upgrade in place: the new chillboxd takes over from the one that runs. The host stays unsealed, no service is touched, no webhook refused;
# what would not start is refused before anything is given up.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "kept over an upgrade"
    deploy 1.0.0
}

teardown_file() { host_down; }
setup() { host_or_skip; }

monitor() { in_box cat /run/openrc/options/chillboxd/child_pid; }
edge() { in_box pgrep -u chillbox; }
vault() { in_box pgrep -u chillbox-vault; }
services() { pids_of hello; }
program() { in_box readlink "/proc/$(monitor)/exe"; }
schema() { in_box python3 -c 'import sqlite3; print(sqlite3.connect("/var/lib/chillbox/state.db").execute("PRAGMA user_version").fetchone()[0])'; }
set_schema() { in_box python3 -c 'import sqlite3, sys
db = sqlite3.connect("/var/lib/chillbox/state.db"); db.execute("PRAGMA user_version = " + sys.argv[1]); db.commit()' "$1"; }

# As a package manager does: the new file beside the old one, then renamed over it.
new_program() { in_box sh -c 'cat >/usr/sbin/chillboxd.new && chmod 0755 /usr/sbin/chillboxd.new && mv /usr/sbin/chillboxd.new /usr/sbin/chillboxd'; }
the_same_again() { in_box cp /usr/sbin/chillboxd /usr/sbin/chillboxd.new; in_box mv /usr/sbin/chillboxd.new /usr/sbin/chillboxd; }

@test "upgrade: another program in the same process, with the same vault; unsealed, and no service was touched" {
    before="$(monitor) $(vault) $(services)" old_edge=$(edge)
    the_same_again
    [[ "$(program)" == *deleted* ]]
    run -0 in_box rc-service chillboxd upgrade
    [[ "$output" == *"the host is unlocked"* ]]
    [ "$(program)" = /usr/sbin/chillboxd ]
    [ "$(monitor) $(vault) $(services)" = "$before" ]
    [ "$(edge)" != "$old_edge" ]
    in_box rc-service chillboxd status
    [ "$(get /)" = "hello from 1.0.0" ]
    next=$(next_version)
    deploy "$next" # the vault still opens what comes
    [ "$(get /)" = "hello from $next" ]
    [ "$(json audit '[.entries[] | select(.verb == "upgrade")] | length')" -ge 1 ]
}

@test "upgrade under load: every webhook has its 202, and every page" {
    announce host.ping '{}' | grep -q '"job"'
    : >"$LAPTOP/answers"
    (for _ in $(seq 40); do announce host.ping '{}' | grep -c '"job"'; code / -w '%{http_code}\n'; done >"$LAPTOP/answers" 2>&1) 3>&- &
    load=$!
    for _ in 1 2 3; do ctl upgrade; done
    wait "$load"
    [ "$(sort "$LAPTOP/answers" | uniq -c | sed 's/^ *//' | tr '\n' ' ')" = "40 1 40 200 " ]
}

@test "a job that runs is taken up by the new program" {
    next=$(next_version)
    make_site "$next"
    edit_site '.watch = "8s"'
    artifact=$(pack)
    send "$artifact" >"$LAPTOP/deploy" 2>&1 3>&- &
    wait_for 30 serves "hello from $next"
    run ! is_live "$next" # it is watched
    ctl upgrade
    wait_for 60 is_live "$next"
    [ "$(get /)" = "hello from $next" ]
}

@test "[fault-1230] [fault-1231] who follows a job or a log does so through an upgrade and a restart of chillboxd" {
    for how in 'chillboxctl upgrade' 'rc-service -q chillboxd restart'; do
        now=$(json facts hello .site.version)
        ctl logs hello/api -f -n 0 >"$LAPTOP/log" 2>&1 3>&- &
        follower=$!
        ctl restart hello >"$LAPTOP/restart" 2>&1 3>&- &
        restarted=$!
        wait_for 30 is_watched
        job=$(json jobs '.jobs[0].id')
        ctl job "$job" -f >"$LAPTOP/job" 2>&1 3>&- &
        followed=$!
        wait_for 10 grep -q ' watch  begin' "$LAPTOP/job"
        # shellcheck disable=SC2086 # words
        in_box $how
        unlock
        wait "$restarted" || { cat "$LAPTOP/restart"; false; }
        wait "$followed" || { cat "$LAPTOP/job"; false; }
        [[ "$(tail -n 1 "$LAPTOP/restart")" == "hello: $now is live"* ]]
        in_box sh -c 'echo "after: $1" >>/var/log/chillbox/hello/api.log' sh "$how"
        wait_for 10 grep -q "after: $how" "$LAPTOP/log"
        [ "$(grep -c Starting "$LAPTOP/log")" = "$(grep Starting "$LAPTOP/log" | sort -u | wc -l)" ] # nothing twice
        in_box pkill -f 'logs hello/api'
        wait "$follower" || true
    done
}
is_watched() { json jobs '.jobs[0] | .kind + .state + .step' | grep -qx restartrunningwatch; }
serves() { [ "$(get /)" = "$1" ]; }
is_live() { ctl jobs hello --json | jq -e --arg v "$1" '[.jobs[] | select(.version == $v)][0].state == "done"'; }

@test "chillboxd.toml as it is now holds after an upgrade; one with a mistake is refused, and the old program keeps running" {
    before="$(monitor) $(edge) $(vault)"
    in_box sh -c 'cp /etc/chillbox/chillboxd.toml /root/; echo "no_such_table = 1" >>/etc/chillbox/chillboxd.toml'
    run -1 ctl upgrade
    in_box cp /root/chillboxd.toml /etc/chillbox/chillboxd.toml
    [[ "$output" == *no_such_table* ]]
    [ "$(monitor) $(edge) $(vault)" = "$before" ]
    [ "$(json ping .sealed)" = false ]
}

@test "a program that is none, or that ends at once, is refused, and the old one goes on" {
    in_box cp /usr/sbin/chillboxd /root/
    before="$(monitor) $(edge) $(vault)"
    for bad in 'not a program' '#!/bin/false' '#!/nonexistent/sh'; do
        printf '%s\n' "$bad" | new_program
        run -1 ctl upgrade
        [[ "$output" == *"this program keeps running"* ]]
        [ "$(monitor) $(edge) $(vault)" = "$before" ]
    done
    in_box rm /usr/sbin/chillboxd
    run -1 ctl upgrade
    [ "$(json ping .sealed)" = false ]
    in_box cat /root/chillboxd | new_program
    ctl upgrade
    [ "$(json ping .sealed)" = false ]
}

@test "a program whose check is good and that then cannot be executed: the old one goes on, unsealed, and says so" {
    printf '#!/bin/sh\n[ "$1" = --check ] || exit 1\nrm -- "$0"\n' | new_program
    run -1 ctl upgrade
    [[ "$output" == *"the old program keeps running"* ]]
    [ "$(json ping .sealed)" = false ]
    [[ "$(ctl status)" == *"the upgrade failed"* ]]
    [ "$(code /)" = 200 ]
    in_box cat /root/chillboxd | new_program
    ctl upgrade
}

# What a program of schema 3 left, before crontabs came. Whoever adds a migration takes back what it makes here, too.
as_schema_3() {
    in_box python3 -c 'import sqlite3, sys; sqlite3.connect("/var/lib/chillbox/state.db", timeout=20).executescript(sys.argv[1])' "BEGIN IMMEDIATE;
        DROP TABLE hours; DROP TRIGGER jobs_total; DROP TABLE totals; DROP TABLE outbox_notices; DROP TABLE outbox; DROP TABLE outbox_targets; DROP TABLE notices;
        DROP TRIGGER runs_total; DROP TRIGGER skips_total; DROP TRIGGER more_skips_total;
        DROP TABLE certificates; DROP TABLE certificate_orders;
        CREATE TABLE unlock_attempts(only INTEGER PRIMARY KEY CHECK(only = 1), failures INTEGER NOT NULL, last_ms INTEGER NOT NULL) STRICT;
        DROP INDEX releases_needed; DROP INDEX releases_of; DROP INDEX releases_kept; DROP INDEX releases_present; DROP INDEX jobs_of; DROP INDEX jobs_artifact; DROP INDEX cron_runs_of; DROP INDEX jobs_at; DROP INDEX jobs_of_at; DROP INDEX cron_runs_at; DROP INDEX audit_at;
        DROP TABLE unlock_failures; DROP TABLE assets; DELETE FROM meta WHERE key = 'assets'; ALTER TABLE sites ADD COLUMN user_ours INTEGER NOT NULL DEFAULT 0;
        DROP INDEX jobs_source; DROP INDEX jobs_open_source; ALTER TABLE jobs DROP COLUMN source; ALTER TABLE jobs DROP COLUMN number;
        CREATE TABLE old(seq INTEGER PRIMARY KEY, sender TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, by_body INTEGER NOT NULL,
            job TEXT NOT NULL, time_ms INTEGER NOT NULL, UNIQUE(sender, id)) STRICT;
        INSERT INTO old(sender, id, body, by_body, job, time_ms) SELECT sender, id, body, by_body, job, time_ms FROM deliveries ORDER BY time_ms;
        DROP TABLE deliveries; ALTER TABLE old RENAME TO deliveries; CREATE INDEX deliveries_body ON deliveries(sender, body) WHERE by_body = 1;
        DROP TABLE withdrawn; DROP TABLE used_sets; ALTER TABLE releases DROP COLUMN signer_key; ALTER TABLE releases DROP COLUMN kept_by;
        ALTER TABLE jobs DROP COLUMN key; DROP TABLE cron_runs; PRAGMA user_version = 3; COMMIT"
}

@test "upgrade: the database is brought forward once, with a copy beside it; the host stays unsealed, services are not touched" {
    before="$(monitor) $(vault) $(services)" newest=$(schema) copy=/var/lib/chillbox/state.db.v3
    releases=$(json releases hello '[.releases[] | .id] | join(" ")')
    as_schema_3
    ctl upgrade
    [ "$(schema)" = "$newest" ]
    [ "$(monitor) $(vault) $(services)" = "$before" ]
    [ "$(json ping .sealed)" = false ]
    [ "$(json releases hello '[.releases[] | .id] | join(" ")')" = "$releases" ]
    [ "$(in_box stat -c %a:%u $copy)" = 600:0 ]
    [ "$(in_box python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1]); print(*db.execute("PRAGMA user_version").fetchone(), db.execute("SELECT count(*) FROM releases").fetchone()[0] > 0)' $copy)" = '3 True' ]
    first=$(in_box stat -c %i $copy)
    ctl upgrade
    [ "$(in_box stat -c %i $copy)" = "$first" ]
    deploy "$(next_version)"
}

@test "[fault-97] a program that is older than the database is refused before anything is given up, by upgrade and by restart" {
    newest=$(schema)
    set_schema $((newest + 1))
    run -1 ctl upgrade
    [[ "$output" == *"this program knows up to $newest"* ]]
    run ! in_box rc-service chillboxd restart
    [[ "$output" == *"this program knows up to $newest"* ]]
    [ "$(json ping .sealed)" = false ]
    set_schema "$newest"
    ctl upgrade
}

@test "restart locks the host, says so before, and leaves services alone" {
    before=$(services)
    run -0 in_box rc-service chillboxd restart
    [[ "$output" == *"This locks the host"* ]]
    [ "$(json ping .sealed)" = true ]
    [ "$(services)" = "$before" ]
    run -0 in_box rc-service chillboxd restart # locked already: no warning
    [[ "$output" != *"This locks the host"* ]]
    unlock
}

@test "a sealed host is handed over sealed" {
    ctl lock
    run -0 ctl upgrade --json
    [ "$(jq -r '.sealed, .version' <<<"$output" | tr '\n' ' ')" = "true $(json ping .version) " ]
    unlock
    deploy "$(next_version)"
}
