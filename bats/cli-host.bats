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
    [[ "$output" == *"blog"*"sealed"*"1.0.0-3"*"2026-11-20, "*" days ago"*"api:stopped"* ]]
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
    [ "$(asked)" = '["releases",{"limit":100,"site":"blog"}]' ]
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

@test "[fault-1230] chillboxd stops while a job is followed: the next one is asked for the rest of it" {
    for ended in '"cut": true' '"error": {"code": "unreachable", "message": "the daemon stops; job j1 continues"}'; do
        start_daemon '{"rollback": {"events": [{"job": "j1"}, {"number": 1, "step": "switch", "kind": "begin"}], '"$ended"'},
          "job": {"events": [{"number": 2, "step": "switch", "kind": "done", "text": "12 ms"}], "result": '"$JOB"'}}'
        run -0 --separate-stderr chillboxctl rollback blog
        [ "$output" = "blog: 1.0.0 (1.0.0-3) is live" ]
        [[ "$stderr" == *"switch"*"ok"*"12 ms"* ]]
        [ "$(asked)" = '["job",{"after":1,"follow":true,"job":"j1"}]' ]
        run -0 --separate-stderr chillboxctl rollback blog --json
        [ "$(jq -c '[.schema, .job.id, (.events | length)]' <<<"$output")" = '["chillbox.rollback.v1","j1",2]' ]
    done
    start_daemon '{"restart": {"events": [{"job": "j1"}], "cut": true},
      "job": {"result": {"job": {"id": "j1", "kind": "restart", "site": "blog", "state": "failed", "message": "api does not answer", "code": "unhealthy"}}}}'
    run -9 --separate-stderr chillboxctl restart blog
    [ "$stderr" = "chillboxctl: api does not answer" ]
}

@test "[fault-1271] chillboxd stops while the end of a run or of an order is awaited: the next one is asked for it" {
    ran='{"id": 7, "site": "blog", "release": "1.0.0-3", "line": "x", "state": "failed", "started_ms": 1, "ended_ms": 2, "code": 3, "text": "row"}'
    for ended in '"cut": true' '"error": {"code": "unreachable", "message": "the daemon stops; run 7 continues"}'; do
        start_daemon '{"cron_run": {"events": [{"run": 7}], '"$ended"'}, "run_stop": {'"$ended"'},
          "run": {"result": {"run": '"$ran"', "socket": "", "output": "", "terminal": false}},
          "run_show": {"result": {"run": '"$ran"', "socket": "", "output": "", "terminal": false}}}'
        run -1 --separate-stderr chillboxctl cron run blog 1
        [ "$output" = row ]
        [ "$stderr" = "chillboxctl: run 7 ended with code 3" ]
        [ "$(asked)" = '["run_show",{"number":7,"wait":true}]' ]
        run -1 --separate-stderr chillboxctl cron run blog 1 --json
        [ "$(head -n 1 <<<"$output" | jq -c '[.schema, .run.id]')" = '["chillbox.cron_run.v1",7]' ]
        run -0 chillboxctl runs stop 7
        [ "$output" = "run 7: failed (3)" ]
        certificate=$(tls_answer | jq -c '.certificates[0]')
        start_daemon '{"tls_renew": {"events": ['"$(jq -c '.sha256 = "cd34"' <<<"$certificate")"'], '"$ended"'}, "tls": {"result": {"certificates": ['"$certificate"']}}}'
        run -0 chillboxctl tls renew blog
        [[ "${lines[0]}" == "blog  valid  valid until "* ]]
        run -0 chillboxctl tls renew blog --json
        [ "$(jq -c '[.schema, .certificate.sha256, .staging]' <<<"$output")" = '["chillbox.tls_renew.v1","ab12",false]' ]
        start_daemon '{"tls_renew": {"events": ['"$(jq -c '.failures = 0' <<<"$certificate")"'], '"$ended"'},
          "tls": {"result": {"certificates": ['"$(jq -c '.failures = 1 | .problem = "the CA is away"' <<<"$certificate")"']}}}'
        run -1 --separate-stderr chillboxctl tls renew blog
        [ "$stderr" = "chillboxctl: blog: the CA is away" ]
    done
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
    printf 'one\na\e[2Jb c\n' >"$BATS_TEST_TMPDIR/api.log"
    start_daemon "{\"log_files\": {\"events\": [{\"service\": \"api\", \"stream\": \"app\", \"file\": \"$BATS_TEST_TMPDIR/api.log\"}, {\"look\": true}], \"result\": {}}}"
    run -0 chillboxctl logs blog -n 1
    [ "$output" = 'api: a\x1b[2Jb c' ]
    [ "$(asked)" = '["log_files",{"follow":false,"service":"","site":"blog","streams":["app","error","cron"]}]' ]
    run -0 "$FAKE/at-terminal" -- chillboxctl logs blog/api -n 1
    [[ "$output" == 'a\x1b[2Jb c'* ]]
    run -0 chillboxctl logs blog --json
    [ "$(jq -r '.schema + " " + .lines[0].service' <<<"$output")" = "chillbox.logs.v1 api" ]
    [ "$(jq -r '.lines[1].base64' <<<"$output" | base64 -d)" = $'a\e[2Jb c' ]
    run -2 chillboxctl logs blog --stream nosuch
}

@test "[fault-1119] logs of one service has the streams that are asked for, of NGINX only what went wrong; what it does not follow it refuses" {
    printf 'one\n' >"$BATS_TEST_TMPDIR/api.log"
    start_daemon "{\"log_files\": {\"events\": [{\"service\": \"api\", \"stream\": \"app\", \"file\": \"$BATS_TEST_TMPDIR/api.log\"}, {\"look\": true}], \"result\": {}}}"
    run -0 chillboxctl logs blog/nginx
    [ "$(asked)" = '["log_files",{"follow":false,"service":"nginx","site":"blog","streams":["app","error","cron","run"]}]' ]
    run -0 chillboxctl logs blog/nginx --stream access
    [ "$(asked)" = '["log_files",{"follow":false,"service":"nginx","site":"blog","streams":["access"]}]' ]
    run -2 chillboxctl logs blog -f --stream job
    [[ "$output" == *"chillboxctl job JOB -f"* ]]
    run -2 chillboxctl logs blog/api --stream app,job
    [[ "$output" == *"chillboxctl logs blog --stream job"* ]]
}

@test "-H without an ssh client is exit 5 and says so" {
    run -5 env PATH=/nowhere "$CTL" status -H a@one
    [[ "$output" == *"OpenSSH"* ]]
}

# A certificate that is served, one that fails with little time left, and one that nothing reaches. Times are relative to now.
tls_answer() {
    now=$(date +%s)000
    jq -cn --argjson now "$now" '{certificates: [
      {id: "blog", site: "blog", state: "valid", alert: "none", mode: "auto", key: "disk", challenge: "http-01", profile: "tlsserver", engine: "acmez",
       ca: "https://ca.example/dir", names: ["blog.example", "www.blog.example"], plain: [], not_before_ms: $now, not_after_ms: ($now + 44.5 * 86400000 | floor),
       issuer: "Pretend CA", sha256: "ab12", next_ms: ($now + 30 * 86400000), failing_ms: 0, failures: 0, problem: "", link: "",
       explanation: "https://ca.example/why", probes: []},
      {id: "shop", site: "shop", state: "attention", alert: "'"${1-error}"'", mode: "auto", names: ["shop.example"],
       plain: [{name: "www.shop.example", why: "DNS has no address for it"}], not_before_ms: 1, not_after_ms: ($now + '"${2-5.5}"' * 86400000 | floor),
       next_ms: ($now + 3600000), failing_ms: 1795196014000, failures: 4, problem: "the CAA record of shop.example forbids this CA",
       link: "https://ca.example/caa", probes: [{name: "shop.example", address: "192.0.2.1", good: true, text: "the token", time_ms: 1}]},
      {id: "_host", site: "_host", state: "waiting", alert: "none", mode: "auto", names: [], plain: [], not_after_ms: 0, next_ms: ($now + 60000),
       failures: 0, problem: "host.example: DNS has no address for it", probes: []}]}'
}

@test "tls shows every certificate in 80 columns: what is served, what fails and why, what is tried when" {
    start_daemon "{\"tls\": {\"result\": $(tls_answer)}}"
    run -0 env TZ=UTC "$CTL" tls
    [ "$(asked)" = '["tls",{}]' ]
    [[ "${lines[0]}" == CERTIFICATE*STATE*"VALID UNTIL"*LEFT*NEXT*NAMES ]]
    [[ "${lines[1]}" == "blog "*valid*"44 days"*"blog.example +1" ]]
    [[ "${lines[2]}" == "shop "*attention*"5 days"*"shop.example" ]]
    [[ "${lines[3]}" == "_host "*waiting*" - "* ]]
    words=$(tr -s ' \n' '  ' <<<"$output")
    [[ "$words" == *"shop: https ends in 5 days: a person is needed: the CAA record of shop.example forbids this CA (https://ca.example/caa); it has failed 4 times since 2026-11-20"* ]]
    [[ "$words" == *"next try "*"; \`chillboxctl tls check shop\` asks again now"* ]]
    [[ "$words" == *"shop: www.shop.example answers on http only: DNS has no address for it"* ]]
    [[ "$words" == *"_host: no https yet: this host is not reached under its name, and no CA was asked: host.example: DNS has no address"* ]]
    [ "$(awk 'length > 80' <<<"$output")" = "" ]
    run -0 --separate-stderr chillboxctl tls --json
    [ "$(jq -r '.schema + " " + .certificates[1].state' <<<"$output")" = "chillbox.tls.v1 attention" ]
}

@test "tls of one site says all of it: names, next renewal and why, issuer, how it is ordered" {
    start_daemon "{\"tls\": {\"result\": $(tls_answer | jq -c '.certificates |= .[:1]')}}"
    run -0 chillboxctl tls blog
    [ "$(asked)" = '["tls",{"site":"blog"}]' ]
    [[ "${lines[0]}" == "blog  valid  valid until "*", 44 days left" ]]
    [[ "$output" == *"names       blog.example, www.blog.example"*"the CA says why:"*"https://ca.example/why"*"issuer      Pretend CA"* ]]
    [[ "$output" == *"mode auto, key on disk, by http-01, profile tlsserver, engine acmez"* ]]
    [ "$(awk 'length > 80' <<<"$output")" = "" ]
    run -2 chillboxctl tls 'no site'
    run -0 chillboxctl tls _host
    [ "$(asked)" = '["tls",{"site":"_host"}]' ]
}

@test "without a certificate tls says so on standard error" {
    start_daemon '{"tls": {"result": {"certificates": [{"id": "blog", "site": "blog", "state": "off", "plain": [{"name": "blog.example", "why": "\"tls\" in its site file is off"}]}]}}}'
    run -0 --separate-stderr chillboxctl tls
    [[ "$stderr" == "no certificate:"* ]]
    [[ "$output" == *"blog: blog.example answers on http only"* ]]
}

@test "tls check: each address, exit 0 when ready, 8 when not, and then the first reason" {
    start_daemon '{"tls_check": {"result": {"site": "blog", "ready": true, "probes": [{"name": "blog.example", "address": "loopback", "good": true, "text": "the token"}]}}}'
    run -0 --separate-stderr chillboxctl tls check blog
    [ "$output" = "ok      blog.example at loopback: the token" ]
    [[ "$stderr" == ready:* ]]
    start_daemon '{"tls_check": {"result": {"site": "blog", "ready": false, "probes": [{"name": "blog.example", "address": "loopback", "good": true, "text": "the token"},
      {"name": "blog.example", "address": "2001:db8::1", "good": false, "text": "answers 404: the AAAA record leads elsewhere; remove or correct it"}]}}}'
    run -8 --separate-stderr chillboxctl tls check blog
    [[ "${lines[1]}" == "FAILED  blog.example at 2001:db8::1: answers 404"* ]]
    [[ "$stderr" == *"blog: not ready, no CA was asked: blog.example: answers 404"* ]]
    run -8 --separate-stderr chillboxctl tls check blog --json
    [ "$(jq -r '.schema, .probes[1].good' <<<"$output")" = $'chillbox.tls_check.v1\nfalse' ]
    [ -z "$stderr" ]
}

@test "tls renew: the new certificate, a trial, too early is exit 7 with the time, not ready is exit 8" {
    certificate=$(tls_answer | jq -c '.certificates[0]')
    start_daemon "{\"tls_renew\": {\"result\": {\"certificate\": $certificate, \"staging\": false}}}"
    run -0 chillboxctl tls renew blog
    [ "$(asked)" = '["tls_renew",{"site":"blog","staging":false,"wait":true}]' ]
    [[ "${lines[0]}" == "blog  valid  valid until "* ]]
    run -0 chillboxctl tls renew blog --no-wait
    [ "$output" = "ordered: chillboxctl tls blog" ]
    start_daemon "{\"tls_renew\": {\"result\": {\"certificate\": $certificate, \"staging\": true, \"text\": \"blog.example by Pretend CA\"}}}"
    run -0 chillboxctl tls renew blog --staging
    [[ "$output" == "the trial worked, and nothing was installed: blog.example by Pretend CA" ]]
    start_daemon '{"tls_renew": {"error": {"code": "throttled", "message": "blog: the CA takes no order before 2026-11-20T17:33:34Z"}}}'
    run -7 chillboxctl tls renew blog
    [[ "$output" == *"before 2026-11-20T17:33:34Z"* ]]
    start_daemon '{"tls_renew": {"error": {"code": "preflight", "message": "blog: not ready"}}}'
    run -8 chillboxctl tls renew blog
}

@test "tls revoke wants the site's name typed, or --yes" {
    start_daemon "{\"tls_revoke\": {\"result\": {\"certificate\": $(tls_answer | jq -c '.certificates[0]')}}}"
    run -1 "$FAKE/at-terminal" expect:'to continue: ' type:yes -- chillboxctl tls revoke blog
    [[ "$output" == *"nothing was revoked"* ]]
    [ ! -e daemon.log ]
    run -0 "$FAKE/at-terminal" expect:'to continue: ' type:blog -- chillboxctl tls revoke blog
    [ "$(asked)" = '["tls_revoke",{"site":"blog"}]' ]
    run -0 chillboxctl tls revoke blog --yes </dev/null
    [[ "$output" == "revoked: "* ]]
}

@test "tls account shows the account, and that there is none yet" {
    start_daemon '{"tls_account": {"result": {"ca": "https://ca.example/dir", "engine": "acmez", "url": "https://ca.example/acct/1", "status": "valid",
      "thumbprint": "abc", "contact": ["mailto:a@b.example"]}}}'
    run -0 chillboxctl tls account
    [[ "$output" == *"account     https://ca.example/acct/1, valid"*"thumbprint  abc"*"mailto:a@b.example"* ]]
    start_daemon '{"tls_account": {"result": {"ca": "https://ca.example/dir", "engine": "acmez"}}}'
    run -0 chillboxctl tls account
    [[ "$output" == *"account     none yet"* ]]
    start_daemon '{"tls_account": {"result": {"ca": "", "engine": "acmez"}}}'
    run -0 chillboxctl tls account
    [[ "$output" == "tls.acme is off"* ]]
}

status_with_tls() { # ALERT DAYS
    jq -cn --argjson status "$STATUS" --argjson tls "$(tls_answer "$@")" '$status | .status.result.sites = [] | .status.result += $tls'
}

@test "status: certificates below the sites; what ends soon is the first line; exit 1 once one has expired" {
    start_daemon "$(status_with_tls error)"
    run -0 chillboxctl status
    [[ "${lines[0]}" == "shop: https ends in 5 days: a person is needed"* ]]
    [[ "$output" == *CERTIFICATE*"blog "*valid*"www.shop.example answers on http only"* ]]
    start_daemon "$(status_with_tls warning)"
    run -0 chillboxctl status
    [[ "${lines[0]}" == chillboxd* && "$output" == *"shop: https ends in 5 days"* ]]
    start_daemon "$(status_with_tls expired -2.5)"
    run -1 --separate-stderr chillboxctl status
    [[ "${lines[0]}" == "shop: its certificate expired 2 days ago, and browsers refuse shop.example: "* ]]
}

@test "a settings file that was changed after chillboxd read it is told by doctor [fault-1129]" {
    export CHILLBOX_ROOT=$PWD/root
    mkdir -p root/etc/chillbox
    : >root/etc/chillbox/chillboxd.toml
    start_daemon "$STATUS"
    run chillboxctl doctor
    [[ "$output" == *"warn  config"*"chillboxd.toml was changed after chillboxd had read it"*"-> chillboxctl upgrade"* ]]
    touch -d '2 hours ago' root/etc/chillbox/chillboxd.toml
    run chillboxctl doctor
    [[ "$output" != *"had read it"* ]]
}

@test "withdraw asks a person before it acts, for it cannot be undone, and no script; secrets withdraw, too [fault-1210]" {
    start_daemon '{"withdraw": {"result": {"site": "blog", "releases": ["1.0.0-3"]}}, "secrets_withdraw": {"result": {"site": "blog", "serial": 7}}}'
    for verb in "withdraw blog 1.0.0" "secrets withdraw blog"; do
        # shellcheck disable=SC2086 # words
        run -1 "$FAKE/at-terminal" expect:'cannot be undone' type:n -- chillboxctl $verb
        [[ "$output" == *"nothing was changed"* ]]
        [ ! -e daemon.log ]
    done
    run -0 "$FAKE/at-terminal" expect:'cannot be undone' type:y -- chillboxctl withdraw blog 1.0.0
    [ "$(asked | jq -r '[.[0], .[1].version] | join(" ")')" = 'withdraw 1.0.0' ]
    run -0 chillboxctl withdraw blog 1.0.0 -y
    run -0 chillboxctl secrets withdraw blog </dev/null
    [ "$(asked | jq -r '.[0]')" = secrets_withdraw ]
}

@test "report --link --json warns of a host without a certificate, as without --json [fault-1211]" {
    start_daemon '{"report_link": {"result": {"url": "https://host.example/r/abc", "until_ms": 1795196014000}}, "tls": {"result": {"certificates": []}}}'
    for json in "" --json; do
        # shellcheck disable=SC2086 # or none
        run -0 --separate-stderr chillboxctl report --link 1h $json
        [[ "$stderr" == *"warning: this host has no valid certificate for its own name"* ]]
    done
    [ "$(jq -r .url <<<"$output")" = https://host.example/r/abc ]
}

@test "doctor says a short disk in its own line alone, not as a warning of chillboxd too [fault-1215]" {
    start_daemon "$(jq -c '.status.result.host.warnings += ["disk: /var/lib/chillbox: 1 MB of 1 GB free, less than the reserve of 5 %: deploys are refused: `chillboxctl prune`"]' <<<"$STATUS")"
    run chillboxctl doctor
    [[ "$output" == *"warn  chillboxd"*"the certificate ends in 3 days"* ]]
    [[ "$output" != *"warn  chillboxd"*"disk: "* ]]
}

@test "doctor says what to do about a name that somebody else has, not to restart the site [fault-1213]" {
    start_daemon "$(jq -c '.status.result.sites[0].state = "live" | .status.result.sites[0].down = "asked for x; host.server_name of chillboxd.toml has that name, too: change one of them"' <<<"$STATUS")"
    run -1 chillboxctl doctor
    [[ "$output" == *"fail  site"*"-> deploy blog with another name, or change the other one; chillboxctl upgrade reads chillboxd.toml"* ]]
}

@test "jobs does not say twice in which step a job failed" {
    start_daemon '{"jobs": {"result": {"jobs": [{"id": "j1", "kind": "deploy", "site": "blog", "version": "1", "state": "failed", "step": "check", "message": "check: it answers 500"},
      {"id": "j2", "kind": "deploy", "site": "blog", "version": "1", "state": "failed", "step": "start", "message": "it ended"}]}}}'
    run -0 chillboxctl jobs
    [[ "$output" == *"  check: it answers 500"* && "$output" == *"start: it ended"* && "$output" != *"check: check:"* ]]
}

@test "doctor: certificates that fail, by how little time is left" {
    start_daemon "$(status_with_tls warning)"
    run chillboxctl doctor
    [[ "$output" == *"warn  certificate   shop: https ends in 5 days"*"-> chillboxctl tls shop"*"ok    certificates  2 of 3 are served"* ]]
    for alert in error expired; do
        start_daemon "$(status_with_tls "$alert")"
        run -1 chillboxctl doctor
        [[ "$output" == *"fail  certificate   shop: "* ]]
    done
}
