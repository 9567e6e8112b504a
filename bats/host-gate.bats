#!/usr/bin/env bats
# The gate of a running host, through NGINX and directly on the edge's socket: webhooks with one change, what HTTP can be bent to, slow clients.
# CHILLBOX_MUTATIONS: how many changed webhooks go through NGINX (50000 for the whole proof).

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    [ -x "$ROOT/${BUILD:-build}/gate-timing" ] || make -s -C "$ROOT" "BUILD=${BUILD:-build}" gate >&2
    host_set_up
    box push "$HOST" "$ROOT/${BUILD:-build}/gate-mutants" "$ROOT/${BUILD:-build}/gate-slow" "$ROOT/${BUILD:-build}/gate-timing" /usr/local/bin/
    box push "$HOST" "$LAPTOP/hook.key" /root/
}

teardown_file() { host_down; }
setup() { host_or_skip; }

NGINX=127.0.0.1:80
EDGE=unix:/run/chillbox/hook.sock

jobs() { # how many there are
    in_box python3 -c 'import sqlite3
print(sqlite3.connect("file:/var/lib/chillbox/state.db?mode=ro", uri=True).execute("SELECT count(*) FROM jobs").fetchone()[0])'
}
# raw TEXT [SECONDS]: to NGINX as it stands (printf's %b), at once, and what comes back until it closes
raw() {
    box net "$HOST" -- bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "%b" "$1" | dd bs=64k iflag=fullblock status=none >&3; timeout "$2" cat <&3 | tr -d "\000"' bash "$1" "${2:-5}" | tr -d '\r'
}
answers() { grep -o 'HTTP/1\.1 [0-9]' <<<"$answer" | wc -l; }
# refused STATUS TEXT: answered so, and only once
refused() {
    answer=$(raw "$2" || :)
    printf '%s\n---\n%s\n' "$2" "$answer"
    [[ "$answer" == "HTTP/1.1 $1 "* ]]
    [ "$(answers)" -eq 1 ]
}
HEAD='POST /v1/hooks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
SIGNED='webhook-id: a\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,b\r\n'

@test "[fault-10] webhooks with one change, through NGINX: none accepted, none answered 5xx" {
    before=$(jobs)
    in_box gate-mutants "$NGINX" /root/hook.key "${CHILLBOX_MUTATIONS:-500}" >&3
    [ $(($(jobs) - before)) -eq 20 ] # those that were not changed
}

@test "[fault-10] the same directly on the edge's socket" {
    in_box gate-mutants "$EDGE" /root/hook.key "${CHILLBOX_MUTATIONS:-500}" >&3
}

@test "[fault-24] through NGINX: lengths that can be read in two ways" {
    before=$(jobs)
    for bad in 'Content-Length: 2\r\nTransfer-Encoding: chunked' 'Content-Length: 2\r\nContent-Length: 2' 'Content-Length: 2\r\nContent-Length: 3' \
        'Content-Length: +5' 'Content-Length: -1' 'Content-Length: 2 2' 'Content-Length: 18446744073709551616' 'Content-Length: 0x2'; do
        refused 400 "$HEAD$SIGNED$bad\r\n\r\n{}"
    done
    [ "$(jobs)" -eq "$before" ]
}

@test "[fault-26] through NGINX: chunks are refused whatever their size and extensions say, before any is read" {
    before=$(jobs)
    for chunks in '2\r\n{}\r\n0\r\n\r\n' '-2\r\nxx\r\n0\r\n\r\n' 'g\r\nxx\r\n0\r\n\r\n' 'fffffff\r\nxx\r\n0\r\n\r\n' '2;a=\001\r\nxx\r\n0\r\n\r\n' \
        '2\r\nxxyy\r\n0\r\n\r\n'; do
        refused 411 "$HEAD${SIGNED}Transfer-Encoding: chunked\r\n\r\n$chunks"
    done
    [ "$(jobs)" -eq "$before" ]
}

@test "[fault-27] through NGINX: NUL, folded lines, bare CR and LF end in a refusal" {
    before=$(jobs)
    refused 400 "$HEAD${SIGNED}X: a\0000b\r\nContent-Length: 2\r\n\r\n{}"
    for odd in 'X: a\r\n folded' 'X: a\rb' 'X: a\nY: b'; do
        answer=$(raw "$HEAD$SIGNED$odd\r\nContent-Length: 2\r\n\r\n{}")
        [[ "$answer" == 'HTTP/1.1 40'[01]* ]]
    done
    [ "$(jobs)" -eq "$before" ]
}

@test "[fault-29] through NGINX: a body that looks like a request is a body, and a second request is one of its own" {
    inner='GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n'
    refused 401 "$HEAD${SIGNED}Content-Length: 36\r\n\r\n$inner"
    answer=$(raw "GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    [[ "$answer" == 'HTTP/1.1 200'* ]]
    [ "$(answers)" -eq 2 ]
}

@test "[fault-31] through NGINX and on the socket: a client that is gone in the middle makes no job" {
    before=$(jobs)
    raw "$HEAD${SIGNED}Content-Length: 200\r\n\r\nhalf" 0.2 || :
    in_box python3 -c 'import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/chillbox/hook.sock")
s.send(b"POST /v1/hooks HTTP/1.1\r\nHost: h\r\nwebhook-id: a\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,b\r\nContent-Length: 200\r\n\r\nhalf")
s.close()'
    announce host.ping '{}' | grep -q '"job"'
    [ "$(jobs)" -eq $((before + 1)) ]
}

@test "[fault-32] through NGINX: 500 connections of one address have 64 places, and the others are served [attack-N1]" {
    in_box python3 - <<'END'
import socket, time
head = b"POST /v1/hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"
open_ones = []
for _ in range(500):
    s = socket.create_connection(("127.0.0.1", 80))
    s.send(head)
    open_ones.append(s)
begun = time.monotonic()
s = socket.create_connection(("127.0.0.1", 80), source_address=("127.0.0.9", 0))
s.send(b"GET /v1/health HTTP/1.0\r\nHost: localhost\r\n\r\n")
assert s.recv(100).startswith(b"HTTP/1.1 200"), "another address is not served"
assert time.monotonic() - begun < 2, "another address has to wait"
refused = 0
for s in open_ones:
    s.settimeout(10)
    refused += s.recv(100).startswith(b"HTTP/1.1 429")
assert refused >= 430, refused
END
}

@test "[fault-33] what a client says of its address decides nothing: the rate limit holds" {
    in_box sh -c 'i=0; while [ $i -lt 150 ]; do i=$((i + 1)); printf "url = \"http://127.0.0.1/v1/health\"\nheader = \"X-Forwarded-For: 10.0.0.$i\"\nheader = \"Remote-Addr: 10.0.0.$i\"\ninterface = 127.0.0.77\noutput = /dev/null\nwrite-out = \"%%{http_code}\\\\n\"\n$([ $i -lt 150 ] && echo next)\n"; done | curl -s -K -' >"$LAPTOP/codes"
    [ "$(grep -c 429 "$LAPTOP/codes")" -ge 20 ]
    [ "$(grep -c 200 "$LAPTOP/codes")" -ge 50 ]
}

@test "200 slow clients do not keep 32 valid ones waiting, through NGINX and on the socket [attack-N1]" {
    pids="$(in_box cat /run/openrc/options/chillboxd/child_pid) $(in_box pgrep -u chillbox)"
    for pid in $pids; do in_box sh -c 'echo 5 >/proc/$1/clear_refs' sh "$pid"; done # the peak is of what comes
    for to in "$NGINX" "$EDGE"; do
        printf '# %s: ' "$to" >&3
        in_box gate-slow "$to" /root/hook.key "${CHILLBOX_SLOW_SECONDS:-2}" >&3
    done
    peak=$(for pid in $pids; do in_box sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; done | awk '{s += $1} END {print s}')
    printf '# peak memory of monitor and edge under it: %s kB\n' "$peak" >&3
    [ "$peak" -le 32768 ]
}

@test "[fault-16] the time of a refusal is measured (CHILLBOX_TIMING: samples)" {
    for to in "$EDGE" "$NGINX"; do
        in_box gate-timing "$to" /root/hook.key "${CHILLBOX_TIMING:-600}" | sed "s|^|# $to: |" >&3
    done
}
