#!/usr/bin/env bats
# What a host shows and to whom: status to audit, for people and with --json; restart, stop, start, remove; who may use the control socket.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST, run --separate-stderr sets stderr; "sh -c" expands in the box

load helpers/box
load helpers/host

# Says in its log who asked for what.
CHATTY='
from flask import request
good = create_app
def create_app():
    app = good()
    @app.before_request
    def tell():
        app.logger.warning("asked for %s", request.full_path)
    return app'

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "what nobody else may read"
    deploy 1.0.0
    deploy 1.1.0 "$CHATTY"
    add_user operator1 4001 - chillbox-admin
    add_user visitor 4002 -
}

teardown_file() { host_down; }
setup() { host_or_skip; }

state() { json status '.sites[0].state'; }
as() { box run "$HOST" -u "$1" -- chillboxctl "${@:2}"; }
slots() { in_box sh -c 'cat /run/openrc/options/chillbox.hello.api.*/child_pid'; }

@test "every answer has its schema with --json, and is one object on one line" {
    job=$(json jobs '.jobs[0].id')
    for verb in ping status sites 'releases hello' 'plan hello' 'cron list hello' 'cron history hello' 'nginx show hello' 'prune --dry-run' tls 'tls account' jobs 'jobs hello -n 1' "job $job" 'logs hello -n 3' audit 'audit verify' 'trust list' 'webhook list'; do
        # shellcheck disable=SC2086 # words
        run -0 ctl $verb --json
        [ "${#lines[@]}" -eq 1 ]
        printf '%s\n' "$output" >>"$BATS_TEST_TMPDIR/answers"
    done
    run -3 --separate-stderr ctl releases nosuch --json
    printf '%s\n' "$output" >>"$BATS_TEST_TMPDIR/answers"
    "$ROOT/tests/schema/validate" "$ROOT/docs/control.schema.json" <"$BATS_TEST_TMPDIR/answers"
    [ "$(json status '.schema + " " + .sites[0].site + " " + .sites[0].version + " " + .sites[0].state')" = "chillbox.status.v1 hello 1.1.0 live" ]
    [ "$(json jobs hello -n 2 '.jobs | length')" = 2 ]
    [ "$(json job "$job" '.events[-1].kind')" = end ]
}

@test "errors are objects too with --json, with the code's name, and the exit code is the same" {
    run -3 --separate-stderr ctl releases nosuch --json
    [ "$(jq -r '.schema + " " + .error.code' <<<"$output")" = "chillbox.error.v1 not_found" ]
    run -3 ctl job 0000000000000000
    run -3 ctl logs nosuch
    run -3 ctl logs hello/nosuch
    run -2 ctl releases 'no site'
    run -2 ctl frobnicate
}

@test "tables for people: what is live is marked, and who signed is named" {
    run -0 ctl releases hello
    [[ "${lines[0]}" == *RELEASE*VERSION*STATE*SLOT*SERIAL*"SIGNED BY"* ]]
    [[ "${lines[1]}" == "*  1.1.0-2"*good*laptop* ]]
    [[ "${lines[2]}" == "   1.0.0-1"*good*laptop* ]]
    run -0 ctl status
    [[ "$output" == *unlocked*"recipient  $RECIPIENT"*SITE*STATE*"hello  live   1.1.0"*"api:started"* ]]
    run -0 ctl jobs
    [[ "${lines[1]}" == *"deploy "*hello*1.1.0*"done"*"webhook:laptop"*"1.1.0 is live"* ]]
    run -0 ctl sites
    [[ "${lines[1]}" == hello*api*python*started* ]]
}

@test "colours on a terminal, none with NO_COLOR or elsewhere" {
    export TERM=xterm
    run -0 "$TERMINAL" -- "$ROOT/tests/host/box" run "$HOST" -- chillboxctl status
    [[ "$output" == *$'\e['*unlocked* ]]
    run -0 "$TERMINAL" -- "$ROOT/tests/host/box" run "$HOST" -- env NO_COLOR=1 chillboxctl status
    [[ "$output" == *unlocked* && "$output" != *$'\e['* ]]
    run -0 ctl status
    [[ "$output" != *$'\e['* ]]
}

@test "logs show what the service wrote, so many lines, and with -f what comes" {
    get '/?first' >/dev/null
    wait_for 5 logged '/?first'
    run -0 ctl logs hello/api -n 1
    [ "${#lines[@]}" -eq 1 ]
    [ "$(json logs hello -n 5 '[.lines[].service] | unique | join(" ")')" = api ]
    box run "$HOST" -- chillboxctl logs hello -f -n 0 >"$BATS_TEST_TMPDIR/follow" 3>&- &
    follower=$!
    sleep 1
    get '/?second' >/dev/null
    wait_for 10 grep -qF 'asked for /?second' "$BATS_TEST_TMPDIR/follow"
    kill "$follower"
    run ! grep -qF '/?first' "$BATS_TEST_TMPDIR/follow"
}
logged() { ctl logs hello -n 100 | grep -qF "$1"; }

@test "logs of a time, of a release and of the jobs; every line of a service has a time" {
    get '/?timed' >/dev/null
    wait_for 5 logged '/?timed'
    run -0 ctl logs hello/api -s 1m -g 'asked for /.timed'
    [[ "${lines[0]}" == *'asked for /?timed'* ]]
    in_box sh -c 'echo a plain line >>/var/log/chillbox/hello/api.log'
    run -0 ctl logs hello/api -n 1
    [[ "$output" =~ ^20[0-9-]+\ [0-9:]+\.[0-9]{3}\ 'a plain line'$ ]]
    [ "$(json logs hello/api -s 1m '[.lines[] | select(.time_ms == 0)] | length')" = 0 ]
    run -0 ctl logs hello/api -T -n 1
    [ "$output" = 'a plain line' ]
    run -0 ctl logs hello/api --release "$(json sites '.sites[0].version')" -g '/.timed'
    [ "${#lines[@]}" -ge 1 ]
    run -3 ctl logs hello/api --release 99.9
    run -0 ctl logs hello -s 1m -u 59s -g 'no such line'
    [ "$output" = "nothing that was written then" ]
    run -0 ctl logs hello --stream job -s 1h
    [[ "$output" == *"job: deploy "*": switch done"* ]]
    run -0 ctl logs hello --stream access -n 1
    [[ "$output" == *"GET /"*" 200 "* ]]
    in_box sh -c 'test -s /var/log/chillbox/hello/api.log.at'
}

@test "jobs, audit and runs of a time" {
    [ "$(json jobs -s 1h '.jobs | length')" = "$(json jobs -n 1000 '.jobs | length')" ]
    [ "$(json jobs -u 2020-01-01 '.jobs | length')" = 0 ]
    [ "$(json jobs -s 2020-01-01 -n 1 '.jobs | length')" = 1 ]
    [ "$(json audit -s 1h '.entries | length')" -gt 0 ]
    [ "$(json audit -u '2020-01-01 10:00:00' '.entries | length')" = 0 ]
    [ "$(json cron history hello -u 2020-01-01 '.runs | length')" = 0 ]
    [ "$(json runs list hello -s 2020-01-01T00:00:00Z -u 2020-01-02 '.runs | length')" = 0 ]
    run -2 ctl jobs -s yesterday
    [[ "$output" == *"'yesterday' is no time"* ]]
    run -2 ctl jobs -s 1m -u 1h
}

@test "terminal codes that a service writes to its log are shown, not obeyed" {
    get "/?$(printf 'a%%1b%%5b2Jb')" >/dev/null
    get '/' -H "$(printf 'Host: hello.example')" >/dev/null
    in_box sh -c 'printf "evil \033[2J\007 line\n" >>/var/log/chillbox/hello/api.log'
    run -0 ctl logs hello -n 1
    [[ "$output" == *'evil \x1b[2J\x07 line'* ]]
}

@test "restart: new processes in the other slot, no request is lost" {
    before=$(slots)
    slot=$(json sites '.sites[0].services[0].slot')
    box net "$HOST" -- sh -c 'while [ ! -e "$2/stop" ]; do curl -s -o /dev/null -m 10 -w "%{http_code}\n" -H "Host: hello.example" "$1/"; done' \
        sh "$URL" "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/codes" 3>&- &
    run -0 ctl restart hello
    : >"$BATS_TEST_TMPDIR/stop"
    wait $!
    [[ "$output" == *"1.1.0 is live"* ]]
    [ "$(slots)" != "$before" ]
    [ "$(json sites '.sites[0].services[0].slot')" != "$slot" ]
    [ "$(sort -u "$BATS_TEST_TMPDIR/codes")" = 200 ]
    run -3 ctl restart nosuch
}

@test "stop and start: not served meanwhile, also after a restart of the daemon, and each twice" {
    run -0 ctl stop hello
    [ "$(state)" = stopped ]
    [[ "$(code /)" == 50[23] ]]
    [ -z "$(pids_of hello)" ]
    run -0 ctl stop hello
    in_box rc-service chillboxd restart
    [ "$(state)" = stopped ]
    [ -z "$(pids_of hello)" ]
    run -0 ctl start hello
    [ "$(get /)" = "hello from 1.1.0" ]
    [ "$(state)" = live ]
    before=$(slots)
    run -0 ctl start hello
    [ "$(slots)" = "$before" ]
    unlock
}

@test "[fault-85] the control socket is for root and chillbox-admin: another user is refused, and it is logged [attack-L2]" {
    run -4 as visitor status
    [[ "$output" == *"run it as root, or join the group chillbox-admin"* ]]
    # Also when somebody opened the socket's mode by mistake: the kernel tells who calls.
    in_box chmod 0666 /run/chillbox/control.sock
    run -4 as visitor lock
    [[ "$output" == *"visitor may not control chillbox: root or a member of group chillbox-admin may"* ]]
    in_box chmod 0660 /run/chillbox/control.sock
    [ "$(json ping .sealed)" = false ]
    in_box grep -q 'control: refused .*visitor' /var/log/chillbox/chillboxd.log
}

@test "a member of chillbox-admin may, and the audit trail says who it was [attack-M1]" {
    run -0 as operator1 status
    run -0 as operator1 restart hello
    [[ "$(json audit '.entries[0] | .actor + " " + .verb + " " + .outcome')" == "uid:"*" operator1 restart ok" ]]
    [[ "$(json jobs '.jobs[0].actor')" == *operator1* ]]
    run -4 as operator1 webhook add mine
}

@test "remove asks for the site's name: without a terminal it fails at once, with another name nothing happens" {
    run -2 timeout 20 setsid -w "$ROOT/tests/host/box" run "$HOST" -- chillboxctl remove hello </dev/null
    [[ "$output" == *"needs a terminal, and there is none: use --yes"* ]]
    run -1 "$TERMINAL" expect:'Type the site' type:yes -- "$ROOT/tests/host/box" run "$HOST" -- chillboxctl remove hello
    [[ "$output" == *"nothing was removed"* ]]
    [ "$(get /)" = "hello from 1.1.0" ]
    run -3 ctl remove nosuch --yes
}

@test "remove takes the site off and keeps its data, logs and user; it can come back" {
    in_box sh -c 'echo precious >/var/lib/hello/api/data && chown hello /var/lib/hello/api/data'
    run -0 "$TERMINAL" expect:'its data stays' expect:'Type the site' type:hello -- "$ROOT/tests/host/box" run "$HOST" -- chillboxctl remove hello
    [ "$(json status '.sites | length')" = 0 ]
    [ -z "$(pids_of hello)" ]
    [ -z "$(in_box sh -c 'ls -d /srv/chillbox/hello /run/chillbox/secrets/hello /run/chillbox/live/hello /etc/nginx/*/chillbox.hello.conf /etc/init.d/chillbox.hello.* 2>/dev/null')" ]
    [ "$(in_box ls /var/lib/chillbox/artifacts /var/lib/chillbox/secrets | grep -c age)" -eq 0 ]
    run ! grep -q 'hello from' <<<"$(get /)"
    [ "$(in_box cat /var/lib/hello/api/data)" = precious ]
    in_box getent passwd hello
    in_box test -s /var/log/chillbox/hello/api.log
    secrets "what nobody else may read"
    deploy 1.2.0
    [ "$(get /)" = "hello from 1.2.0" ]
    [ "$(box run "$HOST" -u hello -- cat /var/lib/hello/api/data)" = precious ]
}

@test "remove --purge takes data, logs and user too" {
    run -0 ctl remove hello --purge --yes
    [ -z "$(in_box sh -c 'ls -d /var/lib/hello /srv/chillbox/hello /var/log/chillbox/hello 2>/dev/null')" ]
    run ! in_box getent passwd hello
    run ! in_box getent group hello
    run -3 ctl releases hello
}

@test "audit verify finds an entry that was changed" {
    ctl audit verify
    in_box python3 -c 'import sqlite3
db = sqlite3.connect("/var/lib/chillbox/state.db")
db.execute("UPDATE audit SET actor = ? WHERE number = 3", ("uid:0 somebody",))
db.commit()'
    run -1 ctl audit verify
    [[ "$output" == *3* ]]
}
