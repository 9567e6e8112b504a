#!/usr/bin/env bats
# chillboxctl on a host, against a control socket that says what each test tells it to (tests/cli/fake-daemon).

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

load helpers/cli

setup() { cli_setup; }
teardown() { cli_teardown; }

# What the daemon was asked last: its verb and its arguments.
asked() { tail -n 1 daemon.log | jq -c '[.verb, .args]'; }

STATUS='{"status": {"result": {"host": {"version": "0.1.0", "sealed": true, "recipient": "age1xyz", "server_name": "host.example", "uptime_s": 3700,
  "running": 1, "waiting_unlock": 2, "warnings": ["the certificate ends in 3 days"]},
  "sites": [{"site": "blog", "state": "sealed", "version": "1.0.0", "release": "1.0.0-3", "live_ms": 1795196014000, "waiting": "api waits for api.cfg",
             "services": [{"name": "api", "lang": "python", "slot": "a", "state": "stopped"}]}]}}}'

JOB='{"job": {"id": "j1", "kind": "rollback", "site": "blog", "version": "1.0.0", "state": "done", "message": "1.0.0 (1.0.0-3) is live", "code": ""}}'

@test "status is for people, and the daemon's own object with --json" {
    start_daemon "$STATUS"
    run -0 env TZ=UTC "$CTL" status
    [[ "$output" == *"chillboxd 0.1.0 on host.example"*locked*"up 1 h 1 min"*age1xyz*"2 jobs wait"*"certificate ends"* ]]
    [[ "$output" == *"blog"*"sealed"*"1.0.0-3"*"2026-11-20 17:33:34"*"api:stopped"* ]]
    [[ "$output" == *"blog: api waits for api.cfg"* ]]
    run -0 chillboxctl status --json
    [ "$(jq -r '.schema + " " + .sites[0].release' <<<"$output")" = "chillbox.status.v1 1.0.0-3" ]
}

@test "tables: sites, releases, jobs, audit; an empty one is told on standard error" {
    start_daemon '{"sites": {"result": {"sites": []}},
      "releases": {"result": {"releases": [{"id": "1.0.0-3", "version": "1.0.0", "state": "good", "live": true, "slot": "a", "serial": 7, "signer": "alice"}]}},
      "jobs": {"result": {"jobs": [{"id": "j1", "kind": "deploy", "site": "blog", "state": "failed", "message": "bad \u001b[2J release"}]}},
      "audit": {"result": {"entries": [{"number": 9, "actor": "uid:0 root", "verb": "unlock", "outcome": "ok"}]}},
      "audit_verify": {"result": {"entries": 9, "head": "9:a0"}}}'
    run -0 --separate-stderr chillboxctl sites
    [ -z "$output" ]
    [ "$stderr" = "no site yet" ]
    run -0 chillboxctl releases blog
    [[ "${lines[1]}" == "*"*"1.0.0-3"*good*alice* ]]
    [ "$(asked)" = '["releases",{"site":"blog"}]' ]
    run -0 chillboxctl jobs blog -n 5
    [[ "$output" == *'bad \x1b[2J release'* ]]
    [ "$(asked)" = '["jobs",{"limit":5,"site":"blog"}]' ]
    run -0 chillboxctl audit
    [[ "$output" == *"uid:0 root"*unlock*ok* ]]
    run -0 chillboxctl audit verify
    [ "$output" = "ok: 9 entries, none changed; head 9:a0" ]
}

@test "an answer that is no such thing is an error, not an empty table" {
    start_daemon '{"status": {"cut": true}}'
    run -5 chillboxctl status
    [[ "$output" == *"without an answer"* ]]
}

@test "the exit code is that of the daemon's error, for every code" {
    for row in failure:1 usage:2 invalid:1 not_found:3 denied:4 unreachable:5 sealed:6 busy:7 conflict:7 preflight:8 unhealthy:9 rolled_back:10 \
        partial:11 timed_out:124 interrupted:130 corrupt:1 no_space:1 too_large:1 throttled:7; do
        start_daemon '{"rollback": {"error": {"code": "'"${row%:*}"'", "message": "said the daemon"}}}'
        run "-${row#*:}" --separate-stderr chillboxctl rollback blog
        [[ "$stderr" == *"chillboxctl: said the daemon"* ]]
    done
}

@test "rollback follows the job, and without a version asks for the last good one" {
    start_daemon '{"rollback": {"events": [{"number": 1, "time_ms": 1000, "step": "switch", "kind": "begin", "text": ""},
      {"number": 2, "time_ms": 1012, "step": "switch", "kind": "done", "text": "12 ms"}], "result": '"$JOB"'}}'
    run -0 --separate-stderr chillboxctl rollback blog
    [ "$output" = "blog: 1.0.0 (1.0.0-3) is live" ]
    [[ "$stderr" == *"switch"*"ok"*"12 ms"* ]]
    [ "$(asked)" = '["rollback",{"during_hold":false,"site":"blog","version":"","wait":true}]' ]
    run -0 chillboxctl rollback blog 1.0.0 --no-wait
    [ "$(asked)" = '["rollback",{"during_hold":false,"site":"blog","version":"1.0.0","wait":false}]' ]
    run -0 --separate-stderr chillboxctl rollback blog --json
    [ "$(jq -c '[.schema, .job.id, (.events | length)]' <<<"$output")" = '["chillbox.rollback.v1","j1",2]' ]
    [ -z "$stderr" ]
}

@test "rollback to a version that is not there is exit 3, and says which are" {
    start_daemon '{"rollback": {"error": {"code": "not_found", "message": "no release 9.9.9 of blog", "data": {"available": ["1.0.0 (1.0.0-3)", "0.9.0 (0.9.0-2)"]}}}}'
    run -3 --separate-stderr chillboxctl rollback blog 9.9.9
    [[ "$stderr" == *"no release 9.9.9"*"hint: available: 1.0.0 (1.0.0-3), 0.9.0 (0.9.0-2)"* ]]
    run -3 --separate-stderr chillboxctl rollback blog 9.9.9 --json
    [ "$(jq -r '.error.data.available[1]' <<<"$output")" = "0.9.0 (0.9.0-2)" ]
}

@test "a job that fails tells the last lines of its log" {
    start_daemon '{"restart": {"events": [{"number": 1, "step": "check", "kind": "begin"}, {"number": 2, "step": "check", "kind": "log", "text": "ImportError"}],
      "error": {"code": "unhealthy", "message": "blog: api does not answer"}}}'
    run -9 --separate-stderr chillboxctl restart blog/api
    [[ "$stderr" == *"  | ImportError"*"api does not answer"* ]]
    [ "$(asked)" = '["restart",{"no_watch":false,"service":"api","site":"blog","wait":true}]' ]
}

@test "Ctrl-C leaves the job running and says so" {
    start_daemon '{"stop": {"events": [{"number": 1, "step": "drain", "kind": "begin"}], "wait": 30, "result": '"$JOB"'}}'
    export TERM=xterm
    run -130 "$FAKE/at-terminal" expect:drain ctrl-c -- chillboxctl stop blog
    [[ "$output" == *"the job keeps running"* ]]
}

@test "remove wants the site's name typed, takes --yes instead, and removes nothing otherwise" {
    start_daemon '{"remove": {"result": '"$JOB"'}}'
    run -1 "$FAKE/at-terminal" expect:'to continue: ' type:yes -- chillboxctl remove blog
    [[ "$output" == *"nothing was removed"* ]]
    [ ! -e daemon.log ]
    run -0 "$FAKE/at-terminal" expect:'its data stays' expect:'to continue: ' type:blog -- chillboxctl remove blog
    [ "$(asked)" = '["remove",{"purge":false,"site":"blog","wait":true}]' ]
    run -0 chillboxctl remove blog --purge --yes </dev/null
    [ "$(asked)" = '["remove",{"purge":true,"site":"blog","wait":true}]' ]
}

@test "unlock brings the passphrase as its own frame, from the prompt or a descriptor" {
    start_daemon '{"ping": {"result": {"sealed": true}}, "unlock": {"result": {"recipient": "age1x", "sites": ["blog", "shop"]}}}'
    run -0 chillboxctl unlock --passphrase-fd 3 3<<<"host passphrase"
    [ "$output" = $'unlocked\nstarted: blog, shop' ]
    [ "$(tail -n 1 daemon.log | jq -r '.secret + (.args | tostring)')" = "host passphrase{}" ]
    run -0 "$FAKE/at-terminal" expect:'of the host: ' echo:off type:'typed one' -- chillboxctl unlock
    [ "$(tail -n 1 daemon.log | jq -r .secret)" = "typed one" ]
    [[ "$output" != *typed* ]]
}

@test "unlock: a wrong passphrase is exit 4, too early exit 7, unsealed already exit 0 without a question" {
    start_daemon '{"ping": {"result": {"sealed": true}}, "unlock": {"error": {"code": "denied", "message": "wrong passphrase (2 in a row)"}}}'
    run -4 chillboxctl unlock --passphrase-fd 3 3<<<"x"
    [[ "$output" == *"wrong passphrase (2 in a row)"* ]]
    start_daemon '{"ping": {"result": {"sealed": true}}, "unlock": {"error": {"code": "throttled", "message": "wait 4 s"}}}'
    run -7 chillboxctl unlock --passphrase-fd 3 3<<<"x"
    start_daemon '{"ping": {"result": {"sealed": false}}}'
    run -0 setsid -w chillboxctl unlock </dev/null
    [[ "$output" == "unchanged"* ]]
}

@test "lock, reload, retry and ping say what they did" {
    start_daemon '{"lock": {"result": {"was_unsealed": true}}, "reload": {"result": {}}, "retry": {"result": '"$JOB"'},
      "ping": {"result": {"version": "0.1.0", "sealed": false, "pid": 42}}}'
    run -0 chillboxctl lock
    [[ "$output" == locked* ]]
    run -0 chillboxctl reload
    run -0 chillboxctl retry j1 --allow-downgrade
    [ "$(asked)" = '["retry",{"allow_downgrade":true,"allow_jump":false,"job":"j1","no_watch":false,"wait":true}]' ]
    run -0 chillboxctl ping
    [ "$output" = "chillboxd 0.1.0, pid 42, unlocked" ]
}

@test "ping --wait goes on until the daemon answers, or its time is over" {
    (sleep 1 && exec "$FAKE/fake-daemon" "$CHILLBOX_SOCKET" answers.json daemon.log) 3>&- &
    export FAKE_PIDS=$!
    echo '{"ping": {"result": {"version": "0.1.0"}}}' >answers.json
    run -5 chillboxctl ping --wait 200ms
    run -0 chillboxctl ping --wait 10
}

@test "job shows what was; with -f it ends with the job's own exit code" {
    start_daemon '{"job": {"events": [{"number": 1, "time_ms": 1000, "step": "check", "kind": "begin", "text": ""}],
      "result": {"job": {"id": "j1", "site": "blog", "state": "failed", "code": "rolled_back", "message": "did not hold"}}}}'
    run -0 chillboxctl job j1
    [[ "$output" == *"check"*"begin"*"rolled_back"*"did not hold"* ]]
    [ "$(asked)" = '["job",{"after":0,"follow":false,"job":"j1"}]' ]
    run -10 chillboxctl job j1 -f
    run -0 chillboxctl job j1 --json
    [ "$(jq -c '[.schema, .job.code, .events[0].step]' <<<"$output")" = '["chillbox.job.v1","rolled_back","check"]' ]
    run -10 --separate-stderr chillboxctl job j1 -f --json
    [ "$(jq -r .kind <<<"${lines[0]}")" = begin ]
    [ "$(jq -r .job.code <<<"${lines[1]}")" = rolled_back ]
}

@test "logs names the service unless only one was asked for, and a terminal gets no control characters" {
    start_daemon '{"logs": {"events": [{"service": "api", "line": "a\u001b[2Jb\tc"}], "result": {}}}'
    run -0 chillboxctl logs blog -n 3
    [ "$output" = $'api: a\e[2Jb\tc' ]
    [ "$(asked)" = '["logs",{"follow":false,"lines":3,"service":"","site":"blog"}]' ]
    run -0 "$FAKE/at-terminal" -- chillboxctl logs blog/api
    [[ "$output" == 'a\x1b[2Jb'$'\t''c'* ]]
    run -0 chillboxctl logs blog --json
    [ "$(jq -r '.schema + " " + .lines[0].service' <<<"$output")" = "chillbox.logs.v1 api" ]
}

@test "-H without an ssh client is exit 5 and says so" {
    run -5 env PATH=/nowhere "$CTL" status -H a@one
    [[ "$output" == *"OpenSSH"* ]]
}
