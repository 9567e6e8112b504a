#!/usr/bin/env bats
# Sealed and unsealed: a real reboot, what serves meanwhile, unlock over a real ssh login, lock, and what a wrong passphrase costs.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

# One service with a secret, one that is files, one that runs without a secret.
CANARY=canary-3f9b61d7c2

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "$CANARY"
    three_services 1.0.0
    send "$(pack)"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

three_services() { # VERSION
    make_site "$1"
    mkdir -p "$LAPTOP/hello/docs" "$LAPTOP/hello/clock"
    printf 'the manual\n' >"$LAPTOP/hello/docs/index.html"
    cat >"$LAPTOP/hello/clock/clock" <<'END'
#!/usr/bin/python3
import http.server, os
class Clock(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tick " + os.environ["VERSION"].encode() + b"\n")
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Clock).serve_forever()
END
    chmod 0755 "$LAPTOP/hello/clock/clock"
    edit_site '.services += [{name: "docs", lang: "static", handler: "docs"}, {name: "clock", lang: "binary", handler: "clock"}]'
}

reboot() {
    box reboot "$HOST"
    ctl ping --wait 20s
}

state() { json status '.sites[0].state'; }
vault() { in_box pgrep -u chillbox-vault; }
job_is() { [ "$(json job "$1" .job.state)" = "$2" ]; }
ssh_to() { box ssh "$HOST" "$@"; }

# The command line or the environment of some process of the host has it; the one that looks has not.
processes_show() { in_box sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null' | tr '\0' '\n' | grep -aqF -- "$1"; }

# Where the host's disk is seen from here: all that the box ever wrote, above the root that all boxes share.
disk() { printf '%s/%s/disk\n' "${BOX_STATE:-/var/lib/chillbox-box}" "$HOST"; }

@test "all three services answer while the host is unsealed" {
    [ "$(get /)" = "hello from 1.0.0" ]
    [ "$(get /docs/)" = "the manual" ]
    [ "$(get /clock/)" = "tick 1.0.0" ]
    [ "$(state)" = live ]
}

@test "[fault-84] a secret is in tmpfs alone: not on the disk, not in an environment, not in a command line, not in a log" {
    in_box grep -q "$CANARY" /run/chillbox/secrets/hello/api/api.cfg
    [ "$(in_box stat -f -c %T /run/chillbox/secrets)" = tmpfs ]
    in_box sync
    # The search finds what is there: the public half of the host's identity.
    grep -rqF "$(in_box cat /var/lib/chillbox/recipient.txt)" "$(disk)"
    run ! grep -rqF "$CANARY" "$(disk)"
    run ! processes_show "$CANARY"
    processes_show 'SECRETS_CONFIG=/run/chillbox/secrets/hello/api/api.cfg'
    run ! in_box grep -rqF "$CANARY" /var/log /run/chillbox/slots
}

@test "the passphrase and the unsealed identity are nowhere either" {
    run ! grep -rqF "$PASSPHRASE" "$(disk)"
    run ! grep -rqF AGE-SECRET-KEY- "$(disk)/upper/var" "$(disk)/upper/etc"
    run ! processes_show AGE-SECRET-KEY-
    run ! processes_show "$PASSPHRASE"
    processes_show chillbox-vault
}

# In a session of its own, without a terminal: setsid of a child, which need not be forked for it.
in_session() { in_box sh -c 'setsid "$@"; exit' sh "$@"; }

@test "[fault-76] there is no way to give a passphrase as an argument or in the environment" {
    run -2 ctl unlock --passphrase "$PASSPHRASE"
    run -2 ctl unlock "$PASSPHRASE"
    in_box rc-service chillboxd restart
    run -2 in_session env CHILLBOX_PASSPHRASE="$PASSPHRASE" PASSPHRASE="$PASSPHRASE" chillboxctl unlock
    [[ "$output" == *"use --passphrase-fd N"* ]]
    unlock
}

@test "[fault-83] after a reboot the host is locked and says so; what needs no secret serves, the rest is a sealed page" {
    reboot
    [ "$(state)" = sealed ]
    [ "$(json ping .sealed)" = true ]
    run -1 ctl status
    [[ "$output" == "hello is down for visitors: waits for api/api.cfg: \`chillboxctl unlock\`"*locked* ]]
    run -0 get / -D -
    [[ "$output" == "HTTP/1.1 503 "*"Retry-After:"*"no-store"*"<h1>Back soon</h1>"* ]]
    [ "$(get /docs/)" = "the manual" ]
    wait_for 20 clock_ticks
    [ "$(in_box ls /run/chillbox/secrets)" = '' ]
    run ! in_box rc-service chillbox.hello.api.a status
}
clock_ticks() { [ "$(get /clock/)" = "tick 1.0.0" ]; }

@test "[fault-47] a deploy that comes while sealed waits as waiting-unlock; the laptop is told, and can ask later" {
    three_services 1.1.0
    artifact=$(pack)
    run -6 send "$artifact" --timeout 5s
    [[ "$output" == *"job "*" waits: the host is locked; it continues after \`chillboxctl unlock\` there"* ]]
    job=$(json jobs '.jobs[0].id')
    job_is "$job" waiting-unlock
    [ "$(json status .host.waiting_unlock)" = 1 ]
    printf '%s\n' "$job" >"$LAPTOP/waiting"
    [ "$(get / -o /dev/null -w '%{http_code}')" = 503 ]
}

@test "[fault-77] unlock without a terminal fails at once with a hint, over ssh too" {
    run -2 in_session chillboxctl unlock </dev/null
    [[ "$output" == *"needs a terminal, and there is none: use --passphrase-fd N"* ]]
    run -2 ssh_to chillboxctl unlock </dev/null
    [ "$(state)" = sealed ]
}

@test "[fault-78] Ctrl-C at the prompt of an ssh login: 130, the echo is back, nothing is counted" {
    run -130 "$TERMINAL" expect:'passphrase of the host: ' ctrl-c -- "$ROOT/tests/host/box" ssh "$HOST" -t chillboxctl unlock
    [ "$(json audit -n 100 '[.entries[] | select(.verb == "unlock" and .outcome == "denied")] | length')" = 0 ]
}

@test "[fault-86] an ssh login that dies at the prompt leaves nothing behind" {
    "$TERMINAL" expect:never -- "$ROOT/tests/host/box" ssh "$HOST" -t chillboxctl unlock 3>&- &
    login=$!
    wait_for 10 somebody_asks
    kill -9 "$login"
    wait_for 10 nobody_asks
    [ "$(json ping .sealed)" = true ]
}
somebody_asks() { in_box pgrep -x chillboxctl; }
nobody_asks() { ! somebody_asks; }

@test "[fault-75] a wrong passphrase: exit 4, counted, slower each time, also after a restart of the daemon" {
    run -4 unlock wrong
    [[ "$output" == *"wrong passphrase (1 in a row): the next try is possible in 1 s"* ]]
    run -7 unlock "$PASSPHRASE"
    [[ "$output" == *"wait 1 s"* ]]
    sleep 1.1
    run -4 unlock wrong
    [[ "$output" == *"wrong passphrase (2 in a row): the next try is possible in 2 s"* ]]
    sleep 2.1
    run -4 unlock wrong
    [[ "$output" == *"(3 in a row)"*"in 4 s"* ]]
    in_box rc-service chillboxd restart
    run -7 unlock "$PASSPHRASE"
    [[ "$output" == *"wrong passphrase (3 in a row): wait "[1-4]" s"* ]]
    [ "$(json audit -n 100 '[.entries[] | select(.verb == "unlock" and .outcome == "denied")] | length')" = 3 ]
    [ "$(state)" = sealed ]
    run ! vault
    sleep 4.1
}

@test "unlock over a real ssh login: the services start, and the job that waited goes live" {
    run -0 "$TERMINAL" expect:'passphrase of the host: ' echo:off type:"$PASSPHRASE" expect:'started: hello' \
        -- "$ROOT/tests/host/box" ssh "$HOST" -t chillboxctl unlock
    [[ "$output" != *"$PASSPHRASE"* ]]
    [[ "$output" == *"started: hello"* ]]
    vault
    ctl job "$(cat "$LAPTOP/waiting")" -f
    [ "$(get /)" = "hello from 1.1.0" ]
    [ "$(get /whisper)" = "a secret of ${#CANARY} characters" ]
    [ "$(get /clock/)" = "tick 1.1.0" ]
    run -0 unlock
    [[ "$output" == "unchanged"* ]]
}

@test "[fault-229] lock ends the vault and the identity; services keep running; deploys wait; unlock from a script names only what it started" {
    before=$(pids_of hello)
    pid=$(vault)
    run -0 ctl lock
    [[ "$output" == *"the host key is wiped, running services keep running"* ]]
    run ! in_box kill -0 "$pid"
    run ! vault
    [ "$(json ping .sealed)" = true ]
    [ "$(pids_of hello)" = "$before" ]
    [ "$(get /)" = "hello from 1.1.0" ]
    run -0 ctl lock
    [[ "$output" == "unchanged"* ]]
    run -0 box net "$HOST" -- "$CTL" deploy "$(three_services 1.2.0 && pack)" --to "$URL" --webhook-key "$LAPTOP/hook.key" --json -q
    job=$(jq -r .job <<<"$output")
    wait_for 10 job_is "$job" waiting-unlock
    run -0 unlock
    [[ "$output" != *started* ]]
    ctl job "$job" -f
    [ "$(get /)" = "hello from 1.2.0" ]
}

@test "[fault-87] lock in the middle of a deploy: it ends whole, at once or after the unlock" {
    three_services 1.3.0
    run -0 box net "$HOST" -- "$CTL" deploy "$(pack)" --to "$URL" --webhook-key "$LAPTOP/hook.key" --json -q
    job=$(jq -r .job <<<"$output")
    ctl lock
    [[ "$(get /)" == "hello from 1."[23].0 ]]
    unlock
    ctl job "$job" -f
    [ "$(get /)" = "hello from 1.3.0" ]
    [ "$(in_box ls /run/chillbox/stage)" = '' ]
}

@test "a vault that dies by itself seals the host, loudly, and what runs goes on" {
    in_box sh -c 'kill -9 "$(pgrep -u chillbox-vault)"'
    wait_for 10 is_sealed
    [[ "$(json status '.host.warnings | join(" ")')" == *"the vault ended unexpectedly"* ]]
    [ "$(get /)" = "hello from 1.3.0" ]
    unlock
}
is_sealed() { [ "$(json ping .sealed)" = true ]; }

@test "a power cut: sealed, the same release, and unlock brings it back" {
    box cut "$HOST"
    box start "$HOST"
    ctl ping --wait 20s
    [ "$(state)" = sealed ]
    [ "$(code /)" = 503 ]
    unlock
    [ "$(get /)" = "hello from 1.3.0" ]
    [ "$(get /clock/)" = "tick 1.3.0" ]
}

@test "from the laptop: -H runs the same command there through ssh, with its exit code" {
    mkdir -p "$LAPTOP/bin"
    printf '#!/bin/sh\nexec /usr/bin/ssh -i %s -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n' \
        "$(box key "$HOST")" >"$LAPTOP/bin/ssh"
    chmod 0755 "$LAPTOP/bin/ssh"
    laptop() { box net "$HOST" -- env PATH="$LAPTOP/bin:/usr/bin:/bin" "$CTL" -H root@127.0.0.1 "$@"; }
    run -0 laptop status --json
    [ "$(jq -r '.schema' <<<"$output")" = chillbox.status.v1 ]
    run -3 laptop rollback hello 9.9.9
    [[ "$output" == *"no good release '9.9.9'"* ]]
    run -0 laptop lock
    [ "$(json ping .sealed)" = true ]
    run -0 "$TERMINAL" expect:'passphrase of the host: ' echo:off type:"$PASSPHRASE" -- \
        "$ROOT/tests/host/box" net "$HOST" -- env PATH="$LAPTOP/bin:/usr/bin:/bin" "$CTL" -H root@127.0.0.1 unlock
    [ "$(json ping .sealed)" = false ]
}
