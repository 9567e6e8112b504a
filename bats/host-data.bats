#!/usr/bin/env bats
# A site's data: kept before a release_command, and rolled back with the release.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "what nobody else may read"
    deploy "$(next_version)"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

DATA=/var/lib/hello/api
SNAPSHOTS=/var/lib/chillbox/snapshots/hello

as_site() { box run "$HOST" -u hello -- sh -c "$1"; }
live() { json releases hello '.releases[] | select(.live) | .version'; }
snapshot() { json snapshots hello ".snapshots[0].$1"; }
# sql STATEMENT [DATABASE]: as the site's user, in its own database
sql() { box run "$HOST" -u hello -- python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[2], timeout=20)
for row in db.execute(sys.argv[1]): print(*row)
db.commit()' "$1" "${2-$DATA/app.db}"; }

# migrate VERSION [JQ]: deploys it with a release_command that adds itself to the database, and to a file
migrate() {
    make_site "$1" "${3-}"
    edit_site '.services[0].release_command = ["sh", "-c", "python3 -c \"import os, sqlite3; db = sqlite3.connect(os.environ[\\\"CHILLBOX_DATA_DIR\\\"] + \\\"/app.db\\\", timeout=20); db.execute(\\\"INSERT INTO versions VALUES (?)\\\", (os.environ[\\\"VERSION\\\"],)); db.commit()\""] | '"${2-.}"
    send "$(pack)"
}

@test "before a release_command the data are kept, a database whole under a busy writer" {
    sql 'PRAGMA journal_mode=WAL'
    sql 'CREATE TABLE versions (version TEXT)'
    sql 'CREATE TABLE pairs (a INTEGER, b INTEGER)'
    as_site "printf one >$DATA/text"
    box run "$HOST" -u hello -- timeout 300 python3 -c 'import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1] + "/app.db", timeout=60)
n = 0
while not os.path.exists(sys.argv[1] + "/enough"):
    n += 1
    time.sleep(0.001) # SQLite has no queue: others never get the lock of one that does not pause
    db.execute("INSERT INTO pairs VALUES (?, ?)", (n, n)); db.execute("UPDATE pairs SET b = a WHERE a > ?", (n - 50,)); db.commit()' $DATA &
    writer=$!
    for _ in 1 2 3; do
        migrate "$(next_version)"
        number=$(snapshot number)
        [ "$(in_box python3 -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone()[0])' $SNAPSHOTS/"$number"/data/api/app.db)" = ok ]
        run -0 in_box ls $SNAPSHOTS/"$number"/data/api
        [[ "$output" != *app.db-wal* ]]
    done
    as_site "touch $DATA/enough"
    wait "$writer"
    as_site "rm $DATA/enough"
    [ "$(in_box cat $SNAPSHOTS/"$number"/data/api/text)" = one ]
    run -0 ctl snapshots hello
    [[ "$output" == *"DATA OF"*"BEFORE"* ]]
    [ "$(snapshot before)" = "$(json releases hello .live)" ]
}

@test "[fault-119] a plain rollback behind a release_command says that the data stay, and which snapshot is from before" {
    migrate "$(next_version)"
    new=$(live)
    run -0 ctl rollback hello
    [[ "$output" == *"warning: the data stay as the release_command of "*" left them; snapshot "*" is from before: "*"--with-data"* ]]
    run -0 ctl rollback hello "$new"
    [[ "$output" != *"the data stay"* ]]
}

@test "a rollback with the data: says what will be gone, brings them back, and the way forward is the same command" {
    before=$(sql 'SELECT count(*) FROM versions')
    migrate "$(next_version)"
    new=$(live)
    as_site "printf two >$DATA/text; printf more >$DATA/more"
    run -2 ctl rollback hello --with-data
    [[ "$output" == *"data        go back to snapshot "* ]]
    [[ "$output" == *"written     since then: "*" files, newest "*" ago"* ]]
    [ "$(live)" = "$new" ]
    run -0 ctl rollback hello --with-data --yes
    [[ "$output" == *"the data and the snapshot have changed places"* ]]
    [[ "$output" == *"the site away for "* ]]
    [ "$(as_site "cat $DATA/text")" = one ]
    [ "$(sql 'SELECT count(*) FROM versions')" = "$before" ]
    [ "$(get /)" = "hello from $(live)" ]
    [ "$(snapshot kind)" = rollback ]
    run -0 ctl rollback hello "$new" --with-data --yes
    [ "$(as_site "cat $DATA/text $DATA/more")" = twomore ]
    [ "$(sql 'SELECT count(*) FROM versions')" = $((before + 1)) ]
    [ "$(get /)" = "hello from $new" ]
    in_box chillboxctl audit --json | jq -e '.entries[] | select(.verb == "rollback" and (.text | contains("(--with-data)")))' >/dev/null
}

@test "a release that does not come up with its old data: all is put back, and the site serves" {
    version=$(live)
    as_site "printf three >$DATA/text"
    in_box sh -c 'cd /srv/chillbox/hello/releases && ls' >"$BATS_TEST_TMPDIR/releases"
    # What the release before says when it starts is decided by its data.
    migrate "$(next_version)" . 'import os
assert not os.path.exists(os.path.join(os.environ["CHILLBOX_DATA_DIR"], "poison")), "poisoned"'
    poisoned=$(live)
    as_site "printf x >$DATA/poison"
    migrate "$(next_version)" # keeps data with which the release before does not start
    last=$(live)
    as_site "rm $DATA/poison; printf four >$DATA/text"
    run -9 ctl rollback hello "$poisoned" --with-data --yes
    [[ "$output" == *poisoned* ]]
    [ "$(live)" = "$last" ]
    [ "$(get /)" = "hello from $last" ]
    [ "$(as_site "cat $DATA/text")" = four ]
    run ! as_site "ls $DATA/poison"
    [ -n "$version" ]
}

@test "without a snapshot of that release nothing stops: exit 3" {
    deploy "$(next_version)"
    deploy "$(next_version)"
    pids=$(pids_of hello)
    run -3 ctl rollback hello --with-data --yes
    [[ "$output" == *"there is no snapshot of the data of "* ]]
    [ "$(pids_of hello)" = "$pids" ]
}

@test "[attack-Z20] hostile data: links are not followed, and the copier is the site's user and no more" {
    in_box sh -c "printf secret >$DATA/roots-own; chmod 0600 $DATA/roots-own; chown 0:0 $DATA/roots-own"
    as_site "cd $DATA && ln -s /etc/shadow link && ln -s /var/lib/chillbox deep && mkfifo pipe && truncate -s 1099511627776 sparse && printf 'SQLite format 3\\000%05000d' 1 >bad.db"
    run -0 migrate "$(next_version)"
    job=$(json jobs hello .jobs[0].id)
    run -0 ctl job "$job"
    [[ "$output" == *"'api/roots-own' is left out: its owner may not read it"* ]]
    [[ "$output" == *"source damaged: api/bad.db"* ]]
    copy=$SNAPSHOTS/$(snapshot number)/data/api
    [ "$(in_box readlink "$copy/link")" = /etc/shadow ]
    [ "$(in_box readlink "$copy/deep")" = /var/lib/chillbox ]
    run -1 in_box test -e "$copy/pipe" -o -e "$copy/roots-own"
    [ "$(in_box stat -c %s "$copy/sparse")" = 1099511627776 ]
    [ -z "$(in_box find "$copy" ! -user hello)" ]
    in_box sh -c "cd $DATA && rm -f roots-own link deep pipe sparse bad.db"
}

@test "[attack-Z21] the site does not reach its snapshots" {
    run ! as_site "ls $SNAPSHOTS"
    run ! as_site "cat $SNAPSHOTS/$(snapshot number)/data/api/text"
    [ "$(in_box stat -c '%U %a' $SNAPSHOTS)" = 'root 700' ]
}

@test "more data than are copied: the deploy continues without a snapshot, and says so" {
    as_site "truncate -s 2G $DATA/big.db && printf 'SQLite format 3\\000' | dd of=$DATA/big.db conv=notrunc 2>/dev/null"
    before=$(snapshot number)
    run -0 migrate "$(next_version)"
    [[ "$output" == *"warning: no snapshot of the data: more than 1.1 GB"* ]]
    [ "$(snapshot number)" = "$before" ]
    [ "$(in_box ls $SNAPSHOTS | sort -n | tail -n 1)" = "$before" ]
    as_site "rm $DATA/big.db"
}

@test "no command of the site runs while its data move, and remove takes the snapshots along" {
    in_box sh -c "printf '{}' >$SNAPSHOTS/exchange.json"
    run -125 ctl run hello -- true
    [[ "$output" == *"the data of 'hello' are being rolled back"* ]]
    in_box rm $SNAPSHOTS/exchange.json
    ctl run hello -- true
    ctl remove hello --yes
    run -1 in_box test -e $SNAPSHOTS
    as_site "cat $DATA/text"
}
