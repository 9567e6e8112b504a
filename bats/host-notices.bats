#!/usr/bin/env bats
# A host tells: crashes, failed deploys and runs, a lock after a reboot, to receivers that are real; what a target answers, and what it cannot do.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    in_box sh -c 'sed -i "s/^# server_name = .*/server_name = \"host.example\"/" /etc/chillbox/chillboxd.toml; sed -i "s/^# gather = .*/gather = \"2s\"/" /etc/chillbox/chillboxd.toml'
    restarted
    receiver ops 8101
    receiver boss 8102
    secrets 'x'
    deploy 1.0.0
}

teardown_file() {
    for pid in "$BATS_FILE_TMPDIR"/*/pid; do [ ! -e "$pid" ] || kill "$(cat "$pid")" 2>/dev/null || :; done
    host_down
}
setup() { host_or_skip; }

restarted() {
    in_box rc-service -q chillboxd restart
    unlock
}

# receiver NAME PORT: takes notices at that port of the host's loopback.
receiver() {
    mkdir -p "$BATS_FILE_TMPDIR/$1"
    box net "$HOST" -- "$ROOT/bats/helpers/receiver" "$BATS_FILE_TMPDIR/$1" "$2" 3>&- &
    wait_for 20 test -e "$BATS_FILE_TMPDIR/$1/port"
}
got() { jq -r "${@: -1}" "$BATS_FILE_TMPDIR/$1/got" 2>/dev/null; }
types() { got "$1" '.body | fromjson | .data.notices[] | .event + "/" + .site + " " + .state'; }
told() { types "$1" | grep -qx "$2"; }
answers() { printf '%s\n' "$2" >"$BATS_FILE_TMPDIR/$1/does"; }
waiting() { json notify list '.targets[] | select(.name == "'"$1"'") | .waiting'; }
state() { json notify list '.targets[] | select(.name == "'"$1"'") | .state'; }
is() { [ "$($1 "$2")" = "$3" ]; }

@test "targets: added without a secret in an argument, shown, tried, and known to the daemon at once" {
    run -0 --separate-stderr in_box sh -c 'echo url=http://127.0.0.1:8101/in | chillboxctl notify add ops webhook'
    [[ "$output" =~ ^whsec_[A-Za-z0-9+/]+=*$ ]]
    printf '%s\n' "$output" >"$BATS_FILE_TMPDIR/ops.key"
    [ "$(in_box stat -c '%U %a' /etc/chillbox/notify/ops.toml)" = 'root 600' ]
    for setting in url=https://x ' url=https://x' 'url =https://x'; do
        run -2 in_box sh -c 'chillboxctl notify add other slack --set "$1" </dev/null' sh "$setting"
        [[ "$output" == *'is a secret, which everybody could read'* ]]
    done
    run -7 in_box sh -c 'echo url=http://127.0.0.1:8101/in | chillboxctl notify add ops webhook'
    run -3 in_box sh -c 'chillboxctl notify add x nosuch </dev/null'
    [[ "$output" == *"no hook 'nosuch'"*slack* ]]
    run -0 ctl notify test ops
    [ "$(got ops '.headers["webhook-id"]' | grep -c '^msg_')" -eq 1 ]
    [ "$(got ops '.body | fromjson | .type')" = notify.test ]
    run -0 ctl notify list
    [[ "$output" == *NAME*KIND*STATE*WAITING* && "$output" == *'ops '*webhook*ok* ]]
    run -3 ctl notify test nosuch
    for verb in 'notify list' 'notify test ops' 'notify retry' notices; do
        # shellcheck disable=SC2086 # words
        ctl $verb --json >>"$BATS_TEST_TMPDIR/answers"
    done
    "$ROOT/tests/schema/validate" "$ROOT/docs/control.schema.json" <"$BATS_TEST_TMPDIR/answers"
}

@test "a deploy that fails is told once, in one message with its advice, and its repair once" {
    make_site 1.1.0 'raise RuntimeError("broken")'
    run send "$(pack)"
    [ "$status" -ne 0 ]
    wait_for 30 told ops 'deploy.failed/hello open'
    got ops '.body | fromjson | select(.type == "deploy.failed") | .data' >"$BATS_TEST_TMPDIR/data"
    [ "$(jq -r .host "$BATS_TEST_TMPDIR/data")" = host.example ]
    [ "$(jq -r '.notices[0].advice' "$BATS_TEST_TMPDIR/data")" = 'see `chillboxctl jobs hello`' ]
    run -0 ctl notices hello
    [[ "$output" == *deploy.failed* ]]
    deploy 1.2.0
    wait_for 30 told ops 'deploy.failed/hello resolved'
    [ "$(types ops | grep -c deploy.failed)" -eq 2 ]
}

@test "the reference implementation verifies every message, with an id of its own and the time of its try" {
    client=$(sh "$ROOT/tests/conformance/fetch-client") || skip 'the reference client cannot be fetched here'
    jq -s --arg key "$(cat "$BATS_FILE_TMPDIR/ops.key")" '[.[] | {do: "verify", secret: $key, body, headers}]' "$BATS_FILE_TMPDIR/ops/got" >"$BATS_TEST_TMPDIR/asked"
    run -0 node "$ROOT/tests/conformance/client.mjs" "$client" <"$BATS_TEST_TMPDIR/asked"
    [ "$(jq 'all and length >= 3' <<<"$output")" = true ]
    [ "$(got ops '.headers["webhook-id"]' | sort | uniq -d | wc -l)" -eq 0 ]
}

@test "a crash is told without anybody looking, and what crashes on and on is one message [fault-684] [attack-U6]" {
    pid=$(in_box sh -c 'cat /run/openrc/options/chillbox.hello.api.*/child_pid')
    in_box kill -9 "$pid"
    wait_for 20 told ops 'service.crashed/hello open'
    for _ in 1 2 3; do
        sleep 1.5
        in_box sh -c 'kill -9 $(cat /run/openrc/options/chillbox.hello.api.*/child_pid)' || :
    done
    wait_for 20 sh -c '[ "$('"$ROOT/tests/host/box"' run "$1" -- chillboxctl notices --json | jq "[.notices[] | select(.event == \"service.crashed\")][0].count")" -ge 2 ]' sh "$HOST"
    [ "$(types ops | grep -c 'service.crashed')" -eq 1 ]
    # Only root can tell of one.
    [ "$(in_box stat -c '%U %a %F' /run/chillbox/restarts.sock)" = 'root 600 socket' ]
    add_user visitor 4002 -
    run box run "$HOST" -u hello -- python3 -c 'import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"chillbox.hello.api.a 0", "/run/chillbox/restarts.sock")'
    [ "$status" -ne 0 ]
    [[ "$output" == *'Permission denied'* ]]
}

@test "a redirect to somewhere else is a failure and is not followed; 410 disables; the others are told [fault-681] [fault-683] [attack-U1] [attack-U2]" {
    in_box sh -c 'echo url=http://127.0.0.1:8102/in | chillboxctl notify add boss webhook' >/dev/null 2>&1
    answers ops '302 http://127.0.0.1:8102/stolen'
    run -1 ctl notify test ops
    [[ "$output" == *'redirects are not followed'* ]]
    [[ "$(got boss .path)" != *stolen* ]]
    answers ops 410
    in_box sh -c 'chillboxctl trust list >/dev/null; cp /etc/chillbox/trusted/laptop.pub /etc/chillbox/trusted/second.pub; sed -i "s/laptop/second/" /etc/chillbox/trusted/second.pub; chillboxctl reload' || :
    in_box sh -c 'rm /etc/chillbox/trusted/second.pub; chillboxctl reload'
    wait_for 30 is state ops disabled
    wait_for 30 told boss 'notify.exhausted/ once'
    answers ops 200
    run -0 ctl notify retry ops
    wait_for 30 is waiting ops 0
    [ "$(state ops)" = ok ]
}

@test "whoever hangs keeps nobody waiting, and is tried again [fault-682] [attack-U3]" {
    answers ops hang
    before=$(got boss '.path' | wc -l)
    in_box sh -c 'cp /etc/chillbox/webhooks/laptop.key /etc/chillbox/webhooks/third.key; chillboxctl reload; rm /etc/chillbox/webhooks/third.key; chillboxctl reload'
    SECONDS=0
    wait_for 12 sh -c '[ "$(wc -l <"$1")" -gt "$2" ]' sh "$BATS_FILE_TMPDIR/boss/got" "$before"
    answers ops 200
    wait_for 60 is waiting ops 0
}

@test "what delivers sees no site, no secret, no state and no other target, and its key stays with the daemon [attack-U4] [attack-U5]" {
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/notify && cat >/etc/chillbox/hooks.d/notify/spy && chmod 755 /etc/chillbox/hooks.d/notify/spy' <<'END'
#!/bin/sh
[ "$1" = send ] || { echo 'url secret required x'; exit; }
settings=$(cat <&3)
seen=
for path in /srv/chillbox /var/lib/chillbox /var/log/chillbox /run /root /home; do [ -z "$(ls -A "$path" 2>/dev/null)" ] || seen="$seen $path"; done
for path in /etc/chillbox/notify/ops.toml /etc/chillbox/webhooks/laptop.key /etc/chillbox/chillboxd.toml /etc/shadow; do [ ! -r "$path" ] || seen="$seen $path"; done
for path in /etc/x /usr/x /var/x; do ! (: >"$path") 2>/dev/null || seen="$seen $path"; done
[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 20 ] || seen="$seen processes"
case $settings in *whsec_*) seen="$seen key" ;; *'signature=v1,'*) seen="$seen signature" ;; esac
echo "as $(id -un) $(sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status):$seen." >&2
exit 1
END
    key=$(in_box sed -n 's/^key = "\(.*\)"/\1/p' /etc/chillbox/notify/ops.toml)
    in_box sh -c 'printf "kind = \"spy\"\n[settings]\nurl = \"s3cret\"\nkey = \"%s\"\n" "$1" >/etc/chillbox/notify/spy.toml; chmod 600 /etc/chillbox/notify/spy.toml; chillboxctl reload' sh "$key"
    run -1 ctl notify test spy
    [[ "$output" == *'as chillbox-notify 1: signature.'* ]]
    run -0 ctl notify remove spy
}

post() { box run "$HOST" -u "$1" -- chillboxctl notify post "$2"; }

@test "a site posts if its file says so, as itself, ten times an hour, and what it says is text [fault-691] [attack-U7]" {
    run -4 post hello 'not yet'
    [[ "$output" == *'does not say "notices": true'* ]]
    make_site 1.3.0
    edit_site '.notices = true'
    send "$(pack)"
    in_box rc-service -q chillboxd restart # the ones that were refused count, too
    unlock
    run -0 post hello $'the import <script> @everyone\nX-Header: "1"'
    wait_for 30 told ops 'site.notice/hello once'
    [ "$(got ops '.body | fromjson | .data.notices[] | select(.event == "site.notice") | .text')" = 'the import <script> @everyone\x0aX-Header: "1"' ]
    run -4 post visitor 'as nobody'
    run -4 post root 'as root'
    for n in $(seq 9); do post hello "number $n"; done
    run -7 post hello 'one more'
    [[ "$output" == *'notices an hour are taken, the next in'* ]]
    in_box python3 - <<'END'
import os, socket, time
os.setgid(4002), os.setuid(4002)
begin = time.time()
silent = []
for n in range(10000):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/chillbox/notices.sock")
    s.sendall(b"x" * 100)
    s.recv(100)
    s.close()
for n in range(40):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/chillbox/notices.sock")
    silent.append(s)
assert time.time() - begin < 300
END
    run -7 post hello 'still the same hour'
    [ "$(json notices -n 1000 '[.notices[] | select(.event == "site.notice")] | length')" -eq 10 ]
    [ "$(json notices -n 1000 '[.notices[] | select(.event == "site.notice") | .site] | unique | join(" ")')" = hello ]
}

@test "locked after a reboot is told while it is locked, without a network at first, and the unlock, too [fault-687]" {
    rm "$BATS_FILE_TMPDIR/ops/got" "$BATS_FILE_TMPDIR/boss/got"
    kill "$(cat "$BATS_FILE_TMPDIR/boss/pid")"
    rm "$BATS_FILE_TMPDIR/boss/port"
    box reboot "$HOST"
    wait_for 60 told ops 'host.locked/ open'
    [ "$(json status .host.sealed)" = true ]
    wait_for 30 is state boss failing
    receiver boss 8102
    ctl notify retry boss
    wait_for 30 told boss 'host.locked/ open'
    unlock
    wait_for 30 told ops 'host.locked/ resolved'
    [ "$(got ops '.body | fromjson | .type' | grep -c '^host.unlocked$')" -eq 1 ]
}

@test "a changed entry of the audit trail is told, and that it is whole again [fault-846]" {
    change() { in_box python3 -c 'import sqlite3, sys
db = sqlite3.connect("/var/lib/chillbox/state.db", timeout=20)
db.execute("UPDATE audit SET actor = ? || substr(actor, 2) WHERE number = 2", sys.argv[1:])
db.commit()' "$1"; }
    first=$(json audit -n 1000 '.entries[] | select(.number == 2) | .actor[0:1]')
    change X
    ctl notices >/dev/null
    wait_for 30 told ops 'audit.broken/ open'
    [[ "$(got ops '.body | fromjson | .data.notices[] | select(.event == "audit.broken") | .text')" == *'audit entry 2 does not follow from the one before it'* ]]
    change "$first"
    ctl notices >/dev/null
    wait_for 30 told ops 'audit.broken/ resolved'
}

@test "kill -9 of the monitor around sends: nothing is lost, and what comes twice has the same id [fault-685]" {
    answers ops '200'
    : >"$BATS_FILE_TMPDIR/ops/got"
    for n in $(seq "${KILLS:-6}"); do
        in_box sh -c 'cp /etc/chillbox/webhooks/laptop.key "/etc/chillbox/webhooks/k$1.key"; chillboxctl reload' sh "$n"
        sleep "$((n % 3)).$((n * 7 % 10))"
        in_box sh -c 'kill -9 "$(cat /run/openrc/options/chillboxd/child_pid)"'
        wait_for 30 ctl ping -q
    done
    unlock
    wait_for 60 is waiting ops 0
    for n in $(seq "${KILLS:-6}"); do
        got ops '.body | fromjson | .data.notices[] | .text' | grep -q "sender 'k$n'"
    done
    [ "$(got ops '.headers["webhook-id"] + " " + .body' | sort -u | cut -d ' ' -f 1 | sort | uniq -d | wc -l)" -eq 0 ] # one id, one body
}
