#!/usr/bin/env bats
# Crashes on a host in a box: samples of what `make crash-matrix`, `make kills` and `make soak` do at length (tests/crash), and the cases that have a
# number of their own.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible && preloads || return 0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    BUILD=$(cd "$ROOT/${BUILD:-build}" && pwd)
    export ROOT BUILD SEED=${SEED:-$(date +%s)}
    make -s -C "$ROOT" BUILD="$BUILD" crash
    box_up HOST
    "$ROOT/tests/crash/run" --install "$HOST"
}

teardown_file() { [ -z "${HOST-}" ] || box down "$HOST"; }
# A static program has its C library inside.
preloads() { [ -z "${BOX_ROOTFS-}" ]; }
setup() { host_or_skip; preloads || skip "what runs on a given root is static: nothing is preloaded there"; }

in_box() { box run "$HOST" -- "$@"; }
py() { in_box python3 -B -u /root/crash/"$@"; }
monitor() { in_box cat /run/openrc/options/chillboxd/child_pid; }
is_another() { now=$(monitor) && [ "$now" != "$1" ] && in_box chillboxctl ping >/dev/null 2>&1; }
kill_monitor() {
    old=$(monitor)
    in_box rm -f /run/chillbox/chillboxd.starts # a crash loop would wait (host-attack-crash.bats)
    in_box kill -9 "$old"
    wait_for 20 is_another "$old"
}

@test "[fault-92] [fault-120] kill -9 before a sample of the changes of a deploy, a rollback, a secrets update, a removal: 0 inconsistent" {
    py matrix.py --every 200 --seed "$SEED" | tee "$BATS_TEST_TMPDIR/out" | sed 's/^/# /' >&3
    grep -q ': 0 inconsistent$' "$BATS_TEST_TMPDIR/out"
}

@test "[fault-309] kill -9 before a sample of the changes of a renewal: a visitor by https is served at every moment, 0 inconsistent" {
    [ -x "$BUILD/acmez" ] || skip 'no Go, no engine'
    "$ROOT/tests/crash/run" certificate --every 60 | tee "$BATS_TEST_TMPDIR/out" | sed 's/^/# /' >&3
    grep -q ': 0 inconsistent$' "$BATS_TEST_TMPDIR/out"
}

@test "[fault-120] kill -9 of any process at random moments under webhooks and visitors: 0 jobs lost or run twice, 0 wrong answers" {
    py kills.py --count 6 --seed "$SEED" | tee "$BATS_TEST_TMPDIR/out" | sed 's/^/# /' >&3
    grep -q ': 0 wrong$' "$BATS_TEST_TMPDIR/out"
}

@test "[fault-111] what a build had started when the daemon was killed does not outlive it, and the build begins again" {
    in_box sh -c 'printf "#!/bin/sh\n[ -e /etc/once ] || { sleep 4711 & sleep 4711; }\n" >/etc/chillbox/hooks.d/handlers/x-crash/build.new
        cd /etc/chillbox/hooks.d/handlers/x-crash && cp build build.old && chmod 755 build.new && mv build.new build'
    py send.py 8.0.0
    wait_for 20 in_box pgrep -f 'sleep 4711'
    in_box touch /etc/once
    kill_monitor
    wait_for 5 not in_box pgrep -f 'sleep 4711'
    py settle.py
    [[ "$(in_box chillboxctl status)" == *8.0.0* ]]
    in_box sh -c 'cd /etc/chillbox/hooks.d/handlers/x-crash && mv build.old build'
}
not() { ! "$@"; }

@test "[fault-96] [fault-103] no process but the monitor has the database open, also while one is started; a lock dies with who held it" {
    py send.py 8.1.0 &
    for _ in $(seq 30); do
        holders=$(in_box sh -c 'for p in /proc/[0-9]*; do ls -l "$p/fd" 2>/dev/null | grep -q state.db && cat "$p/comm"; done; :' | sort -u)
        [ "$holders" = chillboxd ]
    done
    wait
    kill_monitor
    py settle.py
}

@test "[fault-123] the old process dies while it is drained: no error, the deploy is done" {
    old=$(pids_of crash)
    py send.py 8.3.0
    wait_for 20 in_box sh -c 'curl -s -H "Host: crash.example" http://127.0.0.1/app/ | grep -q 8.3.0'
    in_box kill -9 "$old" 2>/dev/null || :
    py settle.py
}

# Last, because the store goes on counting the deleted one among the good releases.
@test "[fault-122] a release directory that is deleted under its running service: the next deploy works, also when the daemon is killed in it" {
    in_box sh -c 'rm -rf "/srv/chillbox/crash/$(readlink /srv/chillbox/crash/current)"'
    py send.py 8.2.0
    kill_monitor
    in_box python3 -c 'import sys; sys.path.insert(0, "/root/crash"); import host; host.unlock(); host.wait_until_idle(60); assert host.visit()[0] == "8.2.0"'
}
